// SPDX-License-Identifier: Apache-2.0
// A specification in the words of Daytona. Layer: provider.
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "provider/cloud/wish.h"
#include "provider/daytona/daytona.h"

#define GIB (1ull << 30)
#define LEASH_MINUTES 1 // the least there is

static int check(const struct sbx_spec *spec, struct sbx_error *err)
{
    const struct cloud_lacking rows[] = {
        {spec->hostname, "a host name of your choice"},
        {spec->max_pids, "a limit of processes"},
        {spec->max_open_files, "a limit of open files"},
        {spec->network == SBX_NETWORK_HOST, "this machine's network"},
        {cloud_asks_fixed_port(spec), "a port of this machine; ports have addresses of their own"},
    };
    return cloud_refuse("daytona", spec, rows, ARRAY_SIZE(rows), err);
}

// "registry/name" and "name:tag" are images, other names snapshots.
static int put_image(struct json *json, const char *image, struct sbx_error *err)
{
    if (!image)
        return 0;
    for (const char *at = image; *at; at++)
        if (isspace((unsigned char)*at) || iscntrl((unsigned char)*at))
            return err_set(err, SBX_ERR_INVALID, "'%.200s' names no image", image);
    if (!strpbrk(image, "/:")) {
        json_put_text(json, "snapshot", image);
        return 0;
    }
    cleanup_buf struct buf file = BUF_INIT(8192);
    buf_printf(&file, "FROM %s\n", image);
    if (!buf_text(&file))
        return err_set(err, SBX_ERR_INVALID, "the image's name is too long");
    json_key(json, "buildInfo");
    json_begin_object(json);
    json_put_text(json, "dockerfileContent", file.data);
    json_end_object(json);
    return 0;
}

// Whole units, more rather than less.
static void put_amount(struct json *json, const char *key, uint64_t amount, uint64_t unit)
{
    if (amount)
        json_put_uint(json, key, amount / unit + (amount % unit != 0));
}

// "1.2.3.0/24" is an address range; else it is a name.
static bool is_range(const char *text)
{
    return strspn(text, "0123456789./") == strlen(text) || strchr(text, ':');
}

static void put_allowed(struct json *json, const char *key, const struct sbx_spec *spec,
                        bool ranges)
{
    cleanup_buf struct buf list = BUF_INIT(1 << 20);
    for (size_t i = 0; i < spec->allow_count; i++)
        if (is_range(spec->allow[i]) == ranges)
            buf_printf(&list, "%s%s", list.size ? "," : "", spec->allow[i]);
    if (list.size && buf_text(&list))
        json_put_text(json, key, list.data);
    json->buf->failed |= list.failed;
}

static void put_network(struct json *json, const struct sbx_spec *spec)
{
    if (spec->network == SBX_NETWORK_NONE)
        json_put_bool(json, "networkBlockAll", true);
    put_allowed(json, "networkAllowList", spec, true);
    put_allowed(json, "domainAllowList", spec, false);
}

static void put_labels(struct json *json, const struct sbx_spec *spec, const char *token)
{
    json_key(json, "labels");
    json_begin_object(json);
    cloud_put_pairs(json, spec->labels, spec->label_count);
    json_put_text(json, OWN_TOKEN, token);
    if (spec->workdir)
        json_put_text(json, OWN_WORKDIR, spec->workdir);
    json_end_object(json);
}

// A tied sandbox stops by itself soon after its maker is silent, and is gone then.
static void put_intervals(struct json *json, const struct daytona *daytona,
                          const struct sbx_spec *spec)
{
    bool tied = spec->lifetime == SBX_LIFETIME_TIED;
    int64_t stop = tied ? LEASH_MINUTES : daytona->auto_stop;
    int64_t gone = tied ? 0 : daytona->auto_delete;
    if (stop != AS_IT_IS)
        json_put_int(json, "autoStopInterval", stop);
    if (gone != AS_IT_IS)
        json_put_int(json, "autoDeleteInterval", gone);
    if (daytona->auto_archive != AS_IT_IS)
        json_put_int(json, "autoArchiveInterval", daytona->auto_archive);
}

int daytona_create_body(const struct daytona *daytona, const struct sbx_spec *spec,
                        const char *token, struct buf *body, struct sbx_error *err)
{
    struct json json = JSON_INIT(body, false);
    int code = check(spec, err);
    if (code < 0)
        return code;
    json_begin_object(&json);
    code = put_image(&json, spec->image, err);
    if (code < 0)
        return code;
    if (daytona->target)
        json_put_text(&json, "target", daytona->target);
    put_labels(&json, spec, token);
    json_key(&json, "env");
    json_begin_object(&json);
    cloud_put_pairs(&json, spec->env, spec->env_count);
    json_end_object(&json);
    put_amount(&json, "cpu", spec->cpu_millis, 1000);
    put_amount(&json, "memory", spec->memory_bytes, GIB);
    put_amount(&json, "disk", spec->disk_bytes, GIB);
    put_intervals(&json, daytona, spec);
    put_network(&json, spec);
    json_end_object(&json);
    return body->failed ? err_nomem(err) : 0;
}
