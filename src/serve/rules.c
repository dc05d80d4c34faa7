// SPDX-License-Identifier: Apache-2.0
// Rules of a sandbox's network. Layer: serve.
#include "serve/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/netranges.h"
#include "base/netrules.h"
#include "serve/serve.h"

void rules_deinit(struct rules *rules)
{
    free(rules->texts);
    *rules = (struct rules){0};
}

static int add(struct rules *rules, const char *item, struct sbx_error *err)
{
    if (!item || rules->count == RULES_MAX)
        return err_set(err, SBX_ERR_INVALID, "what is allowed are up to %d texts", RULES_MAX);
    rules->allow[rules->count++] = item;
    rules->network = SBX_NETWORK_ALLOW;
    return 0;
}

static bool denies_all(const struct jsonv *list)
{
    for (size_t i = 0; i < jsonv_count(list); i++) {
        const char *item = jsonv_as_text(jsonv_at(list, i));
        if (item && strcmp(item, "0.0.0.0/0") == 0)
            return true;
    }
    return false;
}

int rules_read_e2b(const struct jsonv *body, const struct jsonv *network, struct rules *rules,
                   struct sbx_error *err)
{
    static const char *const unknown[] = {"egressProxy", "rules", "dnsServers"};
    const struct jsonv *allow = jsonv_get(network, "allowOut"),
                       *deny = jsonv_get(network, "denyOut");
    for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
        if (jsonv_count(jsonv_get(network, unknown[i])) > 0)
            return err_set(err, SBX_ERR_UNSUPPORTED, "network.%s is not served here", unknown[i]);
    rules->internet = jsonv_bool(body, "allow_internet_access", true);
    rules->network = rules->internet ? SBX_NETWORK_DEFAULT : SBX_NETWORK_NONE;
    int code = 0;
    for (size_t i = 0; i < jsonv_count(allow) && code == 0; i++)
        code = add(rules, jsonv_as_text(jsonv_at(allow, i)), err);
    if (code < 0 || rules->count > 0)
        return code;
    if (denies_all(deny))
        rules->network = SBX_NETWORK_NONE;
    else if (jsonv_count(deny) > 0)
        return err_set(err, SBX_ERR_INVALID,
                       "network.denyOut can only deny all (0.0.0.0/0) here, "
                       "with exceptions in network.allowOut");
    return 0;
}

int rules_read_daytona(bool block, const char *ranges, const char *names, struct rules *rules,
                       struct sbx_error *err)
{
    int code = 0;
    rules->internet = !block;
    rules->network = block ? SBX_NETWORK_NONE : SBX_NETWORK_DEFAULT;
    if (block || (!ranges && !names))
        return 0;
    if (asprintf(&rules->texts, "%s,%s", ranges ? ranges : "", names ? names : "") < 0) {
        rules->texts = NULL;
        return err_nomem(err);
    }
    char *rest = rules->texts;
    for (char *item; code == 0 && (item = strsep(&rest, ", "));)
        if (item[0])
            code = add(rules, item, err);
    return code;
}

void rules_put(const struct rules *rules, struct sbx_spec *spec)
{
    spec->network = rules->network;
    spec->allow = rules->allow;
    spec->allow_count = rules->count;
}

// The operator's own list opens the same to everybody.
static bool is_opened(const struct serve_settings *settings, const char *item)
{
    for (size_t i = 0; i < settings->allow_count; i++)
        if (strcmp(settings->allow[i], item) == 0)
            return true;
    return false;
}

// All addresses are those of the internet, unless clients may name private ones.
static int close_private(const struct serve_settings *settings, struct sbx_spec *spec,
                         struct sbx_error *err)
{
    cleanup_netrules struct netrules *rules = NULL;
    bool all = false;
    int code = netrules_parse(spec->allow, spec->allow_count, &rules, err);
    for (size_t i = 0; code == 0 && i < spec->allow_count; i++) {
        const struct netrule *rule = &rules->rule[i];
        if (rule->name)
            continue;
        if (rule->mask == 0 && rule->port == 0)
            all = true;
        else if (netrange_private_any(rule->addr, rule->mask) &&
                 !is_opened(settings, spec->allow[i]))
            code = err_set(err, SBX_ERR_DENIED,
                           "'%.80s' holds private addresses, which this server does not open: its "
                           "operator can, with --allow-private",
                           spec->allow[i]);
    }
    if (code == 0 && all) {
        spec->network = SBX_NETWORK_DEFAULT;
        spec->allow_count = 0;
    }
    return code;
}

int rules_grant(const struct serve_settings *settings, struct sbx_spec *spec, struct sbx_error *err)
{
    int code =
        spec->allow_count > 0 && !settings->open_private ? close_private(settings, spec, err) : 0;
    if (settings->allow_count == 0 || spec->network != SBX_NETWORK_DEFAULT || spec->allow_count > 0)
        return code;
    spec->network = SBX_NETWORK_INTERNET;
    spec->allow = settings->allow;
    spec->allow_count = settings->allow_count;
    return code;
}

int rules_apply(const struct rules *rules, struct place *box, const struct sbx_call *call,
                struct sbx_error *err)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    rules_put(rules, &spec);
    int code = rules_grant(&box->serve->settings, &spec, err);
    if (code < 0)
        return code;
    code = sbx_sandbox_set_network(box->sandbox, spec.network, spec.allow, spec.allow_count, call,
                                   err);
    if (code < 0)
        return place_failed(box, err);
    pthread_mutex_lock(&box->lock);
    box->sheet.internet = rules->internet;
    pthread_mutex_unlock(&box->lock);
    logbook_event(&box->log, "other rules for its network");
    return place_save(box, err);
}
