// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfui.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/ws.h"
#include "metaflow/service/mflog.h"
#include "metaflow/service/mfstatus.h"
#include "metaflow/service/mftask.h"

#define PAGE_SIZE 1000
#define PAGE_SIZE_MAX 10000
#define ATTEMPT_MAX 1000000

static void add_query(void *payload, const char *name, const char *value)
{
    json_object_set_new(payload, name, json_string(value ? value : ""));
}

// Takes data. `more`: there is another page.
static void reply_page(struct httpd_request *request, json_t *data, int64_t page, bool more)
{
    cleanup_json json_t *query = json_object();
    httpd_each_query(request, add_query, query);
    json_t *previous = page > 1 ? json_integer(page - 1) : NULL;
    json_t *next = more ? json_integer(page + 1) : NULL;
    cleanup_json json_t *answer = json_pack(
        "{s:o,s:i,s:{s:s,s:n},s:{s:I,s:i,s:o?,s:o?},s:O}", "data", data ? data : json_array(),
        "status", 200, "links", "self", httpd_uri(request), "next", "pages", "self",
        (json_int_t)page, "first", 1, "prev", previous, "next", next, "query", query);
    mfapi_reply(request, 200, answer);
}

static void reply_data(struct httpd_request *request, json_t *data)
{
    reply_page(request, data, 1, false);
}

void mfui_ping(struct httpd_request *request)
{
    cleanup_json json_t *answer = json_pack("{s:s}", "version", MFAPI_VERSION);
    mfapi_reply(request, 200, answer);
}

void mfui_version(struct httpd_request *request)
{
    httpd_reply_text(request, 200, MFAPI_VERSION);
}

void mfui_nothing(struct httpd_request *request)
{
    reply_data(request, NULL);
}

void mfui_empty_list(struct httpd_request *request)
{
    httpd_reply(request, 200, "application/json", "[]", 2);
}

void mfui_empty_object(struct httpd_request *request)
{
    httpd_reply(request, 200, "application/json", "{}", 2);
}

typedef void add_status_fn(struct mfservice *service, json_t *record);

static void reply_object(struct httpd_request *request, add_status_fn *add_status)
{
    struct mfservice *service = mfapi_service(request);
    const struct mfpath path = mfapi_path(request);
    json_t *record = NULL;
    struct sbx_error err;
    if (mfstore_get(&service->store, &path, &record, &err) < 0) {
        mfapi_reply_error(request, &err);
        return;
    }
    if (add_status)
        add_status(service, record);
    reply_data(request, record);
}

static int append(void *payload, json_t *record)
{
    return json_array_append(payload, record) < 0 ? SBX_ERR_NOMEM : 0;
}

static void reply_children(struct httpd_request *request, const struct mfpath *path,
                           add_status_fn *add_status)
{
    struct mfservice *service = mfapi_service(request);
    cleanup_json json_t *list = json_array();
    struct sbx_error err;
    if (mfstore_each(&service->store, path, append, list, &err) < 0) {
        mfapi_reply_error(request, &err);
        return;
    }
    size_t i;
    json_t *record;
    json_array_foreach(list, i, record)
    {
        if (add_status)
            add_status(service, record);
    }
    reply_data(request, steal_ptr(list));
}

void mfui_flows(struct httpd_request *request)
{
    reply_children(request, &(const struct mfpath){0}, NULL);
}

void mfui_flow(struct httpd_request *request)
{
    reply_object(request, NULL);
}

static int append_name(void *payload, json_t *record)
{
    json_t *name = json_object_get(record, "flow_id");
    return name && json_array_append(payload, name) < 0 ? SBX_ERR_NOMEM : 0;
}

void mfui_flow_names(struct httpd_request *request)
{
    json_t *list = json_array();
    const struct mfpath root = {0};
    mfstore_each(&mfapi_service(request)->store, &root, append_name, list, NULL);
    reply_data(request, list);
}

void mfui_run(struct httpd_request *request)
{
    reply_object(request, mfstatus_add_run);
}

