// SPDX-License-Identifier: Apache-2.0
// The result of `sandboxes run --json`. Layer: cli.
#include <sandboxes/sandboxes.h>

#include "cli/out.h"
#include "cli/report.h"
#include "cli/run.h"

static void put_span(struct json *json, const char *key, int64_t from_us, int64_t to_us)
{
    if (from_us > 0 && to_us >= from_us)
        json_put_int(json, key, to_us - from_us);
}

static void put_timings(struct json *json, const struct run *run)
{
    json_key(json, "timings_us");
    json_begin_object(json);
    put_span(json, "create", run->began_us, run->created_us);
    put_span(json, "prepare", run->created_us, run->ready_us);
    put_span(json, "command", run->ready_us, run->ended_us);
    put_span(json, "destroy", run->ended_us, run->gone_us);
    put_span(json, "total", run->began_us, run_now_us());
    json_end_object(json);
}

static void put_sandbox(struct json *json, const struct run *run)
{
    json_key(json, "sandbox");
    if (!run->sandbox) {
        json_null(json);
        return;
    }
    json_begin_object(json);
    json_put_text(json, "id", sbx_sandbox_id(run->sandbox));
    json_put_text(json, "provider", sbx_sandbox_provider(run->sandbox));
    json_put_bool(json, "kept", run->values->keep > 0 || run->values->reuse > 0);
    json_end_object(json);
}

int run_report(struct run *run, const struct sbx_error *err)
{
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    struct json json = JSON_INIT(&buf, false);
    json_begin_object(&json);
    int status = err ? cli_exit_status(err) : pump_exit_status(&run->end);
    report_end(&json, status, &run->end, &run->out, &run->err);
    put_timings(&json, run);
    put_sandbox(&json, run);
    report_error(&json, err);
    json_end_object(&json);
    run->cli->json = false;
    return out_json(run->cli, &json);
}
