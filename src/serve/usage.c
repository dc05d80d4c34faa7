// SPDX-License-Identifier: Apache-2.0
// What sandboxes use. Layer: serve.
#include "serve/usage.h"

#include <stdlib.h>

#include "base/clock.h"
#include "serve/place.h"

#define NOW_MS 5000 // a span that ends no longer ago than that ends now

void usage_log_deinit(struct usage_log *log)
{
    free(log->samples);
    *log = (struct usage_log){0};
}

// Every other one goes, and they lie twice as far apart from then on.
static void thin_out(struct usage_log *log)
{
    for (size_t i = 0; i < log->count / 2; i++)
        log->samples[i] = log->samples[2 * i];
    log->count /= 2;
    log->interval_ms *= 2;
}

static void add(struct usage_log *log, const struct usage_sample *sample)
{
    if (log->count == USAGE_SAMPLES_MAX)
        thin_out(log);
    if (log->count == log->room) {
        size_t room = log->room ? 2 * log->room : 8;
        struct usage_sample *grown = realloc(log->samples, room * sizeof(*grown));
        if (!grown)
            return;
        log->samples = grown;
        log->room = room;
    }
    log->samples[log->count++] = *sample;
}

void usage_tick(struct place *box, int64_t now_ms)
{
    struct usage_log *log = &box->usage;
    struct sbx_metrics metrics = SBX_METRICS_INIT;
    struct sbx_error ignored;
    pthread_mutex_lock(&box->lock);
    if (!log->interval_ms)
        log->interval_ms = USAGE_INTERVAL_MS;
    int64_t last = log->count ? log->samples[log->count - 1].at_ms : box->sheet.created_ms;
    bool due = !box->sheet.paused_ms && now_ms - last >= log->interval_ms;
    pthread_mutex_unlock(&box->lock);
    if (!due || sbx_sandbox_metrics(box->sandbox, NULL, &metrics, &ignored) < 0)
        return;
    struct usage_sample sample = {now_ms, metrics.cpu_usec, metrics.memory_bytes,
                                  metrics.disk_bytes};
    pthread_mutex_lock(&box->lock);
    add(log, &sample);
    pthread_mutex_unlock(&box->lock);
}

// A sample as clients see it; `before` may be NULL, which is its beginning.
static void tell(const struct place *box, const struct usage_sample *before,
                 const struct usage_sample *sample, struct usage *usage)
{
    int64_t since = before ? before->at_ms : box->sheet.created_ms;
    uint64_t used = sample->cpu_usec - (before ? before->cpu_usec : 0);
    int64_t span = sample->at_ms - since;
    usage->at_ms = sample->at_ms;
    usage->cpu_percent = span > 0 ? used / 10 / (uint64_t)span / usage->cpu_count : 0;
    if (usage->cpu_percent > 100)
        usage->cpu_percent = 100;
    usage->memory_bytes = sample->memory_bytes;
    usage->disk_bytes = sample->disk_bytes;
}

// What is the same in all samples, and the one of now.
static int measure(struct place *box, struct usage *ret_usage, struct usage_sample *ret_sample,
                   struct sbx_error *err)
{
    struct sbx_info info;
    struct sbx_metrics metrics = SBX_METRICS_INIT;
    int code = place_info(box, &info, err);
    if (code == 0 && sbx_sandbox_metrics(box->sandbox, NULL, &metrics, err) < 0)
        code = place_failed(box, err);
    if (code < 0)
        return code;
    *ret_usage = (struct usage){.cpu_count = info.cpu_millis > 1000 ? info.cpu_millis / 1000 : 1,
                                .memory_limit_bytes = metrics.memory_limit_bytes,
                                .disk_limit_bytes = metrics.disk_limit_bytes};
    *ret_sample = (struct usage_sample){clock_unix_ms(), metrics.cpu_usec, metrics.memory_bytes,
                                        metrics.disk_bytes};
    return 0;
}

int usage_now(struct place *box, struct usage *ret_usage, struct sbx_error *err)
{
    struct usage_sample sample;
    int code = measure(box, ret_usage, &sample, err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&box->lock);
    const struct usage_log *log = &box->usage;
    tell(box, log->count ? &log->samples[log->count - 1] : NULL, &sample, ret_usage);
    pthread_mutex_unlock(&box->lock);
    return 0;
}

int usage_span(struct place *box, int64_t from_ms, int64_t to_ms, struct usage **ret_items,
               size_t *ret_count, struct sbx_error *err)
{
    struct usage usage;
    struct usage_sample now;
    size_t count = 0;
    int code = measure(box, &usage, &now, err);
    struct usage *items = code == 0 ? calloc(USAGE_SAMPLES_MAX + 1, sizeof(*items)) : NULL;
    if (!items)
        return code < 0 ? code : err_nomem(err);
    pthread_mutex_lock(&box->lock);
    const struct usage_log *log = &box->usage;
    for (size_t i = 0; i <= log->count; i++) {
        const struct usage_sample *sample = i < log->count ? &log->samples[i] : &now;
        int64_t slack = i < log->count ? 0 : NOW_MS;
        if (sample->at_ms < from_ms || (to_ms && sample->at_ms > to_ms + slack))
            continue;
        tell(box, i ? &log->samples[i - 1] : NULL, sample, &usage);
        items[count++] = usage;
    }
    pthread_mutex_unlock(&box->lock);
    *ret_items = items;
    *ret_count = count;
    return 0;
}
