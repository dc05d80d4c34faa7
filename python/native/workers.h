// SPDX-License-Identifier: Apache-2.0
/*
 * Threads that make the library's blocking calls. They never touch Python: no lock of the
 * interpreter is taken, so nothing can hang at its end, and a thousand calls cost no switching
 * between threads that want it. The pool grows when work has waited for a while without a free
 * thread, and shrinks when threads have been idle.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct work {
    struct work *next;
    void (*run)(struct work *work);
};

// False if there is no thread for it and none can be started. Thread-safe.
bool workers_submit(struct work *work);

size_t workers_count(void);

// In the child of a fork: threads and queued work belong to the parent alone.
void workers_after_fork(void);
