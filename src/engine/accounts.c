// SPDX-License-Identifier: Apache-2.0
// passwd and group of a sandbox. Lines that make no sense are dropped. Layer: engine.
#include "engine/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 7
#define LINE_MAX_SIZE 1024 // longer lines are dropped
#define SYSTEM_BELOW 1000
#define NOBODY 65534

struct line {
    char text[LINE_MAX_SIZE];
    char *fields[FIELDS_MAX];
    size_t count;
};

// Cuts the next line of *text into its fields. False at the end.
static bool next_line(const char **text, struct line *line)
{
    const char *start = *text;
    if (!*start)
        return false;
    size_t length = strcspn(start, "\n");
    *text = start + length + (start[length] == '\n');
    line->count = 0;
    if (length == 0 || length >= sizeof(line->text))
        return true;
    memcpy(line->text, start, length);
    line->text[length] = '\0';
    char *rest = line->text;
    while (rest && line->count < FIELDS_MAX)
        line->fields[line->count++] = strsep(&rest, ":");
    return true;
}

static bool name_valid(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ$");
    return length > 0 && length <= 32 && name[length] == '\0' && name[0] != '-';
}

// A whole decimal number in the range of ids, or -1.
static long parse_id(const char *text)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 9 || text[length] != '\0')
        return -1;
    return strtol(text, NULL, 10);
}

static bool is_system(long id)
{
    return (id > 0 && id < SYSTEM_BELOW) || id == NOBODY;
}

static void put_user(struct buf *out, const char *shell)
{
    buf_printf(out, ACCOUNTS_USER ":x:%d:%d:" ACCOUNTS_USER ":" ACCOUNTS_HOME ":%s\n", ACCOUNTS_UID,
               ACCOUNTS_UID, shell);
}

static void curate_passwd(const char *passwd, const char *shell, struct buf *out)
{
    buf_printf(out, "root:x:0:0:root:/root:%s\n", shell);
    struct line line;
    bool nobody = false;
    while (next_line(&passwd, &line)) {
        long uid = line.count == 7 ? parse_id(line.fields[2]) : -1;
        long gid = line.count == 7 ? parse_id(line.fields[3]) : -1;
        if (!is_system(uid) || gid < 0 || !name_valid(line.fields[0]) ||
            strcmp(line.fields[0], ACCOUNTS_USER) == 0)
            continue;
        if (gid >= SYSTEM_BELOW)
            gid = NOBODY;
        nobody |= uid == NOBODY;
        buf_printf(out, "%s:x:%ld:%ld::%s:%s\n", line.fields[0], uid, gid, line.fields[5],
                   line.fields[6]);
    }
    if (!nobody)
        buf_printf(out, "nobody:x:%d:%d::/nonexistent:/usr/sbin/nologin\n", NOBODY, NOBODY);
    put_user(out, shell);
}

static void curate_group(const char *group, struct buf *out)
{
    buf_puts(out, "root:x:0:\n");
    struct line line;
    bool nogroup = false;
    while (next_line(&group, &line)) {
        long gid = line.count >= 3 ? parse_id(line.fields[2]) : -1;
        if (!is_system(gid) || !name_valid(line.fields[0]) ||
            strcmp(line.fields[0], ACCOUNTS_USER) == 0)
            continue;
        nogroup |= gid == NOBODY;
        buf_printf(out, "%s:x:%ld:\n", line.fields[0], gid);
    }
    if (!nogroup)
        buf_printf(out, "nogroup:x:%d:\n", NOBODY);
    buf_printf(out, ACCOUNTS_USER ":x:%d:\n", ACCOUNTS_UID);
}

void accounts_curate(const char *passwd, const char *group, const char *shell,
                     struct buf *out_passwd, struct buf *out_group)
{
    curate_passwd(passwd, shell, out_passwd);
    curate_group(group, out_group);
}

// Whether a complete line is about that name.
static bool has_name(const char *text, const char *name, size_t fields)
{
    struct line line;
    while (next_line(&text, &line))
        if (line.count >= fields && strcmp(line.fields[0], name) == 0)
            return true;
    return false;
}

static void put_text(struct buf *out, const char *text)
{
    buf_puts(out, text);
    if (*text && text[strlen(text) - 1] != '\n')
        buf_puts(out, "\n");
}

bool accounts_complete(const char *passwd, const char *group, const char *shell,
                       struct buf *out_passwd, struct buf *out_group)
{
    bool user = !has_name(passwd, ACCOUNTS_USER, 7);
    bool user_group = !has_name(group, ACCOUNTS_USER, 3);
    bool root = !has_name(passwd, "root", 7);
    // First, so that a number that the image gave to another name reads as `user` too.
    if (user)
        put_user(out_passwd, shell);
    if (root)
        buf_printf(out_passwd, "root:x:0:0:root:/root:%s\n", shell);
    put_text(out_passwd, passwd);
    if (user_group)
        buf_printf(out_group, ACCOUNTS_USER ":x:%d:\n", ACCOUNTS_UID);
    if (!has_name(group, "root", 3))
        buf_puts(out_group, "root:x:0:\n");
    put_text(out_group, group);
    return user || root;
}

void accounts_shadow(const char *passwd, struct buf *out)
{
    struct line line;
    while (next_line(&passwd, &line))
        if (line.count > 0)
            buf_printf(out, "%s:*:19000:0:99999:7:::\n", line.fields[0]);
}
