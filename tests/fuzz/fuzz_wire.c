// SPDX-License-Identifier: Apache-2.0
// All messages between host, agent, jail and monitor: the first byte chooses the reader, the rest
// is its payload. What was read and put again must read the same.
#include <stdlib.h>
#include <string.h>

#include <sandboxes/error.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "wire/agent_msg.h"
#include "wire/box_msg.h"
#include "wire/files_msg.h"
#include "wire/frame.h"
#include "wire/monitor_msg.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(const uint8_t *data, size_t size)
{
    struct agent_config first, second;
    if (agent_config_get(data, size, &first) < 0)
        return;
    cleanup_buf struct buf out = BUF_INIT(size + 64);
    agent_config_put(&out, &first);
    CHECK(!out.failed && agent_config_get(out.data, out.size, &second) == 0);
    CHECK(second.env_count == first.env_count && strcmp(second.user, first.user) == 0);
    agent_config_deinit(&second);
    agent_config_deinit(&first);
}

static void read_exec(const uint8_t *data, size_t size)
{
    struct agent_exec first, second;
    if (agent_exec_get(data, size, &first) < 0)
        return;
    cleanup_buf struct buf out = BUF_INIT(size + 64);
    agent_exec_put(&out, &first);
    CHECK(!out.failed && agent_exec_get(out.data, out.size, &second) == 0);
    CHECK(second.argc == first.argc && second.env_count == first.env_count);
    CHECK(first.argv == NULL || first.argv[first.argc] == NULL);
    agent_exec_deinit(&second);
    agent_exec_deinit(&first);
}

static void read_spec(const uint8_t *data, size_t size)
{
    struct box_spec first, second;
    if (box_spec_get(data, size, &first) < 0)
        return;
    cleanup_buf struct buf out = BUF_INIT(size + 64);
    box_spec_put(&out, &first);
    CHECK(!out.failed && box_spec_get(out.data, out.size, &second) == 0);
    CHECK(second.label_count == first.label_count && second.layer_count == first.layer_count);
    box_spec_deinit(&second);
    box_spec_deinit(&first);
}

static void read_entry(const uint8_t *data, size_t size)
{
    struct files_entry entry;
    if (files_entry_get(data, size, &entry) == 0)
        (void)files_path_safe(entry.path);
}

static void read_small(const uint8_t *data, size_t size)
{
    struct agent_usage usage;
    (void)agent_usage_get(data, size, &usage);
    struct monitor_state state;
    if (monitor_state_get(data, size, &state) == 0)
        CHECK(state.port_count <= MONITOR_PORTS_MAX);
    struct monitor_metrics metrics;
    struct wire_reader in = wire_reader(data, size);
    (void)monitor_metrics_get(&in, &metrics);
}

static void read_failed(const uint8_t *data, size_t size)
{
    struct sbx_error err;
    memset(&err, 0, sizeof(err));
    CHECK(agent_failed_get(data, size, &err) < 0);
    CHECK(memchr(err.message, 0, sizeof(err.message)) && memchr(err.remedy, 0, sizeof(err.remedy)));
    for (const char *c = err.message; *c; c++)
        CHECK((unsigned char)*c >= ' ');
}

// The stream comes in two pieces, cut anywhere.
static void read_frames(const uint8_t *data, size_t size)
{
    size_t cut = size > 0 ? data[0] % size : 0;
    struct frame_in in;
    frame_in_init(&in);
    buf_add(&in.buffer, data, cut);
    for (int piece = 0; piece < 2; piece++) {
        struct frame frame;
        int got;
        while ((got = frame_next(&in, &frame)) == 1)
            CHECK(frame.size <= FRAME_PAYLOAD_MAX);
        if (got < 0)
            break;
        buf_add(&in.buffer, data + cut, piece == 0 ? size - cut : 0);
    }
    frame_in_deinit(&in);
}

static void (*const readers[])(const uint8_t *, size_t) = {
    read_config, read_exec, read_spec, read_entry, read_small, read_failed, read_frames,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        readers[data[0] % ARRAY_SIZE(readers)](data + 1, size - 1);
    return 0;
}
