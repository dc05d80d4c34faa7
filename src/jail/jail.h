// SPDX-License-Identifier: Apache-2.0
/*
 * The jail: a small static program that builds one sandbox and then stays as its monitor.
 *
 * Theory of operation. Up to four processes work at once, because the network namespace is half of
 * the whole cost and the rest can be done beside it. The starter is spawned by the library; it
 * forks the monitor and ends, so that the sandbox has no parent to disturb (no SIGCHLD, no zombie
 * in the user's program). The monitor maps ids, prepares mounts that need real root, cgroups,
 * sockets and records; then it watches. The network process makes and configures the network
 * namespace, then ends. Init is process 1 of the new namespaces: mounts, limits, and at last it
 * becomes the agent. Failures travel as struct sbx_error in a page shared by all four.
 *
 * With real root, what is alike for all sandboxes is begun before the request is read: namespaces,
 * network, the disk with /dev and /proc. A client that makes one sandbox after another has some
 * that wait in this state, spares: spare.h.
 *
 * With real root, the network process also makes the user namespace, which the monitor maps to a
 * range of ids of its own; init builds everything outside of it and enters it last. So its
 * namespaces and mounts belong to the machine's root: root of the sandbox has no rights over them,
 * and layers can be idmapped. Without, init is made in a user namespace of its own and forks the
 * network process there. Layer: jail.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "jail/bare.h"
#include "wire/box_msg.h"

#define JAIL_LAYERS_MAX 32 // layers and mounts together, each one descriptor
#define JAIL_UID_COUNT 65536
#define BOOT_FD 3 // our socket to the library

// Which ids the sandbox has: a range of its own when we are really root, else only ours, and for a
// sandbox with root inside the user's subordinate ids too, where the machine grants them:
// subuid(5).
struct jail_ids {
    uint32_t inside; // first id inside
    uint32_t base;   // first id here
    uint32_t gid_base;
    uint32_t count;
    uint32_t sub_uid, sub_gid; // first subordinate ids, for 1 and above inside
    uint32_t sub_count;        // 0: none
};

enum { NETNS_NONE = -1, NETNS_FAILED = -2 }; // values of netns_fd

// What the processes of one jail share while it is built.
struct jail_shared {
    struct sbx_error init_error; // code 0 while all is well
    struct sbx_error net_error;
    int32_t netns_fd;  // in the table of whoever forked the network process; a futex(2) while < 0
    int32_t device_fd; // layer-2 device, -1 if none
};

struct jail {
    struct box_spec spec;
    struct jail_shared *shared;
    const void *request; // the specification as it came; spec borrows from it
    size_t request_size;
    struct jail_ids ids;
    bool has_cgroup; // init: the number of processes is limited by one, not by an rlimit
    bool privileged; // real root: id ranges, idmapped mounts, network made by the monitor
    bool spare;      // made before anybody asked for it
    bool copied;     // from a helper, which knows whether it is privileged: spare.h
    int nice;        // of a spare's client
    pid_t starter;   // has our memory until it ends
    int dir_fd;      // the sandbox's directory, flock(2)ed
    char dir[512];   // its path
    int boot_fd;     // to the library; its end is the leash of a tied sandbox
    int first_fd;    // agent's end of the first connection
    int link_fd;     // monitor's end of the socket to init, later to the agent
    int listen_fd;   // agent's listening socket
    int control_fd;  // monitor's listening socket
    int agent_fd;    // the agent's program
    int userns_fd;   // the sandbox's user namespace, with real root only
    int sysctl_fd;   // init: /proc/sys of the sandbox's own /proc, writable
    int resolv_fd;   // init: this machine's resolv.conf, for network `host` with real root
    int disk_fd;     // the sandbox's disk, on which its writable layers are; -1 if not known (yet)
    uint64_t disk_bytes; // init: its size as it is
    int device_fd;       // layer-2 device of the sandbox's network, -1 if none
    int init_pidfd;
    pid_t init_pid;
    int32_t init_within; // the kernel sets it to 0 when init no longer shares our memory
    pid_t net_pid;       // the network process, 0 if there is none any more

    // Init: the monitor's, while it is in the monitor's memory. What this shares with it is only
    // read, and not after INIT_GO.
    const struct jail *outer;

    struct bare bare; // init is born in a copy of it, if there is one
};

// Fills err with the failed stage as origin, from which the library finds the remedy for this
// machine.
int jail_fail(struct sbx_error *err, const char *stage, const char *format, ...) PRINTF_LIKE(3, 4);
