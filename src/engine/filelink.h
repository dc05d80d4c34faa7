// SPDX-License-Identifier: Apache-2.0
/*
 * A connection in files mode, made for bulk: bytes of files go from and to the socket in large
 * pieces and without being moved about. What comes is hostile, in form and in amount. Layer:
 * engine.
 */
#pragma once

#include "engine/box.h"
#include "wire/files_msg.h"

struct filelink {
    struct box *box;
    int fd;
    struct deadline deadline;
    struct buf out; // frames that wait to be sent together
    char *in;       // owned
    size_t start, end, capacity;
    size_t left; // bytes of a DATA frame that are still to be taken
};

#define FILELINK_NONE                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
#define cleanup_filelink cleanup(filelink_close)

// Connects, and puts the request for files mode as this user (NULL: default) before all that
// follows.
int filelink_open(struct box *box, const char *user, struct deadline deadline,
                  struct filelink *ret_link, struct sbx_error *err);
void filelink_close(struct filelink *link);

// Puts a frame into link->out; it is sent when much has gathered, or by filelink_flush().
int filelink_put(struct filelink *link, uint32_t type, const struct buf *payload,
                 struct sbx_error *err);
int filelink_flush(struct filelink *link, struct sbx_error *err);

// Sends bytes in DATA frames, after what waits. From memory, or a file of which size bytes are
// promised.
int filelink_send(struct filelink *link, const void *data, size_t size, struct sbx_error *err);
int filelink_send_file(struct filelink *link, int fd, uint64_t size, struct sbx_error *err);

/*
 * The next frame. AGENT_FAILED is returned as its error. Of a DATA frame only the size is in
 * ret_frame: its bytes must then be taken, piece by piece until *ret_size is 0. Payload and pieces
 * are borrowed until the next call on the link.
 */
int filelink_next(struct filelink *link, struct frame *ret_frame, struct sbx_error *err);
int filelink_take(struct filelink *link, const char **ret_data, size_t *ret_size,
                  struct sbx_error *err);
// The same straight into memory: at most `size` bytes of the DATA frame.
int filelink_read(struct filelink *link, char *data, size_t size, size_t *ret_size,
                  struct sbx_error *err);

// The final FILES_DONE.
int filelink_done(struct filelink *link, struct sbx_error *err);
