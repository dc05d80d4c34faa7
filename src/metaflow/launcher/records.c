// SPDX-License-Identifier: Apache-2.0
// Metadata out of a sandbox elsewhere. Layer: metaflow.
#include "metaflow/launcher/records.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/thread.h"
#include "metaflow/launcher/take.h"

#define RECORD_MAX (256 << 10)
#define RECORDS_MAX 65536
#define TEMPORARY ".record" // names with a dot in front are not taken over
#define READ_MS 20000

// Records of tasks alone: what describes the task itself is the runtime's.
static bool name_valid(const char *name)
{
    size_t length = strlen(name);
    return take_name_valid(name) && name[0] != '_' && length > 5 &&
           strcmp(name + length - 5, ".json") == 0;
}

static void keep(struct records *records, const char *name, const char *text, size_t size)
{
    int dir_fd = records->dir_fd;
    cleanup_fd int fd =
        openat(dir_fd, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd >= 0 && fd_write_full(fd, text, size) == 0 &&
        renameat(dir_fd, TEMPORARY, dir_fd, name) == 0)
        atomic_store(&records->news, true);
}

static void add_line(struct records *records, char *line, size_t size)
{
    char *tab = memchr(line, '\t', size);
    if (!tab || size > RECORD_MAX)
        return;
    *tab = 0;
    if (name_valid(line) && faccessat(records->dir_fd, line, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        keep(records, line, tab + 1, size - (size_t)(tab + 1 - line));
}

void records_add(struct records *records, const void *data, size_t size)
{
    buf_add(&records->line, data, size);
    char *start = records->line.data, *end = start + records->line.size;
    for (char *newline;
         !records->line.failed && (newline = memchr(start, '\n', (size_t)(end - start)));
         start = newline + 1)
        add_line(records, start, (size_t)(newline - start));
    if (!records->line.failed)
        buf_consume(&records->line, (size_t)(start - records->line.data));
}

static void *follow(void *self)
{
    struct records *records = self;
    const struct sbx_call call = {.size = sizeof(call), .cancel = records->cancel};
    struct sbx_error ignored;
    struct sbx_event event;
    while (sbx_process_read(records->process, &call, &event, &ignored) == 0 &&
           event.kind == SBX_EVENT_OUTPUT)
        if (event.stream == SBX_STDOUT)
            records_add(records, event.data, event.size);
    return NULL;
}

static int start(struct records *records, struct sbx_sandbox *box, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    int code = sbx_cancel_new(&records->cancel, err);
    const struct sbx_call call = {.size = sizeof(call), .timeout_ms = READ_MS};
    exec.shell = ": >> " RECORDS_INSIDE "; exec tail -c +1 -f " RECORDS_INSIDE;
    if (code == 0)
        code = sbx_process_start(box, &exec, &call, &records->process, err);
    if (code < 0 || thread_start(&records->thread, follow, records) == 0)
        return code;
    sbx_process_free(steal_ptr(records->process));
    return err_nomem(err);
}

void records_follow(struct records *records, const struct stage *stage, struct sbx_sandbox *box)
{
    struct sbx_error ignored;
    *records = (struct records){.dir_fd = -1};
    records->line = (struct buf)BUF_INIT(RECORDS_MAX + RECORD_MAX);
    cleanup_fd int task_fd =
        stage->fd < 0 ? -1 : openat(stage->fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (task_fd >= 0)
        records->dir_fd = openat(task_fd, "_meta", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (records->dir_fd >= 0)
        start(records, box, &ignored);
}

static void stop(struct records *records)
{
    if (records->process) {
        sbx_cancel_trigger(records->cancel);
        pthread_join(records->thread, NULL);
        sbx_process_free(records->process);
    }
    sbx_cancel_free(records->cancel);
    buf_deinit(&records->line);
    records->line = (struct buf)BUF_INIT(RECORDS_MAX + RECORD_MAX);
}

void records_end(struct records *records, struct sbx_sandbox *box, bool last)
{
    const struct sbx_call call = {.size = sizeof(call), .timeout_ms = READ_MS};
    struct sbx_error ignored;
    char *data;
    size_t size;
    stop(records);
    if (records->dir_fd < 0)
        return;
    if (last && sbx_file_read(box, RECORDS_INSIDE, NULL, &call, &data, &size, &ignored) == 0) {
        for (size_t done = 0, piece; done < size; done += piece) {
            piece = size - done < RECORDS_MAX ? size - done : RECORDS_MAX;
            records_add(records, data + done, piece);
        }
        sbx_free(data);
    }
    buf_deinit(&records->line);
    close(steal_fd(&records->dir_fd));
}
