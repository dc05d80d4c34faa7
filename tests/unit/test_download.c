// SPDX-License-Identifier: Apache-2.0
// Unit: engine/download, engine/files, engine/upload against an agent that sends hostile trees.
// With NO_OPENAT2=1 the kernel's openat2(2) is taken away first, as on kernels before 5.6.
#include "unit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "engine/files.h"
#include "fake_agent.h"
#include "wire/files_msg.h"

// What the agent sends, one row a frame.
struct step {
    enum { END, ENTRY, DATA, DONE, FAILED, RAW } what;
    uint32_t kind;
    const char *path, *text; // text: link, or bytes
    uint64_t size;
    uint32_t mode;
};

#define ROOT_DIR                                                                                   \
    {                                                                                              \
        ENTRY, SBX_FILE_DIRECTORY, "", "", 0, 0755                                                 \
    }
#define DIR_AT(path)                                                                               \
    {                                                                                              \
        ENTRY, SBX_FILE_DIRECTORY, path, "", 0, 0755                                               \
    }
#define FILE_AT(path, size)                                                                        \
    {                                                                                              \
        ENTRY, SBX_FILE_REGULAR, path, "", size, 0644                                              \
    }
#define LINK_AT(path, to)                                                                          \
    {                                                                                              \
        ENTRY, SBX_FILE_SYMLINK, path, to, 0, 0777                                                 \
    }
#define BYTES(text)                                                                                \
    {                                                                                              \
        DATA, 0, NULL, text, sizeof(text) - 1, 0                                                   \
    }
#define RAW_BYTES(text)                                                                            \
    {                                                                                              \
        RAW, 0, NULL, text, sizeof(text) - 1, 0                                                    \
    }

#define STEPS_MAX 8
#define A16 "aaaaaaaaaaaaaaaa"
#define A256 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16
#define D16 "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/"
#define D256 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16 D16

