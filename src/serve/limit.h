// SPDX-License-Identifier: Apache-2.0
// Rate limits: a bucket of tokens for each key, and one for each peer that fails to show one.
// Layer: serve.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMIT_NAME_SIZE 64
#define LIMIT_BUCKETS 1024

struct limit_bucket {
    char name[LIMIT_NAME_SIZE];
    int64_t tokens_milli, at_ms;
};

struct limits {
    pthread_mutex_t lock;
    struct limit_bucket *buckets; // LIMIT_BUCKETS, by hash; a stranger takes over an old one
};

// False when `name` has used up its `rate` a second (bursts of `burst`); *ret_wait_s: how long to
// wait.
bool limits_take(struct limits *limits, const char *name, uint32_t rate, uint32_t burst,
                 unsigned *ret_wait_s);
// Whether a token is there, without taking it.
bool limits_left(struct limits *limits, const char *name, uint32_t rate, uint32_t burst);
bool limits_init(struct limits *limits);
void limits_deinit(struct limits *limits);
