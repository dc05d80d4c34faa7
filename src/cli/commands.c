// SPDX-License-Identifier: Apache-2.0
// The table of commands, in the order of help. Layer: cli.
#include "cli/command.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/suggest.h"

const struct command *const commands[] = {
    &command_run,        &command_create,
    &command_exec,       &command_shell,
    &command_list,       &command_inspect,
    &command_destroy,    &command_cp,
    &command_logs,       &command_top,
    &command_stats,      &command_expose,
    &command_snapshot,   &command_fork,
    &command_image,      &command_serve,
    &command_microvm,    &command_providers,
    &command_test,       &command_doctor,
    &command_version,    &command_help,
    &command_completion, &command_complete,
    &command_man,        NULL,
};

const struct opt_row common_rows[] = {
    {.name = "help",
     .letter = 'h',
     .kind = OPT_FLAG,
     .offset = offsetof(struct common_values, help),
     .help = "show how the command is used"},
    {.name = "debug",
     .letter = 'v',
     .kind = OPT_FLAG,
     .offset = offsetof(struct common_values, debug),
     .help = "tell on standard error what is being done"},
    {.name = "config",
     .kind = OPT_STRING,
     .value = "FILE",
     .offset = offsetof(struct common_values, config),
     .help = "read this configuration instead of $XDG_CONFIG_HOME/sandboxes/config.toml"},
    {.name = "version",
     .kind = OPT_FLAG,
     .flags = OPT_HIDDEN,
     .offset = offsetof(struct common_values, version),
     .help = "show the version"},
};
const size_t common_row_count = ARRAY_SIZE(common_rows);

bool command_has_alias(const struct command *command, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = command->aliases; *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        if (size == length && memcmp(at, word, size) == 0)
            return true;
        at += size;
    }
    return false;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0 || command_has_alias(commands[i], name))
            return commands[i];
    return NULL;
}

const char *command_suggest(const char *name)
{
    struct suggest suggest = {.wanted = name};
    for (size_t i = 0; commands[i]; i++)
        if (!commands[i]->hidden)
            suggest_offer(&suggest, commands[i]->name);
    return suggest.best;
}
