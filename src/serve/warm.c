// SPDX-License-Identifier: Apache-2.0
// Sandboxes made ahead. Layer: serve.
#include "serve/warm.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "serve/serve.h"
#include "serve/snapshots.h"

#define AGE_MAX_MS (WARM_LIFE_MS - 30000)
#define LOOK_MS 5000
#define RETRY_MS 5000
#define CREATE_MS 60000

static bool fits(const struct warm_kind *kind, const struct sbx_spec *spec)
{
    return kind->used && strcmp(kind->image, spec->image ? spec->image : "") == 0 &&
           kind->network == spec->network && kind->cpu_millis == spec->cpu_millis &&
           kind->memory_bytes == spec->memory_bytes && kind->opened == (spec->allow_count > 0) &&
           kind->disk_bytes == spec->disk_bytes;
}

// What no other sandbox is likely to want again is made when it is asked for.
static bool is_common(const struct serve *serve, const struct sbx_spec *spec)
{
    // A snapshot may be replaced by another of its name.
    if (spec->image &&
        strncmp(spec->image, SNAPSHOT_IMAGE_PREFIX, strlen(SNAPSHOT_IMAGE_PREFIX)) == 0)
        return false;
    return (spec->allow_count == 0 || spec->allow == serve->settings.allow) &&
           spec->mount_count == 0 && spec->port_count == 0 &&
           (!spec->image || strlen(spec->image) < sizeof(((struct warm_kind *)0)->image));
}

static struct warm_kind *find_kind(struct warm *warm, const struct sbx_spec *spec)
{
    for (size_t i = 0; i < WARM_KINDS_MAX; i++)
        if (fits(&warm->kinds[i], spec))
            return &warm->kinds[i];
    return NULL;
}

// A free place, or none: kinds in use are not pushed out, they age away.
static struct warm_kind *add_kind(struct warm *warm, const struct sbx_spec *spec)
{
    for (size_t i = 0; i < WARM_KINDS_MAX; i++) {
        struct warm_kind *kind = &warm->kinds[i];
        if (kind->used)
            continue;
        *kind = (struct warm_kind){.used = true,
                                   .network = spec->network,
                                   .cpu_millis = spec->cpu_millis,
                                   .memory_bytes = spec->memory_bytes,
                                   .disk_bytes = spec->disk_bytes,
                                   .opened = spec->allow_count > 0};
        snprintf(kind->image, sizeof(kind->image), "%s", spec->image ? spec->image : "");
        return kind;
    }
    return NULL;
}

// The oldest: the others have more of their time left.
static struct sbx_sandbox *pop(struct warm_kind *kind)
{
    if (kind->count == 0)
        return NULL;
    struct sbx_sandbox *sandbox = kind->boxes[0].sandbox;
    kind->count--;
    memmove(kind->boxes, kind->boxes + 1, kind->count * sizeof(kind->boxes[0]));
    return sandbox;
}

static struct sbx_sandbox *pop_fitting(struct warm *warm, const struct sbx_spec *spec)
{
    pthread_mutex_lock(&warm->lock);
    struct warm_kind *kind = find_kind(warm, spec);
    if (!kind)
        kind = add_kind(warm, spec);
    struct sbx_sandbox *sandbox = kind ? pop(kind) : NULL;
    if (kind)
        kind->wanted_ms = clock_boot_ms();
    pthread_cond_signal(&warm->wake);
    pthread_mutex_unlock(&warm->lock);
    return sandbox;
}

struct sbx_sandbox *warm_take(struct serve *serve, const struct sbx_spec *spec)
{
    struct warm *warm = &serve->warm;
    struct sbx_sandbox *sandbox;
    if (!warm->running || !is_common(serve, spec))
        return NULL;
    while ((sandbox = pop_fitting(warm, spec))) {
        struct sbx_error err;
        // One that has died meanwhile says so here.
        if (sbx_sandbox_set_ttl(sandbox, spec->ttl_ms, NULL, &err) == 0) {
            atomic_fetch_add(&warm->hits, 1);
            return sandbox;
        }
        sbx_sandbox_free(sandbox);
    }
    atomic_fetch_add(&warm->misses, 1);
    return NULL;
}

size_t warm_count(struct serve *serve)
{
    struct warm *warm = &serve->warm;
    size_t count = 0;
    pthread_mutex_lock(&warm->lock);
    for (size_t i = 0; i < WARM_KINDS_MAX; i++)
        count += warm->kinds[i].count;
    pthread_mutex_unlock(&warm->lock);
    return count;
}

// --- The thread; with the lock held, which is released while something is made or ended

static void end_one(struct warm *warm, struct warm_kind *kind)
{
    struct sbx_sandbox *sandbox = pop(kind);
    struct sbx_error ignored;
    pthread_mutex_unlock(&warm->lock);
    sbx_sandbox_destroy(sandbox, NULL, &ignored);
    sbx_sandbox_free(sandbox);
    pthread_mutex_lock(&warm->lock);
}

