// SPDX-License-Identifier: Apache-2.0
// Spare networks of a client that makes sandboxes one after another: jail/spare.h. Layer: engine.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { SPARES_NONE, SPARES_DEVICE, SPARES_KINDS }; // without and with a device

struct spares {
    pthread_mutex_t lock;
    struct {
        int fd;                  // to the helper that makes them; -1: none
        unsigned launches, owed; // owed: taken and not yet asked for again
        bool given_up;
    } kinds[SPARES_KINDS];
};

void spares_init(struct spares *spares);
void spares_deinit(struct spares *spares);
void spares_forked(struct spares *spares); // in the child of a fork: they are the parent's alone

// Sends one to the jail that waits at boot_fd, if one is ready. Nothing is lost if not.
void spares_give(struct spares *spares, uint32_t network, int boot_fd);

// After a launch: sees to it that there is one for the next. From the second launch on: a program
// that makes one sandbox pays nothing.
void spares_refill(struct spares *spares, uint32_t network, const char *jail);
