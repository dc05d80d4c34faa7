// SPDX-License-Identifier: Apache-2.0
// What the files about programs of our own client of Daytona's protocol share. Layer: serve.
#pragma once

#include "serve/toolbox.h"

// The flags of an answer's envelopes, and its type.
#define PROGRAM_STDOUT 1u
#define PROGRAM_STDERR 2u
#define PROGRAM_END 3u // the outcome, or {"lost": why}
#define PROGRAM_STREAM "application/vnd.sandboxes.output"

// Members of the object that json is in.
void toolbox_put_outcome(struct json *json, const struct sbx_outcome *outcome);
void toolbox_note_outcome(struct place *box, const struct sbx_outcome *outcome);

// Replies with the output of a program that has begun. Takes process over.
void toolbox_follow(struct httpd_request *request, struct sbx_process *process);
