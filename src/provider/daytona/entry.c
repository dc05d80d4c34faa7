// SPDX-License-Identifier: Apache-2.0
// Files and directories of a sandbox of Daytona but for their contents: short commands, since the
// toolbox follows links and does not say what is wrong. Layer: provider.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "provider/daytona/files.h"

#define TEXT_MAX (16u << 20) // of an answer

struct owner {
    struct buf names;
    char *name; // of a single one: the path that was asked for
    struct sbx_file_info items[];
};

// $1 the path. Names hold no slash, so one ends them.
#define FORMAT "/%f %s %u %g %Y "
#define LINK "printf /; readlink -n -- \"$f\" | base64 | tr -d '\\n'; printf /; "
static const char stat_script[] = "stat -c '" FORMAT "./' -- \"$1\" || exit 1; printf /\n"
                                  "f=$1; if [ -L \"$f\" ]; then printf .; " LINK "fi";
static const char list_script[] =
    "[ -d \"$1\" ] || { stat -- \"$1\" >/dev/null && echo 'Not a directory'; exit 1; }\n"
    "cd -- \"$1\" || exit 1\n"
    "find . -mindepth 1 -maxdepth 1 -exec stat -c '" FORMAT "%n/' -- {} + || exit 1; printf /\n"
    "find . -mindepth 1 -maxdepth 1 -type l -exec sh -c "
    "'for f; do printf %s \"${f#./}\"; printf /; readlink -n -- \"$f\" | base64 | tr -d \"\\n\"; "
    "printf /; done' sh {} +";
static const char mkdir_script[] = "case $2 in '') mkdir -- \"$1\";; *) mkdir -p -- \"$1\";; esac "
                                   "&& { [ -z \"$3\" ] || chmod -- \"$3\" \"$1\"; }";
static const char remove_script[] =
    "[ -e \"$1\" ] || [ -L \"$1\" ] || { echo 'No such file'; exit 1; }\n"
    "if [ -n \"$2\" ]; then rm -rf -- \"$1\"; elif [ -d \"$1\" ] && [ ! -L \"$1\" ]; then rmdir -- "
    "\"$1\"; else rm -f -- \"$1\"; fi";
static const char rename_script[] =
    "if [ -d \"$2\" ] && [ ! -L \"$2\" ]; then { [ -d \"$1\" ] && rmdir -- \"$2\"; } || { echo "
    "'Is a directory'; exit 1; }; fi\n"
    "mv -f -- \"$1\" \"$2\"";

// What the programs of the sandbox say is wrong.
static int meaning(const char *text)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"No such file", SBX_ERR_NOT_FOUND},  {"ermission denied", SBX_ERR_DENIED},
        {"not permitted", SBX_ERR_DENIED},    {"Read-only", SBX_ERR_DENIED},
        {"File exists", SBX_ERR_CONFLICT},    {"not empty", SBX_ERR_CONFLICT},
        {"Is a directory", SBX_ERR_CONFLICT}, {"Not a directory", SBX_ERR_NOT_FOUND},
        {"No space left", SBX_ERR_QUOTA},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (strstr(text, rows[i].text))
            return rows[i].code;
    return SBX_ERR_IO;
}

static int run(void *box, const char *script, const char *const arguments[3], const char *verb,
               struct deadline deadline, struct buf *out, struct sbx_error *err)
{
    const char *argv[] = {"/bin/sh", "-c", script, "sh", arguments[0], arguments[1], arguments[2]};
    int exit_code;
    int code =
        daytona_toolbox_run(box, NULL, argv, ARRAY_SIZE(argv), deadline, &exit_code, out, err);
    if (code < 0)
        return err_wrap(err, "cannot %s '%.300s'", verb, arguments[0]), code;
    if (exit_code == 0)
        return 0;
    const char *text = buf_text(out) ? out->data : "";
    const char *end = strchrnul(text, '\n');
    return err_set(err, meaning(text), "cannot %s '%.300s': %.*s", verb, arguments[0],
                   (int)(end - text < 300 ? end - text : 300), text);
}

