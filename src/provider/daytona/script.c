// SPDX-License-Identifier: Apache-2.0
// Scripts around commands. Layer: provider.
#include "provider/daytona/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define SHOWN_MAX 256

/*
 * $1 is the program to check for, the rest what to run. Says !start and the process id, or !fail
 * and an errno, to file descriptor 3.
 */
#define CHECK                                                                                      \
    "f() { echo \"!fail $1\" >&3; exit $2; }\n"                                                    \
    "case $1 in\n"                                                                                 \
    "*/*) if [ ! -e \"$1\" ]; then f 2 127\n"                                                      \
    "elif [ -d \"$1\" ] || [ ! -x \"$1\" ]; then f 13 126; fi;;\n"                                 \
    "*) command -v -- \"$1\" >/dev/null || f 2 127;;\n"                                            \
    "esac\n"

// With 6 and 5 as output and error output.
static const char begin[] = CHECK "echo \"!start $$\" >&3\n"
                                  "shift\n"
                                  "exec >&6 2>&5\n"
                                  "exec 3>&- 4>&- 5>&- 6>&- 7<&-\n"
                                  "exec \"$@\"\n";

/*
 * $1 is "i" with input, "m" with merged output; $2 the directory or empty; $3 the script `begin`,
 * the rest is its arguments. e() encodes one stream until its end, which it tells by a dot: dd
 * reads what there is. d() decodes input: a line with the number of bytes of Base64 that follow, a
 * dot at the end. It runs beside, since whoever sends input may not know that the program has
 * ended.
 */
static const char around[] =
    "w=$1 c=$2 s=$3; shift 3\n"
    "exec 3>&1 4>&2 7<&0 2>/dev/null\n"
    "[ -z \"$c\" ] || cd -- \"$c\" || { echo !cwd >&3; exit 0; }\n"
    "e() { while x=$(dd bs=48000 count=1 | base64) && [ -n \"$x\" ]; do echo \"$x\"; done; echo .; "
    "}\n"
    "d() { while read -r n; do case $n in .) break;; '') ;; *) dd bs=\"$n\" count=1 "
    "iflag=fullblock | base64 -d || break;; esac; done; }\n"
    "b() { case $w in *m*) exec 5>&6;; esac; /bin/sh -c \"$s\" sh \"$@\"; echo \"!exit $?\" >&3; "
    "}\n"
    "r() { case $w in *i*) (exec 3>&- 4>&- 5>&- 6>&-; d <&7 &) | b \"$@\";; *) b \"$@\" "
    "</dev/null;; "
    "esac; }\n"
    "{ r \"$@\" 6>&1 | e >&3 4>&- 5>&- 7<&-; } 5>&1 | e >&4 3>&- 7<&-\n";

/*
 * $1 is "m" with merged output, $2 the directory or empty, the rest as for CHECK. Standard error
 * waits in a variable until the other stream has ended.
 */
static const char around_whole[] =
    "m=$1 c=$2; shift 2\n"
    "exec 3>&1 2>/dev/null </dev/null\n"
    "echo !begin\n"
    "[ -z \"$c\" ] || cd -- \"$c\" || { echo !cwd; exit; }\n" CHECK "shift\n"
    "if [ \"$m\" ]; then\n"
    "e=$(exec 5>&1; { (exec \"$@\" 2>&1 3>&- 5>&-); echo \"!$?\" >&5; } | base64 >&3)\n"
    "else\n"
    "e=$(exec 5>&1; { { (exec \"$@\" 2>&4 3>&- 4>&- 5>&-); echo \"!$?\" >&5; } | "
    "base64 >&3 4>&- 5>&-; } 4>&1 | base64 3>&- 5>&-)\n"
    "fi\n"
    "printf '.\\n%s\\n.\\n' \"$e\"\n";

// $1 is the directory or empty, $2 the script `begin`, the rest is its arguments. Interrupts are
// the program's, not this shell's.
static const char on_terminal[] =
    "unset SANDBOXES_RUN; c=$1 s=$2; shift 2\n"
    "[ -z \"$c\" ] || cd -- \"$c\" 2>/dev/null || { echo !cwd; exit 1; }\n"
    "trap : INT QUIT\n"
    "/bin/sh -c \"$s\" sh \"$@\" 3>&1 5>&2 6>&1\n"
    "s=$?; exit $s\n";

void script_name(uint32_t flags, int64_t started_ms, uint32_t id, char ret_name[NAME_SIZE])
{
    snprintf(ret_name, NAME_SIZE, "sandboxes-%x-%" PRId64 "-%u", flags, started_ms, id);
}

