// SPDX-License-Identifier: Apache-2.0
// Layer: metaflow.
#include "metaflow/service/mfstatus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "metaflow/service/mftask.h"

#define SILENT_MS 90000 // clients say every 10 s that they live
#define ATTEMPTS_MAX 64

enum state { RUNNING, COMPLETED, FAILED };
static const char *const state_names[] = {"running", "completed", "failed"};

struct attempt {
    bool begun, judged, ok, done;
    int64_t started, finished;
};

struct mfpath mfstatus_path(const json_t *record)
{
    return (struct mfpath){
        .flow = json_string_value(json_object_get(record, "flow_id")),
        .run = json_string_value(json_object_get(record, "run_number")),
        .step = json_string_value(json_object_get(record, "step_name")),
        .task = json_string_value(json_object_get(record, "task_id")),
    };
}

// Of the record's tag attempt_id:N, else of the last attempt that had begun.
static size_t attempt_of(const json_t *record, size_t last)
{
    size_t i;
    json_t *tag;
    json_array_foreach(json_object_get(record, "tags"), i, tag)
    {
        const char *text = json_string_value(tag);
        if (text && strncmp(text, "attempt_id:", 11) == 0)
            last = (size_t)strtoul(text + 11, NULL, 10);
    }
    return last < ATTEMPTS_MAX ? last : ATTEMPTS_MAX - 1;
}

static void note(struct attempt *attempts, const json_t *record, size_t *last)
{
    const char *field = json_string_value(json_object_get(record, "field_name"));
    const char *value = json_string_value(json_object_get(record, "value"));
    int64_t time = json_integer_value(json_object_get(record, "ts_epoch"));
    if (!field || !value)
        return;
    if (strcmp(field, "attempt") == 0) {
        size_t number = (size_t)strtoul(value, NULL, 10);
        *last = number < ATTEMPTS_MAX ? number : ATTEMPTS_MAX - 1;
        attempts[*last].begun = true;
        attempts[*last].started = time;
    } else if (strcmp(field, "attempt_ok") == 0) {
        struct attempt *attempt = &attempts[attempt_of(record, *last)];
        attempt->judged = true;
        attempt->ok = strcmp(value, "True") == 0;
        attempt->finished = time;
    } else if (strcmp(field, "attempt-done") == 0) {
        struct attempt *attempt = &attempts[attempt_of(record, *last)];
        attempt->done = true;
        attempt->finished = time;
    }
}

// Number of attempts that are known of; attempts has room for ATTEMPTS_MAX.
static size_t read_attempts(struct mfservice *service, const struct mfpath *task,
                            struct attempt *attempts)
{
    static const char *const fields[] = {"attempt", "attempt_ok", "attempt-done"};
    size_t last = 0, count = 0;
    memset(attempts, 0, ATTEMPTS_MAX * sizeof(*attempts));
    for (size_t f = 0; f < ARRAY_SIZE(fields); f++) {
        cleanup_json json_t *list = NULL;
        if (mftask_metadata(&service->store, task, fields[f], &list, NULL) < 0)
            continue;
        size_t i;
        json_t *record;
        json_array_foreach(list, i, record) note(attempts, record, &last);
    }
    for (size_t i = 0; i < ATTEMPTS_MAX; i++)
        if (attempts[i].begun || attempts[i].judged || attempts[i].done)
            count = i + 1;
    return count;
}

static enum state state_of(const struct attempt *attempt, int64_t beat_ms)
{
    if (attempt->judged)
        return attempt->ok ? COMPLETED : FAILED;
    // Tasks that only hold parameters tell no more than that they are done.
    if (attempt->done)
        return attempt->begun ? FAILED : COMPLETED;
    return beat_ms && clock_unix_ms() - beat_ms > SILENT_MS ? FAILED : RUNNING;
}

static void put_end(json_t *record, enum state state, int64_t started, int64_t finished)
{
    json_object_set_new(record, "status", json_string(state_names[state]));
    if (state == RUNNING || finished == 0)
        return;
    json_object_set_new(record, "finished_at", json_integer(finished));
    if (started)
        json_object_set_new(record, "duration", json_integer(finished - started));
}

static int64_t time_of(const json_t *record, const char *key)
{
    return json_integer_value(json_object_get(record, key));
}

