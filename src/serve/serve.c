// SPDX-License-Identifier: Apache-2.0
// What the APIs share: errors as statuses, bodies, times, the sandbox of a path. Layer: serve.
#include "serve/serve.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "serve/snapshots.h"

bool serve_image(const struct serve *serve, const char *owner, const char *name,
                 char space[SERVE_IMAGE_SIZE], const char **ret_image)
{
    for (size_t i = 0; i < serve->settings.template_count; i++)
        if (strcmp(serve->settings.templates[i].name, name) == 0) {
            const char *image = serve->settings.templates[i].value;
            *ret_image = image[0] ? image : NULL;
            return true;
        }
    *ret_image = space;
    return snapshot_image(serve, owner, name, space);
}

unsigned serve_status(const struct sbx_error *err)
{
    static const struct {
        int code;
        unsigned status;
    } rows[] = {
        {SBX_ERR_INVALID, 400},     {SBX_ERR_NOT_FOUND, 404}, {SBX_ERR_CONFLICT, 409},
        {SBX_ERR_AUTH, 401},        {SBX_ERR_DENIED, 403},    {SBX_ERR_QUOTA, 429},
        {SBX_ERR_TIMEOUT, 504},     {SBX_ERR_CANCELLED, 503}, {SBX_ERR_UNAVAILABLE, 502},
        {SBX_ERR_UNSUPPORTED, 501}, {SBX_ERR_EXEC, 400},      {SBX_ERR_SETUP, 501},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].code == err->code)
            return rows[i].status;
    return 500;
}

void serve_fail(struct httpd_request *request, const struct sbx_error *err)
{
    unsigned status = serve_status(err);
    if (status == 429 || status == 503)
        httpd_add_header(request, "Retry-After", "1");
    httpd_fail(request, status, err->message);
}

struct sbx_call serve_call(const struct httpd_request *request, int64_t timeout_ms)
{
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = timeout_ms;
    call.cancel = httpd_cancel(request);
    return call;
}

int serve_body(struct httpd_request *request, struct jsonv **ret_root, struct sbx_error *err)
{
    size_t size;
    const char *body = httpd_body(request, &size);
    if (size == 0)
        return 0;
    cleanup_jsonv struct jsonv *root = NULL;
    if (jsonv_parse(body, size, &root, err) < 0 || !jsonv_is_object(root))
        return err_set(err, SBX_ERR_INVALID, "the body must be a JSON object");
    *ret_root = steal_ptr(root);
    return 0;
}

void serve_time(int64_t unix_ms, char ret_text[SERVE_TIME_SIZE])
{
    struct tm parts;
    time_t seconds = (time_t)(unix_ms / 1000);
    gmtime_r(&seconds, &parts);
    size_t size = strftime(ret_text, SERVE_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text + size, SERVE_TIME_SIZE - size, ".%03dZ", (int)(unix_ms % 1000));
}

bool serve_box(struct httpd_request *request, struct place **ret_box)
{
    struct serve *serve = serve_of(request);
    struct sbx_error err;
    struct place *box;
    if (place_get(serve, httpd_param(request, "id"), &box, &err) < 0) {
        httpd_fail(request, 404, err.message);
        return false;
    }
    // Others' sandboxes are as good as none.
    if (strcmp(box->sheet.owner, httpd_user(request)) != 0) {
        place_unref(box);
        httpd_fail(request, 404, "the sandbox was not found");
        return false;
    }
    *ret_box = box;
    return true;
}

void serve_refuse(struct httpd_request *request)
{
    httpd_fail(request, 501, httpd_route_data(request));
}
