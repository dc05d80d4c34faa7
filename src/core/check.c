// SPDX-License-Identifier: Apache-2.0
// Arguments of the public calls, the pieces that all share. Layer: core.
#include "core/check.h"

#include <string.h>

#include "base/cancel.h"
#include "base/text.h"
#include "core/check_field.h"

int check_not_null(const void *pointer, const char *what, struct sbx_error *err)
{
    if (!pointer)
        return err_set(err, SBX_ERR_INVALID, "%s must not be NULL", what);
    return 0;
}

static bool all_zero(const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i])
            return false;
    return true;
}

int check_struct(void *to, size_t to_size, const void *from, const char *what,
                 struct sbx_error *err)
{
    memset(to, 0, to_size);
    memcpy(to, &to_size, sizeof(to_size));
    if (!from)
        return 0;
    size_t size;
    memcpy(&size, from, sizeof(size));
    if (size < sizeof(size) || size > 65536) {
        err_set(err, SBX_ERR_INVALID, "%s.size is not set", what);
        return err_hint(err, "initialise %s with its SBX_..._INIT macro", what);
    }
    if (size > to_size && !all_zero((const char *)from + to_size, size - to_size)) {
        err_set(err, SBX_ERR_UNSUPPORTED, "%s has fields that this version doesn't know", what);
        return err_hint(err, "install the version of libsandboxes that the program was built for");
    }
    size_t common = size < to_size ? size : to_size;
    memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size), common - sizeof(size));
    return 0;
}

int check_room(size_t size, const char *what, struct sbx_error *err)
{
    if (size < sizeof(size_t) || size > 65536) {
        err_set(err, SBX_ERR_INVALID, "%s.size is not set", what);
        return err_hint(err, "initialise %s with {.size = sizeof(%s)}", what, what);
    }
    return 0;
}

void check_give(void *to, size_t size, void *from, size_t from_size)
{
    size_t common = size < from_size ? size : from_size;
    memset(to, 0, size);
    memcpy(to, from, common);
    memcpy(to, &size, sizeof(size));
}

int check_call(const struct sbx_call *call, struct sbx_call *ret_call, struct sbx_error *err)
{
    int code = check_struct(ret_call, sizeof(*ret_call), call, "call", err);
    if (code == 0 && ret_call->timeout_ms < 0)
        code = err_set(err, SBX_ERR_INVALID, "call.timeout_ms must not be negative");
    if (code == 0 && ret_call->cancel && cancel_triggered(ret_call->cancel))
        code = err_set(err, SBX_ERR_CANCELLED, "cancelled before it began");
    return code;
}

int check_path(const char *path, const char *what, struct sbx_error *err)
{
    int code = check_not_null(path, what, err);
    if (code < 0)
        return code;
    size_t length = strnlen(path, CHECK_PATH_MAX);
    if (length == 0 || length == CHECK_PATH_MAX)
        return err_set(err, SBX_ERR_INVALID, "%s must have 1 to %d bytes", what,
                       CHECK_PATH_MAX - 1);
    return 0;
}

int check_absolute(const char *path, const char *what, struct sbx_error *err)
{
    int code = check_path(path, what, err);
    if (code == 0 && path[0] != '/')
        code = err_set(err, SBX_ERR_INVALID, "%s must be an absolute path, not '%s'", what, path);
    return code;
}

int check_id(const char *id, struct sbx_error *err)
{
    int code = check_not_null(id, "id", err);
    if (code == 0 && (!text_of(id, TEXT_ALNUM "._-", 128) || strchr(".-", id[0])))
        code = err_set(err, SBX_ERR_INVALID, "'%.130s' can't be the id of a sandbox", id);
    return code;
}

int check_user(const char *user, const char *what, struct sbx_error *err)
{
    if (user && (!text_of(user, TEXT_ALNUM "._-", 32) || strchr(".-", user[0]))) {
        err_set(err, SBX_ERR_INVALID, "%s must be the name or number of a user", what);
        return err_hint(err,
                        "use 1 to 32 characters of A-Z a-z 0-9 . _ - such as 'user' or 'root'");
    }
    return 0;
}

static int check_variable(const struct sbx_pair *pair, const char *what, size_t index,
                          struct sbx_error *err)
{
    if (!pair->name || !pair->name[0] || strchr(pair->name, '='))
        return err_set(err, SBX_ERR_INVALID,
                       "%s[%zu].name: a variable's name has at least one character and no '='",
                       what, index);
    if (!pair->value)
        return err_set(err, SBX_ERR_INVALID, "%s[%zu].value of '%.64s' must not be NULL", what,
                       index, pair->name);
    if (strlen(pair->name) + strlen(pair->value) + 2 > CHECK_STRING_MAX)
        return err_set(err, SBX_ERR_INVALID, "%s[%zu].value of '%.64s' is longer than %d bytes",
                       what, index, pair->name, CHECK_STRING_MAX);
    return 0;
}

int check_env(const struct sbx_pair *env, size_t count, const char *what, struct sbx_error *err)
{
    int code = check_count(env, count, CHECK_PAIRS_MAX, what, err);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = check_variable(&env[i], what, i, err);
    return code;
}

int check_count(const void *array, size_t count, size_t most, const char *what,
                struct sbx_error *err)
{
    if (count > most)
        return err_set(err, SBX_ERR_INVALID, "%s has %zu entries, at most %zu are accepted", what,
                       count, most);
    if (count && !array)
        return err_set(err, SBX_ERR_INVALID, "%s is NULL but its count is %zu", what, count);
    return 0;
}

int check_port(const struct sbx_port *port, const char *what, struct sbx_error *err)
{
    int code = check_not_null(port, what, err);
    if (code == 0 && port->port == 0)
        code = err_set(err, SBX_ERR_INVALID, "%s: port 0 can't be exposed", what);
    return code;
}

int check_file_options(const struct sbx_file_options *options, struct sbx_file_options *ret_options,
                       struct sbx_error *err)
{
    int code = check_struct(ret_options, sizeof(*ret_options), options, "options", err);
    if (code == 0)
        code = check_user(ret_options->user, "options.user", err);
    if (code == 0 && (ret_options->mode & ~07777u))
        code = err_set(err, SBX_ERR_INVALID, "options.mode 0%o has more than permission bits",
                       ret_options->mode);
    if (code == 0 && ret_options->recursive > 1)
        code = err_set(err, SBX_ERR_INVALID, "options.recursive must be 0 or 1");
    return code;
}
