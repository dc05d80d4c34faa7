// SPDX-License-Identifier: Apache-2.0
// Validation of specifications of sandboxes and commands. Layer: core.
#include <string.h>

#include "base/text.h"
#include "core/check_field.h"
#include "core/labels.h"

// A short text that must not be empty when it is there.
static int check_word(const char *text, const char *what, size_t most, struct sbx_error *err)
{
    if (!text)
        return 0;
    size_t size = strnlen(text, most + 1);
    if (size == 0 || size > most || text_has_control(text, size))
        return err_set(err, SBX_ERR_INVALID,
                       "%s must have 1 to %zu bytes without control characters", what, most);
    return 0;
}

int check_image(const char *name, const char *what, struct sbx_error *err)
{
    return check_word(name ? name : "", what, CHECK_PATH_MAX - 1, err);
}

static int check_names(const struct sbx_spec *spec, struct sbx_error *err)
{
    int code = check_word(spec->image, "spec.image", CHECK_PATH_MAX - 1, err);
    if (code == 0)
        code = check_word(spec->gpu, "spec.gpu", 128, err);
    if (code == 0)
        code = check_user(spec->user, "spec.user", err);
    if (code == 0 && spec->workdir)
        code = check_absolute(spec->workdir, "spec.workdir", err);
    if (code == 0 && spec->hostname && !text_of(spec->hostname, TEXT_ALNUM ".-", 63))
        code = err_set(err, SBX_ERR_INVALID,
                       "spec.hostname must have 1 to 63 characters of A-Z a-z 0-9 . -");
    return code;
}

static int check_allow(const struct sbx_spec *spec, struct sbx_error *err)
{
    int code = check_count(spec->allow, spec->allow_count, CHECK_LISTS_MAX, "spec.allow", err);
    for (size_t i = 0; code == 0 && i < spec->allow_count; i++)
        if (!spec->allow[i] || !text_of(spec->allow[i], TEXT_ALNUM "._-*:/[]", 300))
            code = err_set(err, SBX_ERR_INVALID,
                           "spec.allow[%zu] must be like \"example.com\", \"*.example.com:443\" or "
                           "\"1.2.3.0/24\"",
                           i);
    if (code < 0)
        return code;
    bool listed = spec->allow_count > 0;
    if (listed && (spec->network == SBX_NETWORK_NONE || spec->network == SBX_NETWORK_HOST))
        return err_set(err, SBX_ERR_INVALID, "spec.allow has no meaning with spec.network '%s'",
                       sbx_network_name(spec->network));
    if (!listed && spec->network == SBX_NETWORK_ALLOW)
        return err_set(err, SBX_ERR_INVALID, "spec.network is 'allow' but spec.allow is empty");
    return 0;
}

static int check_numbers(const struct sbx_spec *spec, struct sbx_error *err)
{
    if (spec->lifetime > SBX_LIFETIME_TIED)
        return err_set(err, SBX_ERR_INVALID, "spec.lifetime %u is unknown", spec->lifetime);
    if (spec->network > SBX_NETWORK_HOST)
        return err_set(err, SBX_ERR_INVALID, "spec.network %u is unknown", spec->network);
    if (spec->ttl_ms < -1)
        return err_set(err, SBX_ERR_INVALID, "spec.ttl_ms must be -1, 0 or positive");
    if (spec->reserved)
        return err_set(err, SBX_ERR_INVALID, "spec.reserved must be zero");
    return check_allow(spec, err);
}

static int check_mounts(const struct sbx_spec *spec, struct sbx_error *err)
{
    int code = check_count(spec->mounts, spec->mount_count, CHECK_LISTS_MAX, "spec.mounts", err);
    for (size_t i = 0; code == 0 && i < spec->mount_count; i++) {
        const struct sbx_mount *mount = &spec->mounts[i];
        code = check_absolute(mount->source, "spec.mounts: source", err);
        if (code == 0)
            code = check_absolute(mount->target, "spec.mounts: target", err);
        if (code == 0 && (mount->flags & ~(uint32_t)SBX_MOUNT_WRITABLE))
            code = err_set(err, SBX_ERR_INVALID, "spec.mounts[%zu].flags 0x%x is unknown", i,
                           mount->flags);
    }
    return code;
}

static int check_ports(const struct sbx_spec *spec, struct sbx_error *err)
{
    int code = check_count(spec->ports, spec->port_count, CHECK_PORTS_MAX, "spec.ports", err);
    for (size_t i = 0; code == 0 && i < spec->port_count; i++)
        code = check_port(&spec->ports[i], "spec.ports", err);
    return code;
}

