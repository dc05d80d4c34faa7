// SPDX-License-Identifier: Apache-2.0
// Attempts: whether to make another one, and waiting for it. Layer: core.
#include "core/guard.h"

#include "base/cancel.h"
#include "base/log.h"
#include "core/retry.h"

struct attempts attempts_begin(const struct guard *guard, enum operation operation,
                               struct sbx_call *call)
{
    struct attempts attempts = {.guard = guard, .operation = operation, .call = call};
    if (!guard)
        return attempts;
    attempts.whole = deadline_from_call(call);
    if (guard->retry->budget_ms)
        attempts.begun_ms = retry_now_ms(guard->clock);
    return attempts;
}

// SplitMix64 (Steele, Lea, Flood 2014) over a counter: any thread may draw.
static uint64_t draw(const struct guard *guard)
{
    uint64_t z = atomic_fetch_add(guard->random, 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// What this attempt may take. False when the call's time is over: the last failure stands.
static bool set_time(struct attempts *attempts)
{
    struct sbx_call *call = attempts->call;
    bool create = attempts->operation == OPERATION_CREATE;
    int64_t most = create ? attempts->guard->retry->attempt_ms : 0;
    int64_t left = 0;
    if (attempts->whole.at_ms != DEADLINE_NEVER) {
        left = attempts->whole.at_ms - clock_boot_ms();
        if (left <= 0)
            return attempts->made == 0; // the first is made with the time as it was given
    }
    call->timeout_ms = most && (!left || most < left) ? most : left;
    return true;
}

static int pause_for(const struct attempts *attempts, int64_t ms, struct sbx_error *err)
{
    const struct sbx_clock *clock = attempts->guard->clock;
    if (clock && clock->sleep_ms) {
        clock->sleep_ms(clock->payload, ms);
        return cancel_triggered(attempts->whole.cancel)
                   ? err_set(err, SBX_ERR_CANCELLED, "cancelled while waiting to try again")
                   : 0;
    }
    struct sbx_error waited;
    struct deadline until = deadline_min(attempts->whole, clock_boot_ms() + ms);
    int code = deadline_wait(until, -1, 0, NULL, &waited);
    if (code == SBX_ERR_TIMEOUT)
        return 0;
    *err = waited;
    return code;
}

// Waits if there is to be another attempt. Not in vain: a wait that ends too late is not begun.
static bool wait_for_next(struct attempts *attempts, int *code, struct sbx_error *err)
{
    const struct guard *guard = attempts->guard;
    if (attempts->made >= guard->retry->attempts ||
        !operation_repeats(attempts->operation, *code, err))
        return false;
    int64_t ms =
        sbx_retry_delay(guard->retry, attempts->made + 1, err->retry_after_ms, draw(guard));
    int64_t spent = guard->retry->budget_ms ? retry_now_ms(guard->clock) - attempts->begun_ms : 0;
    if (!retry_affords(guard->retry, spent, ms) ||
        (attempts->whole.at_ms != DEADLINE_NEVER && clock_boot_ms() + ms >= attempts->whole.at_ms))
        return false;
    log_debug("core", "attempt %u failed: %s; next in %lld ms", attempts->made, err->message,
              (long long)ms);
    struct sbx_error last = *err;
    int waited = pause_for(attempts, ms, err);
    if (waited == 0)
        return true;
    err_wrap(err, "after '%.200s'", last.message);
    *code = waited;
    return false;
}

static bool again(struct attempts *attempts, int *code, struct sbx_error *err)
{
    if (attempts->made > 1 && operation_was_done(attempts->operation, *code)) {
        *code = 0;
        return false;
    }
    if (*code >= 0)
        return false;
    if (err->code != *code) // a provider that did not say why
        err_set(err, *code, "failed without saying why");
    if (wait_for_next(attempts, code, err) && set_time(attempts))
        return true;
    if (attempts->made > 1 && *code != SBX_ERR_CANCELLED)
        err_wrap(err, "after %u attempts", attempts->made);
    return false;
}

// A breaker that opened meanwhile ends the attempts; the last failure says more than that.
static bool enter(struct attempts *attempts, int *code, struct sbx_error *err)
{
    if (attempts->operation != OPERATION_CREATE)
        return true;
    struct sbx_error refused;
    int entered = sbx_breaker_enter(attempts->guard->breaker, &attempts->pass, &refused);
    if (entered == 0)
        return true;
    if (attempts->made == 0) {
        *code = entered;
        *err = refused;
    } else {
        err_wrap(err, "after %u attempts", attempts->made);
    }
    return false;
}

bool attempts_more(struct attempts *attempts, int *code, struct sbx_error *err)
{
    bool first = attempts->made == 0;
    if (!attempts->guard) {
        attempts->made++;
        return first;
    }
    if (!first && attempts->operation == OPERATION_CREATE)
        sbx_breaker_leave(attempts->guard->breaker, attempts->pass, *code);
    if (first ? !set_time(attempts) : !again(attempts, code, err))
        return false;
    if (!enter(attempts, code, err))
        return false;
    attempts->made++;
    err_clear(err);
    return true;
}