static const struct attack {
    const char *what;
    int code;
    uint64_t limit;
    struct step steps[STEPS_MAX];
} attacks[] = {
    {"..", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, FILE_AT("../evil", 1), BYTES("x"), {DONE}}},
    {"absolute", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, FILE_AT("/tmp/evil", 1), BYTES("x"), {DONE}}},
    {"inner ..",
     SBX_ERR_PROTOCOL,
     0,
     {ROOT_DIR, DIR_AT("a"), FILE_AT("a/../../evil", 1), BYTES("x"), {DONE}}},
    {"a directory ..", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, DIR_AT(".."), {DONE}}},
    {"a link ..", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, LINK_AT("..", "x"), {DONE}}},
    {"empty part", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, DIR_AT("a//b"), {DONE}}},
    {"trailing slash", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, DIR_AT("a/"), {DONE}}},
    {"dot", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, DIR_AT("."), {DONE}}},
    {"long name", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, DIR_AT(A256), {DONE}}},
    {"deep", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, DIR_AT(D256 "a"), {DONE}}},
    {"missing parent", SBX_ERR_NOT_FOUND, 0, {ROOT_DIR, FILE_AT("a/b", 1), BYTES("x"), {DONE}}},
    {"write through a link",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, LINK_AT("a", "../victim"), FILE_AT("a/file", 4), BYTES("evil"), {DONE}}},
    {"write through an absolute link",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, LINK_AT("a", "/"), DIR_AT("a/tmp"), FILE_AT("a/tmp/evil", 1), BYTES("x"), {DONE}}},
    {"write through an inner link",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, DIR_AT("d"), LINK_AT("a", "d"), FILE_AT("a/file", 1), BYTES("x"), {DONE}}},
    {"write to a link",
     0,
     0,
     {ROOT_DIR, LINK_AT("a", "../victim/file"), FILE_AT("a", 4), BYTES("evil"), {DONE}}},
    {"directory over a link",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, LINK_AT("a", "../victim"), DIR_AT("a"), {DONE}}},
    {"link over a directory",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, DIR_AT("a"), LINK_AT("a", "../victim"), {DONE}}},
    {"file over a directory",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, DIR_AT("a"), FILE_AT("a", 1), BYTES("x"), {DONE}}},
    {"directory over a file",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, FILE_AT("a", 1), BYTES("x"), DIR_AT("a"), {DONE}}},
    {"below a file",
     SBX_ERR_CONFLICT,
     0,
     {ROOT_DIR, FILE_AT("a", 1), BYTES("x"), FILE_AT("a/b", 1), BYTES("x"), {DONE}}},
    {"below a link as root",
     SBX_ERR_PROTOCOL,
     0,
     {LINK_AT("", "../victim"), FILE_AT("file", 4), BYTES("evil"), {DONE}}},
    {"below a file as root",
     SBX_ERR_PROTOCOL,
     0,
     {FILE_AT("", 1), BYTES("x"), FILE_AT("file", 4), BYTES("evil"), {DONE}}},
    {"twice the same file",
     0,
     0,
     {ROOT_DIR, FILE_AT("a", 1), BYTES("x"), FILE_AT("a", 1), BYTES("y"), {DONE}}},
    {"twice the same directory", 0, 0, {ROOT_DIR, DIR_AT("a"), DIR_AT("a"), {DONE}}},
    {"two roots", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, ROOT_DIR, {DONE}}},
    {"no root", SBX_ERR_PROTOCOL, 0, {FILE_AT("a", 1), BYTES("x"), {DONE}}},
    {"nothing", SBX_ERR_PROTOCOL, 0, {{DONE}}},
    {"a device",
     SBX_ERR_PROTOCOL,
     0,
     {ROOT_DIR, {ENTRY, SBX_FILE_OTHER, "null", "", 0, 0666}, {DONE}}},
    {"a link to nothing", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, LINK_AT("a", ""), {DONE}}},
    {"more than promised", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, FILE_AT("a", 2), BYTES("xyz"), {DONE}}},
    {"less than promised", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, FILE_AT("a", 5), BYTES("xyz"), {DONE}}},
    {"bytes of no file", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, BYTES("xyz"), {DONE}}},
    {"no bytes", SBX_ERR_PROTOCOL, 0, {ROOT_DIR, FILE_AT("a", 5), BYTES(""), {DONE}}},
    {"bytes after an empty file",
     SBX_ERR_PROTOCOL,
     0,
     {ROOT_DIR, FILE_AT("a", 0), BYTES("x"), {DONE}}},
    {"an exabyte, then the end",
     SBX_ERR_UNAVAILABLE,
     0,
     {ROOT_DIR, FILE_AT("a", 1ull << 60), BYTES("xyz"), {END}}},
    {"sizes that overflow together",
     SBX_ERR_QUOTA,
     1000,
     {ROOT_DIR, FILE_AT("a", 1), BYTES("x"), FILE_AT("b", UINT64_MAX), BYTES("x"), {DONE}}},
    {"past the limit", SBX_ERR_QUOTA, 3, {ROOT_DIR, FILE_AT("a", 4), BYTES("wxyz"), {DONE}}},
    {"the end in a file", SBX_ERR_UNAVAILABLE, 0, {ROOT_DIR, FILE_AT("a", 9), BYTES("xyz"), {END}}},
    {"the end in a frame", SBX_ERR_UNAVAILABLE, 0, {ROOT_DIR, RAW_BYTES("\20\0\0\0\120"), {END}}},
    {"failure in a file", SBX_ERR_IO, 0, {ROOT_DIR, FILE_AT("a", 9), BYTES("xyz"), {FAILED}}},
    {"a frame of 4 GiB",
     SBX_ERR_PROTOCOL,
     0,
     {ROOT_DIR, RAW_BYTES("\377\377\377\377\120\0\0\0\0\0\0\0"), {END}}},
    {"bytes of 4 GiB",
     SBX_ERR_PROTOCOL,
     0,
     {ROOT_DIR, FILE_AT("a", 1ull << 40), RAW_BYTES("\377\377\377\377\121\0\0\0\0\0\0\0"), {END}}},
    {"a cut entry",
     SBX_ERR_PROTOCOL,
     0,
     {RAW_BYTES("\4\0\0\0\120\0\0\0\0\0\0\0\377\377\377\377"), {DONE}}},
    {"text", SBX_ERR_PROTOCOL, 0, {RAW_BYTES("HTTP/1.1 200 OK\r\n\r\nhello, world"), {END}}},
    {"an unknown frame",
     SBX_ERR_PROTOCOL,
     0,
     {ROOT_DIR, RAW_BYTES("\0\0\0\0\377\0\0\0\0\0\0\0"), {DONE}}},
};

static void send_entry(int fd, const struct step *step)
{
    cleanup_buf struct buf out = BUF_INIT(65536);
    struct files_entry entry = {.path = step->path,
                                .link = step->text,
                                .size = step->size,
                                .kind = step->kind,
                                .mode = step->mode};
    files_entry_put(&out, &entry);
    fake_send_buf(fd, FILES_ENTRY, &out);
}

