// SPDX-License-Identifier: Apache-2.0
// Files between clients and sandboxes: small ones in memory, large ones through a file here. Layer:
// serve.
#pragma once

#include "serve/serve.h"

#define TRANSFER_PATH_MAX 4096

// Collects what is to become a file in a sandbox.
struct spool {
    struct serve *serve;
    struct buf memory;
    int fd; // -1 while all is in memory
    char path[TRANSFER_PATH_MAX];
    uint64_t size;
};

void spool_init(struct spool *spool, struct serve *serve);
void spool_deinit(struct spool *spool);
int spool_add(struct spool *spool, const void *data, size_t size, struct sbx_error *err);
// A new file in the server's directory, which the caller removes.
int spool_open(const struct serve *serve, char ret_path[TRANSFER_PATH_MAX], struct sbx_error *err);
// Replaces the file's contents; missing directories are made. CONFLICT when it is a directory.
int spool_store(struct spool *spool, struct place *box, const char *path, const char *user,
                const struct sbx_call *call, struct sbx_error *err);

// Replies with the file's contents. Headers are added before; type NULL: told from nothing.
void transfer_send(struct httpd_request *request, struct place *box, const char *path,
                   const char *user, const char *type);
// The file as a descriptor here, or its contents in memory when it is small.
struct fetched {
    char *data; // sbx_free(); NULL when it is in fd
    int fd;
    uint64_t size;
};
int transfer_fetch(struct place *box, const char *path, const char *user,
                   const struct sbx_call *call, struct fetched *ret_file, struct sbx_error *err);
void fetched_deinit(struct fetched *file);

// Absolute path inside: "~" and relative ones count from the user's home. False when too long.
bool transfer_path(const struct place *box, const char *user, const char *path,
                   char ret_path[TRANSFER_PATH_MAX]);

// "-rw-r--r--" and the like; names of users as far as they are known without asking.
void transfer_mode(const struct sbx_file_info *info, char ret_text[11]);
const char *transfer_user(uint32_t id, char text[16]);
