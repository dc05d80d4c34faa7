// SPDX-License-Identifier: Apache-2.0
// Commands whose output nobody looks at before their end: one request, without a session. Layer:
// provider.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/cancel.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "provider/daytona/files.h"
#include "provider/daytona/process.h"

#define LINE_MAX_BYTES (100u << 10) // one argument of a program has at most 128 KiB (execve(2))
#define OUTPUT_MAX (128u << 20)
#define LONGEST_S (30 * 86400) // of what has no deadline
#define KILL_MS 10000
#define KILL_TRIES 3
#define KILL_PAUSE_NS 50000000
#define BEGIN "!begin\n"

static int incomplete(struct sbx_error *err)
{
    err_set(err, SBX_ERR_UNAVAILABLE, "the service did not say how the command ended");
    return err_hint(err, "its output may have been more than the service gives: write to a file, "
                         "and download that");
}

static int refuse(struct sbx_error *err)
{
    return err_set(err, SBX_ERR_PROTOCOL, "the command's output is not what its script writes");
}

// --- What came back

static int decode(const char *at, const char *end, struct buf *out, struct sbx_error *err)
{
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t size = (size_t)((line_end ? line_end : end) - at);
        if (size > 0 && !base64_decode(out, at, size))
            return refuse(err);
        at += size + 1;
    }
    return out->failed ? err_nomem(err) : 0;
}

// The status stands where it came between the pieces of stderr, perhaps inside a line.
static int decode_errors(struct daytona_process *process, const char *at, const char *end,
                         struct sbx_error *err)
{
    cleanup_buf struct buf text = BUF_INIT(OUTPUT_MAX);
    const char *word = memchr(at, '!', (size_t)(end - at));
    char *after;
    if (!word || word[1] < '0' || word[1] > '9')
        return refuse(err);
    unsigned long status = strtoul(word + 1, &after, 10);
    if (*after != '\n' || status > 255)
        return refuse(err);
    output_outcome((uint32_t)status, &process->outcome);
    buf_add(&text, at, (size_t)(word - at));
    buf_add(&text, after + 1, (size_t)(end - after - 1));
    if (!buf_text(&text))
        return err_nomem(err);
    return decode(text.data, text.data + text.size, &process->kept[1], err);
}

static int read_failure(const char *text, const struct sbx_exec *exec, struct sbx_error *err)
{
    struct output_event event;
    char word[64];
    size_t size = strcspn(text, "\n");
    if (size >= sizeof(word))
        return refuse(err);
    memcpy(word, text, size);
    word[size] = '\0';
    int code = output_word(word, &event, err);
    if (code == 0 && event.kind != OUTPUT_FAIL)
        code = refuse(err);
    return code < 0 ? code : process_no_program(exec, event.number, err);
}

// Neither '.' nor '!' is in the alphabet of Base64.
int whole_read(struct daytona_process *process, const struct sbx_exec *exec, const char *text,
               struct sbx_error *err)
{
    const char *begin = text ? strstr(text, BEGIN) : NULL; // before it a shell may complain
    if (!begin)
        return err_set(err, SBX_ERR_PROTOCOL, "the command did not begin: %.300s",
                       text ? text : "the service sent no output");
    begin += strlen(BEGIN);
    if (*begin == '!')
        return read_failure(begin, exec, err);
    const char *out_end = strchr(begin, '.');
    const char *err_end = out_end ? strchr(out_end + 1, '.') : NULL;
    if (!err_end)
        return incomplete(err);
    int code = decode(begin, out_end, &process->kept[0], err);
    return code < 0 ? code : decode_errors(process, out_end + 1, err_end, err);
}

// --- One request

static int ask(struct daytona_process *process, const char *line, struct deadline deadline,
               struct jsonv **ret_answer, struct sbx_error *err)
{
    cleanup_buf struct buf body = BUF_INIT(SCRIPT_MAX);
    struct json json = JSON_INIT(&body, false);
    int64_t left =
        deadline.at_ms == DEADLINE_NEVER ? LONGEST_S : (deadline.at_ms - clock_boot_ms()) / 1000;
    if (left > LONGEST_S - 10)
        left = LONGEST_S - 10;
    json_begin_object(&json);
    json_put_text(&json, "command", line);
    // Ours is the clock that counts: the service's is for what was given up.
    json_put_int(&json, "timeout", left > 0 ? left + 10 : 10);
    json_end_object(&json);
    return daytona_toolbox_call(process->box, "POST", "process/execute", &body,
                                "cannot run the command", deadline, ret_answer, err);
}

