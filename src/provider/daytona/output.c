// SPDX-License-Identifier: Apache-2.0
// Commands' output out of logs of sessions. Layer: provider.
#include "provider/daytona/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/error.h"

#define SIGNAL_MAX 31

static int refuse(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the command's output is not what its script writes");
}

int output_word(const char *text, struct output_event *event, struct sbx_error *err)
{
    static const struct {
        const char *word;
        enum output_kind kind;
    } rows[] = {{"!start ", OUTPUT_START}, {"!exit ", OUTPUT_EXIT}, {"!fail ", OUTPUT_FAIL}};
    if (strcmp(text, "!cwd") == 0) {
        *event = (struct output_event){.kind = OUTPUT_FAIL};
        return 0;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t size = strlen(rows[i].word);
        char *end;
        if (strncmp(text, rows[i].word, size) != 0 || text[size] < '0' || text[size] > '9')
            continue;
        unsigned long number = strtoul(text + size, &end, 10);
        if (*end || number > INT32_MAX)
            break;
        *event = (struct output_event){.kind = rows[i].kind, .number = (uint32_t)number};
        return 0;
    }
    return refuse(err);
}

// A whole line.
static int read_line(struct output *output, struct buf *out, struct output_event *event,
                     struct sbx_error *err)
{
    char *text = output->lines[output->stream - 1].text;
    size_t size = output->lines[output->stream - 1].size;
    output->lines[output->stream - 1].size = 0;
    if (size > 0 && text[size - 1] == '\r')
        size--;
    if (size == 0 || text[0] == '[') // a service's own note that it keeps no more
        return 0;
    if (size == 1 && text[0] == '.') {
        *event = (struct output_event){.kind = OUTPUT_END, .stream = output->stream};
        output->ended[output->stream - 1] = true;
        return 0;
    }
    if (text[0] != '!')
        return base64_decode(out, text, size) ? 0 : refuse(err);
    if (output->stream != SBX_STDOUT)
        return refuse(err);
    text[size] = '\0';
    return output_word(text, event, err);
}

// Up to and with the next byte that means something.
static int take(struct output *output, const char **data, size_t *size, bool *ret_line,
                struct sbx_error *err)
{
    const char *at = *data, *end = at + *size;
    while (at < end && *at != '\n' && *at != 1 && *at != 2)
        at++;
    size_t piece = (size_t)(at - *data);
    bool ended = output->stream && output->ended[output->stream - 1];
    *ret_line = at < end && *at == '\n' && !ended;
    if (output->stream && !ended) {
        size_t *used = &output->lines[output->stream - 1].size;
        if (piece > OUTPUT_LINE_MAX - 1 - *used)
            return refuse(err);
        memcpy(output->lines[output->stream - 1].text + *used, *data, piece);
        *used += piece;
    } else if (!ended && (piece > 0 || *ret_line)) {
        return refuse(err);
    }
    if (at < end && *at != '\n')
        output->stream = (uint32_t)*at;
    at += at < end;
    *data = at;
    *size = (size_t)(end - at);
    return 0;
}

int output_next(struct output *output, const char **data, size_t *size, struct buf *out,
                struct output_event *ret_event, struct sbx_error *err)
{
    *ret_event = (struct output_event){0};
    out->size = 0;
    while (*size > 0) {
        bool line;
        // What stands before another stream's mark or a word is told first.
        bool other = output->stream && out->size && (**data == 1 || **data == 2) &&
                     (uint32_t) * *data != output->stream;
        bool word = out->size && output->lines[output->stream - 1].size == 0 &&
                    (**data == '!' || **data == '.');
        if (other || word)
            break;
        int code = take(output, data, size, &line, err);
        if (code == 0 && line)
            code = read_line(output, out, ret_event, err);
        if (code < 0 || ret_event->kind)
            return code;
    }
    if (out->failed)
        return err_nomem(err);
    if (out->size)
        *ret_event = (struct output_event){.kind = OUTPUT_DATA, .stream = output->stream};
    return 0;
}

void output_outcome(uint32_t status, struct sbx_outcome *outcome)
{
    bool signalled = status > 128 && status <= 128 + SIGNAL_MAX;
    outcome->exit_code = (int32_t)status;
    outcome->signal = signalled ? (int32_t)status - 128 : 0;
}
