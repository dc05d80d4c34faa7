// SPDX-License-Identifier: Apache-2.0
// Commands of the provider "fake": their life, signals and pipes. Layer: provider.
#include "provider/fake/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"

static void notify(struct fake_process *process)
{
    pthread_cond_broadcast(&process->changed);
    for (struct waiter *waiter = process->waiters; waiter; waiter = waiter->next) {
        ssize_t written = write(waiter->wake_fd, "", 1);
        (void)written; // full: it will wake up anyway
    }
}

void fake_process_notify_all(struct fake_box *box)
{
    for (struct fake_process *process = box->processes; process; process = process->next)
        notify(process);
}

// Lets go of the lock until something of the command changes. For callers, which have a cancel
// token.
static int wait_change(struct fake_process *process, struct deadline deadline,
                       struct sbx_error *err)
{
    int ends[2];
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe to wait for a command");
    fd_set_nonblock(ends[1], true);
    struct waiter waiter = {.next = process->waiters, .wake_fd = ends[1]};
    process->waiters = &waiter;
    fake_unlock(process->box->provider);
    int code = deadline_wait(deadline, ends[0], POLLIN, NULL, err);
    fake_lock(process->box->provider);
    struct waiter **at = &process->waiters;
    while (*at != &waiter)
        at = &(*at)->next;
    *at = waiter.next;
    close(ends[0]);
    close(ends[1]);
    return code;
}

// The command's own thread waits until at_ms, its end, or a change.
static void wait_until(struct fake_process *process, int64_t at_ms)
{
    int64_t until = at_ms < process->timeout_at ? at_ms : process->timeout_at;
    if (process->box->expires_at < until)
        until = process->box->expires_at;
    if (until == DEADLINE_NEVER) {
        pthread_cond_wait(&process->changed, &process->box->provider->lock);
        return;
    }
    int64_t left = until - clock_boot_ms();
    if (left <= 0)
        return;
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += left / 1000;
    at.tv_nsec += left % 1000 * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&process->changed, &process->box->provider->lock, &at);
}

static void check_time(struct fake_process *process)
{
    int64_t now = clock_boot_ms();
    if (process->signal)
        return;
    if (process->timeout_at <= now)
        process->outcome.flags |= SBX_OUTCOME_TIMED_OUT;
    if (process->timeout_at <= now || process->box->expires_at <= now)
        process->signal = SIGKILL;
}

bool fake_process_alive(struct fake_process *process)
{
    check_time(process);
    while (process->stopped && !process->signal) {
        wait_until(process, DEADLINE_NEVER);
        check_time(process);
    }
    return !process->signal;
}

bool fake_process_sleep(struct fake_process *process, int64_t ms)
{
    int64_t until = clock_boot_ms() + ms;
    while (fake_process_alive(process) && clock_boot_ms() < until)
        wait_until(process, until);
    return fake_process_alive(process);
}

static bool background(const struct fake_process *process)
{
    return process->flags & SBX_EXEC_BACKGROUND;
}

static void drop_head(struct fake_process *process)
{
    struct chunk *chunk = process->head;
    process->head = chunk->next;
    if (!process->head)
        process->tail = NULL;
    process->output_size -= chunk->size;
}

static bool push(struct fake_process *process, uint32_t stream, const void *data, size_t size)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + size);
    if (!chunk)
        return false;
    *chunk = (struct chunk){.number = ++process->last_number, .stream = stream, .size = size};
    memcpy(chunk->data, data, size);
    if (process->tail)
        process->tail->next = chunk;
    else
        process->head = chunk;
    process->tail = chunk;
    process->output_size += size;
    while (background(process) && process->output_size > PROCESS_LOG_MAX) {
        chunk = process->head;
        drop_head(process);
        free(chunk);
    }
    notify(process);
    return true;
}

