// SPDX-License-Identifier: Apache-2.0
/*
 * Daytona's sessions: a shell each, which keeps its directory and variables between commands, and
 * terminals and interpreters. A command is one line for the shell; behind it the shell writes a
 * mark that nobody can guess to both streams, the one on stdout with the exit status. The shell
 * keeps copies of both as descriptors 8 and 9 for the marks, so that a command may redirect them
 * for good (exec >file); the command itself does not have these. A line is parsed before it runs,
 * so a command that reads its input gets what the client sends, never the next command. Layer:
 * serve.
 */
#pragma once

#include "serve/job.h"
#include "serve/place.h"
#include "serve/tape.h"

#define SESSION_NAME_SIZE 128
#define SESSIONS_MAX 256             // a sandbox
#define SESSION_COMMANDS_MAX 1000    // a session
#define SESSION_LOG_MAX (256u << 20) // a command; beyond some, it is in a file
#define SESSION_LOGS_MAX (1u << 30)  // a session's

enum session_kind { SESSION_SHELL = 1, SESSION_TERMINAL, SESSION_INTERPRETER };

enum command_state { COMMAND_WAITS, COMMAND_RUNS, COMMAND_ENDED };

struct session_command {
    struct session_command *next;
    char id[20];
    char *text; // owned
    enum command_state state;
    int exit_code;
    bool out_done, err_done, cut; // cut: there was more output than is kept
    struct tape log;              // pieces, each after three bytes 1 (stdout) or 2 (stderr)
    uint32_t last;                // stream of the last piece
};

struct session {
    struct session *next; // place->sessions, guarded by place->lock
    struct place *box;    // borrowed: jobs hold it
    char name[SESSION_NAME_SIZE];
    enum session_kind kind;
    // Of terminals and interpreters.
    struct pairlist env;
    char cwd[1024];
    uint16_t rows, cols;
    int64_t created_ms;
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t changed;
    unsigned refs;
    struct job *job; // NULL until it is needed and after the shell has ended
    struct listener *listener;
    char mark[40];
    struct session_command *commands, **last_command;
    size_t command_count;
    size_t logged;       // bytes of all logs
    struct buf carry[2]; // ends of streams that may be the beginning of a mark
    bool closed;
    bool busy; // an interpreter that runs something
};

// Both with a reference. CONFLICT, QUOTA; NOT_FOUND.
int session_new(struct place *box, const char *name, enum session_kind kind,
                struct session **ret_session, struct sbx_error *err);
int session_find(struct place *box, const char *name, enum session_kind kind,
                 struct session **ret_session, struct sbx_error *err);
size_t session_all(struct place *box, enum session_kind kind, struct session **ret_sessions,
                   size_t most);
void session_unref(struct session *session);
static inline void session_cleanup(struct session **session)
{
    if (*session)
        session_unref(*session);
}
#define cleanup_session cleanup(session_cleanup)

// Ends what runs in it, and forgets it.
void session_close(struct session *session);
void sessions_end(struct place *box);

// Puts a command behind those that wait. It stays the session's.
int session_run(struct session *session, const char *text, struct session_command **ret_command,
                struct sbx_error *err);
// Waits until the command has more log than `at`, has ended, or for timeout_ms. Under the lock.
void session_wait(struct session *session, const struct session_command *command, size_t at,
                  int timeout_ms);
struct session_command *session_command(struct session *session, const char *id); // under the lock

// Starts the terminal's shell if it does not run.
int session_open_terminal(struct session *session, struct sbx_error *err);

// A reference to what runs in it, for a signal or a listener; NULL when nothing does.
struct job *session_job(struct session *session);

// Daytona's stop: everything that runs ends, files stay.
int session_stop_box(struct place *box, struct sbx_error *err);
