// SPDX-License-Identifier: Apache-2.0
// A specification in the words of E2B. Layer: provider.
#include <string.h>

#include "base/json.h"
#include "provider/cloud/wish.h"
#include "provider/e2b/e2b.h"

#define DEFAULT_TTL_S 300

static int check(const struct sbx_spec *spec, struct sbx_error *err)
{
    const struct cloud_lacking rows[] = {
        {spec->hostname, "a host name of your choice"},
        {spec->ttl_ms < 0, "sandboxes without a time to live"},
        {spec->network == SBX_NETWORK_HOST, "this machine's network"},
        {spec->network == SBX_NETWORK_INTERNET && spec->allow_count > 0,
         "the internet and a list besides"},
        {cloud_asks_fixed_port(spec), "a port of this machine; ports have host names of their own"},
    };
    return cloud_refuse("e2b", spec, rows, ARRAY_SIZE(rows), err);
}

static void put_network(struct json *json, const struct sbx_spec *spec)
{
    if (spec->network == SBX_NETWORK_NONE)
        json_put_bool(json, "allow_internet_access", false);
    if (spec->network == SBX_NETWORK_INTERNET)
        json_put_bool(json, "allow_internet_access", true);
    if (spec->allow_count == 0)
        return;
    json_key(json, "network");
    json_begin_object(json);
    json_key(json, "allowOut");
    json_begin_array(json);
    for (size_t i = 0; i < spec->allow_count; i++)
        json_text(json, spec->allow[i]);
    json_end_array(json);
    json_key(json, "denyOut");
    json_begin_array(json);
    json_text(json, "0.0.0.0/0");
    json_end_array(json);
    json_end_object(json);
}

static void put_metadata(struct json *json, const struct sbx_spec *spec, const char *token)
{
    json_key(json, "metadata");
    json_begin_object(json);
    cloud_put_pairs(json, spec->labels, spec->label_count);
    json_put_text(json, OWN_TOKEN, token);
    if (spec->user)
        json_put_text(json, OWN_USER, spec->user);
    if (spec->workdir)
        json_put_text(json, OWN_WORKDIR, spec->workdir);
    json_end_object(json);
}

int e2b_create_body(const struct e2b *e2b, const struct sbx_spec *spec, const char *token,
                    struct buf *body, struct sbx_error *err)
{
    int code = check(spec, err);
    if (code < 0)
        return code;
    struct json json = JSON_INIT(body, false);
    int64_t ttl = spec->ttl_ms > 0 ? (spec->ttl_ms + 999) / 1000 : DEFAULT_TTL_S;
    if (spec->lifetime == SBX_LIFETIME_TIED && ttl > e2b->leash_s)
        ttl = e2b->leash_s;
    json_begin_object(&json);
    json_put_text(&json, "templateID", spec->image ? spec->image : "base");
    json_put_int(&json, "timeout", ttl);
    json_put_bool(&json, "secure", true);
    put_metadata(&json, spec, token);
    json_key(&json, "envVars");
    json_begin_object(&json);
    cloud_put_pairs(&json, spec->env, spec->env_count);
    json_end_object(&json);
    put_network(&json, spec);
    json_end_object(&json);
    return body->failed ? err_nomem(err) : 0;
}
