// SPDX-License-Identifier: Apache-2.0
// Buckets of tokens. Layer: serve.
#include "serve/limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

bool limits_init(struct limits *limits)
{
    pthread_mutex_init(&limits->lock, NULL);
    limits->buckets = calloc(LIMIT_BUCKETS, sizeof(*limits->buckets));
    return limits->buckets != NULL;
}

void limits_deinit(struct limits *limits)
{
    pthread_mutex_destroy(&limits->lock);
    free(limits->buckets);
}

static struct limit_bucket *find(struct limits *limits, const char *name, uint32_t burst)
{
    uint32_t hash = 2166136261u; // FNV-1a
    for (const char *at = name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    struct limit_bucket *bucket = &limits->buckets[hash % LIMIT_BUCKETS];
    if (strncmp(bucket->name, name, sizeof(bucket->name) - 1) != 0) {
        snprintf(bucket->name, sizeof(bucket->name), "%s", name);
        bucket->tokens_milli = (int64_t)burst * 1000;
        bucket->at_ms = clock_boot_ms();
    }
    return bucket;
}

static struct limit_bucket *fill(struct limits *limits, const char *name, uint32_t rate,
                                 uint32_t burst)
{
    struct limit_bucket *bucket = find(limits, name, burst);
    int64_t now = clock_boot_ms();
    bucket->tokens_milli += (now - bucket->at_ms) * rate;
    bucket->at_ms = now;
    if (bucket->tokens_milli > (int64_t)burst * 1000)
        bucket->tokens_milli = (int64_t)burst * 1000;
    return bucket;
}

bool limits_take(struct limits *limits, const char *name, uint32_t rate, uint32_t burst,
                 unsigned *ret_wait_s)
{
    pthread_mutex_lock(&limits->lock);
    struct limit_bucket *bucket = fill(limits, name, rate, burst);
    bool has = bucket->tokens_milli >= 1000;
    if (has)
        bucket->tokens_milli -= 1000;
    else
        *ret_wait_s = 1 + (unsigned)((1000 - bucket->tokens_milli) / rate / 1000);
    pthread_mutex_unlock(&limits->lock);
    return has;
}

bool limits_left(struct limits *limits, const char *name, uint32_t rate, uint32_t burst)
{
    pthread_mutex_lock(&limits->lock);
    bool has = fill(limits, name, rate, burst)->tokens_milli >= 1000;
    pthread_mutex_unlock(&limits->lock);
    return has;
}
