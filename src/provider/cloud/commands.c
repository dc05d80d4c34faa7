// SPDX-License-Identifier: Apache-2.0
// The list of a sandbox's commands, put together from a service's answer. Layer: provider.
#include "provider/cloud/commands.h"

#include <stdlib.h>
#include <string.h>

void cloud_put_words(struct json *json, const struct sbx_exec *exec)
{
    if (exec->shell) {
        json_text(json, "/bin/sh");
        json_text(json, "-c");
        json_text(json, exec->shell);
    }
    for (size_t i = 0; i < exec->argc; i++)
        json_text(json, exec->argv[i]);
}

#define TEXT_MAX (64u << 20)

struct cloud_commands {
    struct buf text; // all commands, each with its NUL
    size_t count;
    struct sbx_process_info items[];
};

struct cloud_commands *cloud_commands_new(size_t most)
{
    struct cloud_commands *commands =
        calloc(1, sizeof(*commands) + (most + 1) * sizeof(commands->items[0]));
    if (commands)
        commands->text.limit = TEXT_MAX;
    return commands;
}

void cloud_commands_add(struct cloud_commands *commands, const struct sbx_process_info *info,
                        const struct buf *shown, size_t size)
{
    commands->items[commands->count++] = *info;
    buf_add(&commands->text, shown->data, shown->size < size ? shown->size : size);
    buf_add(&commands->text, "", 1);
}

int cloud_commands_finish(struct cloud_commands *commands, struct sbx_process_list *ret_list,
                          struct sbx_error *err)
{
    const char *at = commands->text.data;
    for (size_t i = 0; i < commands->count && !commands->text.failed; i++) {
        commands->items[i].command = at;
        at += strlen(at) + 1;
    }
    *ret_list = (struct sbx_process_list){
        .count = commands->count, .items = commands->items, .owner = commands};
    if (!commands->text.failed)
        return 0;
    cloud_commands_free(ret_list);
    return err_nomem(err);
}

void cloud_commands_free(struct sbx_process_list *list)
{
    struct cloud_commands *commands = list->owner;
    if (commands)
        buf_deinit(&commands->text);
    free(commands);
    *list = (struct sbx_process_list){0};
}
