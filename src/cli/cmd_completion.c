// SPDX-License-Identifier: Apache-2.0
// sandboxes completion: scripts for shells, which ask the hidden command __complete for candidates,
// so that they never disagree with the tables. Layer: cli.
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "cli/command.h"
#include "cli/out.h"

// Candidates are lines "WORD<tab>DESCRIPTION"; a line ":files" asks for the names of files too.
static const char bash_script[] =
    "# completion of sandboxes for bash; load it with: source <(sandboxes completion bash)\n"
    "_sandboxes() {\n"
    "    local line cur=${COMP_WORDS[COMP_CWORD]} files=\n"
    "    # --name=value: complete the value\n"
    "    if [[ $cur == '=' ]]; then cur=; fi\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == ':files' ]]; then files=1; continue; fi\n"
    "        COMPREPLY+=(\"$(printf '%q' \"${line%%$'\\t'*}\")\")\n"
    "    done < <(\"${COMP_WORDS[0]}\" __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null)\n"
    "    if [[ $files ]]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        while IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- \"$cur\")\n"
    "    fi\n"
    "}\n"
    "complete -F _sandboxes sandboxes\n";

static const char zsh_script[] =
    "#compdef sandboxes\n"
    "# completion of sandboxes for zsh; load it with: source <(sandboxes completion zsh)\n"
    "_sandboxes() {\n"
    "    local line files=\n"
    "    local -a found\n"
    "    while IFS= read -r line; do\n"
    "        if [[ $line == ':files' ]]; then files=1; continue; fi\n"
    "        found+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\")\n"
    "    done < <(\"${words[1]}\" __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    (( $#found )) && _describe -V sandboxes found\n"
    "    [[ -n $files ]] && _files\n"
    "}\n"
    "if [[ $funcstack[1] == _sandboxes ]]; then _sandboxes \"$@\"; else compdef _sandboxes "
    "sandboxes; fi\n";

static const char fish_script[] =
    "# completion of sandboxes for fish; load it with: sandboxes completion fish | source\n"
    "function __sandboxes_complete\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)\n"
    "        if test \"$line\" = ':files'\n"
    "            __fish_complete_path (commandline -ct)\n"
    "        else\n"
    "            echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c sandboxes -f -a '(__sandboxes_complete)'\n";

static const struct shell {
    const char *name, *script;
} shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

static int run_completion(struct cli *cli, struct invocation *use)
{
    const char *name = use->operands.items[0];
    cleanup_buf struct buf buf = BUF_INIT(64 * 1024);
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++)
        if (strcmp(shells[i].name, name) == 0) {
            buf_puts(&buf, shells[i].script);
            return out_flush(cli, &buf);
        }
    struct sbx_error err;
    err_set(&err, SBX_ERR_INVALID, "there is no completion for the shell '%s'", name);
    err_hint(&err, "choose bash, zsh or fish");
    return cli_usage(cli, &err);
}

static const struct command_example examples[] = {
    {"source <(sandboxes completion bash)", "in ~/.bashrc"},
    {"source <(sandboxes completion zsh)", "in ~/.zshrc, after compinit"},
    {"sandboxes completion fish > ~/.config/fish/completions/sandboxes.fish", "once"},
    {NULL, NULL},
};

const struct command command_completion = {
    .name = "completion",
    .aliases = "",
    .summary = "print a completion script for a shell",
    .operands = "bash|zsh|fish",
    .details =
        "Prints a script that completes commands, options, their values and the ids of living "
        "sandboxes.",
    .examples = examples,
    .least = 1,
    .most = 1,
    .complete = COMPLETE_SHELL,
    .run = run_completion,
};
