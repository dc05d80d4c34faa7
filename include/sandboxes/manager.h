/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several providers as one: failover in order, retries with back-off, a circuit breaker for each
 * provider. docs/orchestration.md tells what is repeated when, and what never is.
 */
#ifndef SANDBOXES_MANAGER_H
#define SANDBOXES_MANAGER_H

#include <sandboxes/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A clock for tests; NULL wherever one is asked for: the machine's. */
struct sbx_clock {
    int64_t (*now_ms)(void *payload); /* never goes back */
    /* Waits before a retry. NULL: really. */
    void (*sleep_ms)(void *payload, int64_t ms);
    void *payload;
};

enum sbx_retry_flags {
    SBX_RETRY_NO_JITTER = 1 << 0 /* waits are exact */
};

/*
 * How calls are repeated. All zero: the defaults. What may be repeated at all is decided by the
 * call: one that may already have had its effect, and would have it twice, never is.
 */
struct sbx_retry {
    size_t size;
    uint32_t attempts;       /* at most, with the first; 0: 3; 1: nothing is repeated */
    uint32_t flags;          /* enum sbx_retry_flags */
    uint32_t factor_percent; /* of each wait to the one before; 0: 200 */
    uint32_t jitter_percent; /* this much of a wait is random, so that many don't repeat at once;
                                0: 50 */
    int64_t first_ms;        /* wait after the first failure; 0: 500 */
    int64_t most_ms;         /* no wait is longer, but for what a service asks for; 0: 30,000 */
    int64_t attempt_ms;      /* each attempt to create may take that long; 0: as the call */
    int64_t budget_ms;       /* no attempt begins later than this after the first; 0: none */
    uint64_t seed;           /* of the random part; 0: a random one */
};
#define SBX_RETRY_INIT                                                                             \
    {                                                                                              \
        .size = sizeof(struct sbx_retry)                                                           \
    }

/*
 * The wait before attempt number `next` (2 or more) in ms; a service's Retry-After, if it is not 0,
 * is the least. `random` is any number, used for the random part. For those who do the repeating
 * themselves.
 */
SBX_API int64_t sbx_retry_delay(const struct sbx_retry *retry, uint32_t next,
                                uint32_t retry_after_ms, uint64_t random);

/* When a circuit breaker opens and closes. All zero: the defaults. */
struct sbx_breaker_options {
    size_t size;
    const char *name;              /* of what it guards, for messages; copied; NULL: "service" */
    uint32_t failures;             /* that many without a success between them open it; 0: 5 */
    uint32_t successes;            /* of probes, that close it again; 0: 1 */
    uint32_t probes;               /* let through at the same time while it is half open; 0: 1 */
    uint32_t reserved;             /* 0 */
    int64_t open_ms;               /* it stays open for that long; 0: 30,000 */
    const struct sbx_clock *clock; /* borrowed */
};
#define SBX_BREAKER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .size = sizeof(struct sbx_breaker_options)                                                 \
    }

enum sbx_breaker_state {
    SBX_BREAKER_CLOSED = 0,   /* all calls pass */
    SBX_BREAKER_OPEN = 1,     /* none does */
    SBX_BREAKER_HALF_OPEN = 2 /* probes do */
};

struct sbx_breaker_status {
    size_t size;
    uint32_t state;    /* enum sbx_breaker_state */
    uint32_t failures; /* in a row */
    uint32_t probes;   /* under way */
    uint32_t reserved;
    uint64_t opened;     /* so often */
    uint64_t refused;    /* calls that did not pass */
    int64_t retry_in_ms; /* until a probe may pass; 0: now */
};
#define SBX_BREAKER_STATUS_INIT                                                                    \
    {                                                                                              \
        .size = sizeof(struct sbx_breaker_status)                                                  \
    }

/* A breaker for anything; a manager has one for each provider. Thread-safe. */
struct sbx_breaker;
SBX_API int sbx_breaker_new(const struct sbx_breaker_options *options,
                            struct sbx_breaker **ret_breaker, struct sbx_error *err);
