// SPDX-License-Identifier: Apache-2.0
/*
 * What a command of a session has written, as an answer: its pieces with their prefixes, without
 * them, or of one stream alone. However long it is, a piece of it is in memory at a time. Layer:
 * serve.
 */
#pragma once

#include "httpd/httpd.h"
#include "serve/session.h"

enum log_form {
    LOG_PLAIN,   // text, both streams in their order
    LOG_SPLIT,   // JSON: "output" with prefixes, "stdout", "stderr"
    LOG_OUTCOME, // JSON: "cmdId", "output" in order, "exitCode"
    LOG_OUTCOME_SPLIT
};

// What there is now. Under the session's lock, which is released.
void session_reply_log(struct httpd_request *request, struct session *session,
                       const struct session_command *command, enum log_form form);