static int make(struct serve *serve, const struct warm_kind *kind, struct sbx_sandbox **ret_sandbox,
                struct sbx_error *err)
{
    struct sbx_pair labels[] = {{"sandboxes.serve", "warm"}, {WARM_LABEL, serve->warm.mark}};
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_call call = SBX_CALL_INIT;
    spec.image = kind->image[0] ? kind->image : NULL;
    spec.network = kind->network;
    spec.cpu_millis = kind->cpu_millis;
    spec.memory_bytes = kind->memory_bytes;
    spec.disk_bytes = kind->disk_bytes;
    if (kind->opened) {
        spec.allow = serve->settings.allow;
        spec.allow_count = serve->settings.allow_count;
    }
    spec.labels = labels;
    spec.label_count = ARRAY_SIZE(labels);
    spec.ttl_ms = WARM_LIFE_MS;
    call.timeout_ms = CREATE_MS;
    return sbx_sandbox_create(serve->client, &spec, &call, ret_sandbox, err);
}

static void make_one(struct serve *serve, struct warm_kind *kind)
{
    struct warm *warm = &serve->warm;
    struct warm_kind copy = *kind; // only this thread ever frees a kind's place
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_error err;
    pthread_mutex_unlock(&warm->lock);
    int code = make(serve, &copy, &sandbox, &err);
    pthread_mutex_lock(&warm->lock);
    if (code == 0) {
        kind->boxes[kind->count++] = (struct warm_box){sandbox, clock_boot_ms()};
        return;
    }
    log_warn("serve", "no warm sandbox: %s", err.message);
    kind->refill_ms = clock_boot_ms() + RETRY_MS;
}

// True when there was something to do.
static bool tend(struct serve *serve, struct warm_kind *kind, int64_t now)
{
    struct warm *warm = &serve->warm;
    bool wanted = now - kind->wanted_ms < WARM_IDLE_MS;
    if (kind->count && (!wanted || now - kind->boxes[0].born_ms > AGE_MAX_MS))
        end_one(warm, kind);
    else if (!wanted)
        kind->used = false;
    else if (kind->count < warm->each && now >= kind->refill_ms)
        make_one(serve, kind);
    else
        return false;
    return true;
}

static bool tend_all(struct serve *serve)
{
    bool busy = false;
    for (size_t i = 0; i < WARM_KINDS_MAX && !serve->warm.stopping; i++)
        if (serve->warm.kinds[i].used)
            busy |= tend(serve, &serve->warm.kinds[i], clock_boot_ms());
    return busy;
}

static bool any_kind(const struct warm *warm)
{
    for (size_t i = 0; i < WARM_KINDS_MAX; i++)
        if (warm->kinds[i].used)
            return true;
    return false;
}

static void *tender(void *argument)
{
    struct serve *serve = argument;
    struct warm *warm = &serve->warm;
    pthread_mutex_lock(&warm->lock);
    while (!warm->stopping) {
        if (tend_all(serve))
            continue;
        if (any_kind(warm))
            thread_wait(&warm->wake, &warm->lock, LOOK_MS);
        else
            pthread_cond_wait(&warm->wake, &warm->lock);
    }
    for (size_t i = 0; i < WARM_KINDS_MAX; i++)
        while (warm->kinds[i].count)
            end_one(warm, &warm->kinds[i]);
    pthread_mutex_unlock(&warm->lock);
    return NULL;
}

// --- Start and stop

static bool is_handed_out(struct serve *serve, const char *id)
{
    struct place *box;
    struct sbx_error ignored;
    if (place_get(serve, id, &box, &ignored) < 0)
        return false;
    place_unref(box);
    return true;
}

// What a server that was killed had made, and what it was about to hand out.
static void end_left(struct serve *serve)
{
    struct sbx_pair label = {WARM_LABEL, serve->warm.mark};
    struct sbx_list list = {0};
    struct sbx_error err;
    if (sbx_sandbox_list(serve->client, NULL, &label, 1, NULL, &list, &err) < 0)
        return;
    for (size_t i = 0; i < list.count; i++) {
        struct sbx_sandbox *sandbox;
        if (is_handed_out(serve, list.items[i].id) ||
            sbx_sandbox_get(serve->client, NULL, list.items[i].id, NULL, &sandbox, &err) < 0)
            continue;
        sbx_sandbox_destroy(sandbox, NULL, &err);
        sbx_sandbox_free(sandbox);
    }
    sbx_list_free(&list);
}

static void make_mark(struct serve *serve)
{
    uint8_t digest[SHA256_SIZE];
    struct sha256 hash;
    sha256_init(&hash);
    sha256_update(&hash, "warm", 4);
    sha256_update(&hash, serve->secret, sizeof(serve->secret));
    sha256_final(&hash, digest);
    for (size_t i = 0; i < sizeof(serve->warm.mark) / 2; i++)
        snprintf(serve->warm.mark + 2 * i, 3, "%02x", digest[i]);
}

int warm_start(struct serve *serve, struct sbx_error *err)
{
    struct warm *warm = &serve->warm;
    warm->each = serve->settings.warm;
    pthread_mutex_init(&warm->lock, NULL);
    thread_cond_init(&warm->wake);
    make_mark(serve);
    end_left(serve);
    if (warm->each == 0)
        return 0;
    int failed = thread_start(&warm->thread, tender, serve);
    if (failed)
        return err_sys(err, SBX_ERR_QUOTA, failed, "cannot start a thread");
    warm->running = true;
    return 0;
}

void warm_stop(struct serve *serve)
{
    struct warm *warm = &serve->warm;
    if (!warm->running)
        return;
    pthread_mutex_lock(&warm->lock);
    warm->stopping = true;
    pthread_cond_signal(&warm->wake);
    pthread_mutex_unlock(&warm->lock);
    pthread_join(warm->thread, NULL);
    warm->running = false;
}
