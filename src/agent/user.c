// SPDX-License-Identifier: Apache-2.0
// Users: passwd(5), group(5). Layer: agent.
#include "agent/user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/error.h"
#include "base/fd.h"

#define PASSWD_PATH "/etc/passwd"
#define GROUP_PATH "/etc/group"
#define DATABASE_MAX (256 * 1024) // larger files are read only so far
#define FIELDS_MAX 7
#define NOBODY 65534 // shown for whoever has no number in here, too
#define DEFAULT_SHELL "/bin/sh"

// Known even where an image has no passwd.
static const struct user builtin_users[] = {
    {.uid = 0, .gid = 0, .name = "root", .home = "/root", .shell = DEFAULT_SHELL},
    {.uid = 1000, .gid = 1000, .name = "user", .home = "/home/user", .shell = DEFAULT_SHELL},
};

// NULL when there is none, it is no regular file (a fifo must not block us), or memory is short.
static char *read_database(const char *path)
{
    struct stat stat;
    cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode))
        return NULL;
    size_t size = stat.st_size < DATABASE_MAX ? (size_t)stat.st_size : DATABASE_MAX;
    cleanup_free char *text = malloc(size + 1);
    ssize_t got = text ? fd_read_full(fd, text, size) : -1;
    if (got < 0)
        return NULL;
    text[got] = '\0';
    return steal_ptr(text);
}

// Cuts the next line off and into fields at ':'; missing ones are "". False at the end.
static bool next_row(char **at, char *fields[FIELDS_MAX])
{
    if (!**at)
        return false;
    char *line = *at;
    char *end = line + strcspn(line, "\n");
    *at = *end ? end + 1 : end;
    *end = '\0';
    for (int i = 0; i < FIELDS_MAX; i++) {
        fields[i] = line;
        line += strcspn(line, ":");
        if (*line)
            *line++ = '\0';
    }
    return true;
}

// Decimal, without the reserved -1.
static bool parse_id(const char *text, uint32_t *ret_id)
{
    uint64_t value = 0;
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
        return false;
    for (; *text; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    if (value >= UINT32_MAX)
        return false;
    *ret_id = (uint32_t)value;
    return true;
}

// True when all of it had room.
static bool copy_text(char *target, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size)
        return false;
    memcpy(target, text, length + 1);
    return true;
}

static bool user_from_row(char *fields[FIELDS_MAX], struct user *ret_user)
{
    struct user user = {0};
    const char *home = fields[5][0] == '/' ? fields[5] : "/";
    const char *shell = fields[6][0] == '/' ? fields[6] : DEFAULT_SHELL;
    if (!fields[0][0] || !parse_id(fields[2], &user.uid) || !parse_id(fields[3], &user.gid) ||
        !copy_text(user.name, sizeof(user.name), fields[0]) ||
        !copy_text(user.home, sizeof(user.home), home) ||
        !copy_text(user.shell, sizeof(user.shell), shell))
        return false;
    *ret_user = user;
    return true;
}

// A row with that name, or else the first one with that number.
static bool find_passwd(const char *asked, struct user *ret_user)
{
    char *fields[FIELDS_MAX];
    struct user user;
    uint32_t uid;
    bool found = false, number = parse_id(asked, &uid);
    cleanup_free char *text = read_database(PASSWD_PATH);
    for (char *at = text; at && next_row(&at, fields);) {
        if (!user_from_row(fields, &user))
            continue;
        bool named = strcmp(user.name, asked) == 0;
        if (named || (number && !found && user.uid == uid)) {
            *ret_user = user;
            found = true;
        }
        if (named)
            break;
    }
    return found;
}

static bool find_builtin(const char *asked, struct user *ret_user)
{
    uint32_t uid = UINT32_MAX;
    bool number = parse_id(asked, &uid);
    for (size_t i = 0; i < ARRAY_SIZE(builtin_users); i++)
        if (builtin_users[i].uid == uid || strcmp(builtin_users[i].name, asked) == 0) {
            *ret_user = builtin_users[i];
            return true;
        }
    if (!number)
        return false;
    *ret_user = (struct user){.uid = uid, .gid = uid, .home = "/", .shell = DEFAULT_SHELL};
    snprintf(ret_user->name, sizeof(ret_user->name), "%s", asked);
    return true;
}

