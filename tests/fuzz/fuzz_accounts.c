// SPDX-License-Identifier: Apache-2.0
// Accounts of an image and settings of this machine: passwd and group with a NUL between, then the
// same bytes as a configuration file.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/accounts.h"
#include "engine/redact.h"

#define LIMIT (1u << 20)
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_char(const char *text, size_t size, char wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == wanted;
    return count;
}

// Every line has its seven fields, and no password.
static void check_passwd(const char *text)
{
    CHECK(strncmp(text, "root:x:0:0:", 11) == 0);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n");
        CHECK(line[length] == '\n' && count_char(line, length, ':') == 6);
        const char *colon = memchr(line, ':', length);
        CHECK(colon && colon[1] == 'x' && colon[2] == ':');
    }
}

static void check_accounts(const char *passwd, const char *group)
{
    cleanup_buf struct buf new_passwd = BUF_INIT(LIMIT), new_group = BUF_INIT(LIMIT);
    cleanup_buf struct buf all_passwd = BUF_INIT(LIMIT), all_group = BUF_INIT(LIMIT);
    accounts_curate(passwd, group, "/bin/sh", &new_passwd, &new_group);
    const char *text = buf_text(&new_passwd);
    if (text)
        check_passwd(text);
    accounts_complete(passwd, group, "/bin/sh", &all_passwd, &all_group);
    text = buf_text(&all_passwd);
    CHECK(!text || strstr(text, "user:"));
}

static void check_redaction(const uint8_t *data, size_t size)
{
    static const enum redact_scan scans[] = {REDACT_URLS, REDACT_LINES, REDACT_WHOLE,
                                             REDACT_PUBLIC};
    for (size_t i = 0; i < ARRAY_SIZE(scans); i++) {
        cleanup_free char *text = malloc(size + 1);
        size_t left = size;
        if (!text)
            return;
        memcpy(text, data, size);
        if (!redact_content("name", scans[i], text, &left))
            continue;
        CHECK(left <= size);
        for (size_t at = 0; at < left;) {
            char *newline = memchr(text + at, '\n', left - at);
            size_t line = newline ? (size_t)(newline - (text + at)) + 1 : left - at;
            CHECK(!redact_has_userinfo(text + at, line));
            at += line;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free char *text = malloc(size + 2);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = text[size + 1] = '\0';
    check_accounts(text, text + strlen(text) + (strlen(text) < size));
    check_redaction(data, size);
    return 0;
}
