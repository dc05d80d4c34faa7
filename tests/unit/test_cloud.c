// SPDX-License-Identifier: Apache-2.0
// Parts of the clients of cloud services that need no service: frames, events, archives, texts.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/base64.h"
#include "net/connect.h"
#include "net/tree.h"
#include "net/url.h"
#include "net/websocket.h"
#include "net/when.h"
#include "provider/daytona/files.h"
#include "provider/daytona/process.h"
#include "provider/e2b/event.h"
#include "unit.h"

static struct sbx_error err;

static void base64_reads_back(void **state)
{
    for (size_t size = 0; size < 70; size++) {
        char data[70];
        struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);
        for (size_t i = 0; i < size; i++)
            data[i] = (char)(i * 89 + size);
        base64_encode(&text, data, size);
        assert_true(base64_decode(&back, text.data, text.size));
        assert_int_equal(back.size, size);
        if (size)
            assert_memory_equal(back.data, data, size);
        buf_deinit(&text);
        buf_deinit(&back);
    }
    static const char *const bad[] = {"A",        "AB=",   "A===", "AB==CD==", "AA*A",
                                      "AB==AAAA", "AAA\n", "AAB=", "AB=="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct buf back = BUF_INIT(100);
        assert_false(base64_decode(&back, bad[i], strlen(bad[i])));
        assert_int_equal(back.size, 0);
        buf_deinit(&back);
    }
}

static void frames_are_taken_whole_or_not(void **state)
{
    struct buf out = BUF_INIT(100);
    struct connect_frame frame;
    connect_frame_put(&out, CONNECT_END, "{}", 2);
    for (size_t i = 0; i < out.size; i++)
        assert_int_equal(connect_frame_take(out.data, i, &frame), 0);
    assert_int_equal(connect_frame_take(out.data, out.size, &frame), 7);
    assert_int_equal(frame.size, 2);
    assert_int_equal(frame.flags, CONNECT_END);
    assert_int_equal(connect_frame_take("\1\0\0\0\0", 5, &frame), -1); // compressed
    assert_int_equal(connect_frame_take("\0\xff\xff\xff\xff", 5, &frame), -1);
    assert_int_equal(connect_frame_take("\0\0\0\0\0", 5, &frame), 5);
    buf_deinit(&out);
}

struct event_row {
    const char *text;
    int code;
    struct e2b_event want;
    const char *data;
};

