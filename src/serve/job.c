// SPDX-License-Identifier: Apache-2.0
// Commands and their listeners. Layer: serve.
#include "serve/job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "serve/serve.h"

#define THREAD_STACK (256 * 1024)

struct chunk {
    struct chunk *next;
    uint32_t stream;
    size_t size;
    char data[];
};

struct listener {
    struct job *job; // with a reference
    struct listener *next;
    struct chunk *first, **last;
    size_t waiting; // bytes
};

struct job {
    struct place *box; // with a reference: it must outlive the process
    struct job *next;  // box->jobs, guarded by box->lock
    struct sbx_process *process;
    struct job_about about;
    uint32_t pid, flags;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    unsigned refs;
    struct listener *listeners;
    bool ended;
    int64_t ended_ms;
    struct sbx_outcome outcome;
    struct sbx_error failure;
    size_t logged; // bytes; the pump's own
};

void job_about_deinit(struct job_about *about)
{
    free(about->cmd);
    free(about->cwd);
    free(about->tag);
    pairlist_deinit(&about->env);
    pairlist_deinit(&about->args);
    *about = (struct job_about){0};
}

static void job_free(struct job *job)
{
    sbx_process_free(job->process);
    place_unref(job->box);
    job_about_deinit(&job->about);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

void job_unref(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    bool last = --job->refs == 0;
    pthread_mutex_unlock(&job->lock);
    if (last)
        job_free(job);
}

struct job *job_ref(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    job->refs++;
    pthread_mutex_unlock(&job->lock);
    return job;
}

// --- Handing out

static void push(struct listener *listener, const struct sbx_event *event)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + event->size);
    if (!chunk)
        return; // as good as lost on the way; the end still comes
    *chunk = (struct chunk){.stream = event->stream, .size = event->size};
    memcpy(chunk->data, event->data, event->size);
    *listener->last = chunk;
    listener->last = &chunk->next;
    listener->waiting += event->size;
}

static bool someone_full(const struct job *job)
{
    for (struct listener *at = job->listeners; at; at = at->next)
        if (at->waiting >= JOB_QUEUE_MAX)
            return true;
    return false;
}

// The beginning of what it writes. Terminals are for those who look at them.
static void log_output(struct job *job, const struct sbx_event *event)
{
    size_t left = LOGBOOK_OUTPUT_MAX - job->logged, size = event->size < left ? event->size : left;
    if (job->flags & SBX_EXEC_PTY || size == 0)
        return;
    job->logged += size;
    logbook_output(&job->box->log, event->stream == SBX_STDERR ? LOG_STDERR : LOG_STDOUT,
                   event->data, size);
    if (job->logged == LOGBOOK_OUTPUT_MAX)
        logbook_event(&job->box->log, "[%u] more output is not shown", job->pid);
}

static void log_start(struct job *job, const struct job_about *about)
{
    // Of a shell and its line, the line.
    const char *line = about->args.count ? about->args.items[about->args.count - 1].value
                       : about->cmd      ? about->cmd
                                         : "a shell";
    logbook_event(&job->box->log, "[%u] %.480s", job->pid, line);
}

static void log_end(struct job *job, const struct sbx_outcome *outcome, const struct sbx_error *err)
{
    struct logbook *log = &job->box->log;
    if (err)
        logbook_event(log, "[%u] lost: %s", job->pid, err->message);
    else if (outcome->flags & SBX_OUTCOME_OOM)
        logbook_event(log, "[%u] ended; the sandbox ran out of memory", job->pid);
    else if (outcome->flags & SBX_OUTCOME_TIMED_OUT)
        logbook_event(log, "[%u] reached its time limit", job->pid);
    else if (outcome->signal)
        logbook_event(log, "[%u] ended by signal %d", job->pid, (int)outcome->signal);
    else
        logbook_event(log, "[%u] exit status %d", job->pid, (int)outcome->exit_code);
    if (!err && outcome->flags & SBX_OUTCOME_OOM)
        atomic_store(&job->box->out_of_memory, true);
}

static void hand_out(struct job *job, const struct sbx_event *event)
{
    log_output(job, event);
    pthread_mutex_lock(&job->lock);
    while (someone_full(job))
        pthread_cond_wait(&job->changed, &job->lock);
    for (struct listener *at = job->listeners; at; at = at->next)
        push(at, event);
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
}

