// SPDX-License-Identifier: Apache-2.0
/*
 * A local sandbox in full: what the library asks the jail to build, and at the same time the record
 * `spec` in the sandbox's directory, which list, find and inspect read. All defaults are already
 * filled in. Layer: wire.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sandboxes/sandbox.h>

#include "wire/codec.h"

// One more with each change of the record, or of what clients and agents tell each other.
#define BOX_VERSION 3
#define BOX_SPEC_MAX (512 * 1024)
#define BOX_LISTS_MAX 1024 // entries of each list below

struct box_spec {
    const char *id;
    const char *image;   // as the user named it
    const char *user;    // default user of commands
    const char *workdir; // "" = that user's home
    const char *hostname;
    const char *agent;     // path of the agent's program here
    const char *netstack;  // path of the user-space network's program here
    const char *machine;   // "" = namespaces; else the guest machine that the agent's program, then
                           // sandboxes-vmm, runs: wire/machine.h
    uint64_t memory_bytes; // 0: no limit (never the default where a cgroup can hold one)
    uint64_t disk_bytes;
    uint32_t cpu_millis; // 0: no limit
    uint32_t max_pids;
    uint32_t max_open_files;
    uint32_t lifetime;  // enum sbx_lifetime
    uint32_t network;   // enum sbx_network, never DEFAULT
    uint32_t flags;     // enum box_flags
    int64_t created_ms; // Unix time
    int64_t ttl_ms;     // -1: none
    // Root file system: (target inside, directory here), in mount order; equal neighbouring targets
    // are layers of one overlay, topmost first. The first target is "/".
    struct sbx_pair *layers;
    size_t layer_count;
    struct sbx_pair *env;
    size_t env_count;
    struct sbx_pair *labels; // sorted by name
    size_t label_count;
    struct sbx_pair *mounts; // name = target inside; value = 'r' or 'w' followed by the path here
    size_t mount_count;
    const char **allow; // as the user gave them
    size_t allow_count;
    const char **ports; // "PORT:HOST_PORT"
    size_t port_count;
};

enum box_flags {
    BOX_LIMITS_ASKED = 1 << 0, // the user named a limit: failing to hold it is an error, not a note
    BOX_ROOT_USER = 1 << 1,    // commands may want uid 0 (the default user is root)
    BOX_KVM = 1 << 2,          // process 1 may run guests by /dev/kvm
    BOX_FORK = 1 << 3          // its layers below BOX_DELTAS are its own and end with it
};

// Of the path of a layer, between the store of images and the layer's name; and the store's lock:
// engine/imagestore.h.
#define BOX_DELTAS "/deltas/"
#define BOX_STORE_LOCK "in-use"

void box_spec_put(struct buf *out, const struct box_spec *spec);
// 0 or -1 if malformed or of another version. Strings are borrowed from the payload.
int box_spec_get(const void *payload, size_t size, struct box_spec *ret_spec);
void box_spec_deinit(struct box_spec *spec);

// Frames on the boot socket. That the sandbox is up is said by the agent itself, on its first
// connection.
enum box_msg {
    // box_spec; with the sandbox's directory and the agent's end of its first connection
    BOX_REQUEST = 1,
    BOX_FAILED = 2, // raw struct sbx_error: nothing of the sandbox is left
    BOX_SPARE = 4   // nothing but a boot socket, on which a spare waits for its request
};

// To the helper that makes spares, a byte a message: jail/spare.h.
#define BOX_WISH 'w'
