// SPDX-License-Identifier: Apache-2.0
// Files of a sandbox: checks and dispatch. Layer: core.
#include <sandboxes/files.h>

#include <stdlib.h>

#include "base/cleanup.h"
#include "core/check.h"
#include "core/client.h"
#include "core/sandbox.h"

#define DEFAULT_READ_LIMIT (1024ull * 1024 * 1024)

void sbx_free(void *memory)
{
    free(memory);
}

struct arguments {
    const struct provider *provider;
    struct sbx_file_options options;
    struct sbx_call call;
};

// Whether the sandbox's provider has this operation; a sandbox that is NULL is told by begin().
#define HAS(sandbox, member) (!(sandbox) || (sandbox)->provider->ops.member)

// What all file calls begin with.
static int begin(struct sbx_sandbox *sandbox, bool has, const char *path,
                 const struct sbx_file_options *options, const struct sbx_call *call,
                 struct arguments *ret_arguments, struct sbx_error *err)
{
    int code = check_not_null(sandbox, "sandbox", err);
    if (code == 0)
        code = check_path(path, "path", err);
    if (code == 0)
        code = check_file_options(options, &ret_arguments->options, err);
    if (code == 0)
        code = check_call(call, &ret_arguments->call, err);
    if (code == 0)
        code = client_need(sandbox->provider, has, SBX_CAP_FILES, err);
    if (code == 0)
        code = client_need(sandbox->provider,
                           !ret_arguments->options.user ||
                               (sandbox->provider->ops.capabilities & SBX_CAP_USERS),
                           SBX_CAP_USERS, err);
    if (code == 0)
        ret_arguments->provider = sandbox->provider;
    return code;
}

int sbx_file_write(struct sbx_sandbox *sandbox, const char *path, const void *data, size_t size,
                   const struct sbx_file_options *options, const struct sbx_call *call,
                   struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_write), path, options, call, &a, err);
    if (code == 0 && size)
        code = check_not_null(data, "data", err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_FILE_WRITE, &a.call, err,
            a.provider->ops.file_write(sandbox->box, path, size ? data : "", size, &a.options,
                                       &a.call, err));
    return client_done(a.provider, code, err);
}

int sbx_file_read(struct sbx_sandbox *sandbox, const char *path,
                  const struct sbx_file_options *options, const struct sbx_call *call,
                  char **ret_data, size_t *ret_size, struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_read), path, options, call, &a, err);
    if (code == 0)
        code = check_not_null(ret_data, "ret_data", err);
    if (code < 0)
        return code;
    if (a.options.limit == 0)
        a.options.limit = DEFAULT_READ_LIMIT;
    char *data = NULL;
    size_t size = 0;
    guarded(code, sandbox->guard, OPERATION_FILE_READ, &a.call, err,
            a.provider->ops.file_read(sandbox->box, path, &a.options, &a.call, &data, &size, err));
    if (code < 0)
        return client_done(a.provider, code, err);
    *ret_data = data;
    if (ret_size)
        *ret_size = size;
    return 0;
}

int sbx_file_upload(struct sbx_sandbox *sandbox, const char *local_path, const char *path,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_upload), path, options, call, &a, err);
    if (code == 0)
        code = check_path(local_path, "local_path", err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_FILE_UPLOAD, &a.call, err,
            a.provider->ops.file_upload(sandbox->box, local_path, path, &a.options, &a.call, err));
    return client_done(a.provider, code, err);
}

int sbx_file_download(struct sbx_sandbox *sandbox, const char *path, const char *local_path,
                      const struct sbx_file_options *options, const struct sbx_call *call,
                      struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_download), path, options, call, &a, err);
    if (code == 0)
        code = check_path(local_path, "local_path", err);
    if (code < 0)
        return code;
    guarded(
        code, sandbox->guard, OPERATION_FILE_DOWNLOAD, &a.call, err,
        a.provider->ops.file_download(sandbox->box, path, local_path, &a.options, &a.call, err));
    return client_done(a.provider, code, err);
}

struct list_owner {
    const struct provider *provider;
    struct sbx_file_list list;
};

typedef int (*list_fn)(void *box, const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, struct sbx_file_list *ret_list,
                       struct sbx_error *err);

static int give_list(struct sbx_sandbox *sandbox, enum operation operation, list_fn op,
                     const char *path, struct arguments *a, struct sbx_file_list *ret_list,
                     struct sbx_error *err)
{
    int code = check_not_null(ret_list, "ret_list", err);
    if (code < 0)
        return code;
    cleanup_free struct list_owner *owner = calloc(1, sizeof(*owner));
    if (!owner)
        return err_nomem(err);
    owner->provider = a->provider;
    guarded(code, sandbox->guard, operation, &a->call, err,
            op(sandbox->box, path, &a->options, &a->call, &owner->list, err));
    if (code < 0)
        return client_done(a->provider, code, err);
    *ret_list = (struct sbx_file_list){.count = owner->list.count, .items = owner->list.items};
    ret_list->owner = steal_ptr(owner);
    return 0;
}

int sbx_file_stat(struct sbx_sandbox *sandbox, const char *path,
                  const struct sbx_file_options *options, const struct sbx_call *call,
                  struct sbx_file_list *ret_one, struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_stat), path, options, call, &a, err);
    return code < 0 ? code
                    : give_list(sandbox, OPERATION_FILE_STAT, a.provider->ops.file_stat, path, &a,
                                ret_one, err);
}

int sbx_file_list(struct sbx_sandbox *sandbox, const char *path,
                  const struct sbx_file_options *options, const struct sbx_call *call,
                  struct sbx_file_list *ret_list, struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_list), path, options, call, &a, err);
    return code < 0 ? code
                    : give_list(sandbox, OPERATION_FILE_LIST, a.provider->ops.file_list, path, &a,
                                ret_list, err);
}

void sbx_file_list_free(struct sbx_file_list *list)
{
    if (!list || !list->owner)
        return;
    struct list_owner *owner = list->owner;
    owner->provider->ops.file_list_free(&owner->list);
    free(owner);
    *list = (struct sbx_file_list){0};
}

int sbx_file_mkdir(struct sbx_sandbox *sandbox, const char *path,
                   const struct sbx_file_options *options, const struct sbx_call *call,
                   struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_mkdir), path, options, call, &a, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_FILE_MKDIR, &a.call, err,
            a.provider->ops.file_mkdir(sandbox->box, path, &a.options, &a.call, err));
    return client_done(a.provider, code, err);
}

int sbx_file_remove(struct sbx_sandbox *sandbox, const char *path,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_remove), path, options, call, &a, err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_FILE_REMOVE, &a.call, err,
            a.provider->ops.file_remove(sandbox->box, path, &a.options, &a.call, err));
    return client_done(a.provider, code, err);
}

int sbx_file_rename(struct sbx_sandbox *sandbox, const char *from, const char *to,
                    const struct sbx_file_options *options, const struct sbx_call *call,
                    struct sbx_error *err)
{
    need_error(err);
    struct arguments a;
    int code = begin(sandbox, HAS(sandbox, file_rename), from, options, call, &a, err);
    if (code == 0)
        code = check_path(to, "to", err);
    if (code < 0)
        return code;
    guarded(code, sandbox->guard, OPERATION_FILE_RENAME, &a.call, err,
            a.provider->ops.file_rename(sandbox->box, from, to, &a.options, &a.call, err));
    return client_done(a.provider, code, err);
}
