// SPDX-License-Identifier: Apache-2.0
// What runs TypeScript in a given sandbox. Layer: cli.
//
// Node strips types itself with --experimental-strip-types from 22.6, without being asked from 23.6
// and 22.18 (https://nodejs.org/api/typescript.html). Older ones need tsx or ts-node, which npx
// fetches.
#include "cli/typescript.h"

#include <stdlib.h>
#include <string.h>

#include <sandboxes/process.h>

#include "base/cleanup.h"

static const char probe[] = "command -v node >/dev/null && node -p process.versions.node\n"
                            "for tool in tsx ts-node npx; do\n"
                            "command -v $tool >/dev/null && echo $tool\n"
                            "done\nexit 0";

#define QUIET "--disable-warning=ExperimentalWarning"

static const char *const by_node[] = {"node", QUIET, "{file}", NULL};
static const char *const by_stripping[] = {"node", "--experimental-strip-types", QUIET, "{file}",
                                           NULL};
static const char *const by_tsx[] = {"tsx", "{file}", NULL};
static const char *const by_ts_node[] = {"ts-node", "{file}", NULL};
static const char *const by_npx[] = {"npx", "-y", NPM_PATIENCE, "tsx", "{file}", NULL};

static bool has_line(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = text; at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        if (strncmp(at, line, length) == 0 && (at[length] == '\n' || at[length] == '\0'))
            return true;
    return false;
}

language_words typescript_pick(const char *probed)
{
    char *end;
    long major = strtol(probed, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
    if (major > 23 || (major == 23 && minor >= 6) || (major == 22 && minor >= 18))
        return by_node;
    if (major == 23 || (major == 22 && minor >= 6))
        return by_stripping;
    if (has_line(probed, "tsx"))
        return by_tsx;
    if (has_line(probed, "ts-node"))
        return by_ts_node;
    return major > 0 && has_line(probed, "npx") ? by_npx : NULL;
}

int typescript_choose(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                      language_words *ret_run, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.shell = probe;
    exec.timeout_ms = 30000;
    exec.output_limit = 4096;
    struct sbx_result result;
    int code = sbx_run(sandbox, &exec, call, &result, err);
    if (code < 0)
        return code;
    *ret_run = typescript_pick(result.out ? result.out : "");
    sbx_result_deinit(&result);
    return 0;
}