static void send_failed(int fd)
{
    cleanup_buf struct buf out = BUF_INIT(4096);
    struct sbx_error error = {.code = SBX_ERR_IO, .message = "a bad disk"};
    agent_failed_put(&out, &error);
    fake_send_buf(fd, AGENT_FAILED, &out);
}

static void play_steps(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_FILES || fake_receive(fake, fd, &frame) < 0)
        return;
    const struct step *step = fake->data;
    for (size_t i = 0; i < STEPS_MAX; i++, step++) {
        if (step->what == ENTRY)
            send_entry(fd, step);
        else if (step->what == DATA)
            fake_send(fd, FILES_DATA, step->text, step->size);
        else if (step->what == RAW)
            (void)send(fd, step->text, step->size, MSG_NOSIGNAL);
        else if (step->what == DONE)
            fake_send(fd, FILES_DONE, NULL, 0);
        else if (step->what == FAILED)
            send_failed(fd);
        if (step->what == END || step->what == DONE || step->what == FAILED)
            break;
    }
    shutdown(fd, SHUT_WR);
    fake_linger(fake, fd);
}

// place/{out/, victim/file}
static char place[64];
static struct sbx_error err;
static const struct sbx_file_options none = SBX_FILE_OPTIONS_INIT;

static const char *in_place(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", place, name);
    return path;
}

static void save(const char *name, const char *text)
{
    int fd = open(in_place(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static void expect(const char *name, const char *text)
{
    char got[256];
    assert_true(fd_read_file(AT_FDCWD, in_place(name), got, sizeof(got)) >= 0);
    assert_string_equal(got, text);
}

static void make_place(void)
{
    strcpy(place, "/tmp/sandboxes-test-XXXXXX");
    assert_non_null(mkdtemp(place));
    assert_int_equal(mkdir(in_place("out"), 0755), 0);
    assert_int_equal(mkdir(in_place("victim"), 0755), 0);
    save("victim/file", "untouched");
}

static size_t count_names(const char *directory, bool *ret_temporary)
{
    size_t count = 0;
    DIR *dir = opendir(in_place(directory));
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        *ret_temporary |= strncmp(entry->d_name, ".sandboxes", 10) == 0;
    }
    if (dir)
        closedir(dir);
    return count;
}

static void check_and_clear_place(const char *what)
{
    bool temporary = false;
    struct stat st;
    expect("victim/file", "untouched");
    if (count_names("", &temporary) != 2 || count_names("victim", &temporary) != 1)
        fail_msg("%s: something was written outside", what);
    count_names("out", &temporary);
    count_names("out/tree", &temporary);
    if (temporary)
        fail_msg("%s: a temporary file is left", what);
    assert_int_not_equal(lstat("/tmp/evil", &st), 0);
    assert_int_equal(tree_remove(AT_FDCWD, place), 0);
}

static void nothing_is_written_outside_the_target(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
        struct fake fake;
        struct sbx_file_options options = {.size = sizeof(options), .limit = attacks[i].limit};
        make_place();
        struct box *box = fake_start(&fake, play_steps);
        fake.data = attacks[i].steps;
        int code =
            files_download(box, "/x/tree", in_place("out"), &options, deadline_in(10000), &err);
        if (code != attacks[i].code)
            fail_msg("%s: %s (%s)", attacks[i].what, sbx_code_name(code), code ? err.message : "");
        box_release(box);
        fake_stop(&fake);
        check_and_clear_place(attacks[i].what);
    }
}

static void run_steps(const struct step *steps, const char *source, const char *target, int want)
{
    struct fake fake;
    struct box *box = fake_start(&fake, play_steps);
    fake.data = steps;
    assert_int_equal(files_download(box, source, target, &none, deadline_in(10000), &err), want);
    box_release(box);
    fake_stop(&fake);
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(in_place(name), &st), 0);
    return st.st_mode & 07777;
}

