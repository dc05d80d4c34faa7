// SPDX-License-Identifier: Apache-2.0
// Several providers as one. Layer: core.
#include "core/manager.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "base/log.h"
#include "core/check.h"
#include "core/deadline_call.h"
#include "core/failures.h"
#include "core/guard.h"
#include "core/retry.h"
#include "core/sandbox_find.h"

// One provider of the client, once it has been used.
struct entry {
    const struct provider *provider;
    struct guard guard;
};

struct sbx_manager {
    struct sbx_client *client;
    struct names names; // in order; none: the client's default
    struct sbx_retry retry;
    struct sbx_breaker_options breaker;
    const struct sbx_clock *clock;
    atomic_ullong random;
    pthread_mutex_t lock; // guards entries
    struct entry *entries[CLIENT_PROVIDERS_MAX];
    size_t entry_count;
};

struct sbx_client *manager_client(const struct sbx_manager *manager)
{
    return manager->client;
}

void sbx_manager_close(struct sbx_manager *manager)
{
    if (!manager)
        return;
    for (size_t i = 0; i < manager->entry_count; i++) {
        sbx_breaker_free(manager->entries[i]->guard.breaker);
        free(manager->entries[i]);
    }
    names_deinit(&manager->names);
    pthread_mutex_destroy(&manager->lock);
    free(manager);
}

static void close_manager(struct sbx_manager **manager)
{
    sbx_manager_close(*manager);
}

static int fill(struct sbx_manager *manager, const struct sbx_manager_options *options,
                struct sbx_error *err)
{
    uint64_t seed = 0;
    struct sbx_breaker *tried = NULL;
    int code = retry_fill(options->retry, &manager->retry, err);
    if (code == 0)
        code = sbx_breaker_new(options->breaker, &tried, err); // whether its options are right
    sbx_breaker_free(tried);
    if (code == 0)
        code = check_struct(&manager->breaker, sizeof(manager->breaker), options->breaker,
                            "breaker", err);
    if (code == 0)
        code = names_check(manager->client, options->providers, options->provider_count, err);
    if (code == 0)
        code = names_copy(options->providers, options->provider_count, &manager->names, err);
    if (code == 0 && !manager->retry.seed && id_random(&seed, sizeof(seed)) < 0)
        code = err_set(err, SBX_ERR_IO, "no random numbers for the jitter of retries");
    atomic_init(&manager->random, manager->retry.seed ? manager->retry.seed : seed);
    manager->clock = options->clock;
    manager->breaker.clock = options->clock;
    return code;
}

int sbx_manager_open(struct sbx_client *client, const struct sbx_manager_options *options,
                     struct sbx_manager **ret_manager, struct sbx_error *err)
{
    need_error(err);
    struct sbx_manager_options full;
    int code = check_not_null(client, "client", err);
    if (code == 0)
        code = check_not_null(ret_manager, "ret_manager", err);
    if (code == 0)
        code = check_struct(&full, sizeof(full), options, "options", err);
    if (code < 0)
        return code;
    cleanup(close_manager) struct sbx_manager *manager = calloc(1, sizeof(*manager));
    if (!manager)
        return err_nomem(err);
    pthread_mutex_init(&manager->lock, NULL);
    manager->client = client;
    code = fill(manager, &full, err);
    if (code == 0)
        *ret_manager = steal_ptr(manager);
    return code;
}

static struct entry *new_entry(struct sbx_manager *manager, const struct provider *provider,
                               struct sbx_error *err)
{
    cleanup_free struct entry *entry = calloc(1, sizeof(*entry));
    struct sbx_breaker_options options = manager->breaker;
    options.name = provider->ops.name;
    if (!entry) {
        err_nomem(err);
        return NULL;
    }
    if (sbx_breaker_new(&options, &entry->guard.breaker, err) < 0)
        return NULL;
    entry->provider = provider;
    entry->guard.retry = &manager->retry;
    entry->guard.clock = manager->clock;
    entry->guard.random = &manager->random;
    manager->entries[manager->entry_count++] = entry; // as many as a client has providers at most
    return steal_ptr(entry);
}

// NULL with err when out of memory. Stays as long as the manager.
static const struct guard *guard_of(struct sbx_manager *manager, const struct provider *provider,
                                    struct sbx_error *err)
{
    struct entry *entry = NULL;
    pthread_mutex_lock(&manager->lock);
    for (size_t i = 0; i < manager->entry_count && !entry; i++)
        if (manager->entries[i]->provider == provider)
            entry = manager->entries[i];
    if (!entry)
        entry = new_entry(manager, provider, err);
    pthread_mutex_unlock(&manager->lock);
    return entry ? &entry->guard : NULL;
}

int sbx_manager_adopt(struct sbx_manager *manager, struct sbx_sandbox *sandbox,
                      struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(manager, "manager", err);
    if (code == 0)
        code = check_not_null(sandbox, "sandbox", err);
    if (code == 0 && sandbox->provider->client != manager->client)
        code = err_set(err, SBX_ERR_INVALID, "sandbox %s is of another client than the manager",
                       sbx_sandbox_id(sandbox));
    if (code < 0)
        return code;
    const struct guard *guard = guard_of(manager, sandbox->provider, err);
    if (!guard)
        return err->code;
    sandbox->guard = guard;
    return 0;
}

