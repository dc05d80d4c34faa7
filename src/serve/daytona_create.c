// SPDX-License-Identifier: Apache-2.0
// Daytona's control plane: what clients ask for, and making it. Layer: serve.
#include <stdio.h>
#include <string.h>

#include "serve/daytona_api.h"
#include "serve/rules.h"

#define CREATE_MS 60000
#define AUTO_STOP_DEFAULT 15
#define AUTO_ARCHIVE_DEFAULT 10080

struct wish {
    struct pairlist labels, env;
    struct place_wish box;
    struct sbx_spec more;
    char from[256]; // image of a build that is nothing but FROM
    struct rules rules;
};

static void wish_deinit(struct wish *wish)
{
    pairlist_deinit(&wish->labels);
    pairlist_deinit(&wish->env);
    rules_deinit(&wish->rules);
}

static int read_network(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    wish->box.ranges = jsonv_text(body, "networkAllowList");
    wish->box.names = jsonv_text(body, "domainAllowList");
    int code = rules_read_daytona(jsonv_bool(body, "networkBlockAll", false), wish->box.ranges,
                                  wish->box.names, &wish->rules, err);
    rules_put(&wish->rules, &wish->more);
    wish->box.internet = wish->rules.internet;
    return code;
}

static int read_resources(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    int64_t cpu = jsonv_int(body, "cpu", 0), memory = jsonv_int(body, "memory", 0);
    int64_t disk = jsonv_int(body, "disk", 0);
    if (cpu < 0 || cpu > 1024 || memory < 0 || memory > 65536 || disk < 0 || disk > 65536)
        return err_set(err, SBX_ERR_INVALID, "cpu, memory and disk are whole numbers");
    if (jsonv_int(body, "gpu", 0) > 0)
        return err_set(err, SBX_ERR_INVALID, "there are no GPUs here");
    wish->more.cpu_millis = (uint32_t)cpu * 1000;
    wish->more.memory_bytes = (uint64_t)memory * GIB;
    wish->more.disk_bytes = (uint64_t)disk * GIB;
    return 0;
}

const char *daytona_from(const struct jsonv *build, char ret_name[256])
{
    const char *file = jsonv_text(build, "dockerfileContent");
    int used = 0;
    return file && sscanf(file, "FROM %255s %n", ret_name, &used) == 1 && !file[used] ? ret_name
                                                                                      : NULL;
}

static const char *image_name(const struct jsonv *body, struct wish *wish)
{
    const char *snapshot = jsonv_text(body, "snapshot");
    const struct jsonv *build = jsonv_get(body, "buildInfo");
    if (build) {
        const char *from = daytona_from(build, wish->from);
        return from ? from : "";
    }
    return snapshot ? snapshot : "base";
}

static int read_intervals(const struct jsonv *body, struct wish *wish, struct sbx_error *err)
{
    wish->box.auto_stop = jsonv_int(body, "autoStopInterval", AUTO_STOP_DEFAULT);
    wish->box.auto_archive = jsonv_int(body, "autoArchiveInterval", AUTO_ARCHIVE_DEFAULT);
    wish->box.auto_delete = jsonv_int(body, "autoDeleteInterval", -1);
    wish->box.idle_pause = jsonv_int(body, "autoPauseInterval", 0);
    int64_t ttl = jsonv_int(body, "ttlMinutes", 0);
    if (wish->box.auto_stop < 0 || wish->box.auto_archive < 0 || wish->box.idle_pause < 0 ||
        ttl < 0 || ttl > 1000000)
        return err_set(err, SBX_ERR_INVALID, "Auto-stop interval must be non-negative");
    wish->box.life_ms = ttl * 60000;
    return 0;
}

static int read_wish(struct httpd_request *request, const struct jsonv *body, struct wish *wish,
                     struct sbx_error *err)
{
    wish->more = (struct sbx_spec)SBX_SPEC_INIT;
    wish->box = (struct place_wish){.api = API_DAYTONA,
                                    .owner = httpd_user(request),
                                    .name = jsonv_text(body, "name"),
                                    .labels = &wish->labels,
                                    .env = &wish->env,
                                    .more = &wish->more,
                                    .secure = 1,
                                    .open = jsonv_bool(body, "public", false)};
    wish->box.image_name = image_name(body, wish);
    if (jsonv_count(jsonv_get(body, "volumes")) > 0)
        return err_set(err, SBX_ERR_INVALID, "volumes are not served here");
    int code = pairlist_read(&wish->labels, jsonv_get(body, "labels"), "labels", err);
    if (code == 0)
        code = pairlist_read(&wish->env, jsonv_get(body, "env"), "env", err);
    if (code == 0)
        code = read_network(body, wish, err);
    if (code == 0)
        code = read_resources(body, wish, err);
    return code < 0 ? code : read_intervals(body, wish, err);
}

static bool name_is_free(struct httpd_request *request, const char *name)
{
    struct place *other = name ? place_by_name(serve_of(request), httpd_user(request), name) : NULL;
    if (!other)
        return true;
    char text[512];
    snprintf(text, sizeof(text), "Sandbox with name %.200s already exists", name);
    place_unref(other);
    httpd_fail(request, 409, text);
    return false;
}

void daytona_create(struct httpd_request *request)
{
    struct sbx_error err;
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup(wish_deinit) struct wish wish = {0};
    cleanup_place struct place *box = NULL;
    char image[SERVE_IMAGE_SIZE];
    if (serve_body(request, &body, &err) < 0 || read_wish(request, body, &wish, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    if (!serve_image(serve_of(request), httpd_user(request), wish.box.image_name, image,
                     &wish.box.image)) {
        char text[512];
        snprintf(text, sizeof(text),
                 "Snapshot %.200s not found. Did you start 'sandboxes serve' with --template?",
                 wish.box.image_name);
        httpd_fail(request, 400, text);
        return;
    }
    if (!name_is_free(request, wish.box.name))
        return;
    struct sbx_call call = serve_call(request, CREATE_MS);
    if (place_create(serve_of(request), &wish.box, &call, &box, &err) < 0)
        serve_fail(request, &err);
    else
        daytona_reply_sandbox(request, 200, box, NULL);
}
