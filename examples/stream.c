// SPDX-License-Identifier: Apache-2.0
// Output as it comes, from a command with input, a time limit and an environment of its own.
#include <stdio.h>
#include <string.h>

#include <sandboxes/sandboxes.h>

static int print_output(void *payload, int stream, const void *data, size_t size)
{
    (void)payload;
    fwrite(data, 1, size, stream == SBX_STDERR ? stderr : stdout);
    return 0; // another value would stop the command
}

static int count_words(struct sbx_sandbox *sandbox, struct sbx_error *err)
{
    static const struct sbx_pair env[] = {{"LABEL", "words:"}};
    static const char input[] = "one two three\nfour five\n";
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_outcome outcome;
    exec.shell = "printf '%s ' \"$LABEL\"; wc -w; sleep 1; echo done >&2";
    exec.env = env;
    exec.env_count = 1;
    exec.input = input;
    exec.input_size = strlen(input);
    exec.timeout_ms = 10000; // of the command and all its children
    int code = sbx_stream_run(sandbox, &exec, print_output, NULL, NULL, &outcome, err);
    return code < 0 ? code : outcome.exit_code;
}

int main(void)
{
    struct sbx_client *client;
    struct sbx_sandbox *sandbox;
    struct sbx_error err;
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.lifetime = SBX_LIFETIME_TIED;
    int result = sbx_client_open(NULL, &client, &err);
    if (result == 0)
        result = sbx_sandbox_create(client, &spec, NULL, &sandbox, &err);
    if (result == 0) {
        result = count_words(sandbox, &err);
        sbx_sandbox_free(sandbox);
        sbx_client_close(client); // the sandbox was tied: it goes when this process does
    }
    if (result < 0)
        fprintf(stderr, "error: %s\n       %s\n", err.message, err.remedy);
    return result < 0 ? 125 : result;
}
