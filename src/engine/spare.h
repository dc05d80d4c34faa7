// SPDX-License-Identifier: Apache-2.0
// Half-made sandboxes of a client that makes one after another: jail/spare.h. Layer: engine.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { SPARES_NONE, SPARES_DEVICE, SPARES_KINDS }; // without and with a network device

struct spares {
    pthread_mutex_t lock;
    struct {
        int fd;                  // to the helper that makes them; -1: none
        uint64_t surroundings;   // of the thread that started it
        unsigned launches, owed; // owed: taken and not yet asked for again
        bool given_up;
    } kinds[SPARES_KINDS];
};

void spares_init(struct spares *spares);
void spares_deinit(struct spares *spares);
void spares_forked(struct spares *spares); // in the child of a fork: they are the parent's alone
void spares_drop(struct spares *spares);   // whoever gave up root's rights keeps no way to them

// At each launch: the boot socket of one that waits for its request, else of one that the helper
// begins now, or -1. The helper starts with the second launch: a program that makes one sandbox
// pays nothing. A sandbox is to be what it would be if it was begun now: none where the namespaces,
// cgroups or priority of this thread are not those in which the helper was started.
int spares_take(struct spares *spares, uint32_t network, const char *jail);

// After a launch: sees to it that there is one for the next.
void spares_refill(struct spares *spares, uint32_t network);
