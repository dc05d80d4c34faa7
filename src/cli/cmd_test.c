// SPDX-License-Identifier: Apache-2.0
// sandboxes test: a real round trip to each provider. Layer: cli.
#include <stdio.h>
#include <string.h>

#include <sandboxes/sandboxes.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/out.h"
#include "cli/report.h"
#include "cli/signals.h"

#define PROVIDERS_MAX 32
#define TIMEOUT_MS (120 * 1000)

struct test_values {
    const char *provider;
    int json;
};

#define FIELD(member) .offset = offsetof(struct test_values, member)

static const struct opt_row rows[] = {
    PROVIDER_ROW("only this one"),
    {.name = "json", .kind = OPT_FLAG, FIELD(json), .help = "print JSON"},
};

enum leg { LEG_CREATE, LEG_COMMAND, LEG_FILES, LEG_DESTROY, LEG_COUNT };
static const char *const leg_names[] = {"create", "command", "files", "destroy"};

// One provider's round trip.
struct trip {
    const char *provider;
    struct sbx_sandbox *sandbox;
    int64_t us[LEG_COUNT]; // 0: not gone
    uint32_t capabilities;
    int failed; // 1: err says why
    struct sbx_error err;
};

static struct sbx_call make_call(void)
{
    struct sbx_call call = SBX_CALL_INIT;
    call.timeout_ms = TIMEOUT_MS;
    call.cancel = signals_token();
    return call;
}

static int try_create(struct trip *trip, struct sbx_client *client)
{
    struct sbx_call call = make_call();
    struct sbx_spec spec = SBX_SPEC_INIT;
    spec.provider = trip->provider;
    spec.lifetime = SBX_LIFETIME_TIED;
    return sbx_sandbox_create(client, &spec, &call, &trip->sandbox, &trip->err);
}

static int try_command(struct trip *trip)
{
    struct sbx_call call = make_call();
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_result result = {0};
    exec.shell = "echo hello";
    int code = sbx_run(trip->sandbox, &exec, &call, &result, &trip->err);
    if (code < 0)
        return code;
    if (result.outcome.exit_code != 0 || strcmp(result.out, "hello\n") != 0)
        code = err_set(&trip->err, SBX_ERR_PROTOCOL,
                       "'echo hello' ended with status %d and said '%.40s'",
                       result.outcome.exit_code, result.out);
    sbx_result_deinit(&result);
    return code;
}

static int try_files(struct trip *trip)
{
    static const char path[] = "/tmp/sandboxes-test", bytes[] = "\0\xff'\"\n";
    struct sbx_call call = make_call();
    char *data = NULL;
    size_t size = 0;
    int code = sbx_file_write(trip->sandbox, path, bytes, sizeof(bytes), NULL, &call, &trip->err);
    if (code == 0)
        code = sbx_file_read(trip->sandbox, path, NULL, &call, &data, &size, &trip->err);
    if (code < 0)
        return code;
    if (size != sizeof(bytes) || memcmp(data, bytes, size) != 0)
        code = err_set(&trip->err, SBX_ERR_PROTOCOL, "a file came back with other contents");
    sbx_free(data);
    return code;
}

// Never 0, which means that a leg was not gone.
static int64_t us_since(int64_t began_ns)
{
    return (clock_boot_ns() - began_ns) / 1000 + 1;
}

static int try_leg(struct trip *trip, enum leg leg, struct sbx_client *client)
{
    int64_t began = clock_boot_ns();
    int code = 0;
    if (leg == LEG_CREATE)
        code = try_create(trip, client);
    else if (leg == LEG_COMMAND)
        code = try_command(trip);
    else if (trip->capabilities & SBX_CAP_FILES)
        code = try_files(trip);
    else
        return 0;
    trip->us[leg] = us_since(began);
    return code;
}

