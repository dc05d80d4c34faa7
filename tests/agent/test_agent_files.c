// SPDX-License-Identifier: Apache-2.0
// Agent: the files worker.
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

// A connection in files mode, and a path in the box's own directory.
struct session {
    struct box *box;
    struct link *link;
};

static int session_set_up(void **state)
{
    struct session *session = calloc(1, sizeof(*session));
    assert_non_null(session);
    session->box = *state;
    session->link = link_open(session->box);
    cleanup_buf struct buf user = BUF_INIT(64);
    wire_put_text(&user, "");
    link_send(session->link, AGENT_FILES, &user);
    *state = session;
    return 0;
}

static int session_tear_down(void **state)
{
    struct session *session = *state;
    link_close(session->link);
    *state = session->box;
    free(session);
    return 0;
}

// Paths are made from a few static buffers: enough for one test's calls.
static const char *at(const struct session *session, const char *name)
{
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", session->box->dir, name);
    return path;
}

// The first thing asked for by tests of the harness' own cleanliness.
static void make_tree(const struct session *session, const char *line)
{
    char text[256], command[1024];
    snprintf(command, sizeof(command), "cd %s && { %s; }", session->box->dir, line);
    assert_int_equal(run_line(session->box, command, 0, text, sizeof(text)).code, 0);
}

static void ask_path(const struct session *session, uint32_t type, const char *path, int numbers,
                     uint32_t first, uint32_t second)
{
    cleanup_buf struct buf payload = BUF_INIT(16384);
    wire_put_text(&payload, path);
    if (numbers > 0)
        wire_put_u32(&payload, first);
    if (numbers > 1)
        wire_put_u32(&payload, second);
    link_send(session->link, type, &payload);
}

static void expect_done(const struct session *session)
{
    assert_int_equal(link_expect(session->link, FILES_DONE)->size, 0);
}

static struct files_entry expect_entry(const struct session *session)
{
    struct files_entry entry;
    const struct frame *frame = link_expect(session->link, FILES_ENTRY);
    assert_int_equal(files_entry_get(frame->payload, frame->size, &entry), 0);
    return entry;
}

static void begin_write(const struct session *session, const char *path, uint32_t mode,
                        uint64_t size)
{
    cleanup_buf struct buf payload = BUF_INIT(8192);
    wire_put_text(&payload, path);
    wire_put_u32(&payload, mode);
    wire_put_u64(&payload, size);
    link_send(session->link, FILES_WRITE, &payload);
}

static void send_data(const struct session *session, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t step = size - done < AGENT_DATA_MAX ? size - done : AGENT_DATA_MAX;
        struct buf payload = {.data = (char *)(uintptr_t)data + done, .size = step};
        link_send(session->link, FILES_DATA, &payload);
        done += step;
    }
}

static void write_file(const struct session *session, const char *path, uint32_t mode,
                       const char *text)
{
    begin_write(session, path, mode, strlen(text));
    send_data(session, text, strlen(text));
    expect_done(session);
}

static void receive_data(const struct session *session, struct buf *out, uint64_t size)
{
    while (size > 0) {
        const struct frame *frame = link_expect(session->link, FILES_DATA);
        assert_true(frame->size > 0 && frame->size <= size && frame->size <= AGENT_DATA_MAX);
        buf_add(out, frame->payload, frame->size);
        size -= frame->size;
    }
}

static void assert_content(const struct session *session, const char *path, const char *text)
{
    cleanup_buf struct buf out = BUF_INIT(65536);
    ask_path(session, FILES_READ, path, 0, 0, 0);
    receive_data(session, &out, expect_entry(session).size);
    expect_done(session);
    assert_string_equal(out.size ? buf_text(&out) : "", text);
}

static struct stat stat_of(const char *path)
{
    struct stat stat;
    assert_int_equal(lstat(path, &stat), 0);
    return stat;
}

static void writes_and_reads(void **state)
{
    const struct session *session = *state;
    write_file(session, at(session, "rw/deep/er/file"), 0, "hello");
    assert_content(session, at(session, "rw/deep/er/file"), "hello");
    assert_int_equal(stat_of(at(session, "rw/deep/er/file")).st_mode & 07777, 0644);
    // As it was: shorter contents replace all, the mode stays.
    chmod(at(session, "rw/deep/er/file"), 0751);
    write_file(session, at(session, "rw/deep/er/file"), 0, "hi");
    assert_content(session, at(session, "rw/deep/er/file"), "hi");
    assert_int_equal(stat_of(at(session, "rw/deep/er/file")).st_mode & 07777, 0751);
    write_file(session, at(session, "rw/deep/er/file"), 0600, "");
    assert_content(session, at(session, "rw/deep/er/file"), "");
    assert_int_equal(stat_of(at(session, "rw/deep/er/file")).st_mode & 07777, 0600);
}

