// SPDX-License-Identifier: Apache-2.0
// How long to wait before which attempt. Layer: core.
#include "core/retry.h"

#include "base/clock.h"
#include "core/check.h"

#define FACTOR_MAX 10000u // percent
#define ATTEMPTS_MAX 1000u
#define WAIT_MAX_MS ((int64_t)24 * 3600 * 1000)

static int check_retry(const struct sbx_retry *retry, struct sbx_error *err)
{
    if (retry->attempts > ATTEMPTS_MAX)
        return err_set(err, SBX_ERR_INVALID, "retry.attempts must be at most %u", ATTEMPTS_MAX);
    if (retry->flags & ~(uint32_t)SBX_RETRY_NO_JITTER)
        return err_set(err, SBX_ERR_INVALID, "retry.flags 0x%x has unknown bits", retry->flags);
    if (retry->factor_percent &&
        (retry->factor_percent < 100 || retry->factor_percent > FACTOR_MAX))
        return err_set(err, SBX_ERR_INVALID, "retry.factor_percent must be 100 to %u", FACTOR_MAX);
    if (retry->jitter_percent > 100)
        return err_set(err, SBX_ERR_INVALID, "retry.jitter_percent must be at most 100");
    if (retry->first_ms < 0 || retry->most_ms < 0 || retry->first_ms > WAIT_MAX_MS ||
        retry->most_ms > WAIT_MAX_MS)
        return err_set(err, SBX_ERR_INVALID, "retry.first_ms and most_ms must be 0 to a day");
    if (retry->attempt_ms < 0 || retry->budget_ms < 0)
        return err_set(err, SBX_ERR_INVALID, "retry.attempt_ms and budget_ms must not be negative");
    return 0;
}

int retry_fill(const struct sbx_retry *retry, struct sbx_retry *ret_full, struct sbx_error *err)
{
    struct sbx_retry full;
    int code = check_struct(&full, sizeof(full), retry, "retry", err);
    if (code == 0)
        code = check_retry(&full, err);
    if (code < 0)
        return code;
    if (!full.attempts)
        full.attempts = 3;
    if (!full.factor_percent)
        full.factor_percent = 200;
    if (!full.jitter_percent)
        full.jitter_percent = 50;
    if (full.flags & SBX_RETRY_NO_JITTER)
        full.jitter_percent = 0;
    if (!full.first_ms)
        full.first_ms = 500;
    if (!full.most_ms)
        full.most_ms = 30000;
    *ret_full = full;
    return 0;
}

bool retry_affords(const struct sbx_retry *retry, int64_t spent_ms, int64_t wait_ms)
{
    return !retry->budget_ms || wait_ms <= retry->budget_ms - spent_ms;
}

int64_t retry_now_ms(const struct sbx_clock *clock)
{
    return clock && clock->now_ms ? clock->now_ms(clock->payload) : clock_boot_ms();
}

// A part of `whole` between nothing and all of it.
static int64_t random_part(int64_t whole, uint64_t random)
{
    return whole > 0 ? (int64_t)(random % ((uint64_t)whole + 1)) : 0;
}

int64_t sbx_retry_delay(const struct sbx_retry *retry, uint32_t next, uint32_t retry_after_ms,
                        uint64_t random)
{
    struct sbx_retry full;
    struct sbx_error ignored;
    if (retry_fill(retry, &full, &ignored) < 0)
        return retry_after_ms;
    int64_t delay = full.first_ms < full.most_ms ? full.first_ms : full.most_ms;
    for (uint32_t i = 2; i < next && i < 64 && delay < full.most_ms; i++)
        delay = delay * full.factor_percent / 100;
    if (delay > full.most_ms)
        delay = full.most_ms;
    delay -= random_part(delay * full.jitter_percent / 100, random);
    return delay > retry_after_ms ? delay : retry_after_ms;
}
