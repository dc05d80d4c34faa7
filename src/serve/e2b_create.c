// SPDX-License-Identifier: Apache-2.0
// E2B's control plane: what clients ask for, and making it. Layer: serve.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "serve/e2b_api.h"
#include "serve/rules.h"

#define DEFAULT_LIFE_OLD_S 15
#define CREATE_MS 60000

struct wish {
    struct pairlist labels, env;
    struct place_wish box;
    struct sbx_spec more;
    struct rules rules;
};

static void wish_deinit(struct wish *wish)
{
    pairlist_deinit(&wish->labels);
    pairlist_deinit(&wish->env);
    rules_deinit(&wish->rules);
}

int e2b_read_life(struct httpd_request *request, const struct jsonv *body, int64_t fallback_s,
                  int64_t *ret_ms, struct sbx_error *err)
{
    int64_t most_s = serve_of(request)->settings.max_life_ms / 1000;
    int64_t seconds = jsonv_int(body, "timeout", fallback_s);
    if (seconds <= 0)
        return err_set(err, SBX_ERR_INVALID, "Timeout must be greater than 0");
    if (seconds > most_s)
        return err_set(err, SBX_ERR_INVALID, "Timeout cannot be greater than %" PRId64 " hours",
                       most_s / 3600);
    *ret_ms = seconds * 1000;
    return 0;
}

static int read_wish(struct httpd_request *request, const struct jsonv *body, struct wish *wish,
                     struct sbx_error *err)
{
    bool old = strncmp(httpd_path(request), "/v2", 3) != 0;
    wish->more = (struct sbx_spec)SBX_SPEC_INIT;
    wish->box = (struct place_wish){.api = API_E2B,
                                    .owner = httpd_user(request),
                                    .image_name = jsonv_text(body, "templateID"),
                                    .labels = &wish->labels,
                                    .env = &wish->env,
                                    .more = &wish->more,
                                    .secure = old ? jsonv_bool(body, "secure", false) : true};
    wish->box.open = jsonv_bool(jsonv_get(body, "network"), "allowPublicTraffic", true);
    wish->box.mask_host = jsonv_text(jsonv_get(body, "network"), "maskRequestHost");
    if (wish->box.mask_host && strlen(wish->box.mask_host) >= SHEET_HOST_SIZE)
        return err_set(err, SBX_ERR_INVALID, "network.maskRequestHost is too long");
    wish->box.auto_pause = jsonv_bool(body, "autoPause", false);
    wish->box.auto_resume = jsonv_bool(jsonv_get(body, "autoResume"), "enabled", false);
    if (!wish->box.image_name)
        return err_set(err, SBX_ERR_INVALID, "validation error: templateID is missing");
    if (jsonv_count(jsonv_get(body, "volumeMounts")) > 0)
        return err_set(err, SBX_ERR_INVALID, "volumes are not served here");
    int code = pairlist_read(&wish->labels, jsonv_get(body, "metadata"), "metadata", err);
    if (code == 0)
        code = pairlist_read(&wish->env, jsonv_get(body, "envVars"), "envVars", err);
    if (code == 0)
        code = rules_read_e2b(body, jsonv_get(body, "network"), &wish->rules, err);
    rules_put(&wish->rules, &wish->more);
    wish->box.internet = wish->rules.internet;
    return code < 0 ? code
                    : e2b_read_life(request, body, old ? DEFAULT_LIFE_OLD_S : E2B_LIFE_S,
                                    &wish->box.life_ms, err);
}

void e2b_create(struct httpd_request *request)
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
        snprintf(text, sizeof(text), "template '%.200s' not found", wish.box.image_name);
        httpd_fail(request, 404, text);
        return;
    }
    struct sbx_call call = serve_call(request, CREATE_MS);
    if (place_create(serve_of(request), &wish.box, &call, &box, &err) < 0)
        serve_fail(request, &err);
    else
        e2b_reply_sandbox(request, 201, box);
}

// All rules at once: what is left out is as when a sandbox is made without it.
void e2b_set_network(struct httpd_request *request)
{
    struct sbx_error err;
    cleanup_jsonv struct jsonv *body = NULL;
    cleanup_place struct place *box = NULL;
    cleanup(rules_deinit) struct rules rules = {0};
    if (!e2b_find(request, &box))
        return;
    struct sbx_call call = serve_call(request, CREATE_MS);
    int code = serve_body(request, &body, &err);
    if (code == 0)
        code = rules_read_e2b(body, body, &rules, &err);
    if (code < 0)
        serve_fail(request, &err);
    else if (rules_apply(&rules, box, &call, &err) < 0)
        e2b_fail_of(request, box, &err);
    else
        httpd_reply(request, 204, NULL, NULL, 0);
}
