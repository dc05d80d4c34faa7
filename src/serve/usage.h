// SPDX-License-Identifier: Apache-2.0
/*
 * What a sandbox uses, now and since it is known to this server. Samples are taken by the keeper of
 * places; they cover a sandbox's whole life in a bounded number, so that they lie the further apart
 * the longer it lives. They are forgotten with the server. Layer: serve.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sandboxes/sandboxes.h>

#define USAGE_SAMPLES_MAX 256
#define USAGE_INTERVAL_MS 10000 // at first

struct place;

struct usage_sample {
    int64_t at_ms; // Unix time
    uint64_t cpu_usec, memory_bytes, disk_bytes;
};

struct usage_log { // guarded by the place's lock
    struct usage_sample *samples;
    size_t count, room;
    int64_t interval_ms; // 0: USAGE_INTERVAL_MS
};

// One moment. The limits are those of now.
struct usage {
    int64_t at_ms;
    uint64_t cpu_count, cpu_percent; // of all its processors, since the sample before
    uint64_t memory_bytes, memory_limit_bytes, disk_bytes, disk_limit_bytes;
    uint64_t cache_bytes; // 0: not told apart
};

// As of now. An error has been taken note of: one that is gone is forgotten.
int usage_now(struct place *box, struct usage *ret_usage, struct sbx_error *err);

// The samples of a span, oldest first, and now if that is in it. from, to: 0: no bound. Free with
// free().
int usage_span(struct place *box, int64_t from_ms, int64_t to_ms, struct usage **ret_items,
               size_t *ret_count, struct sbx_error *err);

// Takes a sample when it is time for one.
void usage_tick(struct place *box, int64_t now_ms);
void usage_log_deinit(struct usage_log *log);
