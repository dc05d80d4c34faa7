// SPDX-License-Identifier: Apache-2.0
// Files between clients and sandboxes. Layer: serve.
#include "serve/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define MEMORY_MAX (4 * 1024 * 1024)
#define TRANSFER_MS (30 * 60 * 1000)

void spool_init(struct spool *spool, struct serve *serve)
{
    spool->serve = serve;
    spool->memory = (struct buf)BUF_INIT(MEMORY_MAX);
    spool->fd = -1;
    spool->path[0] = '\0';
    spool->size = 0;
}

void spool_deinit(struct spool *spool)
{
    buf_deinit(&spool->memory);
    if (spool->fd >= 0) {
        close(spool->fd);
        unlink(spool->path);
    }
}

int spool_open(const struct serve *serve, char ret_path[TRANSFER_PATH_MAX], struct sbx_error *err)
{
    snprintf(ret_path, TRANSFER_PATH_MAX, "/proc/self/fd/%d/spool-XXXXXX", serve->spool_fd);
    int fd = mkostemp(ret_path, O_CLOEXEC);
    return fd < 0 ? err_sys(err, 0, errno, "cannot make a temporary file") : fd;
}

static int spill(struct spool *spool, struct sbx_error *err)
{
    int fd = spool_open(spool->serve, spool->path, err);
    if (fd < 0)
        return fd;
    spool->fd = fd;
    if (fchmod(fd, 0644) < 0 || fd_write_full(fd, spool->memory.data, spool->memory.size) < 0)
        return err_sys(err, 0, errno, "cannot write a temporary file");
    buf_deinit(&spool->memory);
    return 0;
}

int spool_add(struct spool *spool, const void *data, size_t size, struct sbx_error *err)
{
    if (spool->size + size > spool->serve->settings.max_upload)
        return err_set(err, SBX_ERR_QUOTA, "the file is larger than %llu bytes",
                       (unsigned long long)spool->serve->settings.max_upload);
    spool->size += size;
    if (spool->fd < 0 && spool->size <= MEMORY_MAX) {
        buf_add(&spool->memory, data, size);
        return spool->memory.failed ? err_nomem(err) : 0;
    }
    int code = spool->fd < 0 ? spill(spool, err) : 0;
    if (code == 0 && fd_write_full(spool->fd, data, size) < 0)
        code = err_sys(err, 0, errno, "cannot write a temporary file");
    return code;
}

static int refuse_directory(struct place *box, const char *path, const struct sbx_file_options *how,
                            const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_file_list one;
    struct sbx_error ignored;
    if (sbx_file_stat(box->sandbox, path, how, call, &one, &ignored) < 0)
        return 0;
    bool directory = one.count && one.items[0].kind == SBX_FILE_DIRECTORY;
    sbx_file_list_free(&one);
    return directory ? err_set(err, SBX_ERR_CONFLICT, "path '%s' is a directory", path) : 0;
}

static int upload(struct spool *spool, struct place *box, const char *path,
                  const struct sbx_file_options *how, const struct sbx_call *call,
                  struct sbx_error *err)
{
    // An empty file at the place first: it makes the directories above.
    int code = sbx_file_write(box->sandbox, path, "", 0, how, call, err);
    if (code == 0)
        code = sbx_file_upload(box->sandbox, spool->path, path, how, call, err);
    return code;
}

int spool_store(struct spool *spool, struct place *box, const char *path, const char *user,
                const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    how.user = user;
    int code = refuse_directory(box, path, &how, call, err);
    if (code == 0 && spool->fd >= 0)
        code = upload(spool, box, path, &how, call, err);
    else if (code == 0)
        code = sbx_file_write(box->sandbox, path, spool->memory.data ? spool->memory.data : "",
                              spool->memory.size, &how, call, err);
    return code < 0 ? place_failed(box, err) : 0;
}

void fetched_deinit(struct fetched *file)
{
    sbx_free(file->data);
    if (file->fd >= 0)
        close(file->fd);
}

