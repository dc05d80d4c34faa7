// SPDX-License-Identifier: Apache-2.0
// sandboxes run --pool N: many commands, each in a fresh sandbox, N at a time. What they write is
// shown in the order of the commands, as soon as all before are done. Layer: cli.
#include "cli/run_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "cli/message.h"
#include "cli/run_program.h"
#include "cli/signals.h"
#include "cli/source.h"
#include "core/crew.h"

#define COMMANDS_MAX 100000

struct item {
    const char *line; // for the sandbox's shell
    struct sbx_result result;
    struct sbx_error err;
    bool done;
};

struct batch {
    struct run *run;
    struct sbx_pool *pool;
    struct item *items;
    size_t count;
    char *text;           // of standard input, when the commands come from there
    pthread_mutex_t lock; // guards shown and status, and each item's done
    size_t shown;
    int status; // of the first command that did not end with 0
};

// --- the commands

static int add_line(struct batch *batch, const char *line, struct sbx_error *err)
{
    if (batch->count == COMMANDS_MAX)
        return err_set(err, SBX_ERR_INVALID, "there are more than %d commands", COMMANDS_MAX);
    struct item *items = realloc(batch->items, (batch->count + 1) * sizeof(*items));
    if (!items)
        return err_nomem(err);
    batch->items = items;
    items[batch->count] = (struct item){.line = line};
    batch->count++;
    return 0;
}

// One command a line; empty lines are none.
static int read_lines(struct batch *batch, struct sbx_error *err)
{
    size_t size = 0;
    int code = source_read_fd(STDIN_FILENO, "standard input", SOURCE_MAX, &batch->text, &size, err);
    char *rest = NULL;
    for (char *line = code == 0 ? strtok_r(batch->text, "\n", &rest) : NULL; line && code == 0;
         line = strtok_r(NULL, "\n", &rest))
        code = add_line(batch, line, err);
    return code;
}

static int gather(struct batch *batch, const struct opt_operands *operands, struct sbx_error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < operands->count; i++)
        code = add_line(batch, operands->items[i], err);
    if (code == 0 && !operands->count)
        code = read_lines(batch, err);
    if (code == 0 && !batch->count) {
        err_set(err, SBX_ERR_INVALID, "--pool has no commands to run");
        code =
            err_hint(err, "give each command as one word, or one on each line of standard input");
    }
    return code;
}

// --- running them

static int exit_status(const struct item *item)
{
    return item->err.code ? cli_exit_status(&item->err) : item->result.outcome.exit_code;
}

static void show(struct batch *batch, struct item *item)
{
    fd_write_full(STDOUT_FILENO, item->result.out, item->result.out_size);
    fd_write_full(STDERR_FILENO, item->result.err, item->result.err_size);
    if (item->err.code && !(item->err.code == SBX_ERR_CANCELLED && signals_fatal()))
        message_error(item->err.message, item->err.remedy);
    if (batch->status == 0)
        batch->status = exit_status(item);
    sbx_result_deinit(&item->result);
}

static void finish(struct batch *batch, struct item *item)
{
    pthread_mutex_lock(&batch->lock);
    item->done = true;
    for (; batch->shown < batch->count && batch->items[batch->shown].done; batch->shown++)
        show(batch, &batch->items[batch->shown]);
    pthread_mutex_unlock(&batch->lock);
}

static int run_in(struct batch *batch, struct sbx_sandbox *sandbox, struct item *item)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_call call = run_call();
    exec.shell = item->line;
    exec.user = batch->run->values->spec.user;
    exec.env = batch->run->env.items;
    exec.env_count = batch->run->env.count;
    exec.timeout_ms = batch->run->limit_ms;
    return sbx_run(sandbox, &exec, &call, &item->result, &item->err);
}

static void run_one(void *context, size_t index)
{
    struct batch *batch = context;
    struct item *item = &batch->items[index];
    struct sbx_call call = run_call();
    struct sbx_sandbox *sandbox = NULL;
    int code = sbx_pool_acquire(batch->pool, NULL, &call, &sandbox, &item->err);
    if (code == 0)
        code = run_in(batch, sandbox, item);
    if (sandbox)
        sbx_pool_release(batch->pool, sandbox, 0, NULL);
    if (code == 0)
        err_clear(&item->err);
    finish(batch, item);
}

// One more than are used at a time: a fresh sandbox is there before the old one has ended.
static int open_pool(struct batch *batch, struct sbx_error *err)
{
    struct run *run = batch->run;
    struct sbx_pool_options options = SBX_POOL_OPTIONS_INIT;
    struct sbx_spec spec = run->spec.spec;
    int code = run_open_manager(run, err);
    if (code < 0)
        return code;
    spec.provider = NULL;
    options.spec = &spec;
    options.max_total = (uint32_t)run->values->pool + 1;
    options.flags = SBX_POOL_TRUST; // they are seconds old
    return sbx_pool_open(run->manager, &options, &batch->pool, err);
}

int run_pool(struct run *run, const struct opt_operands *operands, int *ret_status,
             struct sbx_error *err)
{
    struct batch batch = {.run = run};
    pthread_mutex_init(&batch.lock, NULL);
    int code = gather(&batch, operands, err);
    if (code == 0)
        code = open_pool(&batch, err);
    if (code == 0)
        crew_run(batch.count, (uint32_t)run->values->pool, run_one, &batch);
    signals_cleaning();
    sbx_pool_close(batch.pool);
    *ret_status = batch.status;
    pthread_mutex_destroy(&batch.lock);
    free(batch.items);
    free(batch.text);
    return code;
}
