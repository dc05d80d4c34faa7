// SPDX-License-Identifier: Apache-2.0
/*
 * Sandboxes made ahead, so that clients need not wait for them. What can't be changed in a living
 * sandbox makes a kind: image, resources, network on or off. A kind is kept warm from the first
 * sandbox of it on that a client asks for, until none has been asked for in WARM_IDLE_MS; nothing
 * is kept on a server that nobody uses. Name, labels, environment and life are given at hand-over.
 *
 * The library's pool does not fit: its sandboxes end with the process, a server's must not. One
 * that waits here has a short time to live and a label: a server that was killed leaves it for at
 * most that long, and the next one ends it at once. Layer: serve.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <sandboxes/sandboxes.h>

#define WARM_KINDS_MAX 8
#define WARM_EACH_MAX 32
#define WARM_IDLE_MS 60000
#define WARM_LIFE_MS 90000 // what its monitor gives it; looked after in time below that
#define WARM_LABEL "sandboxes.warm"

struct serve;

struct warm_box {
    struct sbx_sandbox *sandbox;
    int64_t born_ms;
};

struct warm_kind {
    bool used;
    char image[256]; // "": the provider's
    uint32_t network, cpu_millis;
    bool opened; // to what the operator allows besides
    uint64_t memory_bytes, disk_bytes;
    int64_t wanted_ms, refill_ms; // last asked for; not made again before
    struct warm_box boxes[WARM_EACH_MAX];
    size_t count;
};

struct warm {
    uint32_t each; // of a kind; 0: none
    char mark[17]; // the label's value: tells this server's from others'
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stopping;
    struct warm_kind kinds[WARM_KINDS_MAX];
    atomic_uint_fast64_t hits, misses;
};

// Ends what an earlier server left; after the living sandboxes of clients are known.
int warm_start(struct serve *serve, struct sbx_error *err);
void warm_stop(struct serve *serve); // ends all that wait

// One that fits, its time to live set as the specification says; NULL when there is none. It is
// the caller's.
struct sbx_sandbox *warm_take(struct serve *serve, const struct sbx_spec *spec);
size_t warm_count(struct serve *serve);
