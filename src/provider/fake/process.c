// SPDX-License-Identifier: Apache-2.0
// Commands of the provider "fake": their life and signals. Layer: provider.
#include "provider/fake/process_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

// The default actions of signal(7); nothing here can catch one.
void fake_process_deliver(struct fake_process *process, int signal)
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
    fake_process_notify(process);
}

bool fake_process_kill(struct fake_box *box, uint32_t pid, int signal)
{
    for (struct fake_process *process = box->processes; process; process = process->next) {
        if (process->pid != pid || process->ended)
            continue;
        if (signal)
            fake_process_deliver(process, signal);
        return true;
    }
    return false;
}

static void free_process(struct fake_process *process)
{
    while (process->head) {
        struct chunk *chunk = process->head;
        fake_process_drop_head(process);
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
    fake_process_notify(process);
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
    fake_process_notify(process);
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
    while (process && (process->pid != pid || !fake_process_background(process)))
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
    if (held->starter && !fake_process_background(process))
        end(process);
    unref(process);
    fake_unlock(provider);
    free(held->current);
    free(held);
}

int fake_process_signal(void *self, int32_t signal, struct sbx_error *err)
{
    struct fake_process *process = ((struct held *)self)->process;
    fake_lock(process->box->provider);
    int code =
        process->ended ? err_set(err, SBX_ERR_NOT_FOUND, "command %u has ended", process->pid) : 0;
    if (code == 0)
        fake_process_deliver(process, signal);
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