int check_spec(const struct sbx_spec *spec, struct sbx_spec *ret_spec, struct sbx_error *err)
{
    int code = check_struct(ret_spec, sizeof(*ret_spec), spec, "spec", err);
    if (code == 0)
        code = check_names(ret_spec, err);
    if (code == 0)
        code = check_numbers(ret_spec, err);
    if (code == 0)
        code = check_env(ret_spec->env, ret_spec->env_count, "spec.env", err);
    if (code == 0)
        code = labels_check(ret_spec->labels, ret_spec->label_count, "spec.labels", err);
    if (code == 0)
        code = check_mounts(ret_spec, err);
    if (code == 0)
        code = check_ports(ret_spec, err);
    return code;
}

int check_fork(const struct sbx_fork *fork, struct sbx_fork *ret_fork, struct sbx_error *err)
{
    int code = check_struct(ret_fork, sizeof(*ret_fork), fork, "fork", err);
    if (code == 0 && ret_fork->lifetime > SBX_LIFETIME_TIED)
        code = err_set(err, SBX_ERR_INVALID, "fork.lifetime %u is unknown", ret_fork->lifetime);
    if (code == 0 && ret_fork->ttl_ms < -1)
        code = err_set(err, SBX_ERR_INVALID, "fork.ttl_ms must be -1, 0 or positive");
    if (code == 0 && ret_fork->reserved)
        code = err_set(err, SBX_ERR_INVALID, "fork.reserved must be zero");
    if (code == 0)
        code = check_env(ret_fork->env, ret_fork->env_count, "fork.env", err);
    return code < 0 ? code
                    : labels_check(ret_fork->labels, ret_fork->label_count, "fork.labels", err);
}

static int check_command(const struct sbx_exec *exec, struct sbx_error *err)
{
    if (exec->shell && exec->argc)
        return err_set(err, SBX_ERR_INVALID, "exec.shell and exec.argv exclude each other");
    if (!exec->shell && !exec->argc)
        return err_set(err, SBX_ERR_INVALID, "exec has neither argv nor shell");
    int code = check_count(exec->argv, exec->argc, CHECK_ARGS_MAX, "exec.argv", err);
    for (size_t i = 0; code == 0 && i < exec->argc; i++)
        if (!exec->argv[i] || strlen(exec->argv[i]) >= CHECK_STRING_MAX)
            code = err_set(err, SBX_ERR_INVALID, "exec.argv[%zu] is NULL or longer than %d bytes",
                           i, CHECK_STRING_MAX - 1);
    if (code == 0 && exec->argc && !exec->argv[0][0])
        code = err_set(err, SBX_ERR_INVALID, "exec.argv[0] is empty");
    if (code == 0 && exec->shell && strlen(exec->shell) >= CHECK_STRING_MAX)
        code = err_set(err, SBX_ERR_INVALID, "exec.shell is longer than %d bytes",
                       CHECK_STRING_MAX - 1);
    return code;
}

static int check_input(const struct sbx_exec *exec, struct sbx_error *err)
{
    if (exec->input_size && !exec->input)
        return err_set(err, SBX_ERR_INVALID, "exec.input is NULL but exec.input_size is %zu",
                       exec->input_size);
    if (exec->input_size && (exec->flags & SBX_EXEC_STDIN))
        return err_set(err, SBX_ERR_INVALID, "exec.input and SBX_EXEC_STDIN exclude each other");
    return 0;
}

int check_exec(const struct sbx_exec *exec, struct sbx_exec *ret_exec, struct sbx_error *err)
{
    const uint32_t known =
        SBX_EXEC_PTY | SBX_EXEC_BACKGROUND | SBX_EXEC_STDIN | SBX_EXEC_MERGE | SBX_EXEC_CLEAN_ENV;
    int code = check_struct(ret_exec, sizeof(*ret_exec), exec, "exec", err);
    if (code == 0)
        code = check_command(ret_exec, err);
    if (code == 0)
        code = check_input(ret_exec, err);
    if (code == 0 && ret_exec->cwd)
        code = check_absolute(ret_exec->cwd, "exec.cwd", err);
    if (code == 0)
        code = check_user(ret_exec->user, "exec.user", err);
    if (code == 0)
        code = check_env(ret_exec->env, ret_exec->env_count, "exec.env", err);
    if (code == 0 && (ret_exec->flags & ~known))
        code = err_set(err, SBX_ERR_INVALID, "exec.flags 0x%x has unknown bits", ret_exec->flags);
    if (code == 0 && ret_exec->timeout_ms < 0)
        code = err_set(err, SBX_ERR_INVALID, "exec.timeout_ms must not be negative");
    return code;
}
