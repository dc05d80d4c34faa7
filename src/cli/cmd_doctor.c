// SPDX-License-Identifier: Apache-2.0
// sandboxes doctor: what this machine can do for local sandboxes. Layer: cli.
#include "cli/command.h"
#include "cli/out.h"
#include "cli/term.h"
#include "engine/doctor.h"

#include <unistd.h>

struct doctor_values {
    int json;
};

static const struct opt_row rows[] = {
    {.name = "json",
     .kind = OPT_FLAG,
     .offset = offsetof(struct doctor_values, json),
     .help = "print JSON"},
};

struct level {
    const char *name, *shown, *colour;
};

static const struct level levels[] = {
    [DOCTOR_OK] = {"ok", "ok     ", "\033[32m"},
    [DOCTOR_DEGRADED] = {"degraded", "limited", "\033[33m"},
    [DOCTOR_MISSING] = {"missing", "missing", "\033[31m"},
};

static const struct level *level_of(const struct doctor_check *check)
{
    return &levels[check->level >= 0 && check->level <= DOCTOR_MISSING ? check->level : 0];
}

static void add_text(struct buf *buf, const struct doctor_check *checks, size_t count)
{
    bool colour = term_colour(STDOUT_FILENO);
    for (size_t i = 0; i < count; i++) {
        const struct level *level = level_of(&checks[i]);
        buf_printf(buf, "%s%s%s  %-18s %s\n", colour ? level->colour : "", level->shown,
                   colour ? "\033[0m" : "", checks[i].name, checks[i].what);
        if (checks[i].remedy[0])
            buf_printf(buf, "         %-18s try: %s\n", "", checks[i].remedy);
    }
}

static void add_json(struct buf *buf, const struct doctor_check *checks, size_t count)
{
    struct json json = JSON_INIT(buf, true);
    json_begin_array(&json);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&json);
        json_put_text(&json, "name", checks[i].name);
        json_put_text(&json, "level", level_of(&checks[i])->name);
        json_put_text(&json, "what", checks[i].what);
        json_put_text(&json, "remedy", checks[i].remedy);
        json_end_object(&json);
    }
    json_end_array(&json);
    buf_add(buf, "\n", 1);
}

static int run_doctor(struct cli *cli, struct invocation *use)
{
    const struct doctor_values *values = use->values;
    struct doctor_check checks[DOCTOR_CHECKS_MAX];
    struct sbx_error err;
    size_t count;
    cli->json = values->json > 0;
    if (doctor_run(checks, DOCTOR_CHECKS_MAX, &count, &err) < 0)
        return cli_fail(cli, &err);
    cleanup_buf struct buf buf = BUF_INIT(OUT_MAX);
    (values->json > 0 ? add_json : add_text)(&buf, checks, count);
    int status = out_flush(cli, &buf);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = checks[i].level == DOCTOR_MISSING;
    return status;
}

const struct command command_doctor = {
    .name = "doctor",
    .aliases = "",
    .summary = "find out what this machine can do for sandboxes, and what it lacks",
    .operands = "[OPTIONS]",
    .details =
        "Tries each thing that local sandboxes need and says what was found and the exact command "
        "that allows what is missing. The exit status is 1 when no sandbox can be made.",
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct doctor_values),
    .run = run_doctor,
};
