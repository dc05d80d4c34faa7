// SPDX-License-Identifier: Apache-2.0
// A living sandbox as this process holds it. Layer: engine.
#include "engine/box.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "engine/monitor_client.h"
#include "engine/record.h"

#define LOOK_FIRST_MS 300 // silence after which the reason is looked for
#define LOOK_MOST_MS 5000
#define LOOK_ANSWER_MS 1000
#define OOM_ANSWER_MS 500

struct box *box_new(const char *id, int dir_fd)
{
    struct box *box = calloc(1, sizeof(*box));
    if (!box) {
        close(dir_fd);
        return NULL;
    }
    box->references = 1;
    box->dir_fd = dir_fd;
    box->oom_kills = -1;
    box->quick = true;
    snprintf(box->id, sizeof(box->id), "%s", id);
    conn_pool_init(&box->pool);
    return box;
}

struct box *box_hold(struct box *box)
{
    atomic_fetch_add(&box->references, 1);
    return box;
}

void box_release(struct box *box)
{
    if (!box || atomic_fetch_sub(&box->references, 1) > 1)
        return;
    conn_pool_deinit(&box->pool);
    close(box->dir_fd);
    free(box);
}

bool box_is_paused(const struct box *box)
{
    struct monitor_state state;
    return record_state(box->dir_fd, &state) && state.state == SBX_STATE_PAUSED;
}

static int refuse_paused(const struct box *box, struct sbx_error *err)
{
    err_set(err, SBX_ERR_CONFLICT, "sandbox %s is paused", box->id);
    err_hint(err, "resume it first, by sbx_sandbox_resume() or as its provider does");
    return SBX_ERR_CONFLICT;
}

static int no_answer(const struct box *box, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_UNAVAILABLE, "the agent of sandbox %s does not answer", box->id);
}

int box_unanswered(const struct box *box, int64_t limit_ms, struct sbx_error *err)
{
    if (box_is_paused(box))
        return refuse_paused(box, err);
    return clock_boot_ms() < limit_ms ? 0 : no_answer(box, err);
}

struct box_patience box_patience_begin(void)
{
    return (struct box_patience){LOOK_FIRST_MS, clock_boot_ms() + LOOK_FIRST_MS};
}

struct deadline box_patience_end(const struct box_patience *patience, struct deadline deadline)
{
    return deadline_min(deadline, patience->next_ms);
}

// Whatever else keeps the monitor from answering says nothing about the agent.
int box_patience_look(struct box *box, struct box_patience *patience, struct deadline deadline,
                      struct sbx_error *err)
{
    struct sbx_error why;
    int64_t now = clock_boot_ms();
    if (monitor_look(box->dir_fd, deadline_min(deadline, now + LOOK_ANSWER_MS), &why) ==
        SBX_ERR_UNAVAILABLE) {
        if (err)
            *err = why;
        return SBX_ERR_UNAVAILABLE;
    }
    patience->step_ms = patience->step_ms * 2 < LOOK_MOST_MS ? patience->step_ms * 2 : LOOK_MOST_MS;
    patience->next_ms = now + patience->step_ms;
    return 0;
}

// Most answers come at once, and only then is it worth asking why not.
static int wait_patiently(struct box *box, int fd, short events, struct deadline deadline,
                          short *ret_revents, struct sbx_error *err)
{
    struct box_patience patience = box_patience_begin();
    for (;;) {
        struct deadline step = box_patience_end(&patience, deadline);
        int code = deadline_wait(step, fd, events, ret_revents, err);
        if (code != SBX_ERR_TIMEOUT || step.at_ms >= deadline.at_ms)
            return code;
        if (box_is_paused(box))
            return refuse_paused(box, err);
        code = box_patience_look(box, &patience, deadline, err);
        if (code < 0)
            return err_wrap(err, "sandbox %s", box->id), code;
    }
}

int box_await(struct box *box, int fd, short events, int64_t limit_ms, struct deadline deadline,
              short *ret_revents, struct sbx_error *err)
{
    struct deadline late =
        limit_ms > 0 ? deadline_min(deadline, clock_boot_ms() + limit_ms) : deadline;
    int code = wait_patiently(box, fd, events, late, ret_revents, err);
    return code == SBX_ERR_TIMEOUT && late.at_ms < deadline.at_ms ? no_answer(box, err) : code;
}

int box_receive(struct box *box, struct conn *conn, int64_t limit_ms, struct deadline deadline,
                struct frame *ret_frame, struct sbx_error *err)
{
    bool buffered = conn->in.buffer.size > conn->in.consumed;
    int code = buffered ? 0 : box_await(box, conn->fd, POLLIN, limit_ms, deadline, NULL, err);
    if (code == 0)
        code = conn_receive(conn, deadline, ret_frame, err);
    if (code == 0 && ret_frame->type == AGENT_FAILED)
        code = agent_failed_get(ret_frame->payload, ret_frame->size, err);
    return code;
}

int box_connect(struct box *box, struct deadline deadline, struct conn *ret_conn,
                struct sbx_error *err)
{
    int code = conn_pool_take(&box->pool, box->dir_fd, deadline, ret_conn, err);
    return code < 0 ? (err_wrap(err, "sandbox %s", box->id), code) : 0;
}

void box_return(struct box *box, struct conn *conn)
{
    conn_pool_give(&box->pool, conn);
}

int box_usage(struct box *box, struct deadline deadline, struct agent_usage *ret_usage,
              struct sbx_error *err)
{
    cleanup_conn struct conn conn = CONN_NONE;
    struct frame frame;
    int code = box_connect(box, deadline, &conn, err);
    if (code == 0)
        code = frame_send(conn.fd, AGENT_USAGE, NULL, 0, NULL, 0, deadline, err);
    if (code == 0)
        code = box_receive(box, &conn, BOX_ANSWER_MS, deadline, &frame, err);
    if (code < 0)
        return code;
    if (frame.type != AGENT_USED || agent_usage_get(frame.payload, frame.size, ret_usage) < 0)
        return conn_nonsense(err);
    box_return(box, &conn);
    return 0;
}

static long long count_oom(struct box *box, struct deadline deadline)
{
    struct monitor_metrics metrics;
    struct sbx_error ignored;
    deadline = deadline_min(deadline, clock_boot_ms() + OOM_ANSWER_MS);
    if (monitor_measure(box->dir_fd, deadline, &metrics, &ignored) < 0)
        return -1;
    return metrics.oom_kills;
}

void box_mark_oom(struct box *box, struct deadline deadline)
{
    if (atomic_load(&box->oom_kills) < 0)
        atomic_store(&box->oom_kills, count_oom(box, deadline));
}

bool box_had_oom(struct box *box, struct deadline deadline)
{
    long long count = count_oom(box, deadline);
    if (count < 0)
        return false;
    long long before = atomic_exchange(&box->oom_kills, count);
    return before >= 0 && count > before;
}