static void finish(struct job *job, const struct sbx_event *event, const struct sbx_error *err)
{
    log_end(job, event ? &event->outcome : NULL, err);
    pthread_mutex_lock(&job->lock);
    job->ended = true;
    job->ended_ms = clock_unix_ms();
    if (event)
        job->outcome = event->outcome;
    else if (err)
        job->failure = *err;
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
    atomic_fetch_sub(&job->box->serve->jobs, 1);
}

static void *pump(void *argument)
{
    struct job *job = argument;
    struct sbx_event event;
    struct sbx_error err;
    int code;
    while ((code = sbx_process_read(job->process, NULL, &event, &err)) == 0 &&
           event.kind == SBX_EVENT_OUTPUT)
        hand_out(job, &event);
    if (code < 0)
        place_lost(job->box, &err);
    finish(job, code == 0 ? &event : NULL, code == 0 ? NULL : &err);
    job_unref(job);
    return NULL;
}

static int start_pump(struct job *job, struct sbx_error *err)
{
    int failed = thread_start_detached(pump, job_ref(job), THREAD_STACK);
    if (failed == 0)
        return 0;
    job_unref(job);
    return err_sys(err, SBX_ERR_QUOTA, failed, "cannot start a thread for the command");
}

// --- Starting

static struct job *job_new(struct place *box)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return NULL;
    job->box = place_ref(box);
    job->refs = 1;
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&job->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return job;
}

static void enlist(struct place *box, struct job *job)
{
    job_ref(job);
    pthread_mutex_lock(&box->lock);
    job->next = box->jobs;
    box->jobs = job;
    pthread_mutex_unlock(&box->lock);
}

int job_start(struct place *box, const struct sbx_exec *exec, struct job_about *about,
              const struct sbx_call *call, struct job **ret_task, struct listener **ret_listener,
              struct sbx_error *err)
{
    cleanup_job struct job *job = job_new(box);
    if (!job)
        return err_nomem(err);
    cleanup_free struct sbx_pair *env = NULL;
    struct sbx_exec full;
    int code = place_exec(box, exec, &full, &env, err);
    if (code < 0)
        return code;
    if (sbx_process_start(box->sandbox, &full, call, &job->process, err) < 0)
        return place_failed(box, err);
    job->pid = sbx_process_pid(job->process);
    job->flags = exec->flags;
    struct listener *listener = NULL;
    code = job_listen(job, &listener, err);
    if (code < 0)
        return code;
    atomic_fetch_add(&box->serve->jobs, 1);
    log_start(job, about);
    code = start_pump(job, err);
    if (code < 0) {
        atomic_fetch_sub(&box->serve->jobs, 1);
        listener_free(listener);
        return code;
    }
    job->about = *about;
    *about = (struct job_about){0};
    enlist(box, job);
    *ret_listener = listener;
    *ret_task = steal_ptr(job);
    return 0;
}

int job_find(struct place *box, uint32_t pid, const char *tag, struct job **ret_task,
             struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    struct job *job = box->jobs;
    while (job && (tag ? !job->about.tag || strcmp(job->about.tag, tag) != 0 : job->pid != pid))
        job = job->next;
    if (job)
        *ret_task = job_ref(job);
    pthread_mutex_unlock(&box->lock);
    if (job)
        return 0;
    if (tag)
        return err_set(err, SBX_ERR_NOT_FOUND, "process with tag %.64s not found", tag);
    return err_set(err, SBX_ERR_NOT_FOUND, "process with pid %u not found", pid);
}

static bool has_ended(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    bool ended = job->ended;
    pthread_mutex_unlock(&job->lock);
    return ended;
}

size_t job_all(struct place *box, struct job **ret_tasks, size_t most)
{
    size_t count = 0;
    pthread_mutex_lock(&box->lock);
    for (struct job *job = box->jobs; job && count < most; job = job->next)
        if (!has_ended(job))
            ret_tasks[count++] = job_ref(job);
    pthread_mutex_unlock(&box->lock);
    return count;
}

uint32_t job_pid(const struct job *job)
{
    return job->pid;
}

uint32_t job_flags(const struct job *job)
{
    return job->flags;
}

const struct job_about *job_about(const struct job *job)
{
    return &job->about;
}

static int gone(struct job *job, struct sbx_error *err)
{
    return err_set(err, SBX_ERR_NOT_FOUND, "process with pid %u not found", job->pid);
}

