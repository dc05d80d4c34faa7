// SPDX-License-Identifier: Apache-2.0
// What host and agent say to each other. Layer: wire.
#include "wire/agent_msg.h"

#include <string.h>

void agent_config_put(struct buf *out, const struct agent_config *config)
{
    wire_put_text(out, config->user);
    wire_put_text(out, config->workdir);
    wire_put_pairs(out, config->env, config->env_count);
    wire_put_text(out, config->machine);
    wire_put_pairs(out, config->mounts, config->mount_count);
}

int agent_config_get(const void *payload, size_t size, struct agent_config *ret_config)
{
    struct wire_reader in = wire_reader(payload, size);
    struct agent_config config = {.user = wire_text(&in)};
    config.workdir = wire_text(&in);
    config.env = wire_pairs(&in, AGENT_PAIRS_MAX, &config.env_count);
    config.machine = wire_text(&in);
    config.mounts = wire_pairs(&in, AGENT_MOUNTS_MAX, &config.mount_count);
    if (!wire_end(&in)) {
        agent_config_deinit(&config);
        return -1;
    }
    *ret_config = config;
    return 0;
}

void agent_config_deinit(struct agent_config *config)
{
    free(config->env);
    free(config->mounts);
    *config = (struct agent_config){0};
}

void agent_exec_put(struct buf *out, const struct agent_exec *exec)
{
    wire_put_u32(out, exec->flags);
    wire_put_u32(out, exec->rows);
    wire_put_u32(out, exec->cols);
    wire_put_u64(out, exec->timeout_ms);
    wire_put_text(out, exec->cwd);
    wire_put_text(out, exec->user);
    wire_put_text(out, exec->shell);
    wire_put_texts(out, exec->argv, exec->argc);
    wire_put_pairs(out, exec->env, exec->env_count);
}

int agent_exec_get(const void *payload, size_t size, struct agent_exec *ret_exec)
{
    struct wire_reader in = wire_reader(payload, size);
    struct agent_exec exec = {.flags = wire_u32(&in), .rows = 0};
    exec.rows = wire_u32(&in);
    exec.cols = wire_u32(&in);
    exec.timeout_ms = wire_u64(&in);
    exec.cwd = wire_text(&in);
    exec.user = wire_text(&in);
    exec.shell = wire_text(&in);
    exec.argv = wire_texts(&in, AGENT_ARGS_MAX, &exec.argc);
    exec.env = wire_pairs(&in, AGENT_PAIRS_MAX, &exec.env_count);
    if (!wire_end(&in) || (exec.argc == 0 && !exec.shell[0])) {
        agent_exec_deinit(&exec);
        return -1;
    }
    *ret_exec = exec;
    return 0;
}

void agent_exec_deinit(struct agent_exec *exec)
{
    free(exec->argv);
    free(exec->env);
    *exec = (struct agent_exec){0};
}

void agent_usage_put(struct buf *out, const struct agent_usage *usage)
{
    wire_put_u64(out, usage->cpu_usec);
    wire_put_u64(out, usage->memory_bytes);
    wire_put_u64(out, usage->disk_bytes);
    wire_put_u64(out, usage->disk_limit_bytes);
    wire_put_u32(out, usage->pids);
}

int agent_usage_get(const void *payload, size_t size, struct agent_usage *ret_usage)
{
    struct wire_reader in = wire_reader(payload, size);
    struct agent_usage usage = {.cpu_usec = wire_u64(&in)};
    usage.memory_bytes = wire_u64(&in);
    usage.disk_bytes = wire_u64(&in);
    usage.disk_limit_bytes = wire_u64(&in);
    usage.pids = wire_u32(&in);
    if (!wire_end(&in))
        return -1;
    *ret_usage = usage;
    return 0;
}

void agent_failed_put(struct buf *out, const struct sbx_error *error)
{
    wire_put_u32(out, (uint32_t)error->code);
    wire_put_u32(out, (uint32_t)error->sys_errno);
    wire_put_text(out, error->message);
    wire_put_text(out, error->remedy);
}

// Copies a text that a sandbox chose: no control characters, so that it can't drive a terminal.
static void copy_clean(char *target, size_t size, const char *text)
{
    size_t i = 0;
    for (; text[i] && i + 1 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        target[i] = c < 0x20 || c == 0x7f || c == 0x9b ? '?' : text[i];
    }
    target[i] = '\0';
}

int agent_failed_get(const void *payload, size_t size, struct sbx_error *err)
{
    struct wire_reader in = wire_reader(payload, size);
    int32_t code = (int32_t)wire_u32(&in);
    uint32_t sys_errno = wire_u32(&in);
    const char *message = wire_text(&in);
    const char *remedy = wire_text(&in);
    if (!wire_end(&in) || code >= 0 || code < SBX_ERR_LAST || sys_errno > 4095)
        return err_set(err, SBX_ERR_PROTOCOL, "the sandbox reported a failure that makes no sense");
    err_set(err, code, "-");
    if (!err)
        return code;
    err->sys_errno = (int32_t)sys_errno;
    copy_clean(err->message, sizeof(err->message), message);
    if (remedy[0])
        copy_clean(err->remedy, sizeof(err->remedy), remedy);
    return code;
}
