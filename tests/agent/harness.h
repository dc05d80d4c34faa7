// SPDX-License-Identifier: Apache-2.0
/*
 * A real agent as process 1 of its own pid namespace, with the machine's files: what tests of the
 * agent talk to. As root all ids exist in it; as an ordinary user only uid 0 does. Every wait has
 * an end.
 */
#pragma once

#include "../unit/unit.h"

#include <sandboxes/process.h>

#include "base/buf.h"
#include "wire/agent_msg.h"
#include "wire/files_msg.h"
#include "wire/frame.h"

#define BOX_PATIENCE_MS 30000
#define BOX_MEM_MAX (16 * 1024 * 1024)

struct box {
    pid_t pid; // of the process outside whose child the agent is
    int monitor;
    int listen;
    char dir[64]; // of the test's own files, writable for everyone; inside, dir/mem is a tmpfs of
                  // BOX_MEM_MAX
    char path[96];
};

struct link {
    int fd;
    struct frame_in in;
    struct frame frame; // received last
};

struct ended {
    uint32_t code, signal, flags;
    uint64_t duration_us;
};

// cmocka group fixtures: *state is a struct box. Where namespaces can't be made the program ends
// with 77.
int box_set_up(void **state);
int box_tear_down(void **state);

// A box of the test's own, with that sandbox environment. box_stop() kills it.
struct box *box_start(const struct agent_config *config);
// Likewise, with dir/passwd and dir/group (empty at first) as its databases of users.
struct box *box_start_with_users(const struct agent_config *config);
void box_stop(struct box *box);
bool box_is_alive(const struct box *box);

struct link *link_open(const struct box *box);
void link_close(struct link *link);
void link_send(struct link *link, uint32_t type, const struct buf *payload);
void link_send_fds(struct link *link, uint32_t type, const struct buf *payload, const int fds[3]);
void link_send_u32(struct link *link, uint32_t type, uint32_t value);

// The next frame; fails the test when it is of another type.
const struct frame *link_expect(struct link *link, uint32_t type);
// The next frame of any type; NULL at the end of the connection.
const struct frame *link_receive(struct link *link);
// Expects FAILED; its error value, valid until the next call.
const struct sbx_error *link_expect_failed(struct link *link, int code);
// Fails unless the agent ends the connection.
void link_expect_end(struct link *link);

// Starts a shell line, without (STARTED is awaited) or with passed descriptors. Its number inside.
uint32_t start_shell(struct link *link, const char *line, uint32_t flags);
uint32_t start_exec(struct link *link, const struct agent_exec *exec);
struct ended expect_exit(struct link *link);

// Collects OUTPUT of one stream up to the EXIT; `out` may be NULL.
struct ended collect(struct link *link, struct buf *out, struct buf *err_out);

// One line of shell, its output with NUL (cut at size), and how it ended.
struct ended run_line(struct box *box, const char *line, uint32_t flags, char *ret_text,
                      size_t size);

// Path of the helper program of the tests, which runs inside.
const char *probe_path(void);
