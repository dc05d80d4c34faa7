// SPDX-License-Identifier: Apache-2.0
// Sandboxes: creation, finding by id, facts, end of life, metrics, ports. Layer: core.
#include "core/sandbox.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "core/capability.h"
#include "core/check.h"
#include "core/deadline_call.h"
#include "core/sandbox_find.h"

void sbx_sandbox_free(struct sbx_sandbox *sandbox)
{
    if (!sandbox)
        return;
    sandbox->provider->ops.box_free(sandbox->box);
    free(sandbox);
}

const char *sbx_sandbox_id(const struct sbx_sandbox *sandbox)
{
    return sandbox ? sandbox->provider->ops.box_id(sandbox->box) : NULL;
}

const char *sbx_sandbox_provider(const struct sbx_sandbox *sandbox)
{
    return sandbox ? sandbox->provider->ops.name : NULL;
}

// What is asked for and the provider can't give at all is told before anything is made.
static int check_supported(const struct provider *provider, const struct sbx_spec *spec,
                           struct sbx_error *err)
{
    const struct {
        bool asked;
        uint32_t capability;
    } rows[] = {
        {spec->label_count > 0, SBX_CAP_LABELS},
        {spec->ttl_ms > 0, SBX_CAP_TTL},
        {spec->memory_bytes || spec->disk_bytes || spec->cpu_millis || spec->max_pids ||
             spec->max_open_files,
         SBX_CAP_LIMITS},
        {spec->network != SBX_NETWORK_DEFAULT || spec->allow_count > 0, SBX_CAP_NETWORK},
        {spec->mount_count > 0, SBX_CAP_MOUNTS},
        {spec->port_count > 0, SBX_CAP_PORTS},
        {spec->gpu != NULL, SBX_CAP_GPU},
        {spec->user != NULL, SBX_CAP_USERS},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].asked && !(provider->ops.capabilities & rows[i].capability))
            return capability_missing(provider->ops.name, rows[i].capability, err);
    return 0;
}

int sandbox_create(struct provider *provider, const struct sbx_spec *spec,
                   const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                   struct sbx_error *err)
{
    int code = check_supported(provider, spec, err);
    if (code < 0)
        return code;
    // The handle first: without memory for it nothing must have been created.
    cleanup_free struct sbx_sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (!sandbox)
        return err_nomem(err);
    sandbox->provider = provider;
    code = provider->ops.create(provider->handle, spec, call, &sandbox->box, err);
    if (code < 0)
        return client_done(provider, code, err);
    log_debug(provider->ops.name, "created %s", provider->ops.box_id(sandbox->box));
    *ret_sandbox = steal_ptr(sandbox);
    return 0;
}

int sandbox_open(struct provider *provider, const char *id, const struct sbx_call *call,
                 struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    cleanup_free struct sbx_sandbox *sandbox = calloc(1, sizeof(*sandbox));
    if (!sandbox)
        return err_nomem(err);
    sandbox->provider = provider;
    int code = provider->ops.get(provider->handle, id, call, &sandbox->box, err);
    if (code < 0)
        return client_done(provider, code, err);
    *ret_sandbox = steal_ptr(sandbox);
    return 0;
}

int sbx_sandbox_create(struct sbx_client *client, const struct sbx_spec *spec,
                       const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                       struct sbx_error *err)
{
    need_error(err);
    struct sbx_spec full_spec;
    struct sbx_call full_call;
    struct provider *provider;
    int code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_spec(spec, &full_spec, err);
    if (code == 0)
        code = check_call(call, &full_call, err);
    if (code == 0)
        code = client_provider(client, full_spec.provider, &provider, err);
    if (code < 0)
        return code;
    return sandbox_create(provider, &full_spec, &full_call, ret_sandbox, err);
}

// Whether another provider may still know the id: this one doesn't, or could not be asked.
static bool elsewhere(int code)
{
    return code != 0 && code != SBX_ERR_CONFLICT && code != SBX_ERR_CANCELLED &&
           code != SBX_ERR_TIMEOUT && code != SBX_ERR_NOMEM;
}

// Asks each configured provider but the one that has been asked; err holds its answer. That one
// could not be asked is reported only if no other knows the id: it might have been there.
static int search(struct sbx_client *client, const struct provider *asked, const char *id,
                  struct deadline deadline, struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    struct provider *providers[CLIENT_PROVIDERS_MAX];
    size_t count = client_configured(client, providers);
    for (size_t i = 0; i < count; i++) {
        struct sbx_error other;
        struct sbx_call call;
        if (providers[i] == asked)
            continue;
        int code = deadline_call(deadline, &call, &other);
        if (code == 0)
            code = sandbox_open(providers[i], id, &call, ret_sandbox, &other);
        if (code == 0)
            return 0;
        if (code != SBX_ERR_NOT_FOUND)
            *err = other;
        if (!elsewhere(code))
            return code;
    }
    return err->code;
}

static int get_anywhere(struct sbx_client *client, const char *id, const struct sbx_call *call,
                        struct sbx_sandbox **ret_sandbox, struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    struct provider *first = NULL;
    int code = client_provider(client, NULL, &first, err);
    if (code == 0)
        code = sandbox_open(first, id, call, ret_sandbox, err);
    return elsewhere(code) ? search(client, first, id, deadline, ret_sandbox, err) : code;
}

