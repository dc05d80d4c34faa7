// SPDX-License-Identifier: Apache-2.0
// Makes calls as its standard input says, a word and a time limit in milliseconds a line, and tells
// how each ended: usage: calls PROVIDER SANDBOX. Words: list, create, run, follow,
// write, pause.
#include <stdio.h>
#include <string.h>

#include <sandboxes/sandboxes.h>

static struct sbx_client *client;
static struct sbx_sandbox *sandbox;
static const char *provider;

static int list_all(const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_list list;
    int code = sbx_sandbox_list(client, provider, NULL, 0, call, &list, err);
    if (code == 0)
        sbx_list_free(&list);
    return code;
}

static int create(const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *made;
    int code = sbx_sandbox_create(client, &spec, call, &made, err);
    if (code == 0)
        sbx_sandbox_free(made);
    return code;
}

static int run(const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    exec.shell = "echo only-once";
    int code = sbx_run(sandbox, &exec, call, &result, err);
    if (code == 0)
        sbx_result_deinit(&result);
    return code;
}

static int take(void *payload, int stream, const void *data, size_t size)
{
    printf("%d:%.*s ", stream, (int)size, (const char *)data);
    return 0;
}

static int follow(const struct sbx_call *call, struct sbx_error *err)
{
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_outcome outcome;
    exec.shell = "echo only-once";
    int code = sbx_stream_run(sandbox, &exec, take, NULL, call, &outcome, err);
    if (code == 0)
        printf("%d ", (int)outcome.exit_code);
    return code;
}

static int put(const struct sbx_call *call, struct sbx_error *err)
{
    return sbx_file_write(sandbox, "/tmp/file", "only-once", 9, NULL, call, err);
}

static int stop(const struct sbx_call *call, struct sbx_error *err)
{
    return sbx_sandbox_pause(sandbox, call, err);
}

static const struct {
    const char *word;
    int (*make)(const struct sbx_call *call, struct sbx_error *err);
} words[] = {{"list", list_all}, {"create", create}, {"run", run},
             {"follow", follow}, {"write", put},     {"pause", stop}};

static void make(const char *word, long long timeout_ms)
{
    struct sbx_call call = SBX_CALL_INIT;
    struct sbx_error err;
    call.timeout_ms = timeout_ms;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        int code = words[i].make(&call, &err);
        printf("%s %s\n", code < 0 ? sbx_code_name(code) : "OK", code < 0 ? err.message : "");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_error err;
    char word[16];
    long long timeout_ms;
    if (argc != 3)
        return 2;
    options.provider = provider = argv[1];
    if (sbx_client_open(&options, &client, &err) < 0 ||
        sbx_sandbox_get(client, provider, argv[2], NULL, &sandbox, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    while (scanf("%15s %lld", word, &timeout_ms) == 2)
        make(word, timeout_ms);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
    return 0;
}
