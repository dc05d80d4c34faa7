// SPDX-License-Identifier: Apache-2.0
// Errors as values: names, general remedies, filling and wrapping. Layer: base.
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

struct code_row {
    const char *name;
    const char *remedy;
};

#define ROW(code, remedy) [-SBX_ERR_##code] = {#code, remedy}

static const struct code_row code_rows[] = {
    [0] = {"OK", ""},
    ROW(INVALID, "correct the argument; 'sandboxes help COMMAND' shows what is accepted"),
    ROW(NOT_FOUND, "check the name; 'sandboxes list' shows the living sandboxes"),
    ROW(CONFLICT, "choose another name, or wait until the other operation is done"),
    ROW(AUTH, "check the provider's credentials; 'sandboxes providers' names their settings"),
    ROW(DENIED, "use an account or user that may do this"),
    ROW(QUOTA, "free something ('sandboxes list', 'sandboxes destroy') or raise the limit"),
    ROW(TIMEOUT, "allow more time, or find out what is slow with --debug"),
    ROW(CANCELLED, "start it again when it is wanted"),
    ROW(UNAVAILABLE, "try again; 'sandboxes test' shows which providers answer"),
    ROW(PROTOCOL, "try again; if it stays, report it with the output of --debug"),
    ROW(UNSUPPORTED, "choose a provider that can do it: 'sandboxes providers'"),
    ROW(SETUP, "run 'sandboxes doctor': it names what this machine lacks"),
    ROW(EXEC, "check that the program is in the sandbox's image and its PATH"),
    ROW(NOMEM, "free memory on this machine"),
    ROW(IO, "check the disk and the file named above"),
    ROW(BUG, "this is a defect of sandboxes: please report it with this message"),
};
_Static_assert(ARRAY_SIZE(code_rows) == -SBX_ERR_LAST + 1, "a row for each code");

static const struct code_row *find_row(int32_t code)
{
    if (code > 0 || code < SBX_ERR_LAST)
        return NULL;
    return &code_rows[-code];
}

const char *sbx_code_name(int32_t code)
{
    const struct code_row *row = find_row(code);
    return row ? row->name : "UNKNOWN";
}

const char *sbx_code_remedy(int32_t code)
{
    const struct code_row *row = find_row(code);
    return row ? row->remedy : "";
}

// Cuts a string that filled its buffer back to a whole UTF-8 character.
static void trim_utf8(char *text)
{
    size_t end = strlen(text), start = end;
    while (start > 0 && end - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (end - (start - 1) < want)
        text[start - 1] = '\0';
}

static PRINTF_LIKE(3, 0) void format_into(char *buffer, size_t size, const char *format,
                                          va_list args)
{
    int length = vsnprintf(buffer, size, format, args);
    if (length >= 0 && (size_t)length >= size)
        trim_utf8(buffer);
}

void err_clear(struct sbx_error *err)
{
    if (err)
        memset(err, 0, sizeof(*err));
}

static PRINTF_LIKE(3, 0) void fill(struct sbx_error *err, int code, const char *format,
                                   va_list args)
{
    err_clear(err);
    err->code = code;
    format_into(err->message, sizeof(err->message), format, args);
    snprintf(err->remedy, sizeof(err->remedy), "%s", sbx_code_remedy(code));
}

int err_set(struct sbx_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return code;
}

#define NO_PATH "check the path: it, or a directory on the way to it, is not there"
#define NO_SPACE "free space where that is written; a sandbox has as much as --disk gives it"
#define NO_FILES "raise the limit of open files: ulimit -n"
#define NO_FILES_AT_ALL "raise what this machine may have open: sysctl fs.file-max"

struct errno_row {
    int sys_errno;
    int code;
    const char *remedy; // NULL: the code's
};

static const struct errno_row errno_rows[] = {
    {ENOENT, SBX_ERR_NOT_FOUND, NO_PATH},
    {ENOTDIR, SBX_ERR_NOT_FOUND, NO_PATH},
    {EEXIST, SBX_ERR_CONFLICT, NULL},
    {EBUSY, SBX_ERR_CONFLICT, NULL},
    {ENOTEMPTY, SBX_ERR_CONFLICT, NULL},
    {EISDIR, SBX_ERR_CONFLICT, "name a file: this is a directory"},
    {EACCES, SBX_ERR_DENIED, NULL},
    {EPERM, SBX_ERR_DENIED, NULL},
    {EROFS, SBX_ERR_DENIED, NULL},
    {ENOSPC, SBX_ERR_QUOTA, NO_SPACE},
    {EDQUOT, SBX_ERR_QUOTA, NO_SPACE},
    {EMFILE, SBX_ERR_QUOTA, NO_FILES},
    {ENFILE, SBX_ERR_QUOTA, NO_FILES_AT_ALL},
    {EAGAIN, SBX_ERR_QUOTA, NULL},
    {ENOMEM, SBX_ERR_NOMEM, NULL},
    {EINVAL, SBX_ERR_INVALID, NULL},
    {ENAMETOOLONG, SBX_ERR_INVALID, NULL},
    {E2BIG, SBX_ERR_INVALID, NULL},
    {ELOOP, SBX_ERR_INVALID, NULL},
    {ETIMEDOUT, SBX_ERR_TIMEOUT, NULL},
    {ECANCELED, SBX_ERR_CANCELLED, NULL},
    {EPIPE, SBX_ERR_UNAVAILABLE, NULL},
    {ECONNRESET, SBX_ERR_UNAVAILABLE, NULL},
    {ECONNREFUSED, SBX_ERR_UNAVAILABLE, NULL},
};

static const struct errno_row *find_errno(int sys_errno)
{
    static const struct errno_row other = {0, SBX_ERR_IO, NULL};
    for (size_t i = 0; i < ARRAY_SIZE(errno_rows); i++)
        if (errno_rows[i].sys_errno == sys_errno)
            return &errno_rows[i];
    return &other;
}

int err_code_of_errno(int sys_errno)
{
    return find_errno(sys_errno)->code;
}

int err_sys(struct sbx_error *err, int code, int sys_errno, const char *format, ...)
{
    const char *remedy = code == 0 ? find_errno(sys_errno)->remedy : NULL;
    if (code == 0)
        code = err_code_of_errno(sys_errno);
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    if (remedy)
        snprintf(err->remedy, sizeof(err->remedy), "%s", remedy);
    err->sys_errno = sys_errno;
    size_t used = strlen(err->message);
    snprintf(err->message + used, sizeof(err->message) - used, ": %s", strerror(sys_errno));
    trim_utf8(err->message);
    return code;
}

int err_hint(struct sbx_error *err, const char *format, ...)
{
    if (!err)
        return SBX_ERR_BUG;
    va_list args;
    va_start(args, format);
    format_into(err->remedy, sizeof(err->remedy), format, args);
    va_end(args);
    return err->code;
}

int err_wrap(struct sbx_error *err, const char *format, ...)
{
    if (!err)
        return SBX_ERR_BUG;
    char text[sizeof(err->message)];
    va_list args;
    va_start(args, format);
    format_into(text, sizeof(text), format, args);
    va_end(args);
    size_t used = strlen(text);
    snprintf(text + used, sizeof(text) - used, ": %s", err->message);
    trim_utf8(text);
    memcpy(err->message, text, sizeof(text));
    return err->code;
}

int err_origin(struct sbx_error *err, const char *origin)
{
    if (!err)
        return SBX_ERR_BUG;
    if (!err->origin[0])
        snprintf(err->origin, sizeof(err->origin), "%s", origin);
    return err->code;
}

int err_nomem(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_NOMEM, "out of memory");
}
