// SPDX-License-Identifier: Apache-2.0
// Our library in the comparison: see ours.h.
#include "ours.h"

#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct ours {
    const char *provider;
    struct sbx_client *client;
    struct sbx_sandbox *living;
};

void ours_check(int result, const struct sbx_error *err, const char *what)
{
    if (result < 0)
        bench_die("%s: %s (%s)", what, err->message, err->remedy);
}

struct ours *ours_open(const char *provider)
{
    struct ours *ours = calloc(1, sizeof(*ours));
    if (!ours)
        bench_die("out of memory");
    ours->provider = provider;
    return ours;
}

void ours_close(struct ours *ours)
{
    if (ours->living)
        ours_destroy(ours->living);
    sbx_client_close(ours->client);
    free(ours);
}

struct sbx_client *ours_client(struct ours *ours)
{
    struct sbx_client_options options = SBX_CLIENT_OPTIONS_INIT;
    struct sbx_error err = {0};
    options.provider = ours->provider;
    if (!ours->client)
        ours_check(sbx_client_open(&options, &ours->client, &err), &err, "open");
    return ours->client;
}

struct sbx_sandbox *ours_try_create(struct ours *ours, const char *image, uint32_t network,
                                    struct sbx_error *err)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox = NULL;
    spec.image = image;
    spec.network = network;
    spec.lifetime = SBX_LIFETIME_TIED;
    return sbx_sandbox_create(ours_client(ours), &spec, NULL, &sandbox, err) < 0 ? NULL : sandbox;
}

struct sbx_sandbox *ours_create(struct ours *ours, const char *image, uint32_t network)
{
    struct sbx_error err = {0};
    struct sbx_sandbox *sandbox = ours_try_create(ours, image, network, &err);
    ours_check(sandbox ? 0 : -1, &err, "create");
    return sandbox;
}

void ours_destroy(struct sbx_sandbox *sandbox)
{
    struct sbx_error err = {0};
    ours_check(sbx_sandbox_destroy(sandbox, NULL, &err), &err, "destroy");
    sbx_sandbox_free(sandbox);
}

void ours_hello(struct sbx_sandbox *sandbox, bool host_image)
{
    static const char *const small[] = {"/bin/hello"};
    static const char *const host[] = {"/bin/echo", "hello"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result;
    struct sbx_error err = {0};
    exec.argv = host_image ? host : small;
    exec.argc = host_image ? 2 : 1;
    ours_check(sbx_run(sandbox, &exec, NULL, &result, &err), &err, "run");
    if (result.outcome.exit_code != 0 || strcmp(result.out, "hello\n") != 0)
        bench_die("run: exit code %d, output \"%s\"", (int)result.outcome.exit_code, result.out);
    sbx_result_deinit(&result);
}

static double first(struct ours *ours, const char *image, uint32_t network, bool whole)
{
    uint64_t begin = bench_now();
    struct sbx_sandbox *sandbox = ours_create(ours, image, network);
    ours_hello(sandbox, image == NULL);
    uint64_t end = bench_now();
    ours_destroy(sandbox);
    return (double)((whole ? bench_now() : end) - begin) / 1e6;
}

double ours_first(struct ours *ours, const char *image, uint32_t network)
{
    return first(ours, image, network, false);
}

double ours_cold(const char *image, uint32_t network)
{
    struct ours *ours = ours_open("local");
    ours_client(ours);
    double taken = first(ours, image, network, false);
    ours_close(ours);
    return taken;
}

double ours_whole(struct ours *ours, const char *image, uint32_t network)
{
    return first(ours, image, network, true);
}

double ours_living_exec(struct ours *ours, const char *image)
{
    if (!ours->living)
        ours->living = ours_create(ours, image, SBX_NETWORK_NONE);
    uint64_t begin = bench_now();
    ours_hello(ours->living, false);
    return (double)(bench_now() - begin) / 1e6;
}