static int fetch_large(struct place *box, const char *path, const struct sbx_file_options *how,
                       const struct sbx_call *call, struct fetched *file, struct sbx_error *err)
{
    char local[TRANSFER_PATH_MAX];
    int made = spool_open(box->serve, local, err);
    if (made < 0)
        return made;
    close(made);
    int code = sbx_file_download(box->sandbox, path, local, how, call, err);
    struct stat status;
    cleanup_fd int fd = code < 0 ? -1 : open(local, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    unlink(local);
    if (code < 0)
        return code;
    if (fd < 0 || fstat(fd, &status) < 0)
        return err_sys(err, 0, errno, "cannot read a temporary file");
    file->fd = steal_fd(&fd);
    file->size = (uint64_t)status.st_size;
    return 0;
}

int transfer_fetch(struct place *box, const char *path, const char *user,
                   const struct sbx_call *call, struct fetched *ret_file, struct sbx_error *err)
{
    struct sbx_file_options how = SBX_FILE_OPTIONS_INIT;
    struct sbx_error failed;
    size_t size;
    how.user = user;
    how.limit = MEMORY_MAX;
    *ret_file = (struct fetched){.fd = -1};
    int code = sbx_file_read(box->sandbox, path, &how, call, &ret_file->data, &size, &failed);
    if (code == 0) {
        ret_file->size = size;
        return 0;
    }
    how.limit = box->serve->settings.max_upload;
    if (code == SBX_ERR_QUOTA)
        return fetch_large(box, path, &how, call, ret_file, err);
    if (err)
        *err = failed;
    return place_failed(box, err);
}

// "bytes=A-B" on `size` bytes; false when it says something else, which is then left out.
static bool parse_range(const char *text, uint64_t size, uint64_t *ret_start, uint64_t *ret_end)
{
    unsigned long long start, end;
    int used = 0;
    if (!text || size == 0)
        return false;
    if (sscanf(text, "bytes=%llu-%llu%n", &start, &end, &used) == 2 && !text[used] && start <= end)
        end = end >= size ? size - 1 : end;
    else if (sscanf(text, "bytes=%llu-%n", &start, &used) == 1 && used && !text[used])
        end = size - 1;
    else
        return false;
    *ret_start = start;
    *ret_end = end;
    return start < size;
}

static void send_range(struct httpd_request *request, struct fetched *file, const char *type)
{
    uint64_t start = 0, end = file->size ? file->size - 1 : 0;
    unsigned status = 200;
    httpd_add_header(request, "Accept-Ranges", "bytes");
    if (parse_range(httpd_header(request, "Range"), file->size, &start, &end)) {
        char text[96];
        snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", (unsigned long long)start,
                 (unsigned long long)end, (unsigned long long)file->size);
        httpd_add_header(request, "Content-Range", text);
        status = 206;
    }
    uint64_t size = file->size ? end - start + 1 : 0;
    if (file->data)
        httpd_reply(request, status, type, file->data + start, (size_t)size);
    else
        httpd_reply_file(request, status, type, steal_fd(&file->fd), start, size);
}

void transfer_send(struct httpd_request *request, struct place *box, const char *path,
                   const char *user, const char *type)
{
    struct fetched file;
    struct sbx_error err;
    struct sbx_call call = serve_call(request, TRANSFER_MS);
    if (transfer_fetch(box, path, user, &call, &file, &err) < 0) {
        serve_fail(request, &err);
        return;
    }
    send_range(request, &file, type ? type : "application/octet-stream");
    fetched_deinit(&file);
}

bool transfer_path(const struct place *box, const char *user, const char *path,
                   char ret_path[TRANSFER_PATH_MAX])
{
    const char *name = user ? user : "user", *rest = path;
    int size;
    if (path[0] == '~' && (!path[1] || path[1] == '/'))
        rest = path + 1;
    if (rest == path && path[0] == '/')
        size = snprintf(ret_path, TRANSFER_PATH_MAX, "%s", path);
    else if (strcmp(name, "root") == 0)
        size = snprintf(ret_path, TRANSFER_PATH_MAX, "/root/%s", rest);
    else
        size = snprintf(ret_path, TRANSFER_PATH_MAX, "/home/%s/%s", name, rest);
    if (size >= TRANSFER_PATH_MAX)
        return false;
    char *out = ret_path;
    for (const char *at = ret_path; *at; at++)
        if (*at != '/' || out == ret_path || out[-1] != '/')
            *out++ = *at;
    while (out > ret_path + 1 && out[-1] == '/')
        out--;
    *out = '\0';
    return true;
}

void transfer_mode(const struct sbx_file_info *info, char ret_text[11])
{
    static const char letters[] = "rwxrwxrwx";
    ret_text[0] = info->kind == SBX_FILE_DIRECTORY ? 'd'
                  : info->kind == SBX_FILE_SYMLINK ? 'l'
                                                   : '-';
    for (unsigned i = 0; i < 9; i++)
        ret_text[1 + i] = (char)(info->mode & 0400u >> i ? letters[i] : '-');
    ret_text[10] = '\0';
}

const char *transfer_user(uint32_t id, char text[16])
{
    if (id == 0)
        return "root";
    if (id == 1000)
        return "user";
    snprintf(text, 16, "%u", id);
    return text;
}
