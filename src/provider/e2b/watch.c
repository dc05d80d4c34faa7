// SPDX-License-Identifier: Apache-2.0
// Changes in directories of a sandbox of E2B. Layer: provider.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "provider/e2b/e2b.h"

struct e2b_watch {
    struct e2b_box *box; // a reference
    struct connect_stream *stream;
    struct jsonv *last; // holds the name that was told
};

void e2b_watch_free(void *self)
{
    struct e2b_watch *watch = self;
    connect_close(watch->stream);
    jsonv_free(watch->last);
    e2b_box_unref(watch->box);
    free(watch);
}

static void cleanup_watch_fn(struct e2b_watch **watch)
{
    if (*watch)
        e2b_watch_free(*watch);
}

// The next message; NULL in *ret_change's name for one that tells of no file.
static int next_message(struct e2b_watch *watch, struct deadline deadline, bool *ret_start,
                        struct sbx_change *ret_change, struct sbx_error *err)
{
    static const char *const kinds[] = {NULL,     "CREATE", "WRITE",
                                        "REMOVE", "RENAME", "CHMOD"}; // enum sbx_change_kind
    static const char prefix[] = "EVENT_TYPE_";
    const char *message;
    size_t size;
    int code = connect_next(watch->stream, deadline, &message, &size, err);
    if (code == 0 && !message)
        code = err_set(err, SBX_ERR_UNAVAILABLE, "the service ended the watch");
    jsonv_free(steal_ptr(watch->last));
    if (code == 0)
        code = jsonv_parse(message, size, &watch->last, err);
    if (code < 0)
        return code;
    const struct jsonv *event = jsonv_get(watch->last, "filesystem");
    const char *type = jsonv_text(event, "type"), *name = jsonv_text(event, "name");
    *ret_start = jsonv_get(watch->last, "start");
    *ret_change = (struct sbx_change){0};
    bool known = type && name && strncmp(type, prefix, strlen(prefix)) == 0;
    for (uint32_t kind = 1; known && kind < ARRAY_SIZE(kinds); kind++)
        if (strcmp(type + strlen(prefix), kinds[kind]) == 0)
            *ret_change = (struct sbx_change){.kind = kind, .name = name};
    return 0;
}

static int await_start(struct e2b_watch *watch, struct deadline deadline, struct sbx_error *err)
{
    struct sbx_change change;
    bool started = false;
    int code = 0;
    while (code == 0 && !started)
        code = next_message(watch, deadline, &started, &change, err);
    return code;
}

int e2b_watch_start(void *self, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, void **ret_watch, struct sbx_error *err)
{
    struct e2b_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_buf struct buf message = BUF_INIT(64 << 10);
    cleanup(cleanup_watch_fn) struct e2b_watch *watch = calloc(1, sizeof(*watch));
    struct json json = JSON_INIT(&message, false);
    if (!watch)
        return err_nomem(err);
    e2b_box_ref(box);
    watch->box = box;
    json_begin_object(&json);
    json_put_text(&json, "path", path);
    json_put_bool(&json, "recursive", options->recursive);
    json_end_object(&json);
    int code = e2b_envd_open(box, options->user, "filesystem.Filesystem/WatchDir", &message,
                             "cannot watch", deadline, &watch->stream, err);
    if (code == 0)
        code = await_start(watch, deadline, err);
    if (code < 0)
        return err_wrap(err, "'%.300s'", path), code;
    *ret_watch = steal_ptr(watch);
    return 0;
}

int e2b_watch_next(void *self, const struct sbx_call *call, struct sbx_change *ret_change,
                   struct sbx_error *err)
{
    struct e2b_watch *watch = self;
    struct deadline deadline = deadline_from_call(call);
    bool started;
    do {
        int code = next_message(watch, deadline, &started, ret_change, err);
        if (code < 0)
            return e2b_envd_meaning(watch->box, code, err);
    } while (!ret_change->name);
    return 0;
}
