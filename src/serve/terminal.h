// SPDX-License-Identifier: Apache-2.0
/*
 * A shell in a terminal over a WebSocket, for the dashboard. Binary messages are input and output;
 * text ones tell the size: {"rows": N, "cols": N}. The shell ends with the connection. Layer:
 * serve.
 */
#pragma once

#include "serve/serve.h"

// Offered by the client: the protocol itself, and its key behind this.
#define TERMINAL_PROTOCOL "sandboxes.terminal"
#define TERMINAL_KEY "key."

// Takes the reference over.
void terminal_open(struct httpd_request *request, struct place *box);
