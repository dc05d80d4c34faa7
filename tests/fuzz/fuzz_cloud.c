// SPDX-License-Identifier: Apache-2.0
// What a cloud service sends: frames of Connect RPC and WebSocket, events of commands, times, logs
// of sessions, lists of files (first byte even), and archives (odd).
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "net/connect.h"
#include "net/tar.h"
#include "net/websocket.h"
#include "net/when.h"
#include "provider/daytona/files.h"
#include "provider/daytona/output.h"
#include "provider/e2b/event.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frames(const char *data, size_t size)
{
    struct buf out = BUF_INIT(1 << 20);
    struct connect_frame frame;
    long taken;
    for (size_t at = 0; at < size && (taken = connect_frame_take(data + at, size - at, &frame)) > 0;
         at += (size_t)taken) {
        struct e2b_event event;
        struct sbx_error err;
        CHECK(frame.data + frame.size <= data + size);
        if (e2b_event_read(frame.data, frame.size, &out, &event, &err) == 0)
            CHECK(event.kind != E2B_DATA || event.stream == SBX_STDOUT ||
                  event.stream == SBX_STDERR);
    }
    struct ws_frame ws;
    for (size_t at = 0; at < size && (taken = ws_frame_take(data + at, size - at, &ws)) > 0;
         at += (size_t)taken)
        CHECK(ws.data + ws.size <= data + size);
    out.size = 0;
    base64_decode(&out, data, size);
    CHECK(out.size <= size);
    buf_deinit(&out);
    char text[64];
    size_t length = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, length);
    text[length] = '\0';
    when_parse(text);
}

static void check_log(const char *data, size_t size)
{
    struct output output = {0};
    struct output_event event;
    struct buf out = BUF_INIT(1 << 20);
    struct sbx_error err;
    size_t whole = size;
    while (output_next(&output, &data, &size, &out, &event, &err) == 0 && event.kind) {
        CHECK(size <= whole && out.size <= whole);
        CHECK(event.kind != OUTPUT_DATA || event.stream == SBX_STDOUT ||
              event.stream == SBX_STDERR);
    }
    buf_deinit(&out);
}

static void check_list(const char *data, size_t size)
{
    struct sbx_file_info items[64];
    struct buf names = BUF_INIT(size + 16);
    struct sbx_error err;
    size_t count = 0;
    char *text = strndup(data, size);
    if (text && buf_reserve(&names, size + 16) &&
        daytona_entry_parse(text, &names, items, 64, &count, &err) == 0)
        for (size_t i = 0; i < count; i++)
            CHECK(strlen(items[i].name) <= size &&
                  (!items[i].link || strlen(items[i].link) <= size));
    buf_deinit(&names);
    free(text);
}

struct memory {
    const uint8_t *data;
    size_t size;
};

static int read_memory(void *payload, void *data, size_t size, size_t *ret_size,
                       struct sbx_error *err)
{
    struct memory *memory = payload;
    size_t take = size < memory->size ? size : memory->size;
    memcpy(data, memory->data, take);
    memory->data += take;
    memory->size -= take;
    *ret_size = take;
    return 0;
}

static void check_archive(const uint8_t *data, size_t size)
{
    static struct tar_entry entry;
    struct memory memory = {data, size};
    struct tar_source source = {read_memory, &memory};
    struct sbx_error err;
    bool more = true;
    while (tar_get(&source, &entry, &more, &err) == 0 && more) {
        CHECK(strnlen(entry.path, TAR_PATH_MAX) < TAR_PATH_MAX);
        CHECK(strnlen(entry.link, TAR_PATH_MAX) < TAR_PATH_MAX);
        if (tar_skip(&source, entry.size, &err) < 0 ||
            tar_skip(&source, tar_padding(entry.size), &err) < 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        check_archive(data + 1, size - 1);
    else {
        check_frames((const char *)data + 1, size - 1);
        check_log((const char *)data + 1, size - 1);
        check_list((const char *)data + 1, size - 1);
    }
    return 0;
}
