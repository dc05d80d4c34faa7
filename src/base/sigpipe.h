// SPDX-License-Identifier: Apache-2.0
/*
 * Writing where nobody may be left to read, without SIGPIPE for the program that uses the library.
 * Sockets have MSG_NOSIGNAL; this is for write(2) on pipes and for sendfile(2). The signal goes to
 * the thread that writes (signal(7)), so it is blocked there and taken away if it came from us:
 * neither the program nor its handlers notice. Layer: base.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>

struct sigpipe {
    sigset_t before;
    bool was_pending;
};

void sigpipe_block(struct sigpipe *guard);
void sigpipe_restore(const struct sigpipe *guard); // keeps errno
