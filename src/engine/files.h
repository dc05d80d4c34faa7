// SPDX-License-Identifier: Apache-2.0
/*
 * Files of a local sandbox, through its agent: never by this machine's paths into it, so that links
 * inside lead nowhere here. Shapes and errors are those of sandboxes/files.h. Layer: engine.
 */
#pragma once

#include <sandboxes/files.h>

#include "engine/box.h"

int files_write(struct box *box, const char *path, const void *data, size_t size,
                const struct sbx_file_options *options, struct deadline deadline,
                struct sbx_error *err);
int files_read(struct box *box, const char *path, const struct sbx_file_options *options,
               struct deadline deadline, char **ret_data, size_t *ret_size, struct sbx_error *err);
int files_stat(struct box *box, const char *path, const struct sbx_file_options *options,
               struct deadline deadline, struct sbx_file_list *ret_one, struct sbx_error *err);
int files_list(struct box *box, const char *path, const struct sbx_file_options *options,
               struct deadline deadline, struct sbx_file_list *ret_list, struct sbx_error *err);
void files_list_free(struct sbx_file_list *list);
int files_mkdir(struct box *box, const char *path, const struct sbx_file_options *options,
                struct deadline deadline, struct sbx_error *err);
int files_remove(struct box *box, const char *path, const struct sbx_file_options *options,
                 struct deadline deadline, struct sbx_error *err);
int files_rename(struct box *box, const char *from, const char *to,
                 const struct sbx_file_options *options, struct deadline deadline,
                 struct sbx_error *err);

// Files and trees of this machine into the sandbox, and out of it: upload.c, download.c.
int files_upload(struct box *box, const char *local_path, const char *path,
                 const struct sbx_file_options *options, struct deadline deadline,
                 struct sbx_error *err);
int files_download(struct box *box, const char *path, const char *local_path,
                   const struct sbx_file_options *options, struct deadline deadline,
                   struct sbx_error *err);

// Changes in a directory: filewatch.c.
struct filewatch;
int filewatch_start(struct box *box, const char *path, const struct sbx_file_options *options,
                    struct deadline deadline, struct filewatch **ret_watch, struct sbx_error *err);
int filewatch_next(struct filewatch *watch, struct deadline deadline, struct sbx_change *ret_change,
                   struct sbx_error *err);
void filewatch_free(struct filewatch *watch);