static void names_may_hold_any_byte(void **state)
{
    const struct session *session = *state;
    const char *path = at(session, "odd\n\xff'\"$(x) name");
    write_file(session, path, 0, "odd");
    assert_content(session, path, "odd");
}

static void large_files_arrive_whole(void **state)
{
    const struct session *session = *state;
    const size_t size = 50 * 1000 * 1000 + 17;
    cleanup_free char *data = malloc(size);
    cleanup_buf struct buf out = BUF_INIT(size + 1);
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7 % 253);
    begin_write(session, at(session, "large"), 0, size);
    send_data(session, data, size);
    expect_done(session);
    ask_path(session, FILES_READ, at(session, "large"), 0, 0, 0);
    assert_int_equal(expect_entry(session).size, size);
    receive_data(session, &out, size);
    expect_done(session);
    assert_memory_equal(out.data, data, size);
    unlink(at(session, "large"));
}

static void zeros_become_holes(void **state)
{
    const struct session *session = *state;
    static char zeros[8 * 1024 * 1024];
    begin_write(session, at(session, "sparse"), 0, sizeof(zeros) + 4);
    send_data(session, zeros, sizeof(zeros));
    send_data(session, "tail", 4);
    expect_done(session);
    struct stat stat = stat_of(at(session, "sparse"));
    assert_int_equal(stat.st_size, sizeof(zeros) + 4);
    assert_true(stat.st_blocks < 1000);
    // A hole at the end counts too.
    begin_write(session, at(session, "sparse"), 0, sizeof(zeros));
    send_data(session, zeros, sizeof(zeros));
    expect_done(session);
    assert_int_equal(stat_of(at(session, "sparse")).st_size, sizeof(zeros));
}

static void files_without_a_size_are_read(void **state)
{
    const struct session *session = *state;
    cleanup_buf struct buf out = BUF_INIT(65536);
    ask_path(session, FILES_READ, "/proc/self/status", 0, 0, 0);
    assert_int_equal(expect_entry(session).size, 0);
    for (;;) {
        const struct frame *frame = link_receive(session->link);
        assert_non_null(frame);
        if (frame->type == FILES_DONE)
            break;
        assert_int_equal(frame->type, FILES_DATA);
        buf_add(&out, frame->payload, frame->size);
    }
    assert_non_null(strstr(buf_text(&out), "Name:"));
}

static void refused(const struct session *session, uint32_t type, const char *path, int numbers,
                    int code)
{
    ask_path(session, type, path, numbers, 0, 0);
    link_expect_failed(session->link, code);
}

static void write_refused(const struct session *session, const char *path, int code)
{
    begin_write(session, path, 0, 5);
    send_data(session, "12345", 5);
    link_expect_failed(session->link, code);
}

static void nothing_blocks_it(void **state)
{
    const struct session *session = *state;
    make_tree(session, "mkfifo fifo; mkdir dir; ln -s fifo tofifo; ln -s loop loop");
    refused(session, FILES_READ, at(session, "fifo"), 0, SBX_ERR_INVALID);
    refused(session, FILES_READ, at(session, "tofifo"), 0, SBX_ERR_INVALID);
    refused(session, FILES_READ, at(session, "dir"), 0, SBX_ERR_CONFLICT);
    refused(session, FILES_READ, at(session, "loop"), 0, SBX_ERR_INVALID);
    refused(session, FILES_READ, at(session, "missing"), 0, SBX_ERR_NOT_FOUND);
    refused(session, FILES_READ, "/dev/zero", 0, SBX_ERR_INVALID);
    refused(session, FILES_READ, session->box->path, 0, SBX_ERR_IO); // a socket: ENXIO
    write_refused(session, at(session, "fifo"), SBX_ERR_IO);         // nobody reads: ENXIO
    write_refused(session, at(session, "dir"), SBX_ERR_CONFLICT);
    write_refused(session, "/dev/null", SBX_ERR_INVALID);
    // A fifo with a reader opens, but is no file.
    int reader = open(at(session, "fifo"), O_RDONLY | O_NONBLOCK);
    write_refused(session, at(session, "fifo"), SBX_ERR_INVALID);
    close(reader);
    write_file(session, at(session, "after"), 0, "still usable");
    assert_content(session, at(session, "after"), "still usable");
}

