// SPDX-License-Identifier: Apache-2.0
/*
 * What the script around a command writes (script.h), out of a session's log: after bytes 1 come
 * those of stdout, after bytes 2 those of stderr. Neither is part of a line. Layer: provider.
 */
#pragma once

#include <sandboxes/process.h>

#include "base/buf.h"

#define OUTPUT_LINE_MAX 1024

enum output_kind {
    OUTPUT_MORE = 0, // all is read
    OUTPUT_START,
    OUTPUT_DATA,
    OUTPUT_FAIL, // no program: number is an errno, 0 for the directory
    OUTPUT_EXIT, // number is the shell's status
    OUTPUT_END   // of one stream
};

struct output_event {
    enum output_kind kind;
    uint32_t stream; // DATA and END: enum sbx_stream
    uint32_t number;
};

struct output {
    uint32_t stream; // that comes now
    // After its end comes what the session's own shell has to say of input that nobody has read.
    bool ended[2];
    struct {
        char text[OUTPUT_LINE_MAX];
        size_t size;
    } lines[2];
};

/*
 * The next event of *data, which is moved on. Bytes of output are appended to `out`; DATA comes
 * when the stream changes, another event follows or all is read. PROTOCOL if it makes no sense.
 */
int output_next(struct output *output, const char **data, size_t *size, struct buf *out,
                struct output_event *ret_event, struct sbx_error *err);

// A word of the script's: START, FAIL or EXIT.
int output_word(const char *text, struct output_event *ret_event, struct sbx_error *err);

// A shell's exit status as an outcome: 128 and more is a signal.
void output_outcome(uint32_t status, struct sbx_outcome *outcome);