// A terminal moves to the next line in two steps.
static bool push_terminal(struct fake_process *process, const char *data, size_t size)
{
    char *text = malloc(2 * size);
    size_t length = 0;
    for (size_t i = 0; text && i < size; i++) {
        if (data[i] == '\n')
            text[length++] = '\r';
        text[length++] = data[i];
    }
    bool done = text && push(process, SBX_STDOUT, text, length);
    free(text);
    return done;
}

bool fake_process_emit(struct fake_process *process, uint32_t stream, const void *data, size_t size)
{
    const char *at = data;
    if (process->flags & SBX_EXEC_MERGE)
        stream = SBX_STDOUT;
    while (size > 0) {
        size_t part = size < PROCESS_QUEUE_MAX / 2 ? size : PROCESS_QUEUE_MAX / 2;
        while (fake_process_alive(process) && !background(process) &&
               process->output_size >= PROCESS_QUEUE_MAX)
            wait_until(process, DEADLINE_NEVER);
        if (!fake_process_alive(process))
            return false;
        bool done = process->flags & SBX_EXEC_PTY ? push_terminal(process, at, part)
                                                  : push(process, stream, at, part);
        if (!done)
            return false;
        at += part;
        size -= part;
    }
    return fake_process_alive(process);
}

bool fake_process_take_input(struct fake_process *process, char *data, size_t size,
                             size_t *ret_size)
{
    while (fake_process_alive(process) && process->input_size == 0 && process->input_open &&
           !process->line_end)
        wait_until(process, DEADLINE_NEVER);
    if (!fake_process_alive(process))
        return false;
    size_t part = size < process->input_size ? size : process->input_size;
    if (part == 0)
        process->line_end = false;
    else
        memcpy(data, process->input, part);
    process->input_size -= part;
    memmove(process->input, process->input + part, process->input_size);
    notify(process);
    *ret_size = part;
    return true;
}

