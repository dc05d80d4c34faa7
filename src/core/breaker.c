// SPDX-License-Identifier: Apache-2.0
/*
 * Circuit breakers: a service that keeps failing is left alone for a while, then tried by few calls
 * before all may go there again. Layer: core.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <sandboxes/manager.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "core/check.h"
#include "core/retry.h"

struct sbx_breaker {
    struct sbx_breaker_options options; // full
    char name[64];
    pthread_mutex_t lock; // guards what follows
    struct sbx_breaker_status status;
    int64_t opened_at;
    uint64_t period;    // a new one with each change of state
    uint32_t succeeded; // probes in a row
};

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

int sbx_breaker_new(const struct sbx_breaker_options *options, struct sbx_breaker **ret_breaker,
                    struct sbx_error *err)
{
    need_error(err);
    struct sbx_breaker_options full;
    int code = check_struct(&full, sizeof(full), options, "breaker", err);
    if (code == 0)
        code = check_not_null(ret_breaker, "ret_breaker", err);
    if (code == 0 && (full.open_ms < 0 || full.reserved))
        code = err_set(err, SBX_ERR_INVALID,
                       "breaker.open_ms must not be negative, breaker.reserved must be 0");
    if (code < 0)
        return code;
    struct sbx_breaker *breaker = calloc(1, sizeof(*breaker));
    if (!breaker)
        return err_nomem(err);
    pthread_mutex_init(&breaker->lock, NULL);
    snprintf(breaker->name, sizeof(breaker->name), "%s", full.name ? full.name : "service");
    full.failures = or_default(full.failures, 5);
    full.successes = or_default(full.successes, 1);
    full.probes = or_default(full.probes, 1);
    if (!full.open_ms)
        full.open_ms = 30000;
    breaker->options = full;
    *ret_breaker = breaker;
    return 0;
}

void sbx_breaker_free(struct sbx_breaker *breaker)
{
    if (!breaker)
        return;
    pthread_mutex_destroy(&breaker->lock);
    free(breaker);
}

static void change(struct sbx_breaker *breaker, enum sbx_breaker_state state)
{
    log_debug("core", "circuit breaker of %s: %s", breaker->name, sbx_breaker_state_name(state));
    breaker->status.state = state;
    breaker->status.probes = 0;
    breaker->succeeded = 0;
    breaker->period++;
}

static void open_now(struct sbx_breaker *breaker)
{
    change(breaker, SBX_BREAKER_OPEN);
    breaker->status.opened++;
    breaker->opened_at = retry_now_ms(breaker->options.clock);
}

static void close_now(struct sbx_breaker *breaker)
{
    if (breaker->status.state != SBX_BREAKER_CLOSED)
        change(breaker, SBX_BREAKER_CLOSED);
    breaker->status.failures = 0;
}

// With the lock held: lets time do its part. What remains until a probe may pass, in ms.
static int64_t refresh(struct sbx_breaker *breaker)
{
    if (breaker->status.state != SBX_BREAKER_OPEN)
        return 0;
    int64_t left =
        breaker->opened_at + breaker->options.open_ms - retry_now_ms(breaker->options.clock);
    if (left > 0)
        return left;
    change(breaker, SBX_BREAKER_HALF_OPEN);
    return 0;
}

static int refuse(struct sbx_breaker *breaker, int64_t left, struct sbx_error *err)
{
    breaker->status.refused++;
    if (left > 0)
        err_set(err, SBX_ERR_UNAVAILABLE,
                "the circuit breaker of %s is open after %u failures, for another %lld ms",
                breaker->name, breaker->status.failures, (long long)left);
    else
        err_set(err, SBX_ERR_UNAVAILABLE,
                "the circuit breaker of %s is half open: another call is trying it", breaker->name);
    err_hint(err, "wait, or use another provider");
    err->retry_after_ms = left > UINT32_MAX ? UINT32_MAX : (uint32_t)(left > 0 ? left : 1);
    return SBX_ERR_UNAVAILABLE;
}

int sbx_breaker_enter(struct sbx_breaker *breaker, uint64_t *ret_pass, struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(breaker, "breaker", err);
    if (code == 0)
        code = check_not_null(ret_pass, "ret_pass", err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&breaker->lock);
    int64_t left = refresh(breaker);
    bool half = breaker->status.state == SBX_BREAKER_HALF_OPEN;
    if (left > 0 || (half && breaker->status.probes >= breaker->options.probes))
        code = refuse(breaker, left, err);
    else if (half)
        breaker->status.probes++;
    if (code == 0)
        *ret_pass = breaker->period;
    pthread_mutex_unlock(&breaker->lock);
    return code;
}

enum verdict { GOOD, BAD, NONE };

static enum verdict judge(int32_t code)
{
    switch (code) {
    case SBX_ERR_UNAVAILABLE:
    case SBX_ERR_TIMEOUT:
    case SBX_ERR_PROTOCOL:
    case SBX_ERR_IO:
        return BAD;
    case SBX_ERR_CANCELLED:
    case SBX_ERR_NOMEM:
    case SBX_ERR_BUG:
        return NONE;
    default:
        return GOOD;
    }
}

static void take(struct sbx_breaker *breaker, enum verdict verdict)
{
    struct sbx_breaker_status *status = &breaker->status;
    if (status->state == SBX_BREAKER_HALF_OPEN)
        status->probes--;
    if (verdict == NONE)
        return;
    if (verdict == BAD) {
        status->failures++;
        if (status->state == SBX_BREAKER_HALF_OPEN || status->failures >= breaker->options.failures)
            open_now(breaker);
    } else if (status->state == SBX_BREAKER_CLOSED ||
               ++breaker->succeeded >= breaker->options.successes) {
        close_now(breaker);
    }
}

// A call that entered before the state changed says nothing about the new one.
void sbx_breaker_leave(struct sbx_breaker *breaker, uint64_t pass, int32_t code)
{
    if (!breaker)
        return;
    pthread_mutex_lock(&breaker->lock);
    if (pass == breaker->period)
        take(breaker, judge(code));
    pthread_mutex_unlock(&breaker->lock);
}

void sbx_breaker_reset(struct sbx_breaker *breaker)
{
    if (!breaker)
        return;
    pthread_mutex_lock(&breaker->lock);
    close_now(breaker);
    pthread_mutex_unlock(&breaker->lock);
}

void sbx_breaker_status(struct sbx_breaker *breaker, struct sbx_breaker_status *ret_status)
{
    struct sbx_error ignored;
    if (!breaker || !ret_status || check_room(ret_status->size, "ret_status", &ignored) < 0)
        return;
    pthread_mutex_lock(&breaker->lock);
    int64_t left = refresh(breaker);
    struct sbx_breaker_status status = breaker->status;
    pthread_mutex_unlock(&breaker->lock);
    status.retry_in_ms = left;
    check_give(ret_status, ret_status->size, &status, sizeof(status));
}

const char *sbx_breaker_state_name(uint32_t state)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    return state < ARRAY_SIZE(names) ? names[state] : NULL;
}
