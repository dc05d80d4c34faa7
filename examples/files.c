// SPDX-License-Identifier: Apache-2.0
// Files in, work on them, files out. usage: example-files [FILE]
#include <stdio.h>
#include <string.h>

#include <sandboxes/sandboxes.h>

static int sort_there(struct sbx_sandbox *sandbox, const char *path, struct sbx_error *err)
{
    static const char text[] = "pears\napples\nplums\n";
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    char *sorted;
    size_t size;
    int code = path ? sbx_file_upload(sandbox, path, "list.txt", NULL, NULL, err)
                    : sbx_file_write(sandbox, "list.txt", text, strlen(text), NULL, NULL, err);
    if (code < 0)
        return code;
    exec.shell = "sort list.txt > sorted.txt";
    code = sbx_run(sandbox, &exec, NULL, &result, err);
    if (code < 0)
        return code;
    sbx_result_deinit(&result);
    code = sbx_file_read(sandbox, "sorted.txt", NULL, NULL, &sorted, &size, err);
    if (code < 0)
        return code;
    fwrite(sorted, 1, size, stdout);
    sbx_free(sorted);
    return 0;
}

static int list_there(struct sbx_sandbox *sandbox, struct sbx_error *err)
{
    struct sbx_file_list files;
    int code = sbx_file_list(sandbox, ".", NULL, NULL, &files, err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < files.count; i++)
        printf("%8llu  %s\n", (unsigned long long)files.items[i].size, files.items[i].name);
    sbx_file_list_free(&files);
    return 0;
}

int main(int argc, char **argv)
{
    struct sbx_client *client = NULL;
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_error err;
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.network = SBX_NETWORK_NONE;
    spec.lifetime = SBX_LIFETIME_TIED;
    int code = sbx_client_open(NULL, &client, &err);
    if (code == 0)
        code = sbx_sandbox_create(client, &spec, NULL, &sandbox, &err);
    if (code == 0)
        code = sort_there(sandbox, argc > 1 ? argv[1] : NULL, &err);
    if (code == 0)
        code = list_there(sandbox, &err);
    if (code < 0)
        fprintf(stderr, "error: %s\n       %s\n", err.message, err.remedy);
    sbx_sandbox_free(sandbox);
    sbx_client_close(client);
    return code < 0 ? 125 : 0;
}