// The default actions of signal(7); nothing here can catch one.
static void deliver(struct fake_process *process, int signal)
{
    static const int ignored[] = {SIGCHLD, SIGURG, SIGWINCH};
    static const int stopping[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
        if (signal == ignored[i])
            return;
    if (signal == SIGCONT)
        process->stopped = false;
    else if (signal == stopping[0] || signal == stopping[1] || signal == stopping[2] ||
             signal == stopping[3])
        process->stopped = true;
    else if (!process->signal)
        process->signal = signal;
    notify(process);
}

bool fake_process_kill(struct fake_box *box, uint32_t pid, int signal)
{
    for (struct fake_process *process = box->processes; process; process = process->next) {
        if (process->pid != pid || process->ended)
            continue;
        if (signal)
            deliver(process, signal);
        return true;
    }
    return false;
}

static void free_process(struct fake_process *process)
{
    while (process->head) {
        struct chunk *chunk = process->head;
        drop_head(process);
        free(chunk);
    }
    for (size_t i = 0; process->argv && i < process->argc; i++)
        free(process->argv[i]);
    for (size_t i = 0; process->env && process->env[i]; i++)
        free(process->env[i]);
    free(process->argv);
    free(process->env);
    free(process->cwd);
    free(process->input);
    pthread_cond_destroy(&process->changed);
    fake_box_unref(process->box);
    free(process);
}

static void unref(struct fake_process *process)
{
    if (--process->refs == 0)
        free_process(process);
}

// Lets go of the lock while the thread ends.
static void join(struct fake_process *process)
{
    struct fake_provider *provider = process->box->provider;
    while (process->joining && !process->joined)
        pthread_cond_wait(&provider->idle, &provider->lock);
    if (process->joined)
        return;
    process->joining = true;
    fake_unlock(provider);
    pthread_join(process->thread, NULL);
    fake_lock(provider);
    process->joined = true;
    pthread_cond_broadcast(&provider->idle);
}

static void leave_list(struct fake_process *process)
{
    for (struct fake_process **at = &process->box->processes; *at; at = &(*at)->next)
        if (*at == process) {
            *at = process->next;
            unref(process);
            return;
        }
}

// Kills and forgets a command. The caller holds a reference.
static void end(struct fake_process *process)
{
    if (!process->ended)
        process->signal = SIGKILL;
    notify(process);
    join(process);
    leave_list(process);
}

void fake_process_end_all(struct fake_box *box)
{
    while (box->processes) {
        struct fake_process *process = box->processes;
        process->refs++;
        end(process);
        unref(process);
    }
}

uint32_t fake_process_count(const struct fake_box *box, bool running)
{
    uint32_t count = 0;
    for (const struct fake_process *process = box->processes; process; process = process->next)
        count += !running || !process->ended;
    return count;
}

static void finish(struct fake_process *process, int exit_code)
{
    struct timespec cpu = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    process->box->cpu_usec += (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000 + 1;
    struct sbx_outcome *outcome = &process->outcome;
    outcome->exit_code = exit_code;
    if (process->signal) {
        outcome->signal = process->signal;
        outcome->exit_code = 128 + process->signal;
    }
    if (outcome->flags & SBX_OUTCOME_TIMED_OUT)
        outcome->exit_code = 124;
    outcome->duration_us = (uint64_t)(clock_boot_ns() - process->started_ns) / 1000;
    process->ended = true;
    notify(process);
}

static void *run(void *argument)
{
    struct fake_process *process = argument;
    fake_lock(process->box->provider);
    finish(process, fake_shell_main(process));
    fake_unlock(process->box->provider);
    return NULL;
}

static int start_thread(struct fake_process *process, struct sbx_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&process->thread, NULL, run, process);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? err_sys(err, 0, failed, "cannot start a thread for a command") : 0;
}

// Sets NAME=value, in place of an earlier one.
static bool set_env(struct fake_process *process, const char *name, const char *value)
{
    size_t length = strlen(name), i = 0;
    char *entry = malloc(length + strlen(value) + 2);
    if (!entry)
        return false;
    stpcpy(stpcpy(stpcpy(entry, name), "="), value);
    while (process->env[i] && strncmp(process->env[i], entry, length + 1) != 0)
        i++;
    free(process->env[i]);
    process->env[i] = entry;
    return true;
}

static int fill_env(struct fake_process *process, const struct sbx_exec *exec,
                    struct sbx_error *err)
{
    const struct fake_box *box = process->box;
    size_t first = exec->flags & SBX_EXEC_CLEAN_ENV ? 2 : 0;
    const char *user = fake_user_name(process->uid), *home = fake_user_home(process->uid);
    const struct sbx_pair base[] = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin"}, {"HOME", home}, {"USER", user}};
    const struct {
        const struct sbx_pair *pairs;
        size_t count;
    } parts[] = {
        {base, ARRAY_SIZE(base)}, {box->env, box->env_count}, {exec->env, exec->env_count}};
    process->env = calloc(ARRAY_SIZE(base) + box->env_count + exec->env_count + 1, sizeof(char *));
    if (!process->env)
        return err_nomem(err);
    for (size_t part = first; part < ARRAY_SIZE(parts); part++)
        for (size_t i = 0; i < parts[part].count; i++)
            if (!set_env(process, parts[part].pairs[i].name, parts[part].pairs[i].value))
                return err_nomem(err);
    return 0;
}

static int fill_argv(struct fake_process *process, const struct sbx_exec *exec,
                     struct sbx_error *err)
{
    const char *shell[] = {"/bin/sh", "-c", exec->shell};
    const char *const *argv = exec->shell ? shell : exec->argv;
    size_t argc = exec->shell ? 3 : exec->argc;
    process->argv = calloc(argc + 1, sizeof(char *));
    if (!process->argv)
        return err_nomem(err);
    for (process->argc = 0; process->argc < argc; process->argc++) {
        process->argv[process->argc] = strdup(argv[process->argc]);
        if (!process->argv[process->argc])
            return err_nomem(err);
        size_t used = strlen(process->command), skip = exec->shell && process->argc < 2;
        if (!skip)
            snprintf(process->command + used, sizeof(process->command) - used, "%s%s",
                     used ? " " : "", argv[process->argc]);
    }
    return 0;
}

static int fill(struct fake_process *process, const struct sbx_exec *exec, struct sbx_error *err)
{
    struct fake_box *box = process->box;
    struct memfs_view view;
    struct memfs_node *node;
    int code = fake_view(box, exec->user, &view, err);
    if (code < 0)
        return code;
    process->uid = view.uid;
    process->flags = exec->flags;
    process->rows = exec->rows ? exec->rows : 24;
    process->cols = exec->cols ? exec->cols : 80;
    process->input_open = exec->flags & (SBX_EXEC_STDIN | SBX_EXEC_PTY);
    process->timeout_at = deadline_in(exec->timeout_ms).at_ms;
    process->started_ms = clock_unix_ms();
    process->started_ns = clock_boot_ns();
    const char *cwd = exec->cwd ? exec->cwd : box->workdir ? box->workdir : view.cwd;
    code = memfs_find(&view, cwd, MEMFS_FOLLOW, &node, err);
    if (code < 0 || node->kind != SBX_FILE_DIRECTORY)
        return err_sys(err, SBX_ERR_EXEC, ENOENT, "cannot enter the directory '%s'", cwd);
    process->cwd = strdup(cwd);
    if (!process->cwd)
        return err_nomem(err);
    code = fill_env(process, exec, err);
    if (code == 0)
        code = fill_argv(process, exec, err);
    return code < 0 ? code : fake_shell_check(process, err);
}

// Makes room for one more command by forgetting the oldest that has ended and that nobody holds.
static int make_room(struct fake_box *box, struct sbx_error *err)
{
    struct fake_process *oldest = NULL;
    if (fake_process_count(box, false) < PROCESS_COUNT_MAX)
        return 0;
    for (struct fake_process *process = box->processes; process; process = process->next)
        if (process->ended && process->refs == 1)
            oldest = process;
    if (!oldest)
        return err_set(err, SBX_ERR_QUOTA, "the sandbox runs %d commands already",
                       PROCESS_COUNT_MAX);
    oldest->refs++;
    end(oldest);
    unref(oldest);
    return 0;
}

// What a caller holds of a command.
struct held {
    struct fake_process *process;
    uint64_t seen;         // number of the last chunk handed out
    struct chunk *current; // that chunk, valid until the next read
    bool starter;
};

static struct held *hold(struct fake_process *process, bool starter)
{
    struct held *held = calloc(1, sizeof(*held));
    if (!held)
        return NULL;
    held->process = process;
    held->starter = starter;
    process->refs++;
    return held;
}

static int make_process(struct fake_box *box, const struct sbx_exec *exec,
                        struct fake_process **ret_process, struct sbx_error *err)
{
    struct fake_process *process = calloc(1, sizeof(*process));
    if (!process)
        return err_nomem(err);
    process->box = box;
    box->refs++;
    process->refs = 1;
    pthread_cond_init(&process->changed, NULL);
    process->input = malloc(PROCESS_QUEUE_MAX);
    int code = process->input ? fill(process, exec, err) : err_nomem(err);
    if (code == 0) {
        process->pid = ++box->last_pid;
        code = start_thread(process, err);
    }
    if (code < 0) {
        free_process(process);
        return code;
    }
    process->next = box->processes;
    box->processes = process;
    *ret_process = process;
    return 0;
}

int fake_process_start(void *self, const struct sbx_exec *exec, const struct sbx_call *call,
                       void **ret_process, struct sbx_error *err)
{
    struct fake_handle *handle = self;
    struct fake_box *box = handle->box;
    struct fake_process *process = NULL;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    code = fake_inject_exec(box->provider, err);
    if (code == 0)
        code = make_room(box, err);
    if (code == 0)
        code = make_process(box, exec, &process, err);
    struct held *held = code == 0 ? hold(process, true) : NULL;
    if (process && !held) {
        process->refs++;
        end(process);
        unref(process);
        code = err_nomem(err);
    }
    fake_unlock(box->provider);
    if (code == 0)
        *ret_process = held;
    return code;
}

int fake_process_attach(void *self, uint32_t pid, const struct sbx_call *call, void **ret_process,
                        struct sbx_error *err)
{
    struct fake_handle *handle = self;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    struct fake_process *process = handle->box->processes;
    while (process && (process->pid != pid || !background(process)))
        process = process->next;
    struct held *held = process ? hold(process, false) : NULL;
    if (!process)
        code = err_set(err, SBX_ERR_NOT_FOUND, "sandbox %s has no background command %u",
                       handle->box->id, pid);
    else if (!held)
        code = err_nomem(err);
    fake_unlock(handle->box->provider);
    if (code == 0)
        *ret_process = held;
    return code;
}

uint32_t fake_process_pid(void *self)
{
    return ((struct held *)self)->process->pid;
}

void fake_process_free(void *self)
{
    struct held *held = self;
    struct fake_process *process = held->process;
    struct fake_provider *provider = process->box->provider;
    fake_lock(provider);
    if (held->starter && !background(process))
        end(process);
    unref(process);
    fake_unlock(provider);
    free(held->current);
    free(held);
}

// The next chunk that this holder has not seen: the queue's own, or a copy of one that is kept for
// others.
static int next_chunk(struct held *held, struct chunk **ret_chunk, struct sbx_error *err)
{
    struct fake_process *process = held->process;
    struct chunk *chunk = process->head;
    while (chunk && chunk->number <= held->seen)
        chunk = chunk->next;
    *ret_chunk = chunk;
    if (!chunk)
        return 0;
    if (!background(process)) {
        drop_head(process);
        notify(process);
        return 0;
    }
    *ret_chunk = malloc(sizeof(*chunk) + chunk->size);
    if (!*ret_chunk)
        return err_nomem(err);
    memcpy(*ret_chunk, chunk, sizeof(*chunk) + chunk->size);
    return 0;
}

static int read_event(struct held *held, struct deadline deadline, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    struct fake_process *process = held->process;
    for (;;) {
        struct chunk *chunk;
        int code = next_chunk(held, &chunk, err);
        if (code < 0)
            return code;
        if (chunk) {
            held->current = chunk;
            held->seen = chunk->number;
            *ret_event = (struct sbx_event){.kind = SBX_EVENT_OUTPUT,
                                            .stream = chunk->stream,
                                            .data = chunk->data,
                                            .size = chunk->size};
            return 0;
        }
        if (process->box->gone || process->box->expires_at <= clock_boot_ms())
            return err_set(err, SBX_ERR_UNAVAILABLE, "sandbox %s ended while command %u ran",
                           process->box->id, process->pid);
        if (process->ended) {
            *ret_event = (struct sbx_event){.kind = SBX_EVENT_EXIT, .outcome = process->outcome};
            return 0;
        }
        code = wait_change(process, deadline, err);
        if (code < 0)
            return code;
    }
}

int fake_process_read(void *self, const struct sbx_call *call, struct sbx_event *ret_event,
                      struct sbx_error *err)
{
    struct held *held = self;
    struct deadline deadline = deadline_from_call(call);
    free(steal_ptr(held->current));
    fake_lock(held->process->box->provider);
    int code = read_event(held, deadline, ret_event, err);
    fake_unlock(held->process->box->provider);
    return code;
}

// What a terminal does with a typed character besides passing it on.
static void type(struct fake_process *process, char c)
{
    static const struct {
        char c;
        int signal;
    } keys[] = {{0x03, SIGINT}, {0x1a, SIGTSTP}, {0x1c, SIGQUIT}};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        if (c == keys[i].c) {
            deliver(process, keys[i].signal);
            return;
        }
    if (c == 0x04) {
        process->line_end = true;
        return;
    }
    if (c == '\r')
        c = '\n';
    process->input[process->input_size++] = c;
    push_terminal(process, &c, 1);
}

static int check_writable(const struct fake_process *process, struct sbx_error *err)
{
    if (process->ended)
        return err_set(err, SBX_ERR_UNAVAILABLE, "command %u has ended", process->pid);
    if (!process->input_open)
        return err_set(err, SBX_ERR_CONFLICT, "the input of command %u is closed", process->pid);
    return 0;
}

static int write_input(struct fake_process *process, const char *data, size_t size,
                       struct deadline deadline, struct sbx_error *err)
{
    for (;;) {
        int code = check_writable(process, err);
        if (code < 0)
            return code;
        size_t room = PROCESS_QUEUE_MAX - process->input_size, part = size < room ? size : room;
        if (process->flags & SBX_EXEC_PTY) {
            for (size_t i = 0; i < part; i++)
                type(process, data[i]);
        } else {
            memcpy(process->input + process->input_size, data, part);
            process->input_size += part;
        }
        notify(process);
        data += part;
        size -= part;
        code = size ? wait_change(process, deadline, err) : 0;
        if (code < 0 || size == 0)
            return code;
    }
}

int fake_process_write(void *self, const void *data, size_t size, const struct sbx_call *call,
                       struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    struct deadline deadline = deadline_from_call(call);
    fake_lock(process->box->provider);
    int code = write_input(process, data, size, deadline, err);
    fake_unlock(process->box->provider);
    return code;
}

int fake_process_close_input(void *self, struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    fake_lock(process->box->provider);
    process->input_open = false;
    notify(process);
    fake_unlock(process->box->provider);
    return 0;
}

int fake_process_resize(void *self, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    fake_lock(process->box->provider);
    process->rows = rows;
    process->cols = cols;
    fake_unlock(process->box->provider);
    return 0;
}

int fake_process_signal(void *self, int32_t signal, struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    fake_lock(process->box->provider);
    int code =
        process->ended ? err_set(err, SBX_ERR_NOT_FOUND, "command %u has ended", process->pid) : 0;
    if (code == 0)
        deliver(process, signal);
    fake_unlock(process->box->provider);
    return code;
}

struct list_block {
    size_t count;
    struct sbx_process_info items[];
};

static void describe(const struct fake_process *process, struct sbx_process_info *info, char *text)
{
    memcpy(text, process->command, sizeof(process->command));
    *info = (struct sbx_process_info){.pid = process->pid,
                                      .flags = process->flags,
                                      .running = !process->ended,
                                      .exit_code = process->outcome.exit_code,
                                      .started_ms = process->started_ms,
                                      .command = text};
}

int fake_process_list(void *self, const struct sbx_call *call, struct sbx_process_list *ret_list,
                      struct sbx_error *err)
{
    struct fake_handle *handle = self;
    int code = fake_enter(handle, err);
    if (code < 0)
        return code;
    const struct fake_box *box = handle->box;
    size_t count = fake_process_count(box, false), i = count;
    struct list_block *block = malloc(
        sizeof(*block) + count * (sizeof(block->items[0]) + sizeof(box->processes->command)));
    char *text = block ? (char *)&block->items[count] : NULL;
    for (const struct fake_process *p = box->processes; block && p; p = p->next, i--)
        describe(p, &block->items[i - 1], text + (i - 1) * sizeof(p->command));
    fake_unlock(box->provider);
    if (!block)
        return err_nomem(err);
    block->count = count;
    *ret_list = (struct sbx_process_list){.count = count, .items = block->items, .owner = block};
    return 0;
}

void fake_process_list_free(struct sbx_process_list *list)
{
    free(list->owner);
    *list = (struct sbx_process_list){0};
}