static void tells_about_files(void **state)
{
    const struct session *session = *state;
    make_tree(session,
              "mkdir stat; cd stat; echo 12345 >file; chmod 2750 file; ln -s to/where link; "
              "mkfifo fifo; mkdir dir; touch -d @1500000000 file");
    ask_path(session, FILES_STAT, at(session, "stat/file"), 0, 0, 0);
    struct files_entry entry = expect_entry(session);
    assert_string_equal(entry.path, at(session, "stat/file"));
    assert_int_equal(entry.kind, SBX_FILE_REGULAR);
    assert_int_equal(entry.size, 6);
    assert_int_equal(entry.mode, 02750);
    assert_true(entry.modified_ms == 1500000000000);
    expect_done(session);
    ask_path(session, FILES_STAT, at(session, "stat/link"), 0, 0, 0);
    entry = expect_entry(session);
    assert_int_equal(entry.kind, SBX_FILE_SYMLINK);
    assert_string_equal(entry.link, "to/where");
    expect_done(session);
    ask_path(session, FILES_LIST, at(session, "stat"), 0, 0, 0);
    unsigned kinds[5] = {0};
    for (int i = 0; i < 4; i++)
        kinds[expect_entry(session).kind]++;
    expect_done(session);
    for (int kind = SBX_FILE_REGULAR; kind <= SBX_FILE_OTHER; kind++)
        assert_int_equal(kinds[kind], 1);
    refused(session, FILES_LIST, at(session, "stat/file"), 0, SBX_ERR_NOT_FOUND);
    refused(session, FILES_STAT, at(session, "stat/none"), 0, SBX_ERR_NOT_FOUND);
}

static void makes_directories(void **state)
{
    const struct session *session = *state;
    ask_path(session, FILES_MKDIR, at(session, "made"), 2, 0, 0);
    expect_done(session);
    assert_int_equal(stat_of(at(session, "made")).st_mode, S_IFDIR | 0755);
    refused(session, FILES_MKDIR, at(session, "made"), 2, SBX_ERR_CONFLICT);
    refused(session, FILES_MKDIR, at(session, "none/made"), 2, SBX_ERR_NOT_FOUND);
    ask_path(session, FILES_MKDIR, at(session, "made/a/b/c"), 2, 0700, 1);
    expect_done(session);
    assert_int_equal(stat_of(at(session, "made/a/b/c")).st_mode, S_IFDIR | 0700);
    ask_path(session, FILES_MKDIR, at(session, "made/a/b/c"), 2, 0, 1);
    expect_done(session);
    write_file(session, at(session, "made/file"), 0, "x");
    ask_path(session, FILES_MKDIR, at(session, "made/file"), 2, 0, 1);
    link_expect_failed(session->link, SBX_ERR_CONFLICT);
}

static void renames(void **state)
{
    const struct session *session = *state;
    write_file(session, at(session, "old-name"), 0, "x");
    cleanup_buf struct buf payload = BUF_INIT(8192);
    wire_put_text(&payload, at(session, "old-name"));
    wire_put_text(&payload, at(session, "new-name"));
    link_send(session->link, FILES_RENAME, &payload);
    expect_done(session);
    assert_content(session, at(session, "new-name"), "x");
    link_send(session->link, FILES_RENAME, &payload);
    link_expect_failed(session->link, SBX_ERR_NOT_FOUND);
}

static void remove_tree(const struct session *session, const char *path)
{
    ask_path(session, FILES_REMOVE, path, 1, 1, 0);
    expect_done(session);
    assert_int_equal(access(path, F_OK), -1);
}