static void travel(struct trip *trip, struct sbx_client *client)
{
    int code = 0;
    for (enum leg leg = LEG_CREATE; code == 0 && leg < LEG_DESTROY; leg++)
        code = try_leg(trip, leg, client);
    trip->failed = code < 0;
    if (!trip->sandbox)
        return;
    int64_t began = clock_boot_ns();
    struct sbx_error err;
    if (sbx_sandbox_destroy(trip->sandbox, NULL, &err) < 0 && !trip->failed) {
        trip->failed = 1;
        trip->err = err;
    }
    trip->us[LEG_DESTROY] = us_since(began);
    sbx_sandbox_free(trip->sandbox);
    trip->sandbox = NULL;
}

static void print_json(const struct trip *trips, size_t count, struct buf *buf)
{
    struct json json = JSON_INIT(buf, true);
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&json);
        json_put_text(&json, "provider", trips[i].provider);
        json_put_bool(&json, "ok", !trips[i].failed);
        json_key(&json, "timings_us");
        json_begin_object(&json);
        for (int leg = 0; leg < LEG_COUNT; leg++)
            if (trips[i].us[leg])
                json_put_int(&json, leg_names[leg], trips[i].us[leg]);
        json_end_object(&json);
        report_error(&json, trips[i].failed ? &trips[i].err : NULL);
        json_end_object(&json);
    }
    json_end_array(&json);
    buf_add(buf, "\n", 1);
}

static void print_text(const struct trip *trips, size_t count, struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        buf_printf(buf, "%-12s %s", trips[i].provider, trips[i].failed ? "FAILED" : "ok    ");
        for (int leg = 0; leg < LEG_COUNT; leg++)
            if (trips[i].us[leg])
                buf_printf(buf, "  %s %.2f ms", leg_names[leg], (double)trips[i].us[leg] / 1000);
        buf_puts(buf, "\n");
        if (trips[i].failed)
            buf_printf(buf, "%-12s %s\n%-12s try: %s\n", "", trips[i].err.message, "",
                       trips[i].err.remedy);
    }
}

// The providers to visit: the one that is named, else all that are configured.
static int choose(struct sbx_client *client, const char *name, struct trip *trips,
                  size_t *ret_count, struct sbx_error *err)
{
    struct sbx_provider_info info = {.size = sizeof(info)};
    size_t count = 0;
    for (size_t i = 0; i < sbx_provider_count(client) && count < PROVIDERS_MAX; i++) {
        int code = sbx_provider_get(client, i, &info, err);
        if (code < 0)
            return code;
        if (name ? strcmp(info.name, name) == 0 : info.configured)
            trips[count++] =
                (struct trip){.provider = info.name, .capabilities = info.capabilities};
    }
    *ret_count = count;
    if (count > 0)
        return 0;
    err_set(err, SBX_ERR_NOT_FOUND,
            name ? "there is no provider '%s'" : "no provider is configured%s", name ? name : "");
    return err_hint(err, "'sandboxes providers' shows what there is and what each needs");
}

static int run_test(struct cli *cli, struct invocation *use)
{
    const struct test_values *values = use->values;
    struct sbx_error err;
    struct sbx_client *client;
    struct trip trips[PROVIDERS_MAX];
    size_t count = 0;
    cli->json = values->json > 0;
    int code = signals_install(&err);
    if (code == 0)
        code = cli_client(cli, NULL, &client, &err);
    if (code == 0)
        code = choose(client, values->provider, trips, &count, &err);
    if (code < 0)
        return cli_fail(cli, &err);
    int failed = 0;
    for (size_t i = 0; i < count && !signals_fatal(); i++) {
        travel(&trips[i], client);
        failed |= trips[i].failed;
    }
    if (signals_fatal())
        return EXIT_SIGNAL + signals_fatal();
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    (values->json > 0 ? print_json : print_text)(trips, count, &buf);
    int status = out_flush(cli, &buf);
    return status ? status : failed;
}

const struct command command_test = {
    .name = "test",
    .aliases = "",
    .summary = "make, use and destroy a sandbox at each configured provider",
    .operands = "[OPTIONS]",
    .details =
        "Makes a sandbox, runs a command, writes and reads a file, and destroys the sandbox, with "
        "the time that each took. The exit status is 1 when a provider failed.",
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct test_values),
    .run = run_test,
};