int job_write(struct job *job, const void *data, size_t size, const struct sbx_call *call,
              struct sbx_error *err)
{
    if (has_ended(job))
        return gone(job, err);
    return sbx_process_write(job->process, data, size, call, err);
}

int job_close_input(struct job *job, struct sbx_error *err)
{
    return has_ended(job) ? gone(job, err) : sbx_process_close_input(job->process, err);
}

int job_signal(struct job *job, int signal, struct sbx_error *err)
{
    return has_ended(job) ? gone(job, err) : sbx_process_signal(job->process, signal, err);
}

int job_resize(struct job *job, uint16_t rows, uint16_t cols, struct sbx_error *err)
{
    return has_ended(job) ? gone(job, err) : sbx_process_resize(job->process, rows, cols, err);
}

// --- Listening

int job_listen(struct job *job, struct listener **ret_listener, struct sbx_error *err)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener)
        return err_nomem(err);
    listener->job = job_ref(job);
    listener->last = &listener->first;
    pthread_mutex_lock(&job->lock);
    listener->next = job->listeners;
    job->listeners = listener;
    pthread_mutex_unlock(&job->lock);
    *ret_listener = listener;
    return 0;
}

void listener_free(struct listener *listener)
{
    struct job *job = listener->job;
    pthread_mutex_lock(&job->lock);
    for (struct listener **at = &job->listeners; *at; at = &(*at)->next)
        if (*at == listener) {
            *at = listener->next;
            break;
        }
    pthread_cond_broadcast(&job->changed);
    pthread_mutex_unlock(&job->lock);
    for (struct chunk *chunk = listener->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(listener);
    job_unref(job);
}

static void wait_for_more(struct listener *listener, int timeout_ms)
{
    struct job *job = listener->job;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!listener->first && !job->ended)
        if (pthread_cond_timedwait(&job->changed, &job->lock, &until) == ETIMEDOUT)
            return;
}

static void take_chunk(struct listener *listener, struct job_event *event)
{
    struct chunk *chunk = listener->first;
    listener->first = chunk->next;
    if (!listener->first)
        listener->last = &listener->first;
    bool was_full = listener->waiting >= JOB_QUEUE_MAX;
    listener->waiting -= chunk->size;
    if (was_full && listener->waiting < JOB_QUEUE_MAX)
        pthread_cond_broadcast(&listener->job->changed);
    event->kind = JOB_OUTPUT;
    event->stream = chunk->stream;
    event->size = chunk->size;
    event->data = malloc(chunk->size + 1);
    if (event->data)
        memcpy(event->data, chunk->data, chunk->size);
    else
        event->size = 0;
    free(chunk);
}

void listener_read(struct listener *listener, int timeout_ms, struct job_event *ret_event)
{
    struct job *job = listener->job;
    *ret_event = (struct job_event){.kind = JOB_SILENT};
    pthread_mutex_lock(&job->lock);
    wait_for_more(listener, timeout_ms);
    if (listener->first) {
        take_chunk(listener, ret_event);
    } else if (job->ended) {
        ret_event->kind = JOB_END;
        ret_event->outcome = job->outcome;
        ret_event->failure = job->failure;
    }
    pthread_mutex_unlock(&job->lock);
}

// --- Forgetting

void jobs_forget(struct place *box, int64_t now_ms)
{
    struct job *old = NULL;
    pthread_mutex_lock(&box->lock);
    for (struct job **at = &box->jobs; *at;) {
        struct job *job = *at;
        if (has_ended(job) && now_ms - job->ended_ms > JOB_KEEP_MS) {
            *at = job->next;
            job->next = old;
            old = job;
        } else {
            at = &job->next;
        }
    }
    pthread_mutex_unlock(&box->lock);
    for (struct job *next; old; old = next) {
        next = old->next;
        job_unref(old);
    }
}

void jobs_end(struct place *box)
{
    pthread_mutex_lock(&box->lock);
    struct job *job = box->jobs;
    box->jobs = NULL;
    pthread_mutex_unlock(&box->lock);
    for (struct job *next; job; job = next) {
        struct sbx_error ignored;
        next = job->next;
        if (!has_ended(job))
            sbx_process_signal(job->process, SIGKILL, &ignored);
        job_unref(job);
    }
}