static void removes(void **state)
{
    const struct session *session = *state;
    make_tree(session, "mkdir -p rm/a/b rm/empty outside; touch rm/a/f rm/a/b/g outside/kept; "
                       "ln -s ../outside rm/a/link; mkfifo rm/a/fifo; ln -s rm rmlink; "
                       "i=0; while [ $i -lt 100 ]; do mkdir -p rm/many/$i; : >rm/many/$i/x; "
                       "i=$((i+1)); done");
    refused(session, FILES_REMOVE, at(session, "rm"), 1, SBX_ERR_CONFLICT);
    refused(session, FILES_REMOVE, at(session, "rm/.."), 1, SBX_ERR_INVALID);
    refused(session, FILES_REMOVE, "/", 1, SBX_ERR_INVALID);
    refused(session, FILES_REMOVE, at(session, "none"), 1, SBX_ERR_NOT_FOUND);
    ask_path(session, FILES_REMOVE, at(session, "rm/empty"), 1, 0, 0);
    expect_done(session);
    remove_tree(session, at(session, "rmlink")); // the link, not what it shows
    assert_int_equal(access(at(session, "rm/a/f"), F_OK), 0);
    remove_tree(session, at(session, "rm"));
    assert_int_equal(access(at(session, "outside/kept"), F_OK), 0);
}

static void removes_what_is_deep(void **state)
{
    const struct session *session = *state;
    char line[512], text[64];
    snprintf(line, sizeof(line), "mkdir %s/mem/deep && cd %s/mem/deep && exec %s deepen 20000",
             session->box->dir, session->box->dir, probe_path());
    assert_int_equal(run_line(session->box, line, 0, text, sizeof(text)).code, 0);
    ask_path(session, FILES_STAT, at(session, "mem/deep"), 0, 0, 0);
    expect_entry(session);
    expect_done(session);
    ask_path(session, FILES_REMOVE, at(session, "mem/deep"), 1, 1, 0);
    expect_done(session);
    refused(session, FILES_STAT, at(session, "mem/deep"), 0, SBX_ERR_NOT_FOUND);
}

static void mounts_are_not_emptied(void **state)
{
    const struct session *session = *state;
    write_file(session, at(session, "mem/kept"), 0, "kept");
    ask_path(session, FILES_REMOVE, session->box->dir, 1, 1, 0);
    link_expect_failed(session->link, SBX_ERR_CONFLICT);
    assert_content(session, at(session, "mem/kept"), "kept");
}

static void put_entry(const struct session *session, const char *path, uint32_t kind, uint32_t mode,
                      const char *text)
{
    struct files_entry entry = {.path = path, .link = "", .kind = kind, .mode = mode};
    cleanup_buf struct buf payload = BUF_INIT(16384);
    if (kind == SBX_FILE_SYMLINK)
        entry.link = text;
    if (kind == SBX_FILE_REGULAR)
        entry.size = strlen(text);
    entry.modified_ms = 1400000000123;
    files_entry_put(&payload, &entry);
    link_send(session->link, FILES_ENTRY, &payload);
    if (entry.size)
        send_data(session, text, entry.size);
}

static void begin_tree(const struct session *session, const char *path, const char *name)
{
    cleanup_buf struct buf payload = BUF_INIT(8192);
    wire_put_text(&payload, path);
    wire_put_text(&payload, name);
    link_send(session->link, FILES_PUT_TREE, &payload);
}

static void put_sample(const struct session *session)
{
    put_entry(session, "", SBX_FILE_DIRECTORY, 0755, "");
    put_entry(session, "readonly", SBX_FILE_DIRECTORY, 0555, "");
    put_entry(session, "readonly/file", SBX_FILE_REGULAR, 0440, "inner");
    put_entry(session, "link", SBX_FILE_SYMLINK, 0777, "/etc/passwd");
    put_entry(session, "empty", SBX_FILE_REGULAR, 0644, "");
    put_entry(session, "setuid", SBX_FILE_REGULAR, 06755, "s");
    link_send(session->link, FILES_END, NULL);
}

static void trees_come_in(void **state)
{
    const struct session *session = *state;
    begin_tree(session, at(session, "in/tree"), "name");
    put_sample(session);
    expect_done(session);
    assert_int_equal(stat_of(at(session, "in/tree/readonly")).st_mode, S_IFDIR | 0555);
    assert_int_equal(stat_of(at(session, "in/tree/readonly/file")).st_mode, S_IFREG | 0440);
    assert_true(stat_of(at(session, "in/tree/readonly/file")).st_mtim.tv_sec == 1400000000);
    assert_int_equal(stat_of(at(session, "in/tree/setuid")).st_mode, S_IFREG | 0755);
    assert_true(S_ISLNK(stat_of(at(session, "in/tree/link")).st_mode));
    assert_int_equal(stat_of(at(session, "in/tree/empty")).st_size, 0);
    // Into an existing directory: under its own name. A second time: over what is there.
    for (int i = 0; i < 2; i++) {
        begin_tree(session, at(session, "in/tree"), "again");
        put_sample(session);
        expect_done(session); // root of its namespaces may write where the mode says no
    }
    assert_int_equal(stat_of(at(session, "in/tree/again/setuid")).st_size, 1);
    chmod(at(session, "in/tree/readonly"), 0755);
    chmod(at(session, "in/tree/again/readonly"), 0755);
}

