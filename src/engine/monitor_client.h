// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to a sandbox's monitor, one connection each. dir_fd is the sandbox's directory. Errors
 * of all: NOT_FOUND or UNAVAILABLE when there is no monitor (any more), TIMEOUT, CANCELLED,
 * PROTOCOL, and what the monitor answers. Layer: engine.
 */
#pragma once

#include <stdbool.h>

#include <sandboxes/sandbox.h>

#include "base/clock.h"
#include "wire/monitor_msg.h"

// Returns when the monitor has ended, which removes the sandbox first.
int monitor_destroy(int dir_fd, struct deadline deadline, struct sbx_error *err);
int monitor_set_ttl(int dir_fd, int64_t ttl_ms, struct deadline deadline, struct sbx_error *err);
// network, allow and allow_count of the specification, which has been checked.
int monitor_set_network(int dir_fd, const struct sbx_spec *rules, struct deadline deadline,
                        struct sbx_error *err);
int monitor_expose(int dir_fd, struct sbx_port port, struct deadline deadline,
                   uint16_t *ret_host_port, struct sbx_error *err);
int monitor_measure(int dir_fd, struct deadline deadline, struct monitor_metrics *ret_metrics,
                    struct sbx_error *err);
int monitor_pause(int dir_fd, bool paused, struct deadline deadline, struct sbx_error *err);
/*
 * A sandbox that stands still, and its files. `still`: it does; where it can't be frozen it goes on
 * meanwhile. userns_fd: without real root. The rest says wire/monitor_msg.h.
 */
struct monitor_held {
    int conn_fd, disk_fd, userns_fd;
    bool still;
    uint32_t base, uppers;
};
#define MONITOR_HELD_NONE                                                                          \
    {                                                                                              \
        .conn_fd = -1, .disk_fd = -1, .userns_fd = -1                                              \
    }
int monitor_hold(int dir_fd, struct deadline deadline, struct monitor_held *ret_held,
                 struct sbx_error *err);
void monitor_release(struct monitor_held *held); // it goes on
#define cleanup_monitor_held cleanup(monitor_release)

// Is there any use in waiting for the agent? UNAVAILABLE when it is stopped.
int monitor_look(int dir_fd, struct deadline deadline, struct sbx_error *err);
