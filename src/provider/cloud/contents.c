// SPDX-License-Identifier: Apache-2.0
// Contents and modes of files of a sandbox of a service, and signals. Layer: provider.
#include "provider/cloud/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/tree.h"

#define PIECE (128u << 10)

int cloud_files_chmod(const struct cloud_files *files, void *box, const char *user,
                      const char *path, uint32_t mode, struct deadline deadline,
                      struct sbx_error *err)
{
    char octal[16];
    const char *argv[] = {"chmod", "--", octal, path};
    cleanup_buf struct buf out = BUF_INIT(4096);
    int exit_code = 0;
    snprintf(octal, sizeof(octal), "%o", mode & 07777);
    int code = files->run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_DENIED, "cannot set the mode of '%s': %.200s", path,
                       buf_text(&out) ? out.data : "");
    return code;
}

int cloud_files_prepare(const struct cloud_files *files, void *box, const char *user,
                        const char *path, uint32_t mode, struct deadline deadline,
                        struct sbx_error *err)
{
    static const char script[] =
        "umask 077; case $2 in /*) f=$2;; *) f=$HOME/$2;; esac\n"
        "[ -d \"$f\" ] && exit 0\n"
        "d=${f%/*}; [ -d \"$d\" ] || (umask 022; mkdir -p -- \"$d\") || exit 1\n"
        ": >> \"$f\" && chmod -- \"$1\" \"$f\"";
    char octal[16];
    const char *argv[] = {"/bin/sh", "-c", script, "sh", octal, path};
    cleanup_buf struct buf out = BUF_INIT(4096);
    int exit_code = 0;
    snprintf(octal, sizeof(octal), "%o", mode & 07777);
    int code = files->run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_DENIED, "cannot make '%s': %.200s", path,
                       buf_text(&out) ? out.data : "");
    return code;
}

struct sink {
    struct http_stream *stream;
    struct deadline deadline;
};

static int sink_write(void *payload, const void *data, size_t size, struct sbx_error *err)
{
    struct sink *sink = payload;
    return http_send(sink->stream, data, size, sink->deadline, err);
}

int cloud_contents_send(struct http_stream *stream, const struct cloud_contents *contents,
                        struct deadline deadline, struct sbx_error *err)
{
    if (contents->tree) {
        struct sink sink = {stream, deadline};
        return tree_pack(contents->tree, sink_write, &sink, err);
    }
    if (contents->data)
        return http_send(stream, contents->data, contents->size, deadline, err);
    cleanup_free char *piece = malloc(PIECE);
    if (!piece)
        return err_nomem(err);
    for (uint64_t left = contents->size; left > 0;) {
        ssize_t got = read(contents->fd, piece, left < PIECE ? left : PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? err_sys(err, 0, errno, "cannot read the file")
                           : err_set(err, SBX_ERR_IO, "the file shrank while it was sent");
        int code = http_send(stream, piece, (size_t)got, deadline, err);
        if (code < 0)
            return code;
        left -= (uint64_t)got;
    }
    return 0;
}

bool cloud_contents_failed(int code)
{
    return code == SBX_ERR_IO || code == SBX_ERR_DENIED || code == SBX_ERR_INVALID ||
           code == SBX_ERR_TIMEOUT || code == SBX_ERR_CANCELLED;
}

int cloud_files_read(const struct cloud_files *files, void *box, const char *path,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     char **ret_data, size_t *ret_size, struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    cleanup_stream struct http_stream *stream = NULL;
    cleanup_buf struct buf data = BUF_INIT(options->limit ? options->limit : CLOUD_READ_LIMIT);
    int code = files->get(box, options->user, path, deadline, &stream, err);
    if (code < 0)
        return code;
    code = http_read_all(stream, &data, deadline, err);
    if (code == SBX_ERR_QUOTA) {
        err_set(err, SBX_ERR_QUOTA, "'%s' has more than %zu bytes, the limit of options.limit",
                path, data.limit);
        return err_hint(err, "raise options.limit, or download the file");
    }
    if (code < 0)
        return code;
    char *text = buf_steal(&data, ret_size);
    if (!text)
        return err_nomem(err);
    *ret_data = text;
    return 0;
}

/*
 * $1 is the signal, $2 the process. Descendants are found through /proc, where the fourth field of
 * stat, after the name in parentheses, is the parent; they are stopped on the way so that none is
 * made meanwhile.
 */
static const char signal_script[] =
    "s=$1; all=$2; new=$2\n"
    "[ \"$s\" = 9 ] && kill -STOP $2 2>/dev/null\n"
    "while [ -n \"$new\" ]; do\n"
    "  next=\n"
    "  for f in /proc/[0-9]*/stat; do\n"
    "    read -r line < \"$f\" || continue\n"
    "    p=${line%% *}; rest=${line##*) }; rest=${rest#* }; parent=${rest%% *}\n"
    "    case \" $new \" in *\" $parent \"*) next=\"$next $p\"; [ \"$s\" = 9 ] && kill -STOP $p;; "
    "esac\n"
    "  done 2>/dev/null\n"
    "  all=\"$all $next\"; new=$next\n"
    "done\n"
    "kill -s $s $all 2>/dev/null || kill -s $s $2\n";

int cloud_files_signal(const struct cloud_files *files, void *box, const char *user, uint32_t pid,
                       int signal, struct deadline deadline, struct sbx_error *err)
{
    char number[16], process[16];
    const char *argv[] = {"/bin/sh", "-c", signal_script, "sh", number, process};
    int exit_code = 0;
    snprintf(number, sizeof(number), "%d", signal);
    snprintf(process, sizeof(process), "%u", pid);
    cleanup_buf struct buf out = BUF_INIT(4096);
    int code = files->run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code == 0 && exit_code != 0)
        return err_set(err, SBX_ERR_NOT_FOUND, "command %u does not run any more", pid);
    return code;
}
