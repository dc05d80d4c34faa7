// SPDX-License-Identifier: Apache-2.0
// The provider `local`: files. Layer: provider.
#include "provider/local/handle.h"

static struct box *box_of(void *handle)
{
    return ((struct local_box *)handle)->box;
}

int local_file_write(void *box, const char *path, const void *data, size_t size,
                     const struct sbx_file_options *options, const struct sbx_call *call,
                     struct sbx_error *err)
{
    return files_write(box_of(box), path, data, size, options, deadline_from_call(call), err);
}

int local_file_read(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, char **ret_data, size_t *ret_size,
                    struct sbx_error *err)
{
    return files_read(box_of(box), path, options, deadline_from_call(call), ret_data, ret_size,
                      err);
}

int local_file_upload(void *box, const char *local_path, const char *path,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err)
{
    return files_upload(box_of(box), local_path, path, options, deadline_from_call(call), err);
}

int local_file_download(void *box, const char *path, const char *local_path,
                        const struct sbx_file_options *options, const struct sbx_call *call,
                        struct sbx_error *err)
{
    return files_download(box_of(box), path, local_path, options, deadline_from_call(call), err);
}

int local_file_stat(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_file_list *ret_one,
                    struct sbx_error *err)
{
    return files_stat(box_of(box), path, options, deadline_from_call(call), ret_one, err);
}

int local_file_list(void *box, const char *path, const struct sbx_file_options *options,
                    const struct sbx_call *call, struct sbx_file_list *ret_list,
                    struct sbx_error *err)
{
    return files_list(box_of(box), path, options, deadline_from_call(call), ret_list, err);
}

int local_file_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, struct sbx_error *err)
{
    return files_mkdir(box_of(box), path, options, deadline_from_call(call), err);
}

int local_file_remove(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_error *err)
{
    return files_remove(box_of(box), path, options, deadline_from_call(call), err);
}

int local_file_rename(void *box, const char *from, const char *to,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err)
{
    return files_rename(box_of(box), from, to, options, deadline_from_call(call), err);
}

int local_watch_start(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, void **ret_watch, struct sbx_error *err)
{
    struct filewatch *watch;
    int code = filewatch_start(box_of(box), path, options, deadline_from_call(call), &watch, err);
    if (code == 0)
        *ret_watch = watch;
    return code;
}

int local_watch_next(void *watch, const struct sbx_call *call, struct sbx_change *ret_change,
                     struct sbx_error *err)
{
    return filewatch_next(watch, deadline_from_call(call), ret_change, err);
}

void local_watch_free(void *watch)
{
    filewatch_free(watch);
}
