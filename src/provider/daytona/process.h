// SPDX-License-Identifier: Apache-2.0
// What the files about commands of Daytona share. Layer: provider.
#pragma once

#include "provider/cloud/limit.h"
#include "provider/daytona/daytona.h"
#include "provider/daytona/output.h"
#include "provider/daytona/script.h"

struct daytona_process {
    struct daytona_box *box; // a reference
    struct ws *ws;
    char name[NAME_SIZE]; // of its session or terminal
    char command[100];    // its id in the session
    uint32_t id;          // by which callers know it
    uint32_t pid;         // in the sandbox
    uint32_t flags;
    bool terminal, ended;
    bool exited, ends[2]; // what a session's command has still to tell
    struct sbx_outcome outcome;
    struct cloud_limit limit;
    struct output output;
    const char *data; // of the last message, not yet read
    size_t size;
    struct buf out; // of the last event
    // Of a command that has run to its end already (whole.c): both streams, and how many are read.
    bool whole;
    struct buf kept[2];
    unsigned given;
    // Of a command that is followed (follow.c), or NULL: its output, with the head of the envelope
    // that is being read and what it still holds.
    struct http_stream *stream;
    uint8_t head[5];
    size_t head_size, left;
};

int process_new(struct daytona_box *box, struct daytona_process **ret_process,
                struct sbx_error *err);
void process_delete(struct daytona_process *process);
static inline void process_cleanup(struct daytona_process **process)
{
    if (*process)
        process_delete(*process);
}
#define cleanup_process cleanup(process_cleanup)
// A number and a name for a new command.
int process_name(struct daytona_process *process, struct sbx_error *err);
// No such program or directory, as the script tells it.
int process_no_program(const struct sbx_exec *exec, uint32_t number, struct sbx_error *err);

// What the script of a command without a session wrote: both streams and the outcome. Fails as
// starting the command does.
int whole_read(struct daytona_process *process, const struct sbx_exec *exec, const char *text,
               struct sbx_error *err);
// Of a command that has run to its end: false when both streams have been read.
bool whole_next(struct daytona_process *process, struct sbx_event *ret_event);

// program.c: the same where the server runs programs as they are. The process is then as whole_read
// leaves it.
int program_run(struct daytona_process *process, const struct sbx_exec *exec,
                struct deadline deadline, struct sbx_error *err);
int program_read(struct daytona_process *process, const struct sbx_exec *exec,
                 const struct jsonv *answer, struct sbx_error *err);
void program_body(struct buf *body, const struct daytona_process *process,
                  const struct sbx_exec *exec, bool follow);
int program_outcome(const struct jsonv *told, struct sbx_outcome *outcome, struct sbx_error *err);

// follow.c: as terminal_next
int follow_next(struct daytona_process *process, struct deadline deadline,
                struct output_event *ret_event, struct sbx_error *err);

// terminal.c
int terminal_start(struct daytona_process *process, const struct sbx_exec *exec,
                   struct deadline deadline, struct sbx_error *err);
// Output of kind DATA, or EXIT with process->outcome filled.
int terminal_next(struct daytona_process *process, struct deadline deadline,
                  struct output_event *ret_event, struct sbx_error *err);
