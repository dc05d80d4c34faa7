// SPDX-License-Identifier: Apache-2.0
// Events of a command as envd sends them. Layer: provider.
#include "provider/e2b/event.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/cleanup.h"
#include "net/json.h"

// envd says a signal in the words of Go's syscall package; other servers in those of strsignal(3),
// which differ in case.
struct signal_row {
    const char *text;
    int number;
};

static const struct signal_row signals[] = {
    {"hangup", SIGHUP},
    {"interrupt", SIGINT},
    {"quit", SIGQUIT},
    {"illegal instruction", SIGILL},
    {"trace/breakpoint trap", SIGTRAP},
    {"aborted", SIGABRT},
    {"bus error", SIGBUS},
    {"floating point exception", SIGFPE},
    {"killed", SIGKILL},
    {"user defined signal 1", SIGUSR1},
    {"segmentation fault", SIGSEGV},
    {"user defined signal 2", SIGUSR2},
    {"broken pipe", SIGPIPE},
    {"alarm clock", SIGALRM},
    {"terminated", SIGTERM},
};

// "signal: killed", "signal: aborted (core dumped)", "signal: signal 40"; 0 for other texts.
static int signal_of(const char *status)
{
    const char *text = status ? strstr(status, "signal: ") : NULL;
    if (!text)
        return 0;
    text += strlen("signal: ");
    for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
        if (strncasecmp(text, signals[i].text, strlen(signals[i].text)) == 0)
            return signals[i].number;
    int number = strncmp(text, "signal ", 7) == 0 ? atoi(text + 7) : 0;
    return number > 0 && number < 65 ? number : SIGKILL;
}

static void read_end(const struct jsonv *end, struct e2b_event *event)
{
    const char *status = jsonv_text(end, "status");
    event->kind = E2B_END;
    event->exit_code = (int32_t)jsonv_int(end, "exitCode", 0);
    event->signal = jsonv_bool(end, "exited", false) ? 0 : signal_of(status);
    if (event->signal)
        event->exit_code = 128 + event->signal;
}

static int read_data(const struct jsonv *node, struct buf *data, struct e2b_event *event,
                     struct sbx_error *err)
{
    static const struct {
        const char *key;
        uint32_t stream;
    } rows[] = {{"stdout", SBX_STDOUT}, {"stderr", SBX_STDERR}, {"pty", SBX_STDOUT}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *text = jsonv_text(node, rows[i].key);
        if (!text)
            continue;
        event->kind = E2B_DATA;
        event->stream = rows[i].stream;
        if (!base64_decode(data, text, strlen(text)))
            return err_set(err, SBX_ERR_PROTOCOL, "the output that came is not Base64");
    }
    return data->failed ? err_nomem(err) : 0;
}

static int read_any(const char *message, size_t size, struct buf *data, struct e2b_event *event,
                    struct sbx_error *err)
{
    cleanup_jsonv struct jsonv *root = NULL;
    int code = jsonv_parse(message, size, &root, err);
    const struct jsonv *inner = jsonv_get(root, "event");
    if (code < 0)
        return code;
    if (jsonv_get(inner, "start")) {
        event->kind = E2B_START;
        event->pid = (uint32_t)jsonv_int(jsonv_get(inner, "start"), "pid", 0);
    } else if (jsonv_get(inner, "end")) {
        read_end(jsonv_get(inner, "end"), event);
    } else if (jsonv_get(inner, "data")) {
        return read_data(jsonv_get(inner, "data"), data, event, err);
    }
    return 0;
}

// Skips white space and this text; NULL if something else is there.
static const char *skip(const char *at, const char *end, const char *text)
{
    size_t size = strlen(text);
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
        at++;
    return (size_t)(end - at) >= size && memcmp(at, text, size) == 0 ? at + size : NULL;
}

static const char *skip_all(const char *at, const char *end, const char *const *texts, size_t count)
{
    for (size_t i = 0; at && i < count; i++)
        at = skip(at, end, texts[i]);
    return at;
}

/*
 * {"event":{"data":{"stdout":"BASE64"}}} without a parser, since output makes up nearly all of what
 * comes. False for all that looks different, which read_any() then reads.
 */
static bool read_fast(const char *message, size_t size, struct buf *data, struct e2b_event *event)
{
    static const char *const head[] = {"{", "\"event\"", ":", "{", "\"data\"", ":", "{"};
    static const char *const tail[] = {"}", "}", "}"};
    const char *end = message + size, *at = skip_all(message, end, head, ARRAY_SIZE(head));
    const char *out = at ? skip(at, end, "\"stdout\"") : NULL;
    const char *err = at && !out ? skip(at, end, "\"stderr\"") : NULL;
    const char *value = out || err ? skip(out ? out : err, end, ":") : NULL;
    value = value ? skip(value, end, "\"") : NULL;
    const char *quote = value ? memchr(value, '"', (size_t)(end - value)) : NULL;
    if (!quote || skip_all(quote + 1, end, tail, ARRAY_SIZE(tail)) != end)
        return false;
    event->kind = E2B_DATA;
    event->stream = out ? SBX_STDOUT : SBX_STDERR;
    return base64_decode(data, value, (size_t)(quote - value));
}

int e2b_event_read(const char *message, size_t size, struct buf *data, struct e2b_event *ret_event,
                   struct sbx_error *err)
{
    *ret_event = (struct e2b_event){0};
    data->size = 0;
    if (read_fast(message, size, data, ret_event))
        return data->failed ? err_nomem(err) : 0;
    *ret_event = (struct e2b_event){0};
    return read_any(message, size, data, ret_event, err);
}