// $1 and $2 are the two halves of the name of a command, so that this script does not find itself.
static const char finder[] = "printf '%s%s\\n' \"$1\" \"$2\" | "
                             "grep -laF -f - /proc/[0-9]*/cmdline 2>/dev/null | head -n 20";

static uint32_t first_pid(const char *text)
{
    static const char proc[] = "/proc/";
    uint32_t least = 0;
    for (const char *at = text; at && (at = strstr(at, proc)); at++) {
        unsigned long pid = strtoul(at + strlen(proc), NULL, 10);
        if (pid > 1 && pid < INT32_MAX && (!least || pid < least))
            least = (uint32_t)pid;
    }
    return least;
}

// What was given up may not even have begun: it is looked for a few times.
static void stop(struct daytona_process *process)
{
    static const char half[] = "sandboxes-";
    const char *argv[] = {"/bin/sh", "-c", finder, "sh", half, process->name + strlen(half)};
    struct deadline deadline = deadline_in(KILL_MS);
    struct timespec pause = {.tv_nsec = KILL_PAUSE_NS};
    struct sbx_error ignored;
    for (int i = 0; i < KILL_TRIES; i++) {
        cleanup_buf struct buf out = BUF_INIT(64 << 10);
        int exit_code;
        if (daytona_toolbox_run(process->box, NULL, argv, ARRAY_SIZE(argv), deadline, &exit_code,
                                &out, &ignored) < 0)
            return;
        uint32_t pid = first_pid(buf_text(&out));
        if (pid) {
            cloud_files_signal(&daytona_files, process->box, NULL, pid, SIGKILL, deadline,
                               &ignored);
            return;
        }
        nanosleep(&pause, NULL);
    }
}

static bool may_run_on(int code, const struct sbx_error *err)
{
    return code == SBX_ERR_TIMEOUT || code == SBX_ERR_CANCELLED ||
           (code == SBX_ERR_UNAVAILABLE && !err->http_status && !err->sys_errno);
}

static int run(struct daytona_process *process, const struct sbx_exec *exec, const char *line,
               struct deadline deadline, struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *answer = NULL;
    int code = ask(process, line, deadline, &answer, err);
    if (code < 0 && may_run_on(code, err))
        stop(process);
    if (code == 0)
        code = whole_read(process, exec, jsonv_text(answer, "result"), err);
    return code;
}

int daytona_process_run(void *self, const struct sbx_exec *exec, const struct sbx_call *call,
                        void **ret_process, struct sbx_error *err)
{
    struct deadline deadline = deadline_from_call(call);
    struct daytona_box *box = self;
    cleanup_process struct daytona_process *process = NULL;
    cleanup_buf struct buf line = BUF_INIT(LINE_MAX_BYTES);
    if (cancel_triggered(deadline.cancel))
        return err_set(err, SBX_ERR_CANCELLED, "cancelled before the command began");
    int code = process_new(box, &process, err);
    if (code == 0)
        code = process_name(process, err);
    if (code < 0)
        return code;
    bool as_is = box->programs && !(exec->flags & SBX_EXEC_PTY);
    if (!as_is)
        script_whole(&line, process->name, exec, box->workdir);
    // A time limit of the command's own leaves what it wrote until then: that needs a session.
    if (!as_is && (exec->timeout_ms || (exec->flags & SBX_EXEC_PTY) || !buf_text(&line)))
        return daytona_process_start(self, exec, call, ret_process, err);
    process->whole = true;
    process->kept[0].limit = process->kept[1].limit = OUTPUT_MAX;
    code = as_is ? program_run(process, exec, deadline, err)
                 : run(process, exec, line.data, deadline, err);
    if (code < 0)
        return code;
    process->exited = process->ends[0] = process->ends[1] = true;
    *ret_process = steal_ptr(process);
    return 0;
}

bool whole_next(struct daytona_process *process, struct sbx_event *ret_event)
{
    while (process->whole && process->given < 2) {
        const struct buf *kept = &process->kept[process->given++];
        if (kept->size == 0)
            continue;
        *ret_event = (struct sbx_event){.kind = SBX_EVENT_OUTPUT,
                                        .stream = process->given == 1 ? SBX_STDOUT : SBX_STDERR,
                                        .data = kept->data,
                                        .size = kept->size};
        return true;
    }
    return false;
}
