// SPDX-License-Identifier: Apache-2.0
/*
 * Metadata from files to a service: metaflow/plugins/metadata_providers/{local,service}.py write
 * and send the same objects. Layer: metaflow.
 */
#include "metaflow/relay/relay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/dir.h"
#include "base/fd.h"
#include "net/json.h"

#define RECORD_MAX (256 << 10)
#define BATCH_MAX (8 << 20)
#define FILES_MAX 65536
#define CALL_MS 30000
#define BEAT_MS 10000 // the service refuses beats that follow each other faster

// Kinds of records, by their files' names: where they are sent, where the service lists them.
static const struct kind {
    const char *part, *path, *list;
} kinds[] = {{"sysmeta_", "metadata", "metadata"}, {"_artifact_", "artifact", "artifacts"}};

static void split_headers(struct relay *relay)
{
    relay->headers[relay->header_count++] =
        (struct http_header){"content-type", "application/json"};
    char *rest = relay->header_text;
    for (char *line; (line = strsep(&rest, "\n")) && relay->header_count < RELAY_HEADERS_MAX;) {
        char *colon = strstr(line, ": ");
        if (!colon)
            continue;
        *colon = 0;
        relay->headers[relay->header_count++] = (struct http_header){line, colon + 2};
    }
}

int relay_open(struct relay *relay, const char *url, const char *task, const char *headers,
               struct sbx_error *err)
{
    char flow[256], run[256], step[256], id[256];
    const struct http_options options = {.user_agent = "sandboxes/" SBX_VERSION};
    *relay = (struct relay){0};
    if (sscanf(task, "%255[^/]/%255[^/]/%255[^/]/%255[^/]", flow, run, step, id) != 4)
        return err_set(err, SBX_ERR_INVALID, "'%s' is not FLOW/RUN/STEP/TASK", task);
    snprintf(relay->task_url, sizeof(relay->task_url), "%.*s/flows/%s/runs/%s/steps/%s/tasks/%s",
             (int)(strlen(url) - (url[strlen(url) - 1] == '/')), url, flow, run, step, id);
    relay->header_text = strdup(headers ? headers : "");
    relay->sent = calloc(FILES_MAX, sizeof(*relay->sent));
    int code =
        relay->header_text && relay->sent ? http_open(&options, &relay->http, err) : err_nomem(err);
    if (code < 0)
        relay_close(relay);
    else
        split_headers(relay);
    return code;
}

void relay_close(struct relay *relay)
{
    if (relay->http)
        http_close(relay->http);
    for (size_t i = 0; i < relay->sent_count; i++)
        free(relay->sent[i]);
    free(relay->sent);
    known_deinit(&relay->known);
    free(relay->header_text);
}

// accepted: a status that is no failure besides those of success.
static int ask(struct relay *relay, struct http_request request, const char *path, int accepted,
               struct http_reply *reply, struct sbx_error *err)
{
    char url[2304];
    snprintf(url, sizeof(url), "%s/%s", relay->task_url, path);
    request.url = url;
    request.headers = relay->headers;
    request.header_count = relay->header_count;
    int code = http_call(relay->http, &request, deadline_in(CALL_MS), reply, err);
    if (code < 0 || reply->status / 100 == 2 || reply->status == accepted)
        return code;
    err_set(err, SBX_ERR_UNAVAILABLE, "the metadata service answered %d to %s", reply->status,
            path);
    return err_hint(err, "look at the service's log, and check METAFLOW_SERVICE_URL and its key");
}

static int post(struct relay *relay, const char *path, const void *body, size_t size,
                struct sbx_error *err)
{
    const struct http_request request = {.method = "POST", .body = body, .body_size = size};
    cleanup_reply struct http_reply reply = HTTP_REPLY_INIT;
    return ask(relay, request, path, 409, &reply, err); // 409: it has these records already
}

// An earlier relay of this task, or an earlier attempt's, may have been killed at any moment.
static int ask_known(struct relay *relay, struct sbx_error *err)
{
    const struct http_request request = {.method = "GET"};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        cleanup_reply struct http_reply reply = HTTP_REPLY_INIT;
        cleanup_jsonv struct jsonv *list = NULL;
        int code = ask(relay, request, kinds[i].list, 404, &reply, err);
        if (code == 0 && reply.status != 404)
            code = jsonv_parse(reply.body.data, reply.body.size, &list, err);
        if (code == 0)
            code = known_add(&relay->known, list, err);
        if (code < 0)
            return code;
    }
    known_sort(&relay->known);
    relay->asked = true;
    return 0;
}

static bool was_sent(const struct relay *relay, const char *name)
{
    for (size_t i = 0; i < relay->sent_count; i++)
        if (strcmp(relay->sent[i], name) == 0)
            return true;
    return false;
}

// Appends the record; the sandbox may have written anything there.
static bool add_record(const struct relay *relay, int dir_fd, const char *name, struct buf *batch)
{
    struct stat info;
    struct sbx_error ignored;
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size > RECORD_MAX)
        return false;
    cleanup_free char *text = malloc((size_t)info.st_size + 1);
    ssize_t size = text ? fd_read_full(fd, text, (size_t)info.st_size) : -1;
    cleanup_jsonv struct jsonv *record = NULL;
    if (size <= 0 || jsonv_parse(text, (size_t)size, &record, &ignored) < 0 ||
        !jsonv_is_object(record) || known_has(&relay->known, record))
        return false;
    buf_puts(batch, batch->size > 1 ? "," : "");
    buf_add(batch, text, (size_t)size);
    return true;
}

// One kind's records that are new, in one request. Their names count as sent when it has succeeded.
static int send_kind(struct relay *relay, const struct kind *kind, DIR *dir, struct sbx_error *err)
{
    cleanup_buf struct buf batch = BUF_INIT(BATCH_MAX);
    size_t first = relay->sent_count;
    buf_puts(&batch, "[");
    rewinddir(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) && relay->sent_count < FILES_MAX;) {
        if (!strstr(entry->d_name, kind->part) || was_sent(relay, entry->d_name) ||
            batch.size > BATCH_MAX - RECORD_MAX - 2 ||
            !add_record(relay, dirfd(dir), entry->d_name, &batch))
            continue;
        char *name = strdup(entry->d_name);
        if (!name)
            break;
        relay->sent[relay->sent_count++] = name;
    }
    buf_puts(&batch, "]");
    if (relay->sent_count == first)
        return 0;
    int code = batch.failed ? err_nomem(err) : post(relay, kind->path, batch.data, batch.size, err);
    while (code < 0 && relay->sent_count > first)
        free(relay->sent[--relay->sent_count]);
    return code;
}

int relay_send(struct relay *relay, int dir_fd, struct sbx_error *err)
{
    DIR *dir = dir_open(dir_fd, ".");
    int code = dir ? 0 : err_sys(err, SBX_ERR_IO, errno, "cannot read the task's metadata");
    if (code == 0 && !relay->asked)
        code = ask_known(relay, err);
    for (size_t i = 0; i < ARRAY_SIZE(kinds) && code == 0; i++)
        code = send_kind(relay, &kinds[i], dir, err);
    if (dir)
        closedir(dir);
    return code;
}

void relay_beat(struct relay *relay)
{
    struct sbx_error ignored;
    int64_t now = clock_boot_ms();
    if (relay->beat_ms && now - relay->beat_ms < BEAT_MS)
        return;
    relay->beat_ms = now;
    post(relay, "heartbeat", "{}", 2, &ignored); // the next one may do better
}