static void events_are_read(void **state)
{
    static const struct event_row rows[] = {
        {"{\"event\":{\"start\":{\"pid\":322}}}", 0, {.kind = E2B_START, .pid = 322}, ""},
        {"{\"event\":{\"data\":{\"stdout\":\"aGkK\"}}}",
         0,
         {.kind = E2B_DATA, .stream = SBX_STDOUT},
         "hi\n"},
        {" { \"event\" : {\"data\": {\"stderr\": \"aGkK\" } } }",
         0,
         {.kind = E2B_DATA, .stream = SBX_STDERR},
         "hi\n"},
        {"{\"event\":{\"data\":{\"pty\":\"aGkK\"}}}",
         0,
         {.kind = E2B_DATA, .stream = SBX_STDOUT},
         "hi\n"},
        {"{\"event\":{\"data\":{\"stdout\":\"aGkK\",\"new\":1}}}",
         0,
         {.kind = E2B_DATA, .stream = SBX_STDOUT},
         "hi\n"},
        {"{\"event\":{\"data\":{\"stdout\":\"aG\\u006bK\"}}}",
         0,
         {.kind = E2B_DATA, .stream = SBX_STDOUT},
         "hi\n"},
        {"{\"event\":{\"end\":{\"exitCode\":7, \"exited\":true, \"status\":\"exit status 7\"}}}",
         0,
         {.kind = E2B_END, .exit_code = 7},
         ""},
        {"{\"event\":{\"end\":{\"exited\":true, \"status\":\"exit status 0\"}}}",
         0,
         {.kind = E2B_END},
         ""},
        {"{\"event\":{\"end\":{\"exitCode\":-1, \"status\":\"signal: killed\"}}}",
         0,
         {.kind = E2B_END, .exit_code = 137, .signal = 9},
         ""},
        {"{\"event\":{\"end\":{\"exitCode\":-1, \"status\":\"signal: segmentation fault (core "
         "dumped)\"}}}",
         0,
         {.kind = E2B_END, .exit_code = 139, .signal = 11},
         ""},
        {"{\"event\":{\"end\":{\"exitCode\":-1, \"status\":\"signal: signal 40\"}}}",
         0,
         {.kind = E2B_END, .exit_code = 168, .signal = 40},
         ""},
        {"{\"event\":{\"keepalive\":{}}}", 0, {.kind = E2B_OTHER}, ""},
        {"{\"event\":{\"later\":{}}}", 0, {.kind = E2B_OTHER}, ""},
        {"[]", 0, {.kind = E2B_OTHER}, ""},
        {"{\"event\":{\"data\":{\"stdout\":\"a*\"}}}", SBX_ERR_PROTOCOL, {0}, ""},
        {"{\"event\":{\"data\":{\"stdout\":\"aGkK\"}}", SBX_ERR_PROTOCOL, {0}, ""},
        {"", SBX_ERR_PROTOCOL, {0}, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf data = BUF_INIT(1000);
        struct e2b_event event;
        int code = e2b_event_read(rows[i].text, strlen(rows[i].text), &data, &event, &err);
        if (code != rows[i].code)
            fail_msg("%s: %d", rows[i].text, code);
        if (code == 0) {
            assert_int_equal(event.kind, rows[i].want.kind);
            assert_int_equal(event.pid, rows[i].want.pid);
            assert_int_equal(event.stream, rows[i].want.stream);
            assert_int_equal(event.exit_code, rows[i].want.exit_code);
            assert_int_equal(event.signal, rows[i].want.signal);
            assert_int_equal(data.size, strlen(rows[i].data));
            assert_memory_equal(data.data ? data.data : "", rows[i].data, data.size);
        }
        buf_deinit(&data);
    }
}

static void times_are_read(void **state)
{
    assert_int_equal(when_parse("1970-01-01T00:00:01Z"), 1000);
    assert_int_equal(when_parse("2026-11-21T03:09:54.4Z"), 1795230594400);
    assert_int_equal(when_parse("2026-11-21T04:09:54.400123+01:00"), 1795230594400);
    assert_int_equal(when_parse("2026-11-21 03:09:54.4 +0000 UTC"), 1795230594400);
    assert_int_equal(when_parse("2024-02-29T00:00:00Z"), 1709164800000);
    assert_int_equal(when_parse("soon"), 0);
    assert_int_equal(when_parse("2026-13-01T00:00:00Z"), 0);
    assert_int_equal(when_parse(NULL), 0);
}

// What a log says, as one line: ">" and "!" stand for the two streams.
static int read_log(const char *log, size_t size, size_t step, char *said, size_t room)
{
    struct output output = {0};
    struct output_event event;
    struct buf out = BUF_INIT(4096);
    int code = 0;
    said[0] = '\0';
    for (size_t at = 0; at < size && code == 0; at += step) {
        const char *data = log + at;
        size_t left = step < size - at ? step : size - at;
        for (;;) {
            size_t used = strlen(said);
            code = output_next(&output, &data, &left, &out, &event, &err);
            if (code < 0 || !event.kind)
                break;
            if (event.kind == OUTPUT_DATA)
                snprintf(said + used, room - used, "%c%.*s", event.stream == SBX_STDERR ? '!' : '>',
                         (int)out.size, out.data);
            else
                snprintf(said + used, room - used, "[%d %u]", event.kind, event.number);
        }
    }
    buf_deinit(&out);
    return code;
}

static void logs_of_sessions_are_read(void **state)
{
    // A stream's own shell may complain after its end, of input that nobody has read.
    static const char log[] = "\1\1\1!start 77\n\2\2\2ZXJy\n\1\1\1aGkK\n!exit 3\n.\n"
                              "\2\2\2.\nbash: line 22: 65536: not found\n\1\1\1!exit 4\n";
    static const char *const bad[] = {
        "!start 1\n", "\1!later\n",  "\1!start x\n", "\1!exit 99999999999\n",
        "\1a*bc\n",   "\2!exit 0\n", "\1!exit 1x\n"};
    char said[500];
    for (size_t step = 1; step < sizeof(log); step++) {
        assert_int_equal(read_log(log, sizeof(log) - 1, step, said, sizeof(said)), 0);
        assert_string_equal(said, "[1 77]!err>hi\n[4 3][5 0][5 0]");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(read_log(bad[i], strlen(bad[i]), 1000, said, sizeof(said)),
                         SBX_ERR_PROTOCOL);
}

static void lists_of_files_are_read(void **state)
{
    static const char text[] =
        "/81a4 12 1000 1000 1795230594 ./a\nb/\n/a1ff 3 0 0 5 ./l/\n/l/dGFyZ2V0/";
    static const char *const bad[] = {"", "/81a4", "/81a4 1 2 3 4 ./a/", "/81a4 1 2 3 4 ./a",
                                      "/81a4 1 2 3 4 ./a//a/***/"};
    struct sbx_file_info items[4];
    struct buf names = BUF_INIT(1000);
    size_t count;
    assert_non_null(buf_reserve(&names, 1000));
    assert_int_equal(daytona_entry_parse(text, &names, items, 4, &count, &err), 0);
    assert_int_equal(count, 2);
    assert_string_equal(items[0].name, "a\nb");
    assert_int_equal(items[0].size, 12);
    assert_int_equal(items[0].mode, 0644);
    assert_int_equal(items[0].kind, SBX_FILE_REGULAR);
    assert_int_equal(items[1].kind, SBX_FILE_SYMLINK);
    assert_string_equal(items[1].link, "target");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        names.size = 0;
        assert_int_equal(daytona_entry_parse(bad[i], &names, items, 4, &count, &err),
                         SBX_ERR_PROTOCOL);
    }
    buf_deinit(&names);
}

static void names_of_sessions_tell_their_command(void **state)
{
    char name[NAME_SIZE];
    uint32_t flags, id;
    int64_t started;
    script_name(0x14, 1795230594400, 4000000000u, name);
    assert_true(script_name_parse(name, &flags, &started, &id));
    assert_int_equal(flags, 0x14);
    assert_int_equal(started, 1795230594400);
    assert_true(id == 4000000000u);
    assert_false(script_name_parse("sandboxes-1-2-3x", &flags, &started, &id));
    assert_false(script_name_parse("mine", &flags, &started, &id));
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct buf line = BUF_INIT(SCRIPT_MAX), shown = BUF_INIT(1000);
    exec.shell = "echo 'it''s' \"$x\"";
    script_session(&line, &exec, NULL);
    script_shown(buf_text(&line), &shown);
    assert_string_equal(buf_text(&shown), exec.shell);
    buf_deinit(&line);
    buf_deinit(&shown);
}

static void addresses_are_encoded(void **state)
{
    struct buf url = BUF_INIT(1000);
    buf_puts(&url, "/files");
    url_query(&url, "path", "/tmp/a b&c=\xc3\xbc");
    url_query(&url, "none", NULL);
    url_query(&url, "x", "");
    assert_string_equal(buf_text(&url), "/files?path=%2Ftmp%2Fa%20b%26c%3D%C3%BC&x=");
    buf_deinit(&url);
}

struct memory {
    const char *data;
    size_t size, step;
};

static int read_memory(void *payload, void *data, size_t size, size_t *ret_size,
                       struct sbx_error *error)
{
    struct memory *memory = payload;
    size_t take = size < memory->size ? size : memory->size;
    if (memory->step && take > memory->step)
        take = memory->step;
    memcpy(data, memory->data, take);
    memory->data += take;
    memory->size -= take;
    *ret_size = take;
    return 0;
}

static int append(void *payload, const void *data, size_t size, struct sbx_error *error)
{
    buf_add(payload, data, size);
    return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void expect(const char *path, const char *text, unsigned mode)
{
    char got[256] = "";
    struct stat st;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(got, text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static char place[] = "/tmp/test-cloud-XXXXXX";
static int enter(void **state)
{
    return mkdtemp(place) && chdir(place) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", place);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void a_tree_goes_there_and_back(void **state)
{
    char longest[201], path[300], target[64] = "";
    memset(longest, 'n', 200);
    longest[200] = '\0';
    umask(022);
    mkdir("tree", 0755);
    mkdir("tree/sub", 0750);
    put("tree/run", "#!/bin/sh\n", 0755);
    put("tree/setuid", "x", 04755);
    put("tree/sub/empty", "", 0600);
    snprintf(path, sizeof(path), "tree/sub/%s", longest);
    put(path, "long", 0644);
    assert_int_equal(symlink("../run", "tree/sub/link"), 0);
    assert_int_equal(mkfifo("tree/fifo", 0644), 0);
    struct buf archive = BUF_INIT(1 << 20);
    assert_int_equal(tree_pack("tree", append, &archive, &err), 0);
    assert_int_equal(archive.size % TAR_BLOCK, 0);
    for (size_t step = 0; step < 1000; step += 499) {
        struct memory memory = {archive.data, archive.size, step};
        struct tar_source source = {read_memory, &memory};
        assert_int_equal(tree_unpack("back", &source, &err), 0);
        expect("back/run", "#!/bin/sh\n", 0755);
        expect("back/setuid", "x", 0755);
        expect("back/sub/empty", "", 0600);
        snprintf(path, sizeof(path), "back/sub/%s", longest);
        expect(path, "long", 0644);
        assert_int_equal(readlink("back/sub/link", target, sizeof(target)), 6);
    }
    // The system's tar reads what we write, and we read what it writes.
    FILE *file = fopen("archive.tar", "w");
    fwrite(archive.data, 1, archive.size, file);
    fclose(file);
    assert_int_equal(system("mkdir theirs && tar -xpf archive.tar -C theirs && tar --format=pax "
                            "-cf pax.tar -C theirs ."),
                     0);
    buf_deinit(&archive);
    static char pax[1 << 20];
    file = fopen("pax.tar", "r");
    struct memory memory = {pax, fread(pax, 1, sizeof(pax), file), 0};
    fclose(file);
    struct tar_source source = {read_memory, &memory};
    assert_int_equal(tree_unpack("pax", &source, &err), 0);
    snprintf(path, sizeof(path), "pax/sub/%s", longest);
    expect(path, "long", 0644);
}

static int unpack_one(struct tar_entry *entry, const char *contents)
{
    struct buf archive = BUF_INIT(1 << 20);
    char padding[TAR_BLOCK] = "";
    entry->mode = 0644;
    entry->size = strlen(contents);
    tar_put(&archive, entry);
    buf_add(&archive, contents, strlen(contents));
    buf_add(&archive, padding, tar_padding(entry->size));
    tar_put_end(&archive);
    struct memory memory = {archive.data, archive.size, 0};
    struct tar_source source = {read_memory, &memory};
    int code = tree_unpack("hostile", &source, &err);
    buf_deinit(&archive);
    return code;
}

static void nothing_is_written_outside(void **state)
{
    static const char *const paths[] = {"../out",   "/tmp/out-of-it", "a/../../out",
                                        "./../out", "a//../out",      ".."};
    static struct tar_entry entry;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        entry = (struct tar_entry){.kind = SBX_FILE_REGULAR};
        strcpy(entry.path, paths[i]);
        assert_int_equal(unpack_one(&entry, "evil"), SBX_ERR_PROTOCOL);
    }
    mkdir("victim", 0755);
    entry = (struct tar_entry){.kind = SBX_FILE_SYMLINK, .path = "way", .link = "../victim"};
    assert_int_equal(unpack_one(&entry, ""), 0);
    entry = (struct tar_entry){.kind = SBX_FILE_REGULAR, .path = "way/file"};
    assert_int_equal(unpack_one(&entry, "evil"), SBX_ERR_CONFLICT);
    assert_int_not_equal(access("victim/file", F_OK), 0);
    entry =
        (struct tar_entry){.kind = SBX_FILE_REGULAR, .path = "way"}; // the link itself is replaced
    assert_int_equal(unpack_one(&entry, "fine"), 0);
    assert_int_not_equal(access("victim/way", F_OK), 0);
}

static void broken_archives_are_refused(void **state)
{
    char garbage[1024];
    memset(garbage, 'g', sizeof(garbage));
    struct memory memory = {garbage, sizeof(garbage), 0};
    struct tar_source source = {read_memory, &memory};
    assert_int_equal(tree_unpack("broken", &source, &err), SBX_ERR_PROTOCOL);
    memory = (struct memory){garbage, 100, 0};
    assert_int_equal(tree_unpack("broken", &source, &err), SBX_ERR_PROTOCOL);
}

// RFC 6455, sections 1.3 and 5.7.
static void websocket_frames_are_those_of_the_rfc(void **state)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    struct buf out = BUF_INIT(100000);
    struct ws_frame frame;
    char accept[32];
    ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    ws_frame_put(&out, WS_TEXT, "Hello", 5, mask);
    assert_int_equal(out.size, 11);
    assert_memory_equal(out.data, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    assert_int_equal(ws_frame_take("\x81\x05Hello", 7, &frame), 7);
    assert_true(frame.final && frame.opcode == WS_TEXT && frame.size == 5);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(ws_frame_take("\x81\x05Hello", i, &frame), 0);
    assert_int_equal(ws_frame_take("\x01\x03Hel", 5, &frame), 5);
    assert_false(frame.final);
    static char large[70000] = "\x82\x7f\0\0\0\0\0\1\0\0";
    assert_int_equal(ws_frame_take(large, sizeof(large), &frame), 65546);
    assert_int_equal(frame.size, 65536);
    buf_deinit(&out);
}

static void frames_that_no_server_may_send_are_refused(void **state)
{
    static const struct {
        const char *data;
        size_t size;
    } rows[] = {
        {"\xc1\x00", 2},                                  // reserved bit
        {"\x81\x80\0\0\0\0", 6},                          // masked
        {"\x83\x00", 2},                                  // unknown kind
        {"\x8b\x00", 2},                                  // unknown control
        {"\x09\x00", 2},                                  // control in parts
        {"\x89\x7e\x01\x00", 4},                          // control too long
        {"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10}, // past all bounds
    };
    struct ws_frame frame;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(ws_frame_take(rows[i].data, rows[i].size, &frame), -1);
}

// --- Commands of one request: the script as it is, run by this machine's shell

static int run_whole(const struct sbx_exec *exec, const char *cwd, struct daytona_process *process)
{
    struct buf line = BUF_INIT(100000), text = BUF_INIT(16 << 20);
    char piece[65536];
    size_t size;
    script_whole(&line, "sandboxes-0-1-2", exec, cwd);
    assert_non_null(buf_text(&line));
    FILE *shell = popen(line.data, "r");
    assert_non_null(shell);
    while ((size = fread(piece, 1, sizeof(piece), shell)) > 0)
        buf_add(&text, piece, size);
    assert_true(WIFEXITED(pclose(shell)));
    *process = (struct daytona_process){.kept = {BUF_INIT(8 << 20), BUF_INIT(8 << 20)}};
    int code = whole_read(process, exec, buf_text(&text), &err);
    buf_deinit(&line);
    buf_deinit(&text);
    return code;
}

static void forget_whole(struct daytona_process *process)
{
    buf_deinit(&process->kept[0]);
    buf_deinit(&process->kept[1]);
}

static void commands_of_one_request_are_exact(void **state)
{
    static const char mixed[] = "printf 'out\\0\\377\\n\\n'; printf '!7\\n.err' >&2; exit 7";
    static const char much[] = "i=0; while [ $i -lt 2000 ]; do echo .!begin; echo !$i >&2; "
                               "i=$((i+1)); done; head -c 1000000 /dev/zero >&2; kill -9 $$";
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct daytona_process process;
    exec.shell = mixed;
    assert_int_equal(run_whole(&exec, NULL, &process), 0);
    assert_int_equal(process.outcome.exit_code, 7);
    assert_int_equal(process.kept[0].size, 7);
    assert_memory_equal(process.kept[0].data, "out\0\377\n\n", 7);
    assert_int_equal(process.kept[1].size, 7);
    assert_memory_equal(process.kept[1].data, "!7\n.err", 7);
    forget_whole(&process);
    exec.flags = SBX_EXEC_MERGE;
    assert_int_equal(run_whole(&exec, "/", &process), 0);
    assert_int_equal(process.outcome.exit_code, 7);
    assert_int_equal(process.kept[0].size, 14);
    assert_memory_equal(process.kept[0].data, "out\0\377\n\n!7\n.err", 14);
    assert_int_equal(process.kept[1].size, 0);
    forget_whole(&process);
    exec.flags = 0;
    exec.shell = much;
    assert_int_equal(run_whole(&exec, NULL, &process), 0);
    assert_int_equal(process.outcome.signal, 9);
    assert_int_equal(process.kept[0].size, 2000 * 8);
    assert_int_equal(process.kept[1].size, 1000000 + 10 * 3 + 90 * 4 + 900 * 5 + 1000 * 6);
    forget_whole(&process);
    const char *missing[] = {"no-such-program-anywhere"};
    exec = (struct sbx_exec)SBX_EXEC_INIT;
    exec.argv = missing;
    exec.argc = 1;
    assert_int_equal(run_whole(&exec, NULL, &process), SBX_ERR_EXEC);
    assert_int_equal(run_whole(&exec, "/no/such", &process), SBX_ERR_EXEC);
}

static void whole_outputs_that_make_no_sense_are_errors(void **state)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {NULL, SBX_ERR_PROTOCOL},
        {"", SBX_ERR_PROTOCOL},
        {"sh: 1: not found\n", SBX_ERR_PROTOCOL},
        {"!begin\n", SBX_ERR_UNAVAILABLE},
        {"!begin\nQUJD\n", SBX_ERR_UNAVAILABLE},
        {"!begin\nQUJD\n.\n!0\n", SBX_ERR_UNAVAILABLE},
        {"!begin\n!later 3\n", SBX_ERR_PROTOCOL},
        {"!begin\n!start 3\n", SBX_ERR_PROTOCOL},
        {"!begin\n!fail 2\n", SBX_ERR_EXEC},
        {"!begin\nQUJ\n.\n!0\n.\n", SBX_ERR_PROTOCOL},
        {"!begin\nQUJD\n.\n!0.\n", SBX_ERR_PROTOCOL},
        {"!begin\nQUJD\n.\n!256\n.\n", SBX_ERR_PROTOCOL},
        {"!begin\nQUJD\n.\n!-1\n.\n", SBX_ERR_PROTOCOL},
        {"!begin\nQUJD\n.\n!0\n!0\n.\n", SBX_ERR_PROTOCOL},
        {"!begin\nQUJD\n.\nQUJD\n.\n", SBX_ERR_PROTOCOL},
        {"!begin\nQUJD\n.\nQU!0\nJD\n.\n", 0},
        {"noise\n!begin\n.\n!0\n.\nnoise", 0},
    };
    const char *argv[] = {"prog"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    exec.argv = argv;
    exec.argc = 1;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct daytona_process process = {.kept = {BUF_INIT(1000), BUF_INIT(1000)}};
        assert_int_equal(whole_read(&process, &exec, rows[i].text, &err), rows[i].code);
        forget_whole(&process);
    }
}

// --- Commands that the server runs as they are

static int read_program(const char *text, const struct sbx_exec *exec,
                        struct daytona_process *process)
{
    struct jsonv *answer = NULL;
    *process = (struct daytona_process){.kept = {BUF_INIT(1000), BUF_INIT(1000)}};
    assert_int_equal(jsonv_parse(text, strlen(text), &answer, &err), 0);
    int code = program_read(process, exec, answer, &err);
    jsonv_free(answer);
    return code;
}

#define TOLD(status, number, out, more)                                                            \
    "{\"program\":{\"exitCode\":" status ",\"signal\":" number ",\"stdout\":" out                  \
    ",\"stderr\":\"\"" more "}}"

static void answers_of_programs_are_checked(void **state)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"{}", SBX_ERR_PROTOCOL},
        {"[]", SBX_ERR_PROTOCOL},
        {"{\"exitCode\":0,\"result\":\"\"}", SBX_ERR_PROTOCOL},
        {"{\"program\":{}}", SBX_ERR_PROTOCOL},
        {"{\"program\":{\"failed\":{}}}", SBX_ERR_EXEC},
        {"{\"program\":{\"exitCode\":0,\"signal\":0}}", SBX_ERR_PROTOCOL},
        {TOLD("256", "0", "\"\"", ""), SBX_ERR_PROTOCOL},
        {TOLD("-1", "0", "\"\"", ""), SBX_ERR_PROTOCOL},
        {TOLD("137", "99", "\"\"", ""), SBX_ERR_PROTOCOL},
        {TOLD("0", "0", "\"QUJ\"", ""), SBX_ERR_PROTOCOL},
        {TOLD("0", "0", "7", ""), SBX_ERR_PROTOCOL},
        {TOLD("0", "0", "\"QUJD\"", ",\"truncated\":true"), SBX_ERR_QUOTA},
        {TOLD("0", "0", "\"\"", ""), 0},
    };
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct daytona_process process;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(read_program(rows[i].text, &exec, &process), rows[i].code);
        forget_whole(&process);
    }
    exec.output_limit = 3;
    assert_int_equal(
        read_program(TOLD("137", "9", "\"AP8K\"", ",\"truncated\":true"), &exec, &process), 0);
    assert_int_equal(process.kept[0].size, 3);
    assert_memory_equal(process.kept[0].data, "\0\377\n", 3);
    assert_int_equal(process.outcome.signal, 9);
    assert_int_equal(process.outcome.flags, SBX_OUTCOME_TRUNCATED);
    forget_whole(&process);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_reads_back),
        cmocka_unit_test(frames_are_taken_whole_or_not),
        cmocka_unit_test(events_are_read),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(websocket_frames_are_those_of_the_rfc),
        cmocka_unit_test(frames_that_no_server_may_send_are_refused),
        cmocka_unit_test(logs_of_sessions_are_read),
        cmocka_unit_test(commands_of_one_request_are_exact),
        cmocka_unit_test(whole_outputs_that_make_no_sense_are_errors),
        cmocka_unit_test(answers_of_programs_are_checked),
        cmocka_unit_test(lists_of_files_are_read),
        cmocka_unit_test(names_of_sessions_tell_their_command),
        cmocka_unit_test(addresses_are_encoded),
        cmocka_unit_test(a_tree_goes_there_and_back),
        cmocka_unit_test(nothing_is_written_outside),
        cmocka_unit_test(broken_archives_are_refused),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