static void a_single_file_is_a_tree(void **state)
{
    const struct session *session = *state;
    begin_tree(session, at(session, "single"), "ignored");
    put_entry(session, "", SBX_FILE_REGULAR, 0600, "alone");
    link_send(session->link, FILES_END, NULL);
    expect_done(session);
    assert_content(session, at(session, "single"), "alone");
    ask_path(session, FILES_GET_TREE, at(session, "single"), 0, 0, 0);
    struct files_entry entry = expect_entry(session);
    assert_string_equal(entry.path, "");
    assert_int_equal(entry.size, 5);
    cleanup_buf struct buf out = BUF_INIT(64);
    receive_data(session, &out, 5);
    expect_done(session);
}

static void trees_do_not_follow_links(void **state)
{
    const struct session *session = *state;
    make_tree(session, "mkdir -p victim trap; echo safe >victim/file; ln -s ../victim trap/dir; "
                       "ln -s ../victim/file trap/file; mkfifo trap/fifo");
    begin_tree(session, session->box->dir, "trap");
    put_entry(session, "", SBX_FILE_DIRECTORY, 0755, "");
    put_entry(session, "file", SBX_FILE_REGULAR, 0644, "mine");
    put_entry(session, "fifo", SBX_FILE_REGULAR, 0644, "mine");
    put_entry(session, "dir/file", SBX_FILE_REGULAR, 0644, "through");
    put_entry(session, "later", SBX_FILE_REGULAR, 0644, "not reached");
    link_send(session->link, FILES_END, NULL);
    link_expect_failed(session->link, SBX_ERR_NOT_FOUND);
    assert_content(session, at(session, "victim/file"), "safe\n");
    assert_content(session, at(session, "trap/file"), "mine");
    assert_content(session, at(session, "trap/fifo"), "mine");
}

static void bad_paths_in_trees_are_refused(void **state)
{
    const struct session *session = *state;
    static const char *const bad[] = {"../out", "/abs", "a//b", ".", "a/../b", "a/"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        begin_tree(session, at(session, "bad"), "x");
        put_entry(session, "", SBX_FILE_DIRECTORY, 0755, "");
        put_entry(session, bad[i], SBX_FILE_REGULAR, 0644, "data");
        link_send(session->link, FILES_END, NULL);
        link_expect_failed(session->link, SBX_ERR_INVALID);
    }
    begin_tree(session, session->box->dir, "../name");
    link_send(session->link, FILES_END, NULL);
    link_expect_failed(session->link, SBX_ERR_INVALID);
}

static void trees_go_out(void **state)
{
    const struct session *session = *state;
    make_tree(session,
              "mkdir -p out/a/b; echo data >out/a/b/file; ln -s a/b out/link; mkfifo out/fifo; "
              "truncate -s 300000 out/a/holes; ln -s out outlink; mkdir out/none; "
              "chmod 0 out/none; chmod 700 out/none");
    ask_path(session, FILES_GET_TREE, at(session, "outlink"), 0, 0, 0);
    unsigned seen = 0, kinds[5] = {0};
    for (;;) {
        struct files_entry entry;
        const struct frame *frame = link_receive(session->link);
        if (frame->type == FILES_DONE)
            break;
        assert_int_equal(frame->type, FILES_ENTRY);
        assert_int_equal(files_entry_get(frame->payload, frame->size, &entry), 0);
        assert_true(files_path_safe(entry.path));
        kinds[entry.kind]++;
        if (seen++ == 0)
            assert_string_equal(entry.path, "");
        if (entry.kind == SBX_FILE_SYMLINK)
            assert_string_equal(entry.link, "a/b");
        if (entry.kind != SBX_FILE_REGULAR)
            continue;
        cleanup_buf struct buf out = BUF_INIT(1 << 20);
        uint64_t size = entry.size;
        bool file = strcmp(entry.path, "a/b/file") == 0;
        receive_data(session, &out, size);
        if (file)
            assert_memory_equal(out.data, "data\n", 5);
    }
    assert_int_equal(kinds[SBX_FILE_DIRECTORY], 4);
    assert_int_equal(kinds[SBX_FILE_REGULAR], 2);
    assert_int_equal(kinds[SBX_FILE_SYMLINK], 1);
    assert_int_equal(kinds[SBX_FILE_OTHER], 0);
}