static void modes_are_kept_but_for_the_dangerous_ones(void **state)
{
    static const struct step steps[STEPS_MAX] = {
        {ENTRY, SBX_FILE_DIRECTORY, "", "", 0, 0555},
        {ENTRY, SBX_FILE_DIRECTORY, "shut", "", 0, 0000},
        {ENTRY, SBX_FILE_REGULAR, "shut/file", "", 3, 06755},
        BYTES("abc"),
        {ENTRY, SBX_FILE_DIRECTORY, "sticky", "", 0, 07777},
        {DONE}};
    make_place();
    umask(022);
    run_steps(steps, "/x/tree", in_place("out"), 0);
    assert_int_equal(mode_of("out/tree"), 0555);
    assert_int_equal(mode_of("out/tree/shut"), 0);
    assert_int_equal(mode_of("out/tree/sticky"), 0755);
    assert_int_equal(chmod(in_place("out/tree/shut"), 0700), 0);
    assert_int_equal(mode_of("out/tree/shut/file"), 0755);
    check_and_clear_place("modes");
}

static void links_that_were_there_are_not_followed(void **state)
{
    static const struct step tree[STEPS_MAX] = {
        ROOT_DIR, FILE_AT("file", 4), BYTES("evil"), {DONE}};
    static const struct step file[STEPS_MAX] = {FILE_AT("", 4), BYTES("good"), {DONE}};
    make_place();
    assert_int_equal(symlink(in_place("victim"), in_place("out/tree")), 0);
    run_steps(tree, "/x/tree", in_place("out"), SBX_ERR_CONFLICT);
    assert_int_equal(unlink(in_place("out/tree")), 0);
    assert_int_equal(symlink(in_place("victim/file"), in_place("out/tree")), 0);
    run_steps(file, "/x/tree", in_place("out"), 0);
    expect("out/tree", "good");
    check_and_clear_place("links");
}

static void targets_are_those_of_cp(void **state)
{
    static const struct step tree[STEPS_MAX] = {
        ROOT_DIR, FILE_AT("file", 4), BYTES("text"), {DONE}};
    static const struct step file[STEPS_MAX] = {FILE_AT("", 4), BYTES("text"), {DONE}};
    make_place();
    run_steps(tree, "/x/tree/", in_place("out/renamed"), 0);
    expect("out/renamed/file", "text");
    run_steps(tree, "/", in_place("out"), 0); // it has no name: its contents
    expect("out/file", "text");
    run_steps(file, "/x/name", in_place("out/"), 0);
    expect("out/name", "text");
    run_steps(file, "/x/name", in_place("out/other"), 0);
    expect("out/other", "text");
    run_steps(file, "/x/name", in_place("out/none/other"), SBX_ERR_NOT_FOUND);
    check_and_clear_place("targets");
}

// Sends entries as fast as they are taken, for ever.
static void play_endless(struct fake *fake, int fd)
{
    struct frame frame;
    struct step step = ROOT_DIR;
    struct pollfd stop = {.fd = fake->stop[0], .events = POLLIN};
    char name[32];
    if (fake_receive(fake, fd, &frame) != AGENT_FILES || fake_receive(fake, fd, &frame) < 0)
        return;
    bool list = frame.type == FILES_LIST;
    if (!list)
        send_entry(fd, &step);
    for (int i = 0; poll(&stop, 1, 0) == 0; i++) {
        struct pollfd peer = {.fd = fd, .events = POLLOUT};
        snprintf(name, sizeof(name), "%d", i % 100);
        step = (struct step)DIR_AT(name);
        if (poll(&peer, 1, 100) > 0 && (peer.revents & (POLLERR | POLLHUP)))
            return;
        send_entry(fd, &step);
    }
}

static void *trigger(void *cancel)
{
    usleep(30000);
    sbx_cancel_trigger(cancel);
    return NULL;
}

static void a_stream_without_end_meets_the_deadline(void **state)
{
    struct fake fake;
    struct sbx_file_list list;
    struct sbx_cancel *cancel;
    pthread_t thread;
    make_place();
    struct box *box = fake_start(&fake, play_endless);
    const char *out = in_place("out");
    assert_int_equal(files_download(box, "/x/tree", out, &none, deadline_in(50), &err),
                     SBX_ERR_TIMEOUT);
    assert_int_equal(files_list(box, "/x", &none, deadline_in(50), &list, &err), SBX_ERR_TIMEOUT);
    assert_int_equal(sbx_cancel_new(&cancel, &err), 0);
    pthread_create(&thread, NULL, trigger, cancel);
    struct deadline deadline = {.at_ms = DEADLINE_NEVER, .cancel = cancel};
    assert_int_equal(files_download(box, "/x/tree", out, &none, deadline, &err), SBX_ERR_CANCELLED);
    pthread_join(thread, NULL);
    sbx_cancel_free(cancel);
    box_release(box);
    fake_stop(&fake);
    check_and_clear_place("endless");
}

