// SPDX-License-Identifier: Apache-2.0
// The provider `local`: snapshots and forks. Layer: provider.
#include "engine/snapshot.h"
#include "provider/local/handle.h"

static int done(const struct local_box *handle, int code, struct sbx_error *err)
{
    return code < 0 ? (err_wrap(err, "sandbox %s", handle->box->id), code) : 0;
}

int local_snapshot(void *box, const char *name, const struct sbx_call *call, struct sbx_error *err)
{
    struct local_box *handle = box;
    int code = local_look(handle, NULL, err);
    if (code < 0)
        return code;
    code = snapshot_keep(handle->box->dir_fd, &handle->record, name, deadline_from_call(call), err);
    return done(handle, code, err);
}

int local_snapshot_remove(void *provider, const char *name, const struct sbx_call *call,
                          struct sbx_error *err)
{
    return snapshot_remove(name, err);
}

int local_fork(void *box, const struct sbx_fork *fork, const struct sbx_call *call, void **ret_box,
               struct sbx_error *err)
{
    struct local_box *handle = box, *made = NULL;
    struct deadline deadline = deadline_from_call(call);
    cleanup_record struct record now = {0}; // the rules of its network may have changed
    cleanup_boxspec struct boxspec spec = {0};
    int code = local_look(handle, NULL, err);
    if (code == 0)
        code = local_find_programs(handle->local, err);
    if (code == 0 && record_read(handle->box->dir_fd, handle->box->id, &now) != RECORD_OK)
        code = local_gone(handle, err);
    if (code < 0)
        return code;
    code = snapshot_fork(handle->box->dir_fd, &now, fork, deadline, &spec, err);
    if (code < 0)
        return done(handle, code, err);
    code = local_launch(handle->local, &spec, NULL, deadline, &made, err);
    if (code == 0)
        *ret_box = made;
    return code;
}