bool script_name_parse(const char *name, uint32_t *ret_flags, int64_t *ret_started_ms,
                       uint32_t *ret_id)
{
    unsigned flags, id;
    long long started;
    int used = 0;
    if (!name || sscanf(name, "sandboxes-%x-%lld-%u%n", &flags, &started, &id, &used) != 3 ||
        name[used])
        return false;
    *ret_flags = flags;
    *ret_started_ms = started;
    *ret_id = id;
    return true;
}

static void quote_size(struct buf *out, const char *text, size_t size)
{
    buf_puts(out, "'");
    for (size_t i = 0; i < size;) {
        size_t plain = 0;
        while (i + plain < size && text[i + plain] != '\'')
            plain++;
        buf_add(out, text + i, plain);
        i += plain;
        if (i < size) {
            buf_puts(out, "'\\''");
            i++;
        }
    }
    buf_puts(out, "'");
}

void script_quote(struct buf *out, const char *text)
{
    quote_size(out, text, strlen(text));
}

void script_argv(struct buf *out, const char *const *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++) {
        buf_puts(out, i ? " " : "");
        script_quote(out, argv[i]);
    }
}

static void put(struct buf *out, const char *text)
{
    buf_puts(out, " ");
    script_quote(out, text);
}

static void put_env(struct buf *out, const struct sbx_exec *exec)
{
    bool clean = exec->flags & SBX_EXEC_CLEAN_ENV;
    if (!clean && exec->env_count == 0)
        return;
    buf_puts(out, clean ? " env -i" : " env");
    for (size_t i = 0; i < exec->env_count; i++) {
        struct buf pair = BUF_INIT(out->limit);
        buf_printf(&pair, "%s=%s", exec->env[i].name, exec->env[i].value);
        if (buf_text(&pair))
            put(out, pair.data);
        out->failed |= pair.failed;
        buf_deinit(&pair);
    }
}

// The program to check for and what to run.
static void put_command(struct buf *out, const struct sbx_exec *exec)
{
    put(out, exec->shell ? "/bin/sh" : exec->argv[0]);
    put_env(out, exec);
    if (exec->shell) {
        buf_puts(out, " /bin/sh -c");
        put(out, exec->shell);
    }
    for (size_t i = 0; i < exec->argc; i++)
        put(out, exec->argv[i]);
}

static const char *directory(const struct sbx_exec *exec, const char *workdir)
{
    return exec->cwd ? exec->cwd : workdir ? workdir : "";
}

// As a word that means nothing, for lists of commands.
static void put_shown(struct buf *out, const struct sbx_exec *exec)
{
    cleanup_buf struct buf shown = BUF_INIT(SCRIPT_MAX);
    buf_puts(&shown, exec->shell ? exec->shell : "");
    for (size_t i = 0; i < exec->argc && shown.size < SHOWN_MAX; i++) {
        buf_puts(&shown, i ? " " : "");
        buf_puts(&shown, exec->argv[i]);
    }
    size_t size = shown.size < SHOWN_MAX ? shown.size : SHOWN_MAX;
    while (size > 0 && size < shown.size && ((unsigned char)shown.data[size] & 0xc0) == 0x80)
        size--;
    buf_puts(out, ": ");
    quote_size(out, shown.data ? shown.data : "", size);
    buf_puts(out, "; ");
}

void script_session(struct buf *out, const struct sbx_exec *exec, const char *workdir)
{
    bool input = exec->flags & SBX_EXEC_STDIN, merge = exec->flags & SBX_EXEC_MERGE;
    put_shown(out, exec);
    buf_puts(out, "/bin/sh -c");
    put(out, around);
    buf_puts(out, input ? merge ? " sh im" : " sh i" : merge ? " sh m" : " sh ''");
    put(out, directory(exec, workdir));
    put(out, begin);
    put_command(out, exec);
}

void script_whole(struct buf *out, const char *name, const struct sbx_exec *exec,
                  const char *workdir)
{
    buf_puts(out, "exec /bin/sh -c");
    put(out, around_whole);
    put(out, name);
    buf_puts(out, exec->flags & SBX_EXEC_MERGE ? " m" : " ''");
    put(out, directory(exec, workdir));
    put_command(out, exec);
}

void script_terminal(struct buf *out, const struct sbx_exec *exec, const char *workdir)
{
    buf_puts(out, "exec /bin/sh -c");
    put(out, on_terminal);
    buf_puts(out, " sh");
    put(out, directory(exec, workdir));
    put(out, begin);
    put_command(out, exec);
}

void script_shown(const char *line, struct buf *out)
{
    const char *at = line && strncmp(line, ": '", 3) == 0 ? line + 3 : NULL;
    while (at && *at && out->size < SHOWN_MAX) {
        if (*at != '\'') {
            buf_add(out, at++, 1);
        } else if (strncmp(at, "'\\''", 4) == 0) {
            buf_puts(out, "'");
            at += 4;
        } else {
            return;
        }
    }
}
