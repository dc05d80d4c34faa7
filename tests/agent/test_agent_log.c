// SPDX-License-Identifier: Apache-2.0
// Agent: the ring of a command's output, against a plain model of it.
#include "../unit/unit.h"

#include <stdbool.h>

#include "agent/log.h"
#include "base/cleanup.h"

#define MODEL_SIZE (4 * 1024 * 1024)

struct model {
    struct log log;
    size_t budget;
    uint8_t *bytes;   // everything ever written
    uint8_t *streams; // and to which stream
    uint64_t seed;
};

static uint32_t next_random(struct model *model, uint32_t below)
{
    model->seed = model->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(model->seed >> 33) % below;
}

static void model_init(struct model *model, size_t limit, size_t budget, uint64_t seed)
{
    *model = (struct model){.budget = budget, .seed = seed};
    model->bytes = malloc(MODEL_SIZE);
    model->streams = malloc(MODEL_SIZE);
    log_init(&model->log, limit, &model->budget);
}

static void model_deinit(struct model *model)
{
    log_deinit(&model->log);
    free(model->bytes);
    free(model->streams);
}

// Writes at most `most` bytes to one stream, keeping all from `needed` on. The bytes that had room.
static size_t write_some(struct model *model, uint64_t needed, uint32_t stream, size_t most)
{
    struct iovec parts[2];
    struct log *log = &model->log;
    size_t room = log_room(log, needed, parts), size = room < most ? room : most;
    assert_int_equal(room, room ? parts[0].iov_len + parts[1].iov_len : 0);
    assert_true(log->head + size <= MODEL_SIZE);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)next_random(model, 256);
        uint8_t *target = i < parts[0].iov_len
                              ? (uint8_t *)parts[0].iov_base + i
                              : (uint8_t *)parts[1].iov_base + i - parts[0].iov_len;
        *target = model->bytes[log->head + i] = byte;
        model->streams[log->head + i] = (uint8_t)stream;
    }
    if (size)
        log_commit(log, stream, size);
    return size;
}

// Reads from `at` on, in pieces, and compares all of it.
static void check_from(struct model *model, uint64_t at)
{
    const struct log *log = &model->log;
    while (at < log->head) {
        struct iovec parts[2];
        uint32_t stream = 0;
        size_t size = log_peek(log, at, 1 + next_random(model, 9000), &stream, parts);
        assert_true(size > 0);
        assert_int_equal(parts[0].iov_len + parts[1].iov_len, size);
        assert_memory_equal(parts[0].iov_base, model->bytes + at, parts[0].iov_len);
        assert_memory_equal(parts[1].iov_base, model->bytes + at + parts[0].iov_len,
                            parts[1].iov_len);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(model->streams[at + i], stream);
        at += size;
    }
}

static void keeps_the_newest(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model model;
        model_init(&model, 32768, SIZE_MAX, seed);
        for (int i = 0; i < 300 && model.log.head < MODEL_SIZE - 40000; i++) {
            write_some(&model, UINT64_MAX, 1 + next_random(&model, 2),
                       1 + next_random(&model, 20000));
            assert_true(model.log.head - model.log.tail <= 32768);
            check_from(&model, model.log.tail);
        }
        assert_int_equal(model.log.capacity, 32768);
        model_deinit(&model);
    }
}

static void never_overwrites_what_is_needed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model model;
        uint64_t cursor = 0;
        bool was_full = false;
        model_init(&model, 16384, SIZE_MAX, seed);
        for (int i = 0; i < 2000 && model.log.head < MODEL_SIZE - 40000; i++) {
            was_full |= write_some(&model, cursor, 1 + next_random(&model, 2),
                                   1 + next_random(&model, 6000)) == 0;
            assert_true(model.log.tail <= cursor);
            check_from(&model, cursor);
            if (next_random(&model, 3) == 0) // slower than the writer: it fills up now and then
                cursor += next_random(&model, (uint32_t)(model.log.head - cursor) + 1);
            if (next_random(&model, 2))
                log_trim(&model.log, cursor);
        }
        assert_true(was_full);
        model_deinit(&model);
    }
}

static void alternating_bytes_are_bounded(void **state)
{
    (void)state;
    struct model model;
    model_init(&model, 1 << 20, SIZE_MAX, 7);
    for (int i = 0; i < 50000; i++)
        assert_int_equal(write_some(&model, UINT64_MAX, 1 + i % 2, 1), 1);
    assert_true(model.log.mark_capacity <= 1024);
    check_from(&model, model.log.tail);
    // With a reader that needs them all it is full at some time, not wrong.
    struct model held;
    model_init(&held, 1 << 20, SIZE_MAX, 8);
    int written = 0;
    for (int i = 0; i < 5000; i++)
        written += (int)write_some(&held, 0, 1 + i % 2, 1);
    assert_int_equal(written, 1024);
    check_from(&held, 0);
    model_deinit(&model);
    model_deinit(&held);
}

static void memory_stays_in_the_budget(void **state)
{
    (void)state;
    struct model one, two;
    size_t budget = 20000;
    model_init(&one, 1 << 20, 0, 1);
    model_init(&two, 1 << 20, 0, 2);
    one.log.budget = two.log.budget = &budget;
    for (int i = 0; i < 100; i++) {
        write_some(&one, UINT64_MAX, 1, 4000);
        write_some(&two, UINT64_MAX, 1, 4000);
    }
    assert_true(one.log.capacity + two.log.capacity <= 20000 + 2 * 4096);
    check_from(&one, one.log.tail);
    check_from(&two, two.log.tail);
    model_deinit(&one);
    model_deinit(&two);
    assert_int_equal(budget, 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest),
        cmocka_unit_test(never_overwrites_what_is_needed),
        cmocka_unit_test(alternating_bytes_are_bounded),
        cmocka_unit_test(memory_stays_in_the_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
