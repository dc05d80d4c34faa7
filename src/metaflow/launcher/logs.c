// SPDX-License-Identifier: Apache-2.0
// Lines of the step in Metaflow's log format. Layer: metaflow.
#include "metaflow/launcher/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/id.h"

#define LINE_MAX_BYTES (1 << 20)                                  // a longer one becomes several
#define KEPT_MAX (20 << 20)                                       // of each stream
#define TRUNCATED "[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]\n" // metaflow/runtime.py's words
#define HEADER_MAX 96

int log_open(struct log_stream *log, int out_fd, int dir_fd, long long attempt, const char *name,
             struct sbx_error *err)
{
    char path[64];
    uint64_t id = 0;
    *log = (struct log_stream){.out_fd = out_fd, .file_fd = -1};
    log->line = (struct buf)BUF_INIT(LINE_MAX_BYTES + 2);
    id_random(&id, sizeof(id));
    snprintf(log->id, sizeof(log->id), "%016" PRIx64, id);
    if (dir_fd < 0)
        return 0;
    snprintf(path, sizeof(path), "%lld.task_%s.log", attempt, name);
    log->file_fd =
        openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    return log->file_fd < 0 ? err_sys(err, SBX_ERR_IO, errno, "cannot write the log '%s'", path)
                            : 0;
}

static size_t make_header(const struct log_stream *log, char *out)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t size = (size_t)snprintf(out, HEADER_MAX, "[MFLOG|0|");
    size += strftime(out + size, HEADER_MAX - size, "%Y-%m-%dT%H:%M:%S", &parts);
    return size + (size_t)snprintf(out + size, HEADER_MAX - size, ".%06ldZ|task|%s-%" PRIu64 "]",
                                   now.tv_nsec / 1000, log->id, log->lines);
}

static void keep(struct log_stream *log, const char *line, size_t size)
{
    if (log->kept > KEPT_MAX)
        return;
    log->kept += size;
    if (log->kept > KEPT_MAX) {
        char last[HEADER_MAX + sizeof(TRUNCATED)];
        size = make_header(log, last);
        memcpy(last + size, TRUNCATED, sizeof(TRUNCATED) - 1);
        fd_write_full(log->file_fd, last, size + sizeof(TRUNCATED) - 1);
    } else if (fd_write_full(log->file_fd, line, size) < 0) {
        log->kept = (uint64_t)KEPT_MAX + 1; // a full disk: the runtime still shows the lines
    }
}

// A line that looks like one of Metaflow's own is not believed: the step's text must not pass for
// it.
static void send_line(struct log_stream *log, const char *text, size_t size)
{
    char header[HEADER_MAX];
    cleanup_buf struct buf line = BUF_INIT(LINE_MAX_BYTES + HEADER_MAX + 2);
    if (log->file_fd >= 0)
        buf_add(&line, header, make_header(log, header));
    buf_add(&line, text, size);
    if (size == 0 || text[size - 1] != '\n')
        buf_add(&line, "\n", 1);
    log->lines++;
    if (line.failed)
        return;
    if (log->file_fd >= 0)
        keep(log, line.data, line.size);
    if (fd_write_full(log->out_fd, line.data, line.size) < 0) {
        // The runtime is gone, and this process will be told.
    }
}

void log_add(struct log_stream *log, const void *data, size_t size)
{
    buf_add(&log->line, data, size > LINE_MAX_BYTES ? LINE_MAX_BYTES : size);
    const char *start = log->line.data, *end = log->line.data + log->line.size;
    for (const char *newline; (newline = memchr(start, '\n', (size_t)(end - start)));
         start = newline + 1)
        send_line(log, start, (size_t)(newline + 1 - start));
    buf_consume(&log->line, (size_t)(start - log->line.data));
    if (log->line.size >= LINE_MAX_BYTES / 2) {
        send_line(log, log->line.data, log->line.size);
        buf_consume(&log->line, log->line.size);
    }
}

void log_close(struct log_stream *log)
{
    if (log->line.size > 0)
        send_line(log, log->line.data, log->line.size);
    buf_deinit(&log->line);
    if (log->file_fd >= 0)
        close(steal_fd(&log->file_fd));
}
