// SPDX-License-Identifier: Apache-2.0
/*
 * A command of the provider "fake": a thread that runs the interpreter, its input and output in
 * memory. All functions are called with the provider's lock held. Those of the command's own thread
 * return false when the command is to end: killed, timed out, or its sandbox gone. Layer: provider.
 */
#pragma once

#include "provider/fake/fake.h"

#define PROCESS_QUEUE_MAX (64 * 1024) // bytes that wait in a pipe before its writer does
#define PROCESS_LOG_MAX (1024 * 1024) // of a background command's output that are kept
#define PROCESS_COUNT_MAX 1024        // of a sandbox, ended ones with kept output included

struct chunk {
    struct chunk *next;
    uint64_t number; // counts up from 1 in a command
    uint32_t stream;
    size_t size;
    char data[];
};

struct waiter {
    struct waiter *next;
    int wake_fd;
};

struct fake_process {
    struct fake_box *box; // a reference
    struct fake_process *next;
    size_t refs; // its place in the box's list, each handle
    uint32_t pid, flags;
    uint32_t uid;
    pthread_t thread;
    pthread_cond_t changed;
    struct waiter *waiters; // callers that wait for any change
    bool joining, joined;
    bool ended;   // outcome is valid, no more output
    bool stopped; // by SIGSTOP until SIGCONT
    int signal;   // that is to end it, 0: none
    struct sbx_outcome outcome;
    int64_t started_ms;             // Unix time
    int64_t started_ns, timeout_at; // boot clock
    uint16_t rows, cols;

    char *input; // not yet read
    size_t input_size;
    bool input_open;
    bool line_end; // ^D on a terminal: the next read finds the end

    struct chunk *head, *tail; // output not yet read, or kept
    size_t output_size;
    uint64_t last_number;

    char **argv; // owned
    size_t argc;
    char **env; // owned, "NAME=value", NULL-terminated
    size_t env_count;
    char *cwd;
    char command[257];
};

// For the command's thread.
bool fake_process_alive(struct fake_process *process);
bool fake_process_sleep(struct fake_process *process, int64_t ms);
bool fake_process_emit(struct fake_process *process, uint32_t stream, const void *data,
                       size_t size);
// Up to size bytes of input, 0 at its end.
bool fake_process_take_input(struct fake_process *process, char *data, size_t size,
                             size_t *ret_size);
// The command sends itself, or another command of the sandbox, a signal. False if there is no such
// command.
bool fake_process_kill(struct fake_box *box, uint32_t pid, int signal);

// For the box.
void fake_process_end_all(struct fake_box *box);
void fake_process_notify_all(struct fake_box *box);
uint32_t fake_process_count(const struct fake_box *box, bool running);
int fake_inject_exec(struct fake_provider *provider, struct sbx_error *err);

// The interpreter (shell.c). check tells before the start whether the program exists.
int fake_shell_check(struct fake_process *process, struct sbx_error *err);
int fake_shell_main(struct fake_process *process); // exit code
