// SPDX-License-Identifier: Apache-2.0
// The metadata interface. Layer: metaflow.
#include "metaflow/service/mfapi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "metaflow/service/mftags.h"
#include "metaflow/service/mftask.h"
#include "metaflow/service/mfui.h"

#define ATTEMPT_MAX 1000000

struct mfservice *mfapi_service(struct httpd_request *request)
{
    return httpd_context(request);
}

struct mfpath mfapi_path(struct httpd_request *request)
{
    return (struct mfpath){.flow = httpd_param(request, "flow"),
                           .run = httpd_param(request, "run"),
                           .step = httpd_param(request, "step"),
                           .task = httpd_param(request, "task")};
}

void mfapi_reply(struct httpd_request *request, unsigned status, const json_t *value)
{
    cleanup_free char *text = json_dumps(value, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (!text)
        httpd_fail(request, 503, "memory is short");
    else
        httpd_reply(request, status, "application/json", text, strlen(text));
}

static unsigned status_of(const struct sbx_error *err, const char *method)
{
    // A file or link where a directory would have to be: there is no such object either.
    bool no_such = err->sys_errno == ENOTDIR || err->sys_errno == ELOOP;
    switch (err->code) {
    case SBX_ERR_NOT_FOUND:
        return 404;
    case SBX_ERR_INVALID: // a name that can't be names nothing
        return strcmp(method, "GET") == 0 ? 404 : 400;
    case SBX_ERR_CONFLICT:
        return 409;
    case SBX_ERR_QUOTA:
        return 422;
    case SBX_ERR_NOMEM:
        return 503;
    default:
        return no_such ? 404 : 500;
    }
}

void mfapi_reply_error(struct httpd_request *request, const struct sbx_error *err)
{
    httpd_fail(request, status_of(err, httpd_method(request)), err->message);
}

static void fail(struct httpd_request *request, unsigned status, const char *message)
{
    cleanup_json json_t *body = json_pack("{s:s}", "detail", message);
    cleanup_free char *text = json_dumps(body, JSON_ENSURE_ASCII);
    httpd_reply(request, status, "application/json", text ? text : "{}", text ? strlen(text) : 2);
}

// Takes as long for every wrong key of the right length.
static bool keys_equal(const char *given, const char *key)
{
    size_t size = strlen(key);
    unsigned differs = 0;
    if (strlen(given) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        differs |= (unsigned)(given[i] ^ key[i]);
    return !differs;
}

static bool authorize(struct httpd_request *request)
{
    struct mfservice *service = mfapi_service(request);
    const char *given = httpd_header(request, "x-api-key");
    httpd_add_header(request, "METADATA_SERVICE_VERSION", MFAPI_VERSION);
    if (service->key && (!given || !keys_equal(given, service->key))) {
        httpd_fail(request, 401,
                   "set METAFLOW_SERVICE_AUTH_KEY to the key the service was started with");
        return false;
    }
    atomic_store(&service->active_ms, clock_boot_ms());
    return true;
}

// NULL when it has been refused.
static json_t *body_of(struct httpd_request *request)
{
    size_t size = 0;
    const char *text = httpd_body(request, &size);
    json_error_t where;
    json_t *body = size ? json_loadb(text, size, JSON_ALLOW_NUL, &where) : json_object();
    if (!body)
        httpd_fail(request, 400, where.text);
    return body;
}

static void ping(struct httpd_request *request)
{
    httpd_reply_text(request, 200, "pong");
}

static void version(struct httpd_request *request)
{
    httpd_reply_text(request, 200, MFAPI_VERSION);
}

static void healthcheck(struct httpd_request *request)
{
    cleanup_json json_t *body = json_pack("{s:s}", "status", "up");
    mfapi_reply(request, 200, body);
}

static void get_object(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *record = NULL;
    struct sbx_error err;
    if (mfstore_get(&mfapi_service(request)->store, &path, &record, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        mfapi_reply(request, 200, record);
}

// What is below an object that does not exist is an empty list for flows, as the client expects it.
static void list_objects(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    struct buf out = BUF_INIT(MFSTORE_ANSWER_MAX);
    struct sbx_error err;
    if (mfstore_list(&mfapi_service(request)->store, &path, &out, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        httpd_reply_json(request, 200, &out);
    buf_deinit(&out);
}

static void create_object(struct httpd_request *request)
{
    const enum mflevel *level = httpd_route_data(request);
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *body = body_of(request), *record = NULL;
    struct sbx_error err;
    if (!body)
        return;
    if (mfstore_create(&mfapi_service(request)->store, *level, &path, body, &record, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        mfapi_reply(request, 200, record);
}

// Whether a name in the path cannot be; then it has been replied to.
static bool is_refused(struct httpd_request *request, const struct mfpath *path)
{
    char text[MFPATH_SIZE];
    struct sbx_error err;
    if (mfpath_text(path, "", text, &err) == 0)
        return false;
    mfapi_reply_error(request, &err);
    return true;
}

static void change_tags(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *body = body_of(request), *tags = NULL;
    struct sbx_error err;
    if (!body)
        return;
    if (is_refused(request, &path))
        return;
    int code = mftags_change(&mfapi_service(request)->store, &path, body, &tags, &err);
    if (code == SBX_ERR_INVALID) { // breaks a rule of tags

        httpd_fail(request, 422, err.message);
        return;
    }
    if (code < 0) {
        mfapi_reply_error(request, &err);
        return;
    }
    cleanup_json json_t *answer = json_pack("{s:O}", "tags", tags);
    mfapi_reply(request, 200, answer);
}

int64_t mfapi_last_beat(struct mfservice *service, const struct mfpath *path)
{
    char text[MFPATH_SIZE];
    return mfpath_text(path, "", text, NULL) < 0 ? 0 : mfbeats_last(&service->beats, text);
}

// The client takes the body for text that is JSON in turn.
static void heartbeat(struct httpd_request *request)
{
    struct mfservice *service = mfapi_service(request);
    const struct mfpath path = mfapi_path(request);
    char text[MFPATH_SIZE];
    struct sbx_error err;
    if (mfpath_text(&path, "", text, &err) < 0) {
        mfapi_reply_error(request, &err);
    } else if (!mfstore_exists(&service->store, &path)) {
        httpd_fail(request, 404, "nothing of this name exists");
    } else {
        mfbeats_note(&service->beats, text, clock_unix_ms());
        static const char answer[] = "\"{\\\"wait_time_in_seconds\\\": 10}\"";
        httpd_reply(request, 200, "application/json", answer, sizeof(answer) - 1);
    }
}

typedef int add_fn(struct mfstore *store, const struct mfpath *task, json_t *list,
                   size_t *ret_count, struct sbx_error *err);

static void add_records(struct httpd_request *request, add_fn *add, const char *counted)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *body = body_of(request);
    struct sbx_error err;
    size_t count = 0;
    if (!body)
        return;
    if (add(&mfapi_service(request)->store, &path, body, &count, &err) < 0) {
        mfapi_reply_error(request, &err);
        return;
    }
    cleanup_json json_t *answer = json_pack("{s:I}", counted, (json_int_t)count);
    mfapi_reply(request, 200, answer);
}

static void add_metadata(struct httpd_request *request)
{
    add_records(request, mftask_add_metadata, "metadata_created");
}

static void add_artifacts(struct httpd_request *request)
{
    add_records(request, mftask_add_artifacts, "artifacts_created");
}

static void get_metadata(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *list = NULL;
    struct sbx_error err;
    if (mftask_metadata(&mfapi_service(request)->store, &path, NULL, &list, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        mfapi_reply(request, 200, list);
}

static int64_t number_of(const char *text, int64_t max)
{
    int64_t number = strlen(text) < 19 && mfpath_is_number(text) ? strtoll(text, NULL, 10) : -1;
    return number <= max ? number : -1;
}

int64_t mfapi_query_int(struct httpd_request *request, const char *name, int64_t max,
                        int64_t fallback)
{
    const char *text = httpd_query(request, name);
    int64_t number = text ? number_of(text, max) : -1;
    return number < 0 ? fallback : number;
}

// False when it has been refused. Without one in the path: the last that is done.
static bool attempt_of(struct httpd_request *request, int64_t *ret_attempt)
{
    const char *text = httpd_param(request, "attempt");
    *ret_attempt = text ? number_of(text, ATTEMPT_MAX) : MFTASK_LAST_ATTEMPT;
    if (text && *ret_attempt < 0)
        httpd_fail(request, 404, "no such attempt");
    return !text || *ret_attempt >= 0;
}

static void get_artifacts(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *list = NULL;
    struct sbx_error err;
    int64_t attempt;
    if (!attempt_of(request, &attempt))
        return;
    if (mftask_artifacts(&mfapi_service(request)->store, &path, attempt, &list, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        mfapi_reply(request, 200, list);
}

static void get_artifact(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *record = NULL;
    struct sbx_error err;
    int64_t attempt;
    if (!attempt_of(request, &attempt))
        return;
    if (mftask_artifact(&mfapi_service(request)->store, &path, httpd_param(request, "artifact"),
                        attempt, &record, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        mfapi_reply(request, 200, record);
}

static void filtered_tasks(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    const char *field = httpd_query(request, "metadata_field_name");
    const char *pattern = httpd_query(request, "pattern");
    cleanup_json json_t *list = NULL;
    struct sbx_error err;
    int code = mftask_filter(&mfapi_service(request)->store, &path, field ? field : "",
                             pattern ? pattern : "", &list, &err);
    if (code == SBX_ERR_INVALID)
        httpd_fail(request, 400, err.message);
    else if (code < 0)
        mfapi_reply_error(request, &err);
    else
        mfapi_reply(request, 200, list);
}

static const enum mflevel levels[] = {MF_ROOT, MF_FLOW, MF_RUN, MF_STEP, MF_TASK};

#define RUN_PATH "/flows/{flow}/runs/{run}"
#define STEP_PATH RUN_PATH "/steps/{step}"
#define TASK_PATH STEP_PATH "/tasks/{task}"
#define GET(path, function)                                                                        \
    {                                                                                              \
        .method = "GET", .pattern = (path), .handler = (function)                                  \
    }
#define POST(path, function, made)                                                                 \
    {                                                                                              \
        .method = "POST", .pattern = (path), .handler = (function), .data = &levels[made]          \
    }

static const struct httpd_route routes[] = {
    GET("/ping", ping),
    GET("/version", version),
    GET("/healthcheck", healthcheck),
    GET("/flows", list_objects),
    GET("/flows/{flow}", get_object),
    POST("/flows/{flow}", create_object, MF_FLOW),
    GET("/flows/{flow}/runs", list_objects),
    POST("/flows/{flow}/run", create_object, MF_RUN),
    GET(RUN_PATH, get_object),
    POST(RUN_PATH "/heartbeat", heartbeat, MF_RUN),
    {.method = "PATCH", .pattern = RUN_PATH "/tag/mutate", .handler = change_tags},
    GET(RUN_PATH "/steps", list_objects),
    GET(STEP_PATH, get_object),
    POST(STEP_PATH "/step", create_object, MF_STEP),
    GET(STEP_PATH "/tasks", list_objects),
    GET(STEP_PATH "/filtered_tasks", filtered_tasks),
    POST(STEP_PATH "/task", create_object, MF_TASK),
    GET(TASK_PATH, get_object),
    POST(TASK_PATH "/heartbeat", heartbeat, MF_TASK),
    GET(TASK_PATH "/metadata", get_metadata),
    POST(TASK_PATH "/metadata", add_metadata, MF_TASK),
    POST(TASK_PATH "/artifact", add_artifacts, MF_TASK),
    GET(TASK_PATH "/artifacts", get_artifacts),
    GET(TASK_PATH "/attempt/{attempt}/artifacts", get_artifacts),
    GET(TASK_PATH "/artifacts/{artifact}", get_artifact),
    GET(TASK_PATH "/artifacts/{artifact}/attempt/{attempt}", get_artifact),
    MFUI_ROUTES,
};

const struct httpd_site mfapi_site = {
    .routes = routes, .route_count = ARRAY_SIZE(routes), .authorize = authorize, .fail = fail};
