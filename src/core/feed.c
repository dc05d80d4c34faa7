// SPDX-License-Identifier: Apache-2.0
// Input of commands, delivered beside the reading of output. Layer: core.
#include "core/feed.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/thread.h"

// What any pipe takes without a reader: PIPE_BUF, see pipe(7).
#define SMALL_INPUT 4096

struct feed {
    pthread_t thread;
    const struct provider *provider;
    void *process;
    struct sbx_cancel *stop;
    const void *data;
    size_t size;
    void *copy; // owned, or NULL
    int code;   // of the delivery, with its error
    struct sbx_error error;
};

// A command may end, or close its input, before it has read everything.
static bool unwanted(int code)
{
    return code == SBX_ERR_UNAVAILABLE || code == SBX_ERR_NOT_FOUND || code == SBX_ERR_CONFLICT;
}

// A command must not take a part of its input for the whole: if delivery fails it is killed.
static int deliver(const struct provider *provider, void *process, const void *data, size_t size,
                   const struct sbx_call *call, struct sbx_error *err)
{
    const struct sbx_provider_ops *ops = &provider->ops;
    int code = size ? ops->process_write(process, data, size, call, err) : 0;
    if (code == 0)
        code = ops->process_close_input(process, err);
    if (code == 0 || unwanted(code))
        return 0;
    client_done(provider, code, err);
    struct sbx_error ignored;
    if (code != SBX_ERR_CANCELLED && ops->process_signal)
        ops->process_signal(process, SIGKILL, &ignored);
    return code;
}

int feed_now(const struct provider *provider, void *process, const void *data, size_t size,
             const struct sbx_call *call, struct sbx_error *err)
{
    int code =
        client_need(provider, provider->ops.process_write && provider->ops.process_close_input,
                    SBX_CAP_STDIN, err);
    return code < 0 ? code : deliver(provider, process, data, size, call, err);
}

static void *run(void *argument)
{
    struct feed *feed = argument;
    struct sbx_call call = SBX_CALL_INIT;
    call.cancel = feed->stop;
    feed->code =
        deliver(feed->provider, feed->process, feed->data, feed->size, &call, &feed->error);
    return NULL;
}

static void feed_free(struct feed *feed)
{
    sbx_cancel_free(feed->stop);
    free(feed->copy);
    free(feed);
}

static void cleanup_feed_fn(struct feed **feed)
{
    if (*feed)
        feed_free(*feed);
}

static int start_thread(struct feed *feed, struct sbx_error *err)
{
    int failed = thread_start(&feed->thread, run, feed);
    return failed ? err_sys(err, 0, failed, "cannot start a thread for a command's input") : 0;
}

static int start(const struct provider *provider, void *process, const void *data, size_t size,
                 bool copy, struct feed **ret_feed, struct sbx_error *err)
{
    cleanup(cleanup_feed_fn) struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return err_nomem(err);
    feed->provider = provider;
    feed->process = process;
    feed->data = data;
    feed->size = size;
    if (copy) {
        feed->copy = malloc(size);
        if (!feed->copy)
            return err_nomem(err);
        feed->data = memcpy(feed->copy, data, size);
    }
    int code = sbx_cancel_new(&feed->stop, err);
    if (code == 0)
        code = start_thread(feed, err);
    if (code == 0)
        *ret_feed = steal_ptr(feed);
    return code;
}

int feed_start(const struct provider *provider, void *process, const void *data, size_t size,
               bool copy, const struct sbx_call *call, struct feed **ret_feed,
               struct sbx_error *err)
{
    *ret_feed = NULL;
    if (size <= SMALL_INPUT)
        return feed_now(provider, process, data, size, call, err);
    int code =
        client_need(provider, provider->ops.process_write && provider->ops.process_close_input,
                    SBX_CAP_STDIN, err);
    return code < 0 ? code : start(provider, process, data, size, copy, ret_feed, err);
}

int feed_stop(struct feed *feed, struct sbx_error *err)
{
    if (!feed)
        return 0;
    sbx_cancel_trigger(feed->stop);
    pthread_join(feed->thread, NULL);
    int code = feed->code == SBX_ERR_CANCELLED ? 0 : feed->code; // we cancelled it ourselves
    if (code < 0 && err)
        *err = feed->error;
    feed_free(feed);
    return code;
}
