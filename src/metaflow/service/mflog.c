// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mflog.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/beneath.h"
#include "base/fd.h"
#include "base/utf8.h"

#define LOG_MAX (16 * 1024 * 1024) // what is beyond is not shown

bool mflog_parse(const char *line, size_t size, int64_t *ret_ms, size_t *ret_head)
{
    int year, month, day, hour, minute, second, micro = 0, taken = 0;
    char head[160];
    const char *end = memchr(line, ']', size < sizeof(head) ? size : sizeof(head) - 1);
    if (!end)
        return false;
    size_t head_size = (size_t)(end - line) + 1;
    memcpy(head, line, head_size);
    head[head_size] = '\0';
    // "!" marks lines that the runtime shall keep
    const char *at = head[0] == '[' && head[1] == '!' ? head + 2 : head + 1;
    if (head[0] != '[' ||
        sscanf(at, "MFLOG|0|%4d-%2d-%2dT%2d:%2d:%2d.%6dZ|%n", &year, &month, &day, &hour, &minute,
               &second, &micro, &taken) != 7 ||
        !taken)
        return false;
    struct tm utc = {.tm_year = year - 1900,
                     .tm_mon = month - 1,
                     .tm_mday = day,
                     .tm_hour = hour,
                     .tm_min = minute,
                     .tm_sec = second};
    *ret_ms = (int64_t)timegm(&utc) * 1000 + micro / 1000;
    *ret_head = head_size;
    return true;
}

static void add_line(json_t *lines, const char *line, size_t size)
{
    int64_t time = 0;
    size_t head = 0;
    if (!mflog_parse(line, size, &time, &head))
        head = 0;
    json_t *text =
        utf8_valid(line + head, size - head) ? json_stringn(line + head, size - head) : NULL;
    if (!text) {
        struct buf shown = BUF_INIT(LOG_MAX);
        utf8_add_printable(&shown, line + head, size - head);
        text = json_string(buf_text(&shown) ? shown.data : "");
        buf_deinit(&shown);
    }
    json_array_append_new(lines,
                          json_pack("{s:I,s:I,s:o}", "row", (json_int_t)json_array_size(lines),
                                    "timestamp", (json_int_t)time, "line", text));
}

int mflog_read(struct mfstore *store, const struct mfpath *task, const char *stream,
               int64_t attempt, json_t **ret_lines, struct sbx_error *err)
{
    char name[64], path[MFPATH_SIZE];
    snprintf(name, sizeof(name), "%lld.runtime_%s.log", (long long)attempt, stream);
    int code = mfpath_text(task, name, path, err);
    if (code < 0)
        return code;
    cleanup_fd int fd = beneath_open(store->root_fd, path, O_RDONLY | O_NONBLOCK, 0);
    cleanup_json json_t *lines = json_array();
    struct stat info;
    size_t size =
        fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? (size_t)info.st_size : 0;
    size = size < LOG_MAX ? size : LOG_MAX;
    cleanup_free char *text = malloc(size + 1);
    ssize_t got = text && size ? fd_read_full(fd, text, size) : 0;
    for (ssize_t at = 0; text && at < got;) {
        const char *end = memchr(text + at, '\n', (size_t)(got - at));
        size_t length = end ? (size_t)(end - text - at) : (size_t)(got - at);
        add_line(lines, text + at, length);
        at += (ssize_t)length + 1;
    }
    *ret_lines = steal_ptr(lines);
    return 0;
}
