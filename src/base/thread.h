// SPDX-License-Identifier: Apache-2.0
// Threads of the library's own. Layer: base.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

// Starts one that no signal is delivered to: signals are the program's business. 0 or an errno.
int thread_start(pthread_t *ret_thread, void *(*run)(void *), void *argument);

// One that nobody waits for, with a stack of that size; it takes the signals that the caller takes.
// 0 or an errno.
int thread_start_detached(void *(*run)(void *), void *argument, size_t stack_size);

// A condition whose timed waits are on the clock of thread_wait().
void thread_cond_init(pthread_cond_t *cond);

// Waits for the condition, at most that long (-1: for ever).
void thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t ms);
