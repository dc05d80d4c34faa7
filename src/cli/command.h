// SPDX-License-Identifier: Apache-2.0
// What a command of `sandboxes` is: one row of a table. Help, man pages, completions and parsing
// all come from it. Layer: cli.
#pragma once

#include "base/opt.h"
#include "cli/cli.h"

// What completion offers for the words that are not options.
enum complete_kind {
    COMPLETE_NOTHING,
    COMPLETE_FILES,
    COMPLETE_SANDBOX,   // one id, then nothing
    COMPLETE_SANDBOXES, // ids
    COMPLETE_COMMAND,   // names of commands
    COMPLETE_SHELL,     // bash, zsh, fish
    COMPLETE_PATHS,     // ids and files
};

// Some option rows and where in the command's values they are read into.
struct command_part {
    const char *title; // heading in help; NULL ends the list of parts
    const struct opt_row *rows;
    size_t count;
    size_t offset;
};
#define COMMAND_PARTS_MAX 3

// The option --provider of commands whose values have that field. FIELD is the command's own.
#define PROVIDER_ROW(text)                                                                         \
    {                                                                                              \
        .name = "provider", .letter = 'p', .kind = OPT_STRING, .value = "NAME", FIELD(provider),   \
        .help = text                                                                               \
    }

struct command_example {
    const char *line;
    const char *what;
};

// One use of a command.
struct invocation {
    const struct command *command;
    const void *values; // the command's own struct
    struct opt_operands operands;
    struct opt_set sets[COMMAND_PARTS_MAX + 1]; // one a part, then the common options
    size_t set_count;
    int argc; // as given, for a command that another program runs
    const char *const *argv;
};

struct command {
    const char *name;
    const char
        *aliases; // separated by spaces; "" for none; names that begin with "_" are not shown
    const char *summary;                    // one sentence without final stop
    const char *operands;                   // as in the usage line
    const char *details;                    // paragraphs separated by empty lines
    const struct command_example *examples; // ended by a NULL line
    struct command_part parts[COMMAND_PARTS_MAX];
    size_t values_size;
    size_t least, most;   // number of operands; SIZE_MAX: any
    size_t free_operands; // opt_grammar's; 0 means any number
    enum complete_kind complete;
    const char *const
        *forms; // words that operands may be, "key create"; FILE: any file; ended by NULL
    bool hidden;
    bool alone; // says itself, or by the provider it uses, when it needs modules:
                // module_become_full()
    // Returns the exit status.
    int (*run)(struct cli *cli, struct invocation *use);
};

extern const struct command command_complete, command_completion, command_cp, command_create,
    command_destroy, command_doctor, command_exec, command_expose, command_fork, command_help,
    command_image, command_inspect, command_list, command_logs, command_man, command_microvm,
    command_providers, command_run, command_serve, command_shell, command_snapshot, command_stats,
    command_test, command_top, command_version;

// All commands, in the order of help; ended by a NULL.
extern const struct command *const commands[];

// Options that every command has.
struct common_values {
    int help, version, debug;
    const char *config;
};
extern const struct opt_row common_rows[];
extern const size_t common_row_count;

// By name or alias, NULL if there is none.
const struct command *command_find(const char *name);

// The name nearest to a mistyped one, or NULL.
const char *command_suggest(const char *name);

// Whether `word` is among words separated by spaces.
bool command_has_alias(const struct command *command, const char *word);
