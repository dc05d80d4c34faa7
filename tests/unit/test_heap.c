// SPDX-License-Identifier: Apache-2.0
// Unit: base/heap, the heap of jail and agent.
#include "unit.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"

static void blocks_are_apart(void **state)
{
    (void)state;
    char *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = heap_get(i * 37 + 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)i, i * 37 + 1);
    }
    for (size_t i = 0; i < 64; i++) {
        for (size_t at = 0; at < i * 37 + 1; at++)
            assert_int_equal(blocks[i][at], i);
        heap_put(blocks[i]);
    }
    heap_put(NULL);
}

static void blocks_are_used_again(void **state)
{
    (void)state;
    void *first = heap_get(100);
    heap_put(first);
    assert_ptr_equal(heap_get(100), first);
    heap_put(first);
}

static void contents_move_along(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 17, 5000, 70000, 300000, 2u << 20, 5u << 20};
    char *block = heap_resize(NULL, 1);
    block[0] = 'x';
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        block = heap_resize(block, sizes[i]);
        assert_int_equal(block[0], 'x');
        block[sizes[i] - 1] = 'y';
    }
    assert_false(heap_is_inside());
    heap_put(block);
    assert_true(heap_is_inside());
}

static void last_block_shrinks(void **state)
{
    (void)state;
    char *large = heap_get(200000);
    memset(large, 'x', 200000);
    assert_ptr_equal(heap_resize(large, 100), large);
    char *next = heap_get(3900);
    assert_true(next > large && next < large + 8000);
    memset(next, 'y', 3900);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(large[i], 'x');
    assert_ptr_equal(heap_resize(large, 50), large); // it is not the last any more
    heap_put(large);
    heap_put(next);
    assert_ptr_equal(heap_get(3900), next);
    assert_ptr_equal(heap_get(100), large);
    heap_put(large);
    heap_put(next);
}

static void full_room_is_no_failure(void **state)
{
    (void)state;
    static char *blocks[64];
    for (size_t i = 0; i < 64; i++) {
        blocks[i] = heap_get(100000);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)i, 100000);
    }
    assert_false(heap_is_inside());
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(blocks[i][0], i);
        assert_int_equal(blocks[i][99999], i);
        heap_put(blocks[i]);
    }
    assert_true(heap_is_inside());
}

static void too_much_is_refused(void **state)
{
    (void)state;
    assert_null(heap_get(SIZE_MAX));
    assert_null(heap_get(SIZE_MAX / 4));
    char *block = heap_get(10);
    assert_null(heap_resize(block, SIZE_MAX));
    heap_put(block);
}

static bool traps(void (*misuse)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        misuse();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status);
}

static void free_twice(void)
{
    void *block = heap_get(100);
    heap_put(block);
    heap_put(block);
}

static void resize_freed(void)
{
    void *block = heap_get(100);
    heap_put(block);
    (void)heap_resize(block, 1000);
}

static void overrun(void)
{
    char *block = heap_get(96), *next = heap_get(96);
    memset(block, 'x', (size_t)(next - block));
    heap_put(next);
}

static void misuse_ends_the_program(void **state)
{
    (void)state;
    assert_true(traps(free_twice));
    assert_true(traps(resize_freed));
    assert_true(traps(overrun));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart),        cmocka_unit_test(blocks_are_used_again),
        cmocka_unit_test(contents_move_along),     cmocka_unit_test(last_block_shrinks),
        cmocka_unit_test(full_room_is_no_failure), cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(misuse_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
