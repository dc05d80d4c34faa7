// SPDX-License-Identifier: Apache-2.0
// Files and trees between this machine and a sandbox of a service. Layer: provider.
#include "provider/cloud/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/id.h"
#include "net/tree.h"

#define CLEAN_MS 10000

// $1 archive, $2 directory: the rest of an upload. What exists is joined.
static const char unpack[] =
    "case $2 in /*) d=$2;; *) d=$HOME/$2;; esac\n"
    "mkdir -p -- \"$d\" && tar -xpf \"$1\" -C \"$d\"; s=$?; rm -f -- \"$1\"; exit $s";
static const char pack[] = "case $2 in /*) d=$2;; *) d=$HOME/$2;; esac\n"
                           "umask 077; tar -cf \"$1\" -C \"$d\" . || { rm -f -- \"$1\"; exit 1; }";

static int run_script(const struct cloud_files *files, void *box, const char *user,
                      const char *script, const char *archive, const char *path,
                      struct deadline deadline, struct sbx_error *err)
{
    const char *argv[] = {"/bin/sh", "-c", script, "sh", archive, path};
    cleanup_buf struct buf out = BUF_INIT(1 << 20);
    int exit_code = 0;
    int code = files->run(box, user, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out, err);
    if (code < 0 || exit_code == 0)
        return code;
    const char *text = buf_text(&out);
    return err_set(err, text && strstr(text, "ermission denied") ? SBX_ERR_DENIED : SBX_ERR_IO,
                   "cannot copy '%s': %.300s", path, text ? text : "tar failed");
}

static int archive_name(char name[64], struct sbx_error *err)
{
    char id[ID_SIZE];
    if (id_new(id) < 0)
        return err_set(err, SBX_ERR_IO, "no random numbers for a name");
    snprintf(name, 64, "/tmp/.sandboxes-%s.tar", id);
    return 0;
}

// Where a source of this name goes: into path, if that is a directory there.
static int remote_target(const struct cloud_files *files, void *box, const char *user,
                         const char *local, const char *path, struct deadline deadline,
                         char **ret_target, struct sbx_error *err)
{
    cleanup_free char *name = tree_name(local);
    struct sbx_file_info info;
    char *target = NULL;
    int code = files->stat(box, user, path, deadline, &info, err);
    if (code < 0 && code != SBX_ERR_NOT_FOUND)
        return code;
    if (code < 0 || info.kind != SBX_FILE_DIRECTORY)
        target = strdup(path);
    else if (!name || asprintf(&target, "%s/%s", path, name) < 0)
        target = NULL;
    *ret_target = target;
    return target ? 0 : err_nomem(err);
}

static int upload_tree(const struct cloud_files *files, void *box, const char *user,
                       const char *local, const char *target, struct deadline deadline,
                       struct sbx_error *err)
{
    char archive[64];
    struct cloud_contents contents = {.tree = local};
    int code = archive_name(archive, err);
    if (code == 0)
        code = files->put(box, user, archive, &contents, deadline, err);
    return code < 0 ? code : run_script(files, box, user, unpack, archive, target, deadline, err);
}

int cloud_files_upload(const struct cloud_files *files, void *self, const char *local_path,
                       const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    cleanup_free char *target = NULL;
    struct stat st;
    cleanup_fd int fd = open(local_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", local_path);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return err_set(err, SBX_ERR_INVALID, "'%s' is neither a file nor a directory", local_path);
    int code = remote_target(files, self, options->user, local_path, path, deadline, &target, err);
    if (code < 0)
        return code;
    if (S_ISDIR(st.st_mode))
        return upload_tree(files, self, options->user, local_path, target, deadline, err);
    struct cloud_contents contents = {.fd = fd,
                                      .size = (uint64_t)st.st_size,
                                      .mode = options->mode ? options->mode : st.st_mode & 0777};
    return files->put(self, options->user, target, &contents, deadline, err);
}

struct body {
    struct http_stream *stream;
    struct deadline deadline;
};

static int read_body(void *payload, void *data, size_t size, size_t *ret_size,
                     struct sbx_error *err)
{
    struct body *body = payload;
    return http_read(body->stream, data, size, body->deadline, ret_size, err);
}

static int download_file(const struct cloud_files *files, void *box, const char *user,
                         const char *path, uint32_t mode, const char *target,
                         struct deadline deadline, struct sbx_error *err)
{
    cleanup_stream struct http_stream *stream = NULL;
    int code = files->get(box, user, path, deadline, &stream, err);
    struct body body = {stream, deadline};
    struct tar_source source = {read_body, &body};
    return code < 0 ? code : tree_save(target, mode, &source, err);
}

static int download_tree(const struct cloud_files *files, void *box, const char *user,
                         const char *path, const char *target, struct deadline deadline,
                         struct sbx_error *err)
{
    cleanup_stream struct http_stream *stream = NULL;
    cleanup_buf struct buf said = BUF_INIT(4096);
    int exit_code;
    struct sbx_error ignored;
    char archive[64];
    const char *remove[] = {"rm", "-f", "--", archive};
    int code = archive_name(archive, err);
    if (code == 0)
        code = run_script(files, box, user, pack, archive, path, deadline, err);
    if (code < 0)
        return code;
    code = files->get(box, user, archive, deadline, &stream, err);
    struct body body = {stream, deadline};
    struct tar_source source = {read_body, &body};
    if (code == 0)
        code = tree_unpack(target, &source, err);
    files->run(box, user, remove, ARRAY_SIZE(remove), deadline_in(CLEAN_MS), &exit_code, &said,
               &ignored);
    return code;
}

int cloud_files_download(const struct cloud_files *files, void *self, const char *path,
                         const char *local_path, const struct sbx_file_options *options,
                         const struct sbx_call *call, struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    struct sbx_file_info info;
    int code = files->stat(self, options->user, path, deadline, &info, err);
    if (code < 0)
        return code;
    cleanup_free char *name = tree_name(path);
    cleanup_free char *target = name ? tree_target(local_path, name) : NULL;
    if (!target)
        return err_nomem(err);
    return info.kind == SBX_FILE_DIRECTORY
               ? download_tree(files, self, options->user, path, target, deadline, err)
               : download_file(files, self, options->user, path, info.mode, target, deadline, err);
}
