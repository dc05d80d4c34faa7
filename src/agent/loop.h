// SPDX-License-Identifier: Apache-2.0
// The event loop: descriptors watched with epoll(7), level-triggered. Layer: agent.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct agent;

/*
 * A watched descriptor, embedded in its owner's struct. One event batch may hold events of a watch
 * that was closed earlier in it: owners are freed only after the batch (see conns_sweep,
 * procs_sweep).
 */
struct watch {
    void (*ready)(struct agent *agent, struct watch *watch, uint32_t events);
    int fd;          // owned; -1: closed
    uint32_t events; // as registered, 0: not at all
};

struct loop {
    int fd;
    int64_t next_ms; // clock_boot_ms() of the next timer, DEADLINE_NEVER: none
};

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

int loop_init(struct loop *loop);

// Waits for events and hands them out, once.
void loop_turn(struct agent *agent);

// Makes sure that the loop wakes up at that time.
void loop_wake_at(struct agent *agent, int64_t at_ms);

// Changes what is waited for; 0 stops all events, hang-ups too. -1 and errno when the kernel
// refuses.
int watch_set(struct agent *agent, struct watch *watch, uint32_t events);

/*
 * Closes the descriptor. It is taken out of epoll explicitly, because a forked worker may hold a
 * copy of it for a moment, and epoll would go on reporting it.
 */
void watch_close(struct agent *agent, struct watch *watch);