static void trees_that_are_too_deep_are_refused(void **state)
{
    const struct session *session = *state;
    make_tree(session,
              "p=too; i=0; while [ $i -lt 300 ]; do p=$p/d; i=$((i+1)); done; mkdir -p $p");
    ask_path(session, FILES_GET_TREE, at(session, "too"), 0, 0, 0);
    const struct frame *frame;
    int directories = 0;
    while ((frame = link_receive(session->link)) && frame->type == FILES_ENTRY)
        directories++;
    assert_int_equal(frame->type, AGENT_FAILED);
    assert_true(directories <= FILES_DEPTH_MAX + 1);
}

static void a_shrinking_file_ends_early_or_in_zeros(void **state)
{
    const struct session *session = *state;
    const uint64_t size = 64 * 1024 * 1024;
    uint64_t got = 0;
    make_tree(session, "truncate -s 64M shrinking; truncate -s 64M promised");
    ask_path(session, FILES_READ, at(session, "shrinking"), 0, 0, 0);
    assert_int_equal(expect_entry(session).size, size);
    assert_int_equal(truncate(at(session, "shrinking"), 10), 0);
    const struct frame *frame;
    while ((frame = link_receive(session->link)) && frame->type == FILES_DATA)
        got += frame->size;
    assert_int_equal(frame->type, FILES_DONE);
    assert_true(got < size);
    // In a tree the size is a promise.
    cleanup_buf struct buf out = BUF_INIT(size + 1);
    ask_path(session, FILES_GET_TREE, at(session, "promised"), 0, 0, 0);
    assert_int_equal(expect_entry(session).size, size);
    assert_int_equal(truncate(at(session, "promised"), 10), 0);
    receive_data(session, &out, size);
    expect_done(session);
}

static void refusals_come_at_once(void **state)
{
    const struct session *session = *state;
    begin_write(session, "/proc/none", 0, 1 << 30);
    link_expect_failed(session->link, SBX_ERR_NOT_FOUND);
    begin_tree(session, "/proc/none", "x"); // not read: the data is still on its way
    link_expect_end(session->link);
}

static size_t count_names(const char *path)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, NULL);
    assert_true(count >= 2);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return (size_t)count - 2;
}

// What does not fit leaves nothing, and what was there whole.
static void a_full_disk_is_said(void **state)
{
    const struct session *session = *state;
    const size_t size = 2 * BOX_MEM_MAX;
    cleanup_free char *data = malloc(size);
    memset(data, 'x', size);
    begin_write(session, at(session, "mem/full"), 0, size);
    send_data(session, data, size);
    link_expect_failed(session->link, SBX_ERR_QUOTA);
    make_tree(session, "test ! -e mem/full");
    make_tree(session, "mkdir mem/tree");
    write_file(session, at(session, "mem/tree/file"), 0, "whole");
    make_tree(session, "! head -c 100M /dev/urandom >mem/fill"); // the disk is of 16 MiB
    begin_tree(session, at(session, "mem"), "tree");
    put_entry(session, "", SBX_FILE_DIRECTORY, 0755, "");
    put_entry(session, "file", SBX_FILE_REGULAR, 0644, "does not fit");
    put_entry(session, "more", SBX_FILE_REGULAR, 0644, "neither");
    link_send(session->link, FILES_END, NULL);
    link_expect_failed(session->link, SBX_ERR_QUOTA);
    assert_content(session, at(session, "mem/tree/file"), "whole");
    make_tree(session, "test \"$(ls -A mem/tree)\" = file && rm mem/fill");
    write_file(session, at(session, "mem/full"), 0, "fits");
    assert_content(session, at(session, "mem/full"), "fits");
}

static void announce_file(const struct session *session, uint64_t size)
{
    struct files_entry entry = {
        .path = "", .link = "", .kind = SBX_FILE_REGULAR, .mode = 0644, .size = size};
    cleanup_buf struct buf payload = BUF_INIT(16384);
    files_entry_put(&payload, &entry);
    link_send(session->link, FILES_ENTRY, &payload);
}

