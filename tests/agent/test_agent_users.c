// SPDX-License-Identifier: Apache-2.0
// Agent: users, and databases of users that someone hostile has written.
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

// Replaces the box's /etc/passwd or group; its change time has to be another one than before.
static void set_database(struct box *box, const char *name, const void *data, size_t size)
{
    char path[128];
    struct stat before, now;
    snprintf(path, sizeof(path), "%s/%s", box->dir, name);
    assert_int_equal(stat(path, &before), 0);
    do {
        usleep(2000);
        cleanup_fd int fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(fd_write_full(fd, data, size), 0);
        assert_int_equal(stat(path, &now), 0);
    } while (now.st_ctim.tv_sec == before.st_ctim.tv_sec &&
             now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

static void set_passwd(struct box *box, const char *text)
{
    set_database(box, "passwd", text, strlen(text));
}

static int users_set_up(void **state)
{
    *state = box_start_with_users(&(struct agent_config){.user = "root", .workdir = ""});
    return 0;
}

// What a command of that user says of itself, or the failure's code.
static int run_as(struct box *box, const char *user, const char *line, char *ret_text, size_t size)
{
    cleanup_buf struct buf payload = BUF_INIT(4096), out = BUF_INIT(65536);
    struct sbx_error error = {0};
    struct link *link = link_open(box);
    agent_exec_put(&payload, &(struct agent_exec){.cwd = "", .user = user, .shell = line});
    link_send(link, AGENT_EXEC, &payload);
    const struct frame *frame = link_receive(link);
    assert_non_null(frame);
    if (frame->type == AGENT_FAILED)
        agent_failed_get(frame->payload, frame->size, &error);
    else
        collect(link, &out, NULL);
    snprintf(ret_text, size, "%s", error.code ? error.message : out.size ? buf_text(&out) : "");
    link_close(link);
    return error.code;
}

#define SAY "echo $USER $HOME $SHELL; pwd"

static void finds_names_and_numbers(void **state)
{
    char text[512];
    set_passwd(*state,
               "# comment\nfirst:x:0:0:Full Name,,,:/tmp:/bin/first\nsecond:x:0:0::/var:\n");
    assert_int_equal(run_as(*state, "first", SAY, text, sizeof(text)), 0);
    assert_string_equal(text, "first /tmp /bin/first\n/tmp\n");
    assert_int_equal(run_as(*state, "second", SAY, text, sizeof(text)), 0);
    assert_string_equal(text, "second /var /bin/sh\n/var\n");
    assert_int_equal(run_as(*state, "0", SAY, text, sizeof(text)), 0);
    assert_string_equal(text, "first /tmp /bin/first\n/tmp\n");
    assert_int_equal(run_as(*state, "third", SAY, text, sizeof(text)), SBX_ERR_NOT_FOUND);
    assert_non_null(strstr(text, "third"));
    // Changes are seen.
    set_passwd(*state, "third:x:0:0::/usr:/bin/bash\n");
    assert_int_equal(run_as(*state, "third", SAY, text, sizeof(text)), 0);
    assert_string_equal(text, "third /usr /bin/bash\n/usr\n");
}

static void root_and_user_are_always_known(void **state)
{
    char text[512];
    set_passwd(*state, "");
    assert_int_equal(run_as(*state, "root", "echo $USER $HOME", text, sizeof(text)), 0);
    assert_string_equal(text, "root /root\n");
    int code = run_as(*state, "user", "id -u; echo $HOME", text, sizeof(text));
    if (getuid() != 0) {
        assert_int_equal(code, SBX_ERR_UNSUPPORTED);
        return;
    }
    assert_int_equal(code, 0);
    assert_string_equal(text, "1000\n/home/user\n");
}

static void a_home_that_is_missing_is_the_root(void **state)
{
    char text[512];
    set_passwd(*state, "lost:x:0:0::/no/such/home:/bin/sh\n");
    assert_int_equal(run_as(*state, "lost", "echo $PWD; pwd", text, sizeof(text)), 0);
    assert_string_equal(text, "/\n/\n");
}

static void groups_are_those_of_the_database(void **state)
{
    static const char groups[] = "a:x:4001:\nb:x:4002:other,member\nc:x:4003:member\nd:x:x:member\n"
                                 "e:x:4005:nomember,members,membe\nf:x:4006:member,\n";
    char text[512];
    if (getuid() != 0)
        skip(); // only one group is mapped
    set_passwd(*state, "member:x:4000:4001::/:/bin/sh\n");
    set_database(*state, "group", groups, sizeof(groups) - 1);
    assert_int_equal(run_as(*state, "member", "id -u; id -g; id -G", text, sizeof(text)), 0);
    assert_string_equal(text, "4000\n4001\n4001 4002 4003 4006\n");
}

static void hostile_databases_do_no_harm(void **state)
{
    static const char *const bad[] = {
        "victim",
        "victim:",
        "victim:x:::::\n",
        "victim:x:-1:0::/:/bin/sh\n",
        "victim:x:4294967295:0::/:/bin/sh\n",
        "victim:x:99999999999999999999:0::/:/bin/sh\n",
        "victim:x:0x0:0::/:/bin/sh\n",
        "victim:x: 0:0::/:/bin/sh\n",
        "\n\n::::::\n:x:0:0::/:/bin/sh\n",
        "victim:x:0\n:0::/:/bin/sh\n",
    };
    char text[512];
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        set_passwd(*state, bad[i]);
        assert_int_equal(run_as(*state, "victim", SAY, text, sizeof(text)), SBX_ERR_NOT_FOUND);
    }
    // Longer than any name, home or file should be; no end of line; bytes of all kinds.
    cleanup_free char *large = malloc(1000000);
    static const char *const heads[] = {"", "victim:x:0:0::/", "victim:x:0:0::/:/", "victim"};
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        for (size_t at = 0; at < 1000000; at++)
            large[at] = (char)(i == 0 ? at * 31 % 256 : 'x');
        memcpy(large, heads[i], strlen(heads[i]));
        set_database(*state, "passwd", large, 1000000);
        set_database(*state, "group", large, 1000000);
        assert_int_equal(run_as(*state, "victim", SAY, text, sizeof(text)), SBX_ERR_NOT_FOUND);
    }
    // A directory that is no path is not gone to.
    set_passwd(*state, "victim:x:0:0::../../etc:sh\n");
    assert_int_equal(run_as(*state, "victim", SAY, text, sizeof(text)), 0);
    assert_string_equal(text, "victim / /bin/sh\n/\n");
}

static void a_database_that_is_a_fifo_does_not_block(void **state)
{
    struct box *box = *state;
    char line[512], text[512];
    snprintf(line, sizeof(line),
             "umount /etc/passwd && mkfifo %s/fifo && mount --bind %s/fifo /etc/passwd", box->dir,
             box->dir);
    run_line(box, line, 0, text, sizeof(text));
    assert_int_equal(run_as(box, "0", "echo $USER", text, sizeof(text)), 0);
    assert_string_equal(text, "root\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_names_and_numbers),
        cmocka_unit_test(root_and_user_are_always_known),
        cmocka_unit_test(a_home_that_is_missing_is_the_root),
        cmocka_unit_test(groups_are_those_of_the_database),
        cmocka_unit_test(hostile_databases_do_no_harm),
        cmocka_unit_test(a_database_that_is_a_fifo_does_not_block),
    };
    return cmocka_run_group_tests(tests, users_set_up, box_tear_down);
}
