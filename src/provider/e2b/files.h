// SPDX-License-Identifier: Apache-2.0
// What the files about files of E2B share. Layer: provider.
#pragma once

#include "provider/e2b/e2b.h"

// envd's refusals in our words.
int e2b_files_meaning(int code, const char *user, struct sbx_error *err);

int e2b_files_stat(struct e2b_box *box, const char *user, const char *path,
                   struct deadline deadline, struct jsonv **ret_answer,
                   struct sbx_file_info *ret_info, struct sbx_error *err);
int e2b_files_list(struct e2b_box *box, const char *user, const char *path,
                   struct deadline deadline, struct sbx_file_list *ret_list, struct sbx_error *err);
// By a command, since envd can't.
int e2b_files_chmod(struct e2b_box *box, const char *user, const char *path, uint32_t mode,
                    struct deadline deadline, struct sbx_error *err);

// The contents of a file: an archive of a tree of this machine, from memory or, with fd, `size`
// bytes of that; with a mode, made with it before the first byte comes.
struct e2b_contents {
    const char *tree;
    const void *data;
    int fd; // used when both are NULL
    uint64_t size;
    uint32_t mode;
};
int e2b_files_put(struct e2b_box *box, const char *user, const char *path,
                  const struct e2b_contents *contents, struct deadline deadline,
                  struct sbx_error *err);
// The answer to a request for a file; it has begun well.
int e2b_files_get(struct e2b_box *box, const char *user, const char *path, struct deadline deadline,
                  struct http_stream **ret_stream, struct sbx_error *err);
