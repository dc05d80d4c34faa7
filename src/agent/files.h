// SPDX-License-Identifier: Apache-2.0
/*
 * The worker of a connection in files mode: one process with the asked user's rights, which lives
 * as long as the connection. A broken connection ends the process at once, so nothing here reports
 * it. Layer: agent.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"
#include "wire/agent_msg.h"
#include "wire/files_msg.h"
#include "wire/frame.h"

struct files {
    int fd;
    const char *ahead; // bytes read by the agent before; borrowed
    size_t ahead_size;
    uint8_t header[FRAME_HEADER_SIZE]; // of the next frame, as far as it is read
    size_t header_size;
    char *data;     // AGENT_DATA_MAX bytes: payload of the last frame, or what is being sent
    struct buf out; // frames to send; bounded
    bool answered;  // the request has been refused already
    // A file that came into being here and is not whole yet: its path below part_fd; NULL: none.
    // Borrowed.
    const char *part;
    int part_fd;
};

struct files_frame {
    uint32_t type;
    const char *payload; // borrowed until the next frame
    size_t size;
};

// The next frame of the host.
struct files_frame files_next(struct files *files);

// Adds a frame to what is sent at the request's end, or when enough has come together.
void files_put(struct files *files, uint32_t type, const struct buf *payload);
void files_put_entry(struct files *files, const struct files_entry *entry);
void files_flush(struct files *files);

// One DATA frame: `size` bytes of files->data.
void files_send_data(struct files *files, size_t size);

// Removes the file that is not whole, if there is one.
void files_drop_part(struct files *files);
// Ends the worker: the connection is broken, or what comes on it makes no sense.
_Noreturn void files_quit(struct files *files);

// Reads and drops DATA frames of `size` bytes in all.
void files_skip(struct files *files, uint64_t size);

/*
 * Refuses a request whose data is still on its way, so that the host may stop. What it sends all
 * the same must be read by the caller, to the end. Returns the error's code.
 */
int files_refuse(struct files *files, const struct sbx_error *error);

// The entry of what stat says; for a symbolic link its target is read into link (FILES_PATH_MAX + 1
// bytes).
struct files_entry files_entry_of(int dir_fd, const char *name, const struct stat *stat,
                                  char *link);

// Handlers: fields of the request, which they read to its end. 0 (DONE is sent then) or a code with
// err.
int files_read(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_write(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_stat(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_list(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_mkdir(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_remove(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_rename(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_get_tree(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_put_tree(struct files *files, struct wire_reader *in, struct sbx_error *err);
int files_watch(struct files *files, struct wire_reader *in, struct sbx_error *err);

// Used by several of them.

// Opens a regular file for reading; never waits, whatever is there. The descriptor, or a code.
int files_open_read(int dir_fd, const char *path, int flags, struct stat *ret_stat,
                    struct sbx_error *err);
// Sends its first `size` bytes as DATA. A file that is shorter by now: with `pad` zeros follow.
int files_send_file(struct files *files, int fd, uint64_t size, bool pad, const char *path,
                    struct sbx_error *err);
// Receives `size` bytes into fd; blocks of zeros become holes. All is read even when writing fails.
int files_receive(struct files *files, int fd, uint64_t size, const char *path,
                  struct sbx_error *err);
// Makes the directories above path, as far as they are missing.
void files_make_parents(const char *path);
int files_malformed(struct sbx_error *err);
