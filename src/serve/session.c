// SPDX-License-Identifier: Apache-2.0
// Daytona's sessions. Layer: serve.
#include "serve/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/thread.h"
#include "serve/serve.h"

#define MARK_END 0x1e
#define MARK_MAX 64
#define THREAD_STACK (256 * 1024)

static struct session *session_alloc(struct place *box, const char *name, enum session_kind kind)
{
    struct session *session = calloc(1, sizeof(*session));
    if (!session)
        return NULL;
    session->box = place_ref(box);
    session->kind = kind;
    session->refs = 1;
    session->rows = 24;
    session->cols = 80;
    session->created_ms = clock_unix_ms();
    session->last_command = &session->commands;
    session->carry[0] = session->carry[1] = (struct buf)BUF_INIT(1024 * 1024);
    snprintf(session->name, sizeof(session->name), "%s", name);
    pthread_mutex_init(&session->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&session->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return session;
}

static void session_free(struct session *session)
{
    for (struct session_command *at = session->commands, *next; at; at = next) {
        next = at->next;
        tape_deinit(&at->log);
        free(at->text);
        free(at);
    }
    if (session->listener)
        listener_free(session->listener);
    if (session->job)
        job_unref(session->job);
    pairlist_deinit(&session->env);
    buf_deinit(&session->carry[0]);
    buf_deinit(&session->carry[1]);
    pthread_cond_destroy(&session->changed);
    pthread_mutex_destroy(&session->lock);
    place_unref(session->box);
    free(session);
}

static struct session *ref(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    session->refs++;
    pthread_mutex_unlock(&session->lock);
    return session;
}

void session_unref(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    bool last = --session->refs == 0;
    pthread_mutex_unlock(&session->lock);
    if (last)
        session_free(session);
}

static struct session *find(struct place *box, const char *name, enum session_kind kind)
{
    struct session *at = box->sessions;
    while (at && (at->kind != kind || strcmp(at->name, name) != 0))
        at = at->next;
    return at;
}

static int enlist(struct session *session, struct sbx_error *err)
{
    struct place *box = session->box;
    size_t count = 0;
    int code = 0;
    pthread_mutex_lock(&box->lock);
    for (struct session *at = box->sessions; at; at = at->next)
        count++;
    if (find(box, session->name, session->kind))
        code = err_set(err, SBX_ERR_CONFLICT, "session already exists: %s", session->name);
    else if (count >= SESSIONS_MAX)
        code = err_set(err, SBX_ERR_QUOTA, "more than %d sessions", SESSIONS_MAX);
    else {
        session->next = box->sessions;
        box->sessions = ref(session);
    }
    pthread_mutex_unlock(&box->lock);
    return code;
}

int session_new(struct place *box, const char *name, enum session_kind kind,
                struct session **ret_session, struct sbx_error *err)
{
    if (!name || !name[0] || strlen(name) >= SESSION_NAME_SIZE || strcmp(name, "entrypoint") == 0)
        return err_set(err, SBX_ERR_INVALID, "a session's name has 1 to %d characters",
                       SESSION_NAME_SIZE - 1);
    cleanup_session struct session *session = session_alloc(box, name, kind);
    if (!session)
        return err_nomem(err);
    int code = enlist(session, err);
    if (code == 0)
        *ret_session = steal_ptr(session);
    return code;
}

int session_find(struct place *box, const char *name, enum session_kind kind,
                 struct session **ret_session, struct sbx_error *err)
{
    pthread_mutex_lock(&box->lock);
    struct session *session = find(box, name, kind);
    if (session)
        *ret_session = ref(session);
    pthread_mutex_unlock(&box->lock);
    return session ? 0 : err_set(err, SBX_ERR_NOT_FOUND, "not found: session not found");
}

size_t session_all(struct place *box, enum session_kind kind, struct session **ret_sessions,
                   size_t most)
{
    size_t count = 0;
    pthread_mutex_lock(&box->lock);
    for (struct session *at = box->sessions; at && count < most; at = at->next)
        if (at->kind == kind)
            ret_sessions[count++] = ref(at);
    pthread_mutex_unlock(&box->lock);
    return count;
}

static bool append(struct session_command *command, uint32_t stream, const char *data, size_t size)
{
    static const char prefixes[2][3] = {{1, 1, 1}, {2, 2, 2}};
    if (command->last != stream && !tape_add(&command->log, prefixes[stream - 1], 3))
        return false;
    command->last = stream;
    return tape_add(&command->log, data, size);
}

static struct session_command *current(struct session *session)
{
    struct session_command *at = session->commands;
    while (at && at->state == COMMAND_ENDED)
        at = at->next;
    return at && at->state == COMMAND_RUNS ? at : NULL;
}

// That it was lost, and why, is the last of a command's output.
static void log_loss(struct session_command *command, const char *why)
{
    char note[256];
    int size =
        snprintf(note, sizeof(note), "\n[sandboxes serve: the command was lost: %.180s]\n", why);
    append(command, SBX_STDERR, note, (size_t)size);
}

// Everything that still waits has ended without having run.
static void end_commands(struct session *session, int exit_code)
{
    for (struct session_command *at = session->commands; at; at = at->next)
        if (at->state != COMMAND_ENDED) {
            at->exit_code = at->state == COMMAND_RUNS ? exit_code : -1;
            at->state = COMMAND_ENDED;
        }
    pthread_cond_broadcast(&session->changed);
}

void session_close(struct session *session)
{
    struct place *box = session->box;
    struct sbx_error ignored;
    char reason[PLACE_REASON_SIZE];
    bool was_listed = false, gone = place_gone(box, reason);
    pthread_mutex_lock(&box->lock);
    for (struct session **at = &box->sessions; *at; at = &(*at)->next)
        if (*at == session) {
            *at = session->next;
            was_listed = true;
            break;
        }
    pthread_mutex_unlock(&box->lock);
    pthread_mutex_lock(&session->lock);
    session->closed = true;
    struct job *job = session->job;
    if (job)
        job_signal(job, SIGKILL, &ignored);
    if (gone && current(session))
        log_loss(current(session), reason);
    end_commands(session, -1);
    pthread_mutex_unlock(&session->lock);
    if (was_listed)
        session_unref(session);
}

void sessions_end(struct place *box)
{
    for (;;) {
        pthread_mutex_lock(&box->lock);
        struct session *session = box->sessions ? ref(box->sessions) : NULL;
        pthread_mutex_unlock(&box->lock);
        if (!session)
            return;
        session_close(session);
        session_unref(session);
    }
}

int session_stop_box(struct place *box, struct sbx_error *err)
{
    sessions_end(box);
    jobs_end(box);
    int code = place_pause(box, err);
    if (code < 0)
        return code;
    pthread_mutex_lock(&box->lock);
    box->sheet.state = SHEET_STOPPED;
    pthread_mutex_unlock(&box->lock);
    return place_save(box, err);
}

// --- What the shell says

// The beginning of what it writes is kept, and that there was more is said where it ends.
static void add_log(struct session *session, struct session_command *command, uint32_t stream,
                    const char *data, size_t size)
{
    static const char note[] = "\n[sandboxes serve: more output than is kept; write it to a file, "
                               "and download that]\n";
    // After its mark a stream is the shell's own: it complains of input that nobody has read.
    if (size == 0 || !command || command->cut ||
        (stream == SBX_STDOUT ? command->out_done : command->err_done))
        return;
    size_t room = SESSION_LOG_MAX - sizeof(note) - 6 - command->log.size;
    if (room > SESSION_LOGS_MAX - session->logged)
        room = SESSION_LOGS_MAX - session->logged;
    size_t kept = size < room ? size : room;
    session->logged += kept;
    if (append(command, stream, data, kept) && kept == size)
        return;
    append(command, SBX_STDERR, note, sizeof(note) - 1);
    command->cut = true;
    logbook_event(&session->box->log, "more output of session '%.100s' than is kept",
                  session->name);
}

static void start_next(struct session *session);

static void take_mark(struct session *session, uint32_t stream, int exit_code)
{
    struct session_command *command = current(session);
    if (!command)
        return;
    if (stream == SBX_STDOUT) {
        command->out_done = true;
        command->exit_code = exit_code;
    } else {
        command->err_done = true;
    }
    if (command->out_done && command->err_done) {
        command->state = COMMAND_ENDED;
        start_next(session);
    }
}

// Bytes at the end that may be the beginning of a mark.
static size_t open_end(const char *mark, const char *data, size_t size)
{
    size_t most = strlen(mark) < size ? strlen(mark) : size;
    for (size_t length = most; length > 0; length--)
        if (memcmp(data + size - length, mark, length) == 0)
            return length;
    return 0;
}

// One mark out of the bytes that are carried: true when there may be more.
static bool take_piece(struct session *session, uint32_t stream, struct buf *carry)
{
    size_t mark_size = strlen(session->mark);
    char *at = memmem(carry->data, carry->size, session->mark, mark_size);
    if (!at) {
        size_t keep = open_end(session->mark, carry->data, carry->size);
        add_log(session, current(session), stream, carry->data, carry->size - keep);
        buf_consume(carry, carry->size - keep);
        return false;
    }
    size_t before = (size_t)(at - carry->data), left = carry->size - before - mark_size;
    char *end = memchr(at + mark_size, MARK_END, left);
    add_log(session, current(session), stream, carry->data, before);
    buf_consume(carry, before);
    if (!end && left <= MARK_MAX)
        return false;
    if (!end || (size_t)(end - at) - mark_size > MARK_MAX) {
        // Somebody has found out the mark, and writes what looks like one.
        add_log(session, current(session), stream, carry->data, mark_size);
        buf_consume(carry, mark_size);
        return true;
    }
    char number[16] = "";
    size_t size = (size_t)(end - at) - mark_size;
    // The bytes have moved to the front.
    if (size < sizeof(number))
        memcpy(number, carry->data + mark_size, size);
    buf_consume(carry, mark_size + size + 1);
    take_mark(session, stream, (int)strtol(number, NULL, 10));
    return carry->size > 0;
}

static void take_output(struct session *session, const struct job_event *event)
{
    struct buf *carry = &session->carry[event->stream == SBX_STDERR];
    uint32_t stream = event->stream == SBX_STDERR ? SBX_STDERR : SBX_STDOUT;
    buf_add(carry, event->data, event->size);
    while (carry->size > 0 && take_piece(session, stream, carry))
        ;
}

static void take_end(struct session *session, const struct job_event *event)
{
    struct session_command *command = current(session);
    for (int i = 0; i < 2; i++) {
        add_log(session, command, (uint32_t)(i + 1), session->carry[i].data,
                session->carry[i].size);
        session->carry[i].size = 0;
    }
    if (command) {
        command->state = COMMAND_ENDED;
        command->exit_code =
            event->outcome.signal || event->failure.code ? -1 : event->outcome.exit_code;
        if (event->failure.code)
            log_loss(command, event->failure.message);
        else if (event->outcome.flags & SBX_OUTCOME_OOM)
            log_loss(command, "out of memory");
    }
}

static void *follow(void *argument)
{
    struct session *session = argument;
    struct listener *listener = session->listener;
    struct job *job = NULL;
    bool ended = false;
    while (!ended) {
        struct job_event event;
        listener_read(listener, 10000, &event);
        pthread_mutex_lock(&session->lock);
        ended = event.kind == JOB_END;
        if (event.kind == JOB_OUTPUT)
            take_output(session, &event);
        if (ended) {
            take_end(session, &event);
            job = steal_ptr(session->job);
            session->listener = NULL;
            if (!session->closed)
                start_next(session);
        }
        pthread_cond_broadcast(&session->changed);
        pthread_mutex_unlock(&session->lock);
        free(event.data);
    }
    listener_free(listener);
    job_unref(job);
    session_unref(session);
    return NULL;
}

// --- Giving it commands

static int start_follower(struct session *session, struct sbx_error *err)
{
    session->refs++;
    int failed = thread_start_detached(follow, session, THREAD_STACK);
    if (failed == 0)
        return 0;
    session->refs--;
    return err_sys(err, SBX_ERR_QUOTA, failed, "cannot start a thread for the session");
}

static int make_mark(struct session *session, struct sbx_error *err)
{
    uint8_t data[16];
    if (id_random(data, sizeof(data)) < 0)
        return err_sys(err, 0, errno, "cannot make a mark");
    session->mark[0] = MARK_END;
    for (size_t i = 0; i < sizeof(data); i++)
        snprintf(session->mark + 1 + 2 * i, 3, "%02x", data[i]);
    return 0;
}

// Under the lock.
static int start_shell(struct session *session, struct sbx_error *err)
{
    static const char *const argv[] = {"/bin/sh", "-c",
                                       ("exec 8>&1 9>&2; [ -x /bin/bash ] && exec /bin/bash; "
                                        "exec /bin/sh")};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct job_about about = {.cmd = strdup("session"), .tag = strdup(session->name)};
    exec.argv = argv;
    exec.argc = ARRAY_SIZE(argv);
    exec.flags = SBX_EXEC_STDIN;
    session->carry[0].size = session->carry[1].size = 0;
    int code = make_mark(session, err);
    if (code == 0)
        code = job_start(session->box, &exec, &about, NULL, &session->job, &session->listener, err);
    job_about_deinit(&about);
    if (code < 0)
        return code;
    code = start_follower(session, err);
    if (code < 0) {
        listener_free(steal_ptr(session->listener));
        job_unref(steal_ptr(session->job));
    }
    return code;
}

static void add_quoted(struct buf *buf, const char *text)
{
    buf_puts(buf, "'");
    for (const char *at = text; *at; at++)
        if (*at == '\'')
            buf_puts(buf, "'\\''");
        else
            buf_add(buf, at, 1);
    buf_puts(buf, "'");
}

static void write_command(struct session *session, struct session_command *command)
{
    struct sbx_error err;
    struct sbx_call call = SBX_CALL_INIT;
    cleanup_buf struct buf line = BUF_INIT(32 * 1024 * 1024);
    call.timeout_ms = 10000;
    // A list on one line is read as a whole before it runs. No braces: after an eval that ended in
    // the middle of a word, bash does not know the next line's brace for what it is.
    buf_puts(&line, "eval ");
    add_quoted(&line, command->text);
    buf_printf(&line,
               " 8>&- 9>&-; printf '\\036%s%%d\\036' \"$?\" >&8; printf '\\036%s0\\036' >&9\n",
               session->mark + 1, session->mark + 1);
    command->state = COMMAND_RUNS;
    if (line.failed || job_write(session->job, line.data, line.size, &call, &err) < 0) {
        command->state = COMMAND_ENDED;
        command->exit_code = -1;
    }
}

static void start_next(struct session *session)
{
    struct sbx_error err;
    struct session_command *at = session->commands;
    while (at && at->state == COMMAND_ENDED)
        at = at->next;
    if (!at || at->state == COMMAND_RUNS)
        return;
    // A shell that a command has ended is replaced for the next one.
    if (!session->job && start_shell(session, &err) < 0)
        end_commands(session, -1);
    else
        write_command(session, at);
}

int session_run(struct session *session, const char *text, struct session_command **ret_command,
                struct sbx_error *err)
{
    char id[ID_SIZE];
    struct session_command *command = calloc(1, sizeof(*command));
    if (!command || !(command->text = strdup(text)) || id_new(id) < 0) {
        free(command);
        return err_nomem(err);
    }
    snprintf(command->id, sizeof(command->id), "%s", id + 3);
    tape_init(&command->log, session->box->serve);
    int code = 0;
    pthread_mutex_lock(&session->lock);
    if (session->closed || session->command_count == SESSION_COMMANDS_MAX)
        code = err_set(err, SBX_ERR_QUOTA, "the session has ended, or had %d commands",
                       SESSION_COMMANDS_MAX);
    if (code == 0 && !session->job)
        code = start_shell(session, err);
    if (code == 0) {
        *session->last_command = command;
        session->last_command = &command->next;
        session->command_count++;
        start_next(session);
        *ret_command = command;
    }
    pthread_mutex_unlock(&session->lock);
    if (code < 0) {
        free(command->text);
        free(command);
    }
    return code;
}

void session_wait(struct session *session, const struct session_command *command, size_t at,
                  int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (command->state != COMMAND_ENDED && command->log.size <= at)
        if (pthread_cond_timedwait(&session->changed, &session->lock, &until) == ETIMEDOUT)
            return;
}

struct session_command *session_command(struct session *session, const char *id)
{
    struct session_command *at = session->commands;
    while (at && strcmp(at->id, id) != 0)
        at = at->next;
    return at;
}

// --- Terminals

struct job *session_job(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    struct job *job = session->job ? job_ref(session->job) : NULL;
    pthread_mutex_unlock(&session->lock);
    return job;
}

int session_open_terminal(struct session *session, struct sbx_error *err)
{
    static const char *const argv[] = {"/bin/sh", "-c",
                                       "[ -x /bin/bash ] && exec /bin/bash -i; exec /bin/sh -i"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct job_about about = {.cmd = strdup("terminal"), .tag = strdup(session->name)};
    struct listener *listener = NULL;
    int code = 0;
    exec.argv = argv;
    exec.argc = ARRAY_SIZE(argv);
    exec.flags = SBX_EXEC_PTY;
    exec.cwd = session->cwd[0] ? session->cwd : NULL;
    exec.rows = session->rows;
    exec.cols = session->cols;
    exec.env = session->env.items;
    exec.env_count = session->env.count;
    pthread_mutex_lock(&session->lock);
    if (!session->job)
        code = job_start(session->box, &exec, &about, NULL, &session->job, &listener, err);
    // Its first bytes wait in this queue for the client that connects first.
    if (code == 0 && listener)
        session->listener = listener;
    pthread_mutex_unlock(&session->lock);
    job_about_deinit(&about);
    return code;
}