static bool has_member(const char *members, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = members; *at;) {
        size_t step = strcspn(at, ",");
        if (step == length && memcmp(at, name, length) == 0)
            return true;
        at += step + (at[step] == ',');
    }
    return false;
}

static void find_groups(struct user *user)
{
    char *fields[FIELDS_MAX];
    gid_t gid;
    user->groups[user->group_count++] = user->gid;
    cleanup_free char *text = read_database(GROUP_PATH);
    for (char *at = text; at && next_row(&at, fields);)
        if (user->group_count < USER_GROUPS_MAX && parse_id(fields[2], &gid) && gid != user->gid &&
            has_member(fields[3], user->name))
            user->groups[user->group_count++] = gid;
}

static void times_changed(struct timespec ret_changed[2])
{
    static const char *const paths[2] = {PASSWD_PATH, GROUP_PATH};
    memset(ret_changed, 0, 2 * sizeof(ret_changed[0]));
    for (int i = 0; i < 2; i++) {
        struct stat stat_now;
        if (stat(paths[i], &stat_now) == 0)
            ret_changed[i] = stat_now.st_ctim;
    }
}

// In the root's own mount, or absent, root's, and for nobody else to write or replace. What is
// mounted in its place others outside may change.
static bool is_roots(const char *path, uint64_t mount)
{
    struct statx info;
    if (syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
                STATX_TYPE | STATX_MODE | STATX_UID | STATX_MNT_ID, &info) < 0)
        return errno == ENOENT;
    bool known = info.stx_mask & STATX_MNT_ID && info.stx_mnt_id == mount;
    return known && (info.stx_uid == 0 || info.stx_uid == NOBODY) && !(info.stx_mode & 022) &&
           (S_ISREG(info.stx_mode) || S_ISDIR(info.stx_mode));
}

static bool are_roots(void)
{
    static const char *const paths[] = {"/", "/etc", PASSWD_PATH, GROUP_PATH};
    struct statx root;
    if (syscall(SYS_statx, AT_FDCWD, "/", 0, STATX_MNT_ID, &root) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
        if (!is_roots(paths[i], root.stx_mnt_id))
            return false;
    return true;
}

// Whether what was read of it still holds. Each look costs as much as some other parts of a start
// together, and is left out where the files can't have changed.
static bool is_fresh(const struct agent *agent, const struct user *cache)
{
    struct timespec changed[2];
    if (cache->fixed && !agent->root_ran)
        return true;
    times_changed(changed);
    return memcmp(cache->changed, changed, sizeof(changed)) == 0;
}

static void note_rights(struct agent *agent, const struct user *user)
{
    if (user->uid == 0 || user->uid == NOBODY || user->uid == agent->config.uid)
        agent->root_ran = true;
}

static int look_up(const char *asked, struct user *ret_user, struct sbx_error *err)
{
    struct user user;
    struct timespec changed[2];
    times_changed(changed);
    if (!find_passwd(asked, &user) && !find_builtin(asked, &user)) {
        err_set(err, SBX_ERR_NOT_FOUND, "the sandbox has no user '%s'", asked);
        return err_hint(err, "name a user of the sandbox's /etc/passwd, or a number");
    }
    find_groups(&user);
    copy_text(user.asked, sizeof(user.asked), asked);
    memcpy(user.changed, changed, sizeof(changed));
    user.fixed = are_roots();
    *ret_user = user;
    return 0;
}

int user_find(struct agent *agent, const char *asked, const struct user **ret_user,
              struct sbx_error *err)
{
    struct user user;
    struct user *cache = agent->user_cache;
    if (!asked[0])
        asked = agent->config.user;
    if (strlen(asked) >= sizeof(user.asked))
        return err_set(err, SBX_ERR_INVALID, "the user's name is too long");
    if (!cache || strcmp(cache->asked, asked) != 0 || !is_fresh(agent, cache)) {
        int code = look_up(asked, &user, err);
        if (code < 0)
            return code;
        if (!cache && !(cache = agent->user_cache = malloc(sizeof(*cache))))
            return err_nomem(err);
        *cache = user;
    }
    note_rights(agent, cache);
    *ret_user = cache;
    return 0;
}
