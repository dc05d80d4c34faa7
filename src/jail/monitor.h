// SPDX-License-Identifier: Apache-2.0
// The monitor's watch over a living sandbox, to its end and the removal of everything. Layer: jail.
#pragma once

#include "jail/cgroup.h"
#include "jail/jail.h"

#define MONITOR_CLIENTS_MAX 16
#define MONITOR_FORWARDS_MAX MONITOR_PORTS_MAX

struct monitor {
    struct jail *jail;
    struct cgroup cgroup;
    struct monitor_state state; // mirrored in the record of that name once it differs from the spec
    int timer_fd;               // time to live, CLOCK_BOOTTIME
    int directory_fd;           // inotify(7): tells that the sandbox's directory was removed
    int clients[MONITOR_CLIENTS_MAX];   // connections on the control socket, -1 if free
    int forwards[MONITOR_FORWARDS_MAX]; // pipes to the processes that forward a port: closing ends
                                        // one
    pid_t netstack_pid; // user-space network, 0 while no packet has left the sandbox
    int netstack_fd;    // closing it ends that process
    int netstack_pidfd;
    void *rules;                     // texts of the network's rules when they were changed; owned
    bool holds[MONITOR_CLIENTS_MAX]; // this connection keeps the sandbox frozen while it is open
    bool heard;                      // what init had to say: the disk
    bool shed;                       // only the pages that it needs are left
    bool ending; // destroy was asked for, the time is up, or the creator is gone
};

void monitor_init(struct monitor *monitor, struct jail *jail);

// Watches until the sandbox ends. Returns when everything inside has ended.
void monitor_watch(struct monitor *monitor);

// Kills what lives, removes cgroups and the directory. Works for a half-built sandbox too.
void monitor_clean(struct monitor *monitor);

// Tells those who wait for the end that it is there.
void monitor_part(struct monitor *monitor);

// Sets the end of life, `ttl_ms` from now; -1: none. 0, or -1 and errno.
int monitor_set_ttl(struct monitor *monitor, int64_t ttl_ms);

// Writes a record of the sandbox's directory, by rename. 0, or -1 and errno.
int monitor_write_record(const struct monitor *monitor, const char *name, const struct buf *data);

// Writes the record `state`. A failure leaves the old one.
void monitor_save_state(struct monitor *monitor);