struct sbx_breaker *sbx_manager_breaker(struct sbx_manager *manager, const char *name)
{
    struct sbx_error ignored;
    struct provider *provider;
    if (!manager || client_find(manager->client, name, &provider, &ignored) < 0)
        return NULL;
    const struct guard *guard = guard_of(manager, provider, &ignored);
    return guard ? guard->breaker : NULL;
}

int64_t manager_delay(struct sbx_manager *manager, uint32_t n, const struct sbx_error *err)
{
    return sbx_retry_delay(&manager->retry, n + 1, err->retry_after_ms,
                           atomic_fetch_add(&manager->random, 1));
}

// One provider, as often as the policy allows. The failure is filled only on failure.
static int try_provider(struct sbx_manager *manager, const char *name, const struct sbx_spec *spec,
                        struct deadline deadline, struct sbx_sandbox **ret_sandbox,
                        struct sbx_failure *failure)
{
    struct sbx_error *err = &failure->error;
    struct sbx_call call;
    struct provider *provider;
    const struct guard *guard = NULL;
    failure->provider = name;
    int code = client_find(manager->client, name, &provider, err);
    if (code < 0)
        return code;
    failure->provider = provider->ops.name; // lives longer than the list of names
    code = deadline_call(deadline, &call, err);
    if (code == 0)
        code = client_provider(manager->client, name, &provider, err);
    if (code == 0 && !(guard = guard_of(manager, provider, err)))
        code = err->code;
    if (code < 0)
        return code;
    struct attempts attempts = attempts_begin(guard, OPERATION_CREATE, &call);
    while (attempts_more(&attempts, &code, err))
        code = sandbox_create(provider, spec, &call, ret_sandbox, err);
    failure->attempts = attempts.made;
    if (code == 0)
        (*ret_sandbox)->guard = guard;
    return code;
}

// Whether the next provider is worth trying.
static bool goes_on(int code, struct deadline deadline)
{
    return code != SBX_ERR_CANCELLED && code != SBX_ERR_NOMEM && deadline_poll_ms(deadline) != 0;
}

static int try_all(struct sbx_manager *manager, const struct sbx_spec *asked,
                   const struct names *names, struct deadline deadline,
                   struct sbx_sandbox **ret_sandbox, struct sbx_failures *failures,
                   struct sbx_error *err)
{
    for (size_t i = 0; i < names->count; i++) {
        struct sbx_spec spec = *asked;
        spec.provider = names->items[i];
        struct sbx_failure *failure = failures_add(failures);
        int code = try_provider(manager, names->items[i], &spec, deadline, ret_sandbox, failure);
        if (code == 0) {
            failures->count--;
            return 0;
        }
        log_debug("core", "provider %s failed: %s", names->items[i], failure->error.message);
        if (!goes_on(code, deadline))
            break;
    }
    return failures_sum_up(failures, err);
}

int manager_create(struct sbx_manager *manager, const struct sbx_spec *spec,
                   const struct names *names, struct deadline deadline,
                   struct sbx_sandbox **ret_sandbox, struct sbx_failures *ret_failures,
                   struct sbx_error *err)
{
    struct sbx_failures failures;
    int code = failures_new(names->count, &failures, err);
    if (code < 0)
        return code;
    code = try_all(manager, spec, names, deadline, ret_sandbox, &failures, err);
    if (ret_failures)
        *ret_failures = failures;
    else
        sbx_failures_free(&failures);
    return code;
}

int manager_names(struct sbx_manager *manager, const struct sbx_spec *spec,
                  const char *const *providers, size_t count, struct names *ret_names,
                  struct sbx_error *err)
{
    const char *one = spec->provider;
    if (!count && one) {
        providers = &one;
        count = 1;
    }
    if (!count) {
        providers = manager->names.items;
        count = manager->names.count;
    }
    if (!count) {
        one = sbx_client_default_provider(manager->client);
        providers = &one;
        count = 1;
    }
    int code = names_check(manager->client, providers, count, err);
    return code < 0 ? code : names_copy(providers, count, ret_names, err);
}

int sbx_manager_create(struct sbx_manager *manager, const struct sbx_spec *spec,
                       const char *const *providers, size_t provider_count,
                       const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                       struct sbx_failures *ret_failures, struct sbx_error *err)
{
    need_error(err);
    struct sbx_spec full_spec;
    struct sbx_call full_call;
    cleanup(names_deinit) struct names names = {0};
    if (ret_failures)
        *ret_failures = (struct sbx_failures){0};
    int code = check_not_null(manager, "manager", err);
    if (code == 0)
        code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_spec(spec, &full_spec, err);
    if (code == 0)
        code = check_call(call, &full_call, err);
    if (code == 0)
        code = manager_names(manager, &full_spec, providers, provider_count, &names, err);
    if (code < 0)
        return code;
    return manager_create(manager, &full_spec, &names, deadline_from_call(&full_call), ret_sandbox,
                          ret_failures, err);
}