static void a_broken_connection_leaves_no_half_file(void **state)
{
    struct session other = *(const struct session *)*state;
    cleanup_free char *directory = strdup(at(&other, "broken"));
    assert_int_equal(mkdir(directory, 0777), 0);
    for (int tree = 0; tree < 2; tree++) {
        cleanup_buf struct buf user = BUF_INIT(64);
        other.link = link_open(other.box);
        wire_put_text(&user, "");
        link_send(other.link, AGENT_FILES, &user);
        if (tree)
            begin_tree(&other, directory, "x");
        else
            begin_write(&other, at(&other, "broken/file"), 0, 100);
        if (tree)
            announce_file(&other, 100);
        send_data(&other, "half", 4);
        while (count_names(directory) == 0)
            usleep(1000);
        link_close(other.link);
        while (count_names(directory) > 0)
            usleep(1000);
    }
}

static void relative_paths_begin_at_home(void **state)
{
    const struct session *session = *state;
    if (getuid() != 0)
        skip(); // home belongs to another user here
    struct box *box = box_start(&(struct agent_config){.user = "4242", .workdir = ""});
    struct session own = {.box = box, .link = link_open(box)};
    cleanup_buf struct buf user = BUF_INIT(64);
    wire_put_text(&user, "4243");
    link_send(own.link, AGENT_FILES, &user);
    ask_path(&own, FILES_STAT, "etc/passwd", 0, 0, 0); // home of a number is "/"
    assert_int_equal(expect_entry(&own).kind, SBX_FILE_REGULAR);
    expect_done(&own);
    write_file(&own, at(&own, "owned"), 0, "x");
    assert_int_equal(stat_of(at(&own, "owned")).st_uid, 4243);
    write_refused(&own, "/etc/of-root", SBX_ERR_DENIED);
    link_close(own.link);
    box_stop(box);
    (void)session;
}

static void garbage_ends_the_session_only(void **state)
{
    struct session *session = *state;
    static const uint32_t types[] = {0, AGENT_EXEC, FILES_DATA, FILES_END, FILES_DONE, 9999};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        void *again = session->box;
        assert_int_equal(session_set_up(&again), 0);
        struct session *own = again;
        link_send(own->link, types[i], NULL);
        link_expect_end(own->link);
        session_tear_down(&again);
    }
    // A request that is cut, and one with surplus.
    struct buf cut = {.data = (char *)"\x05\0\0\0ab", .size = 6};
    link_send(session->link, FILES_STAT, &cut);
    link_expect_failed(session->link, SBX_ERR_PROTOCOL);
    ask_path(session, FILES_STAT, "/", 1, 0, 0);
    link_expect_failed(session->link, SBX_ERR_PROTOCOL);
    ask_path(session, FILES_STAT, "/", 0, 0, 0);
    expect_entry(session);
    expect_done(session);
}

#define WITH_SESSION(test) cmocka_unit_test_setup_teardown(test, session_set_up, session_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SESSION(writes_and_reads),
        WITH_SESSION(names_may_hold_any_byte),
        WITH_SESSION(large_files_arrive_whole),
        WITH_SESSION(zeros_become_holes),
        WITH_SESSION(files_without_a_size_are_read),
        WITH_SESSION(nothing_blocks_it),
        WITH_SESSION(tells_about_files),
        WITH_SESSION(makes_directories),
        WITH_SESSION(renames),
        WITH_SESSION(removes),
        WITH_SESSION(removes_what_is_deep),
        WITH_SESSION(trees_come_in),
        WITH_SESSION(a_single_file_is_a_tree),
        WITH_SESSION(trees_do_not_follow_links),
        WITH_SESSION(bad_paths_in_trees_are_refused),
        WITH_SESSION(trees_go_out),
        WITH_SESSION(trees_that_are_too_deep_are_refused),
        WITH_SESSION(a_shrinking_file_ends_early_or_in_zeros),
        WITH_SESSION(refusals_come_at_once),
        WITH_SESSION(a_full_disk_is_said),
        WITH_SESSION(a_broken_connection_leaves_no_half_file),
        WITH_SESSION(relative_paths_begin_at_home),
        WITH_SESSION(garbage_ends_the_session_only),
        WITH_SESSION(mounts_are_not_emptied), // last: it removes all else
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
