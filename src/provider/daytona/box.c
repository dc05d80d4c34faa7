// SPDX-License-Identifier: Apache-2.0
// What is held of a sandbox of Daytona. Layer: provider.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "provider/daytona/daytona.h"

#define LEAVE_MS 10000

static int fill(struct daytona_box *box, const struct jsonv *object, struct sbx_error *err)
{
    const char *url = jsonv_text(object, "toolboxProxyUrl");
    const char *workdir = jsonv_text(jsonv_get(object, "labels"), OWN_WORKDIR);
    // The key goes where this says: not to anything but a server.
    if (!url || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return err_set(err, SBX_ERR_PROTOCOL, "the service named no address of the sandbox");
    cleanup_free char *base = cloud_without_slash(url);
    box->id = strdup(jsonv_text(object, "id"));
    box->workdir = workdir ? strdup(workdir) : NULL;
    box->programs = !box->daytona->plain && jsonv_bool(object, "runsPrograms", false);
    if (!base || !box->id || (workdir && !box->workdir) ||
        asprintf(&box->base, "%s/%s", base, box->id) < 0) {
        box->base = NULL;
        return err_nomem(err);
    }
    return 0;
}

int daytona_box_new(struct daytona *daytona, const struct jsonv *object,
                    struct daytona_box **ret_box, struct sbx_error *err)
{
    if (!cloud_is_name(jsonv_text(object, "id")))
        return err_set(err, SBX_ERR_PROTOCOL, "the service named no id of the sandbox");
    struct daytona_box *box = calloc(1, sizeof(*box));
    if (!box)
        return err_nomem(err);
    box->daytona = daytona;
    box->refs = 1;
    pthread_mutex_init(&box->lock, NULL);
    int code = fill(box, object, err);
    if (code < 0)
        daytona_box_unref(box);
    else
        *ret_box = box;
    return code;
}

void daytona_box_leave(struct daytona_box *box, struct http_stream *request)
{
    struct deadline deadline = deadline_in(LEAVE_MS);
    struct sbx_error ignored;
    char body[256];
    size_t size;
    int status;
    pthread_mutex_lock(&box->lock);
    cleanup_stream struct http_stream *before = box->leaving;
    box->leaving = request;
    pthread_mutex_unlock(&box->lock);
    if (before && http_wait(before, deadline, &status, &ignored) == 0)
        http_read(before, body, sizeof(body), deadline, &size, &ignored); // keeps the connection
}

void daytona_box_ref(struct daytona_box *box)
{
    pthread_mutex_lock(&box->lock);
    box->refs++;
    pthread_mutex_unlock(&box->lock);
}

void daytona_box_unref(void *self)
{
    struct daytona_box *box = self;
    pthread_mutex_lock(&box->lock);
    bool last = --box->refs == 0;
    pthread_mutex_unlock(&box->lock);
    if (!last)
        return;
    daytona_box_leave(box, NULL);
    cloud_record_deinit(&box->record);
    pthread_mutex_destroy(&box->lock);
    free(box->id);
    free(box->base);
    free(box->workdir);
    free(box);
}

const char *daytona_box_id(void *box)
{
    return ((struct daytona_box *)box)->id;
}
