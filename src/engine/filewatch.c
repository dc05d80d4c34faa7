// SPDX-License-Identifier: Apache-2.0
// Changes in a directory of a local sandbox, as they happen. Layer: engine.
#include "engine/files.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/filelink.h"

struct filewatch {
    struct filelink link;
};

int filewatch_start(struct box *box, const char *path, const struct sbx_file_options *options,
                    struct deadline deadline, struct filewatch **ret_watch, struct sbx_error *err)
{
    cleanup_buf struct buf request = BUF_INIT(4 * FILES_PATH_MAX);
    cleanup_filelink struct filelink link = FILELINK_NONE;
    wire_put_text(&request, path);
    wire_put_u32(&request, options->recursive);
    int code = filelink_open(box, options->user, deadline, &link, err);
    if (code == 0)
        code = filelink_put(&link, FILES_WATCH, &request, err);
    if (code == 0)
        code = filelink_flush(&link, err);
    if (code == 0)
        code = filelink_done(&link, err);
    struct filewatch *watch = code == 0 ? malloc(sizeof(*watch)) : NULL;
    if (!watch)
        return code < 0 ? code : err_nomem(err);
    watch->link = link;
    link = (struct filelink)FILELINK_NONE;
    *ret_watch = watch;
    return 0;
}

int filewatch_next(struct filewatch *watch, struct deadline deadline, struct sbx_change *ret_change,
                   struct sbx_error *err)
{
    struct frame frame;
    watch->link.deadline = deadline;
    int code = filelink_next(&watch->link, &frame, err);
    if (code < 0)
        return code;
    struct wire_reader in = wire_reader(frame.payload, frame.size);
    struct sbx_change change = {.kind = wire_u32(&in), .name = wire_text(&in)};
    if (frame.type != FILES_CHANGE || !wire_end(&in) || change.kind < SBX_CHANGE_CREATE ||
        change.kind > SBX_CHANGE_MODE || !change.name[0] || !files_path_safe(change.name))
        return conn_nonsense(err);
    *ret_change = change;
    return 0;
}

void filewatch_free(struct filewatch *watch)
{
    filelink_close(&watch->link);
    free(watch);
}