static void put_attempt(json_t *record, const struct attempt *attempt, size_t number, int64_t beat)
{
    int64_t started = attempt->started ? attempt->started : time_of(record, "ts_epoch");
    json_object_set_new(record, "attempt_id", json_integer((json_int_t)number));
    json_object_set_new(record, "started_at", json_integer(started));
    if (beat)
        json_object_set_new(record, "last_heartbeat_ts", json_integer(beat / 1000));
    put_end(record, state_of(attempt, beat), started, attempt->finished);
}

void mfstatus_add_task(struct mfservice *service, json_t *record)
{
    struct attempt attempts[ATTEMPTS_MAX];
    const struct mfpath path = mfstatus_path(record);
    size_t count = read_attempts(service, &path, attempts);
    size_t number = count ? count - 1 : 0;
    put_attempt(record, &attempts[number], number, mfapi_last_beat(service, &path));
}

json_t *mfstatus_attempts(struct mfservice *service, const json_t *task)
{
    struct attempt attempts[ATTEMPTS_MAX];
    const struct mfpath path = mfstatus_path(task);
    size_t count = read_attempts(service, &path, attempts);
    json_t *list = json_array();
    for (size_t i = 0; i < count || i == 0; i++) {
        json_t *record = json_copy((json_t *)task);
        bool last = i + 1 >= count;
        put_attempt(record, &attempts[i], i, last ? mfapi_last_beat(service, &path) : 1);
        json_array_append_new(list, record);
    }
    return list;
}

// What a step's tasks, or a run's, come to together.
struct sum {
    struct mfservice *service;
    size_t count, running, failed;
    int64_t finished;
};

static int add_task(void *payload, json_t *record)
{
    struct sum *sum = payload;
    mfstatus_add_task(sum->service, record);
    const char *status = json_string_value(json_object_get(record, "status"));
    sum->count++;
    sum->running += status && strcmp(status, state_names[RUNNING]) == 0;
    sum->failed += status && strcmp(status, state_names[FAILED]) == 0;
    int64_t finished = time_of(record, "finished_at");
    if (finished > sum->finished)
        sum->finished = finished;
    return 0;
}

static enum state state_of_sum(const struct sum *sum)
{
    if (sum->failed)
        return FAILED;
    return sum->running || !sum->count ? RUNNING : COMPLETED;
}

void mfstatus_add_step(struct mfservice *service, json_t *record)
{
    const struct mfpath path = mfstatus_path(record);
    struct sum sum = {.service = service};
    mfstore_each(&service->store, &path, add_task, &sum, NULL);
    put_end(record, state_of_sum(&sum), time_of(record, "ts_epoch"), sum.finished);
}

static struct sum sum_of_step(struct mfservice *service, const struct mfpath *run, const char *name)
{
    struct sum sum = {.service = service};
    const struct mfpath step = mfpath_child(run, name);
    mfstore_each(&service->store, &step, add_task, &sum, NULL);
    return sum;
}

// A run is over when its step `end` is; before, it is as its tasks and its own sign of life say.
void mfstatus_add_run(struct mfservice *service, json_t *record)
{
    const struct mfpath path = mfstatus_path(record);
    int64_t beat = mfapi_last_beat(service, &path);
    struct sum end = sum_of_step(service, &path, "end");
    enum state state = RUNNING;
    int64_t finished = end.finished;
    if (end.count && !end.running && !end.failed) {
        state = COMPLETED;
    } else {
        cleanup_mfnames struct mfnames steps = {0};
        size_t failed = 0;
        mfstore_children(&service->store, &path, &steps, NULL);
        for (size_t i = 0; i < steps.count; i++) {
            struct sum sum = sum_of_step(service, &path, steps.items[i]);
            failed += sum.failed;
            finished = sum.finished > finished ? sum.finished : finished;
        }
        // A failed attempt may be tried again as long as the run itself lives.
        bool silent = clock_unix_ms() - beat > SILENT_MS;
        state = (beat && silent) || (!beat && failed) ? FAILED : RUNNING;
    }
    if (beat)
        json_object_set_new(record, "last_heartbeat_ts", json_integer(beat / 1000));
    put_end(record, state, time_of(record, "ts_epoch"), finished);
}