static uint32_t kind_of(unsigned mode)
{
    return S_ISREG(mode)   ? SBX_FILE_REGULAR
           : S_ISDIR(mode) ? SBX_FILE_DIRECTORY
           : S_ISLNK(mode) ? SBX_FILE_SYMLINK
                           : SBX_FILE_OTHER;
}

static int refuse(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the list of files that came makes no sense");
}

// The text up to the next slash, copied with its NUL.
static const char *take_name(const char **at, struct buf *names)
{
    const char *end = strchr(*at, '/');
    if (!end || names->size + (size_t)(end - *at) + 1 > names->capacity)
        return NULL;
    const char *name = names->data + names->size;
    buf_add(names, *at, (size_t)(end - *at));
    buf_add(names, "", 1);
    *at = end + 1;
    return name;
}

static int take_entry(const char **at, struct buf *names, struct sbx_file_info *info,
                      struct sbx_error *err)
{
    unsigned mode;
    unsigned long long size;
    unsigned uid, gid;
    long long seconds;
    int used = 0;
    if (sscanf(*at, "/%x %llu %u %u %lld %n", &mode, &size, &uid, &gid, &seconds, &used) < 5 ||
        !used)
        return refuse(err);
    *at += used;
    if (strncmp(*at, "./", 2) == 0)
        *at += 2;
    *info = (struct sbx_file_info){.size = size,
                                   .modified_ms = seconds * 1000,
                                   .kind = kind_of(mode),
                                   .mode = mode & 07777,
                                   .uid = uid,
                                   .gid = gid};
    if (**at == '\n' || **at == '\0') // of a single one, whose name is known
        info->name = "";
    else
        info->name = take_name(at, names);
    if (info->kind == SBX_FILE_SYMLINK)
        info->link = "";
    if (**at == '\n')
        (*at)++;
    return info->name ? 0 : refuse(err);
}

static int take_link(const char **at, struct buf *names, struct sbx_file_info *items, size_t count,
                     struct sbx_error *err)
{
    cleanup_buf struct buf target = BUF_INIT(65536);
    const char *name = take_name(at, names), *end = name ? strchr(*at, '/') : NULL;
    if (!end || !base64_decode(&target, *at, (size_t)(end - *at)) ||
        memchr(target.data ? target.data : "", 0, target.size) ||
        names->size + target.size + 1 > names->capacity)
        return refuse(err);
    const char *text = names->data + names->size;
    buf_add(names, target.data, target.size);
    buf_add(names, "", 1);
    for (size_t i = 0; i < count; i++)
        if (items[i].kind == SBX_FILE_SYMLINK &&
            (strcmp(items[i].name, name) == 0 || (strcmp(name, ".") == 0 && !items[i].name[0])))
            items[i].link = text;
    *at = end + 1;
    return 0;
}

int daytona_entry_parse(const char *text, struct buf *names, struct sbx_file_info *items,
                        size_t most, size_t *ret_count, struct sbx_error *err)
{
    const char *at = text;
    size_t count = 0;
    int code = 0;
    while (code == 0 && at[0] == '/' && at[1] && strchr("0123456789abcdef", at[1])) {
        if (count == most)
            return refuse(err);
        code = take_entry(&at, names, &items[count], err);
        count++;
    }
    if (code == 0 && *at != '/')
        return refuse(err);
    at++;
    while (code == 0 && *at && *at != '\n')
        code = take_link(&at, names, items, count, err);
    if (code == 0)
        *ret_count = count;
    return code;
}

static struct owner *new_owner(const struct buf *text, size_t most)
{
    struct owner *owner = calloc(1, sizeof(*owner) + (most + 1) * sizeof(owner->items[0]));
    if (!owner)
        return NULL;
    // Names are no longer than what came, and must not move.
    owner->names.limit = text->size + 16;
    if (!buf_reserve(&owner->names, text->size + 16)) {
        free(owner);
        return NULL;
    }
    return owner;
}