void mfui_step(struct httpd_request *request)
{
    reply_object(request, mfstatus_add_step);
}

void mfui_task(struct httpd_request *request)
{
    reply_object(request, mfstatus_add_task);
}

void mfui_steps(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    reply_children(request, &path, mfstatus_add_step);
}

// Of a step, or of all steps of a run.
void mfui_tasks(struct httpd_request *request)
{
    struct mfservice *service = mfapi_service(request);
    const struct mfpath path = mfapi_path(request);
    if (path.step) {
        reply_children(request, &path, mfstatus_add_task);
        return;
    }
    cleanup_mfnames struct mfnames steps = {0};
    struct sbx_error err;
    if (mfstore_children(&service->store, &path, &steps, &err) < 0) {
        mfapi_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < steps.count; i++) {
        const struct mfpath step = mfpath_child(&path, steps.items[i]);
        mfstore_each(&service->store, &step, append, list, NULL);
    }
    size_t i;
    json_t *record;
    json_array_foreach(list, i, record) mfstatus_add_task(service, record);
    reply_data(request, list);
}

void mfui_attempts(struct httpd_request *request)
{
    struct mfservice *service = mfapi_service(request);
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *task = NULL;
    struct sbx_error err;
    if (mfstore_get(&service->store, &path, &task, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        reply_data(request, mfstatus_attempts(service, task));
}

void mfui_metadata(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    json_t *list = NULL;
    struct sbx_error err;
    if (mftask_metadata(&mfapi_service(request)->store, &path, NULL, &list, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        reply_data(request, list);
}

void mfui_artifacts(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    int64_t attempt = mfapi_query_int(request, "attempt_id", ATTEMPT_MAX, MFTASK_LAST_ATTEMPT);
    json_t *list = NULL;
    struct sbx_error err;
    if (mftask_artifacts(&mfapi_service(request)->store, &path, attempt, &list, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        reply_data(request, list);
}

static int compare_newest(const void *a, const void *b)
{
    json_int_t left = json_integer_value(json_object_get(*(json_t *const *)a, "ts_epoch"));
    json_int_t right = json_integer_value(json_object_get(*(json_t *const *)b, "ts_epoch"));
    return (left < right) - (left > right);
}

// Runs of a flow, appended to list.
static void add_runs(struct mfservice *service, const char *flow, json_t *list)
{
    struct buf text = BUF_INIT(MFSTORE_ANSWER_MAX);
    const struct mfpath path = {.flow = flow};
    if (mfstore_list(&service->store, &path, &text, NULL) == 0 && buf_text(&text)) {
        cleanup_json json_t *runs = json_loadb(text.data, text.size, JSON_ALLOW_NUL, NULL);
        json_array_extend(list, runs);
    }
    buf_deinit(&text);
}

static bool query_fits(struct httpd_request *request, const char *name, const json_t *record,
                       const char *key)
{
    const char *wanted = httpd_query(request, name);
    const char *value = json_string_value(json_object_get(record, key));
    return !wanted || (value && strcmp(wanted, value) == 0);
}

// One page of the runs, newest first; only what is shown is looked at closely, as far as the
// filters allow.
static json_t *page_of(struct httpd_request *request, json_t **runs, size_t count, int64_t page,
                       int64_t size, bool *ret_more)
{
    json_t *data = json_array();
    int64_t skipped = 0;
    *ret_more = false;
    for (size_t i = 0; i < count && !*ret_more; i++) {
        if (!query_fits(request, "user", runs[i], "user_name"))
            continue;
        if (httpd_query(request, "status")) {
            mfstatus_add_run(mfapi_service(request), runs[i]);
            if (!query_fits(request, "status", runs[i], "status"))
                continue;
        }
        if (skipped < (page - 1) * size) {
            skipped++;
        } else if ((int64_t)json_array_size(data) == size) {
            *ret_more = true;
        } else {
            if (!json_object_get(runs[i], "status"))
                mfstatus_add_run(mfapi_service(request), runs[i]);
            json_array_append(data, runs[i]);
        }
    }
    return data;
}

void mfui_runs(struct httpd_request *request)
{
    struct mfservice *service = mfapi_service(request);
    const char *flow = httpd_param(request, "flow");
    flow = flow ? flow : httpd_query(request, "flow_id");
    cleanup_json json_t *list = json_array();
    cleanup_mfnames struct mfnames flows = {0};
    const struct mfpath root = {0};
    if (flow)
        add_runs(service, flow, list);
    else
        mfstore_children(&service->store, &root, &flows, NULL);
    for (size_t i = 0; i < flows.count; i++)
        add_runs(service, flows.items[i], list);
    size_t count = json_array_size(list);
    cleanup_free json_t **runs = malloc((count + 1) * sizeof(*runs));
    if (!runs) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    for (size_t i = 0; i < count; i++)
        runs[i] = json_array_get(list, i);
    qsort(runs, count, sizeof(json_t *), compare_newest);
    int64_t page = mfapi_query_int(request, "_page", 1000000, 1);
    int64_t size = mfapi_query_int(request, "_limit", PAGE_SIZE_MAX, PAGE_SIZE);
    bool more = false;
    page = page ? page : 1;
    json_t *data = page_of(request, runs, count, page, size ? size : PAGE_SIZE, &more);
    reply_page(request, data, page, more);
}

static int append_step(void *payload, json_t *record)
{
    const char *name = json_string_value(json_object_get(record, "step_name"));
    return name && name[0] != '_' ? append(payload, record) : 0;
}

static int compare_oldest(const void *a, const void *b)
{
    return -compare_newest(a, b);
}

// The graph itself is an artifact in the datastore, pickled: here steps follow each other in the
// order in which they began.
static json_t *dag_of(json_t **steps, size_t count)
{
    json_t *nodes = json_object(), *names = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *name = json_object_get(steps[i], "step_name");
        json_t *next = json_array();
        if (i + 1 < count)
            json_array_append(next, json_object_get(steps[i + 1], "step_name"));
        json_object_set_new(nodes, json_string_value(name),
                            json_pack("{s:O,s:s,s:i,s:s,s:[],s:o}", "name", name, "type",
                                      i + 1 < count ? "linear" : "end", "line", 0, "doc", "",
                                      "decorators", "next", next));
        json_array_append(names, name);
    }
    return json_pack("{s:s,s:[],s:[],s:o,s:o,s:s,s:[],s:{}}", "file", "", "parameters", "constants",
                     "steps", nodes, "graph_structure", names, "doc", "", "decorators",
                     "extensions");
}

void mfui_dag(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    cleanup_json json_t *list = json_array();
    struct sbx_error err;
    if (mfstore_each(&mfapi_service(request)->store, &path, append_step, list, &err) < 0) {
        mfapi_reply_error(request, &err);
        return;
    }
    size_t count = json_array_size(list);
    cleanup_free json_t **steps = malloc((count + 1) * sizeof(*steps));
    if (!steps) {
        httpd_fail(request, 503, "memory is short");
        return;
    }
    for (size_t i = 0; i < count; i++)
        steps[i] = json_array_get(list, i);
    qsort(steps, count, sizeof(json_t *), compare_oldest);
    reply_data(request, dag_of(steps, count));
}

void mfui_log(struct httpd_request *request)
{
    const struct mfpath path = mfapi_path(request);
    int64_t attempt = mfapi_query_int(request, "attempt_id", ATTEMPT_MAX, 0);
    json_t *lines = NULL;
    struct sbx_error err;
    if (mflog_read(&mfapi_service(request)->store, &path, httpd_route_data(request), attempt,
                   &lines, &err) < 0)
        mfapi_reply_error(request, &err);
    else
        reply_data(request, lines);
}

static void hold_socket(struct ws *ws, void *payload)
{
    int kind;
    const char *data;
    while (ws_read(ws, -1, &kind, &data) >= 0)
        continue;
}

// The UI waits for news there and asks anew without.
void mfui_socket(struct httpd_request *request)
{
    ws_accept(request, NULL, hold_socket, NULL, NULL);
}