int sbx_sandbox_get(struct sbx_client *client, const char *provider, const char *id,
                    const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                    struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct provider *named;
    int code = check_not_null(client, "client", err);
    if (code == 0)
        code = check_not_null(ret_sandbox, "ret_sandbox", err);
    if (code == 0)
        code = check_id(id, err);
    if (code == 0)
        code = check_call(call, &full, err);
    if (code < 0)
        return code;
    if (!provider)
        return get_anywhere(client, id, &full, ret_sandbox, err);
    code = client_provider(client, provider, &named, err);
    return code < 0 ? code : sandbox_open(named, id, &full, ret_sandbox, err);
}

// The common beginning of the calls on a sandbox.
static int begin(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                 struct sbx_call *ret_call, struct sbx_error *err)
{
    int code = check_not_null(sandbox, "sandbox", err);
    return code < 0 ? code : check_call(call, ret_call, err);
}

int sbx_sandbox_info(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                     struct sbx_info *ret_info, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = begin(sandbox, call, &full, err);
    if (code == 0)
        code = check_not_null(ret_info, "ret_info", err);
    if (code == 0)
        code = check_room(ret_info->size, "ret_info", err);
    if (code < 0)
        return code;
    struct sbx_info info = {.size = sizeof(info)};
    guarded(code, sandbox->guard, OPERATION_INFO, &full, err,
            sandbox->provider->ops.info(sandbox->box, &full, &info, err));
    if (code < 0)
        return client_done(sandbox->provider, code, err);
    info.provider = sandbox->provider->ops.name;
    check_give(ret_info, ret_info->size, &info, sizeof(info));
    return 0;
}

int sbx_sandbox_destroy(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                        struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = begin(sandbox, call, &full, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_DESTROY, &full, err,
            sandbox->provider->ops.destroy(sandbox->box, &full, err));
    return client_done(sandbox->provider, code, err);
}

int sbx_sandbox_set_ttl(struct sbx_sandbox *sandbox, int64_t ttl_ms, const struct sbx_call *call,
                        struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = begin(sandbox, call, &full, err);
    if (code == 0 && ttl_ms != -1 && ttl_ms <= 0)
        code = err_set(err, SBX_ERR_INVALID, "ttl_ms must be positive, or -1 for none");
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.set_ttl, SBX_CAP_TTL, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_SET_TTL, &full, err,
            sandbox->provider->ops.set_ttl(sandbox->box, ttl_ms, &full, err));
    return client_done(sandbox->provider, code, err);
}

int sbx_sandbox_set_network(struct sbx_sandbox *sandbox, uint32_t network, const char *const *allow,
                            size_t allow_count, const struct sbx_call *call, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    struct sbx_spec rules = SBX_SPEC_INIT, checked;
    rules.network = network;
    rules.allow = allow;
    rules.allow_count = allow_count;
    int code = begin(sandbox, call, &full, err);
    if (code == 0)
        code = check_spec(&rules, &checked, err);
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.set_network, SBX_CAP_NETWORK,
                           err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_SET_NETWORK, &full, err,
            sandbox->provider->ops.set_network(sandbox->box, &checked, &full, err));
    return client_done(sandbox->provider, code, err);
}

int sbx_sandbox_metrics(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                        struct sbx_metrics *ret_metrics, struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = begin(sandbox, call, &full, err);
    if (code == 0)
        code = check_not_null(ret_metrics, "ret_metrics", err);
    if (code == 0)
        code = check_room(ret_metrics->size, "ret_metrics", err);
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.metrics, SBX_CAP_METRICS, err);
    if (code < 0)
        return code;
    struct sbx_metrics metrics = {.size = sizeof(metrics)};
    guarded(code, sandbox->guard, OPERATION_METRICS, &full, err,
            sandbox->provider->ops.metrics(sandbox->box, &full, &metrics, err));
    if (code < 0)
        return client_done(sandbox->provider, code, err);
    check_give(ret_metrics, ret_metrics->size, &metrics, sizeof(metrics));
    return 0;
}

int sbx_sandbox_expose(struct sbx_sandbox *sandbox, const struct sbx_port *port,
                       const struct sbx_call *call, char *ret_url, size_t url_size,
                       struct sbx_error *err)
{
    need_error(err);
    struct sbx_call full;
    int code = begin(sandbox, call, &full, err);
    if (code == 0)
        code = check_port(port, "port", err);
    if (code == 0 && (!ret_url || url_size < 24))
        code = err_set(err, SBX_ERR_INVALID, "ret_url needs room for at least 24 bytes");
    if (code == 0)
        code = client_need(sandbox->provider, sandbox->provider->ops.expose, SBX_CAP_PORTS, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_EXPOSE, &full, err,
            sandbox->provider->ops.expose(sandbox->box, port, &full, ret_url, url_size, err));
    return client_done(sandbox->provider, code, err);
}

typedef int (*box_call_fn)(void *box, const struct sbx_call *call, struct sbx_error *err);

static int call_pause(struct sbx_sandbox *sandbox, enum operation operation, box_call_fn op,
                      const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_call full;
    int code = check_call(call, &full, err);
    if (code == 0)
        code = client_need(sandbox->provider, op, SBX_CAP_PAUSE, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, operation, &full, err, op(sandbox->box, &full, err));
    return client_done(sandbox->provider, code, err);
}

int sbx_sandbox_pause(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                      struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(sandbox, "sandbox", err);
    return code < 0 ? code
                    : call_pause(sandbox, OPERATION_PAUSE, sandbox->provider->ops.pause, call, err);
}

int sbx_sandbox_resume(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                       struct sbx_error *err)
{
    need_error(err);
    int code = check_not_null(sandbox, "sandbox", err);
    return code < 0
               ? code
               : call_pause(sandbox, OPERATION_RESUME, sandbox->provider->ops.resume, call, err);
}