static int ask(void *box, const char *script, const char *path, const char *verb,
               struct deadline deadline, struct owner **ret_owner, size_t *ret_count,
               struct sbx_error *err)
{
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
    const char *arguments[3] = {path, "", ""};
    int code = run(box, script, arguments, verb, deadline, &out, err);
    if (code < 0)
        return code;
    const char *text = buf_text(&out);
    size_t most = 0;
    for (const char *at = text; at && (at = strchr(at, '/')); at++)
        most++;
    struct owner *owner = text ? new_owner(&out, most) : NULL;
    if (!owner)
        return err_nomem(err);
    code = daytona_entry_parse(text, &owner->names, owner->items, most, ret_count, err);
    if (code < 0) {
        struct sbx_file_list list = {.owner = owner};
        daytona_file_list_free(&list);
        return err_wrap(err, "cannot %s '%.300s'", verb, path), code;
    }
    *ret_owner = owner;
    return 0;
}

int daytona_file_stat(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_file_list *ret_one,
                      struct sbx_error *err)
{
    struct owner *owner;
    size_t count;
    int code = ask(box, stat_script, path, "stat", cloud_deadline(call), &owner, &count, err);
    if (code < 0)
        return code;
    *ret_one = (struct sbx_file_list){.count = 1, .items = owner->items, .owner = owner};
    owner->name = strdup(path);
    owner->items[0].name = owner->name;
    if (count == 1 && owner->name)
        return 0;
    daytona_file_list_free(ret_one);
    return count == 1 ? err_nomem(err) : refuse(err);
}

int daytona_entry_stat(void *box, const char *user, const char *path, struct deadline deadline,
                       struct sbx_file_info *ret_info, struct sbx_error *err)
{
    struct owner *owner;
    size_t count;
    int code = ask(box, stat_script, path, "stat", deadline, &owner, &count, err);
    if (code < 0)
        return code;
    struct sbx_file_list list = {.owner = owner};
    *ret_info = owner->items[0];
    ret_info->name = path;
    ret_info->link = NULL;
    daytona_file_list_free(&list);
    return count == 1 ? 0 : refuse(err);
}

static int by_name(const void *a, const void *b)
{
    const struct sbx_file_info *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int daytona_file_list(void *box, const char *path, const struct sbx_file_options *options,
                      const struct sbx_call *call, struct sbx_file_list *ret_list,
                      struct sbx_error *err)
{
    struct owner *owner;
    size_t count;
    int code = ask(box, list_script, path, "list", cloud_deadline(call), &owner, &count, err);
    if (code < 0)
        return code;
    qsort(owner->items, count, sizeof(owner->items[0]), by_name);
    *ret_list = (struct sbx_file_list){.count = count, .items = owner->items, .owner = owner};
    return 0;
}

void daytona_file_list_free(struct sbx_file_list *list)
{
    struct owner *owner = list->owner;
    if (owner) {
        buf_deinit(&owner->names);
        free(owner->name);
    }
    free(owner);
    *list = (struct sbx_file_list){0};
}

static int change(void *box, const char *script, const char *const arguments[3], const char *verb,
                  const struct sbx_call *call, struct sbx_error *err)
{
    cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
    return run(box, script, arguments, verb, cloud_deadline(call), &out, err);
}

int daytona_file_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                       const struct sbx_call *call, struct sbx_error *err)
{
    char octal[16] = "";
    if (options->mode)
        snprintf(octal, sizeof(octal), "%o", options->mode & 07777);
    const char *arguments[3] = {path, options->recursive ? "p" : "", octal};
    return change(box, mkdir_script, arguments, "make", call, err);
}

int daytona_file_remove(void *box, const char *path, const struct sbx_file_options *options,
                        const struct sbx_call *call, struct sbx_error *err)
{
    const char *arguments[3] = {path, options->recursive ? "r" : "", ""};
    return change(box, remove_script, arguments, "remove", call, err);
}

int daytona_file_rename(void *box, const char *from, const char *to,
                        const struct sbx_file_options *options, const struct sbx_call *call,
                        struct sbx_error *err)
{
    const char *arguments[3] = {from, to, ""};
    return change(box, rename_script, arguments, "rename", call, err);
}
