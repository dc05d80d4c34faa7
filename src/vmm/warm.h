// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that nobody wants anything of when it is ready, as one made ahead, runs a command of ours
 * that does nothing: an emulated processor has then translated what commands need, and the guest
 * has its own copies of the pages they write. Nobody waits for it, and nobody is told of it.
 * Layer: vmm.
 */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "wire/frame.h"
#include "wire/mux.h"

struct warm {
    struct deadline begin; // DEADLINE_NEVER: not now
    int fd;                // our end of its connection; -1: none
    struct frame_in in;
    int sent; // commands
    bool rehearses;
};

void warm_init(struct warm *warm);
// The guest is ready.
void warm_wait(struct warm *warm);
// When mux has had a turn; fd was polled with it.
// At once, in a guest that will be saved, with a program of its image besides. Then warm_turn()
// until warm->fd is -1.
void warm_rehearse(struct warm *warm, struct mux *mux);
void warm_turn(struct warm *warm, struct mux *mux, short revents);
