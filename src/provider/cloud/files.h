// SPDX-License-Identifier: Apache-2.0
/*
 * Files and trees between this machine and a sandbox whose service moves single files. A tree goes
 * as one archive, which tar in the sandbox packs or unpacks; what a service can't do, a short
 * command there does. Layer: provider.
 */
#pragma once

#include "net/http.h"
#include "provider/cloud/cloud.h"

#define CLOUD_READ_LIMIT (1ull << 30) // of a file that is read into memory

// The contents of a file: an archive of a tree of this machine, from memory or, with fd, `size`
// bytes of that; with a mode, made with it before the first byte comes.
struct cloud_contents {
    const char *tree;
    const void *data;
    int fd; // used when both are NULL
    uint64_t size;
    uint32_t mode;
};
int cloud_contents_send(struct http_stream *stream, const struct cloud_contents *contents,
                        struct deadline deadline, struct sbx_error *err);
// True for errors of this side, beside which the service's answer does not matter.
bool cloud_contents_failed(int code);

// What a provider does for this. `user` NULL: the sandbox's default.
struct cloud_files {
    // Kind and mode.
    int (*stat)(void *box, const char *user, const char *path, struct deadline deadline,
                struct sbx_file_info *ret_info, struct sbx_error *err);
    int (*put)(void *box, const char *user, const char *path, const struct cloud_contents *contents,
               struct deadline deadline, struct sbx_error *err);
    // The answer to a request for a file; it has begun well.
    int (*get)(void *box, const char *user, const char *path, struct deadline deadline,
               struct http_stream **ret_stream, struct sbx_error *err);
    // A short command to its end; its output in `out`.
    int (*run)(void *box, const char *user, const char *const *argv, size_t argc,
               struct deadline deadline, int *ret_exit_code, struct buf *out,
               struct sbx_error *err);
};

int cloud_files_chmod(const struct cloud_files *files, void *box, const char *user,
                      const char *path, uint32_t mode, struct deadline deadline,
                      struct sbx_error *err);
// An empty file with its mode, so that what is secret never lies there for others to read.
int cloud_files_prepare(const struct cloud_files *files, void *box, const char *user,
                        const char *path, uint32_t mode, struct deadline deadline,
                        struct sbx_error *err);
// A signal to a command and all that descend from it. NOT_FOUND when it does not run any more.
int cloud_files_signal(const struct cloud_files *files, void *box, const char *user, uint32_t pid,
                       int signal, struct deadline deadline, struct sbx_error *err);
int cloud_files_read(const struct cloud_files *files, void *box, const char *path,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     char **ret_data, size_t *ret_size, struct sbx_error *err);
int cloud_files_upload(const struct cloud_files *files, void *box, const char *local_path,
                       const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, struct sbx_error *err);
int cloud_files_download(const struct cloud_files *files, void *box, const char *path,
                         const char *local_path, const struct sbx_file_options *options,
                         const struct sbx_call *call, struct sbx_error *err);