SBX_API void sbx_breaker_free(struct sbx_breaker *breaker);

/* Asks to pass: 0, then sbx_breaker_leave() with the same pass must follow; or UNAVAILABLE with
 * retry_after_ms. */
SBX_API int sbx_breaker_enter(struct sbx_breaker *breaker, uint64_t *ret_pass,
                              struct sbx_error *err);

/*
 * How it went, as an enum sbx_code. UNAVAILABLE, TIMEOUT, PROTOCOL and IO are failures of what it
 * guards; CANCELLED, NOMEM and BUG say nothing about it; all others show that it answers.
 */
SBX_API void sbx_breaker_leave(struct sbx_breaker *breaker, uint64_t pass, int32_t code);
SBX_API void sbx_breaker_reset(struct sbx_breaker *breaker); /* closed, as new */
SBX_API void sbx_breaker_status(struct sbx_breaker *breaker, struct sbx_breaker_status *ret_status);

/* "closed", "open", "half_open"; NULL for other numbers. Static storage. */
SBX_API const char *sbx_breaker_state_name(uint32_t state);

struct sbx_manager_options {
    size_t size;
    /* Names of the providers to try, in this order. None: the client's default one alone. Copied.
     */
    const char *const *providers;
    size_t provider_count;
    const struct sbx_retry *retry;             /* of each provider; NULL: the defaults */
    const struct sbx_breaker_options *breaker; /* of each provider; NULL: the defaults. Its name and
                                                  clock are not used */
    const struct sbx_clock *clock;             /* borrowed */
};
#define SBX_MANAGER_OPTIONS_INIT                                                                   \
    {                                                                                              \
        .size = sizeof(struct sbx_manager_options)                                                 \
    }

/*
 * Opens a manager over the providers of a client. Cheap, thread-safe to use. Close it before the
 * client and after everything that was made with it is freed. Errors: INVALID, NOT_FOUND (a name),
 * NOMEM.
 */
struct sbx_manager;
SBX_API int sbx_manager_open(struct sbx_client *client, const struct sbx_manager_options *options,
                             struct sbx_manager **ret_manager, struct sbx_error *err);
SBX_API void sbx_manager_close(struct sbx_manager *manager);

/* Why one provider of several failed. */
struct sbx_failure {
    const char *provider; /* lives as long as the client */
    uint32_t attempts;    /* made; 0: its breaker was open, or it could not be opened */
    uint32_t reserved;
    struct sbx_error error; /* of the last attempt */
};

struct sbx_failures {
    size_t count;
    const struct sbx_failure *items; /* in the order tried */
    void *owner;                     /* private */
};

/*
 * Creates a sandbox at the first provider that can. `providers` are the names to try, in this
 * order; none: the one that spec->provider names, else those of the manager. Calls on the sandbox
 * are retried as the manager says.
 *
 * The error, when all have failed, names each provider and why. Its code and remedy are those of
 * the most telling failure: one that the caller can mend (AUTH, QUOTA, DENIED, SETUP, ...) before
 * one that only says try again. The next provider is not tried after CANCELLED, NOMEM, or when the
 * call's own time is over. ret_failures (may be NULL) receives all failures, on success those
 * before it too; free with sbx_failures_free().
 */
SBX_API int sbx_manager_create(struct sbx_manager *manager, const struct sbx_spec *spec,
                               const char *const *providers, size_t provider_count,
                               const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                               struct sbx_failures *ret_failures, struct sbx_error *err);
SBX_API void sbx_failures_free(struct sbx_failures *failures);

/* Calls on a sandbox that the client found or made are retried as the manager says from now on.
 * Not while other threads use the handle. */
SBX_API int sbx_manager_adopt(struct sbx_manager *manager, struct sbx_sandbox *sandbox,
                              struct sbx_error *err);

/* The breaker of one provider (NULL: the default one); lives as long as the manager. NULL if there
 * is no such provider. */
SBX_API struct sbx_breaker *sbx_manager_breaker(struct sbx_manager *manager, const char *provider);

#ifdef __cplusplus
}
#endif
#endif