static int read_steps(const struct step *steps, uint64_t limit, char **ret_data, size_t *ret_size)
{
    struct fake fake;
    struct sbx_file_options options = {.size = sizeof(options), .limit = limit};
    struct box *box = fake_start(&fake, play_steps);
    fake.data = steps;
    int code = files_read(box, "/f", &options, deadline_in(10000), ret_data, ret_size, &err);
    box_release(box);
    fake_stop(&fake);
    return code;
}

static void reading_believes_no_size(void **state)
{
    static const struct step sizeless[STEPS_MAX] = {
        FILE_AT("/f", 0), BYTES("ab"), BYTES("cd"), {DONE}};
    static const struct step huge[STEPS_MAX] = {FILE_AT("/f", 1ull << 29), BYTES("ab"), {DONE}};
    static const struct step over[STEPS_MAX] = {FILE_AT("/f", 0), BYTES("abcdef"), {DONE}};
    static const struct step claims[STEPS_MAX] = {FILE_AT("/f", UINT64_MAX), {DONE}};
    static const struct step cut[STEPS_MAX] = {FILE_AT("/f", 4), BYTES("ab"), {END}};
    char *data = NULL;
    size_t size = 0;
    assert_int_equal(read_steps(sizeless, 100, &data, &size), 0);
    assert_string_equal(data, "abcd");
    free(data);
    assert_int_equal(read_steps(huge, 1 << 30, &data, &size), 0);
    assert_int_equal(size, 2);
    free(data);
    data = NULL;
    assert_int_equal(read_steps(over, 5, &data, &size), SBX_ERR_QUOTA);
    assert_int_equal(read_steps(claims, 1 << 30, &data, &size), SBX_ERR_QUOTA);
    assert_int_equal(read_steps(cut, 100, &data, &size), SBX_ERR_UNAVAILABLE);
    assert_null(data);
}

static void listed_names_are_bare(void **state)
{
    static const char *const bad[] = {"a/b", "..", ".", "", "/x"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct step steps[STEPS_MAX] = {FILE_AT(bad[i], 0), {DONE}};
        struct fake fake;
        struct sbx_file_list list;
        struct box *box = fake_start(&fake, play_steps);
        fake.data = steps;
        assert_int_equal(files_list(box, "/x", &none, deadline_in(10000), &list, &err),
                         SBX_ERR_PROTOCOL);
        box_release(box);
        fake_stop(&fake);
    }
}

// Refuses after the first bytes, and reads no more.
static void play_refuse(struct fake *fake, int fd)
{
    struct frame frame;
    if (fake_receive(fake, fd, &frame) != AGENT_FILES || fake_receive(fake, fd, &frame) < 0)
        return;
    send_failed(fd);
    struct pollfd stop[2] = {{.fd = fake->stop[0], .events = POLLIN},
                             {.fd = fd, .events = POLLRDHUP}};
    poll(stop, 2, -1);
}

static void a_refusal_ends_the_sending(void **state)
{
    static char data[8 << 20];
    struct fake fake;
    struct box *box = fake_start(&fake, play_refuse);
    make_place();
    assert_int_equal(files_write(box, "/x", data, sizeof(data), &none, deadline_in(10000), &err),
                     SBX_ERR_IO);
    assert_non_null(strstr(err.message, "a bad disk"));
    int fd = open(in_place("out/large"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    close(fd);
    assert_int_equal(
        files_upload(box, in_place("out/large"), "/x", &none, deadline_in(10000), &err),
        SBX_ERR_IO);
    box_release(box);
    fake_stop(&fake);
    check_and_clear_place("refusal");
}

static int take_away_openat2(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(filter), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) |
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_written_outside_the_target),
        cmocka_unit_test(modes_are_kept_but_for_the_dangerous_ones),
        cmocka_unit_test(links_that_were_there_are_not_followed),
        cmocka_unit_test(targets_are_those_of_cp),
        cmocka_unit_test(a_stream_without_end_meets_the_deadline),
        cmocka_unit_test(reading_believes_no_size),
        cmocka_unit_test(listed_names_are_bare),
        cmocka_unit_test(a_refusal_ends_the_sending),
    };
    if (getenv("NO_OPENAT2") && take_away_openat2() != 0)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
