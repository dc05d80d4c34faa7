// SPDX-License-Identifier: Apache-2.0
// Records of a sandbox's directory. Layer: engine.
#include "engine/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_READ 4096
#define STATE_MAX 4096

void record_deinit(struct record *record)
{
    box_spec_deinit(&record->spec);
    free(record->ports);
    free(record->data);
    *record = (struct record){0};
}

// The whole file within `limit` bytes. O_NONBLOCK: a fifo in its place must not hold us up.
static enum record_result read_file(int dir_fd, const char *name, size_t limit, struct buf *out)
{
    cleanup_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? RECORD_ABSENT : RECORD_BAD;
    for (size_t step = FIRST_READ; out->size <= limit; step = out->size) {
        char *room = buf_reserve(out, step);
        if (!room)
            return RECORD_NOMEM;
        ssize_t got = read(fd, room, step); // of a regular file: short only at its end
        if (got < 0)
            return RECORD_BAD;
        buf_commit(out, (size_t)got);
        if ((size_t)got < step)
            return RECORD_OK;
    }
    return RECORD_BAD;
}

static bool parse_port(const char *text, struct sbx_port *ret_port)
{
    unsigned port, host_port;
    char surplus;
    if (sscanf(text, "%5u:%5u%c", &port, &host_port, &surplus) != 2 || port == 0 || port > 65535 ||
        host_port > 65535)
        return false;
    *ret_port = (struct sbx_port){(uint16_t)port, (uint16_t)host_port};
    return true;
}

static enum record_result parse_ports(struct record *record)
{
    size_t count = record->spec.port_count;
    if (count > MONITOR_PORTS_MAX)
        return RECORD_BAD;
    record->ports = calloc(MONITOR_PORTS_MAX, sizeof(*record->ports));
    if (!record->ports)
        return RECORD_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (!parse_port(record->spec.ports[i], &record->ports[i]))
            return RECORD_BAD;
    record->port_count = count;
    return RECORD_OK;
}

static void default_state(struct record *record)
{
    const struct box_spec *spec = &record->spec;
    record->state = (struct monitor_state){.state = SBX_STATE_RUNNING};
    if (spec->ttl_ms > 0)
        record->state.expires_ms = spec->created_ms + spec->ttl_ms;
}

bool record_state(int dir_fd, struct monitor_state *ret_state)
{
    cleanup_buf struct buf text = BUF_INIT(4 * STATE_MAX);
    return read_file(dir_fd, BOX_FILE_STATE, STATE_MAX, &text) == RECORD_OK &&
           monitor_state_get(text.data, text.size, ret_state) == 0;
}

void record_refresh(int dir_fd, struct record *record)
{
    struct monitor_state state;
    if (!record_state(dir_fd, &state)) {
        default_state(record);
        return;
    }
    record->state = state;
    record->port_count = state.port_count;
    for (size_t i = 0; i < state.port_count; i++)
        record->ports[i] = (struct sbx_port){state.ports[i].port, state.ports[i].host_port};
}

enum record_result record_read(int dir_fd, const char *id, struct record *ret_record)
{
    cleanup_buf struct buf text = BUF_INIT(4 * BOX_SPEC_MAX);
    cleanup_record struct record record = {0};
    enum record_result result = read_file(dir_fd, BOX_FILE_SPEC, BOX_SPEC_MAX, &text);
    if (result != RECORD_OK)
        return result;
    if (box_spec_get(text.data, text.size, &record.spec) < 0)
        return RECORD_BAD;
    record.data = steal_ptr(text.data);
    if (strcmp(record.spec.id, id) != 0)
        return RECORD_BAD;
    result = parse_ports(&record);
    if (result != RECORD_OK)
        return result;
    record_refresh(dir_fd, &record);
    *ret_record = record;
    record = (struct record){0};
    return RECORD_OK;
}

enum record_result record_bare(const char *id, struct record *ret_record)
{
    char *data = strdup(id);
    if (!data)
        return RECORD_NOMEM;
    *ret_record = (struct record){.data = data,
                                  .spec = {.id = data,
                                           .image = "",
                                           .user = "",
                                           .workdir = "",
                                           .hostname = "",
                                           .agent = "",
                                           .netstack = "",
                                           .machine = "",
                                           .network = SBX_NETWORK_NONE},
                                  .state = {.state = SBX_STATE_UNKNOWN}};
    return RECORD_OK;
}

struct sbx_info record_info(const struct record *record)
{
    const struct box_spec *spec = &record->spec;
    return (struct sbx_info){.size = sizeof(struct sbx_info),
                             .id = spec->id,
                             .provider = spec->machine[0] ? "microvm" : "local",
                             .image = spec->image,
                             .user = spec->user,
                             .state = record->state.state,
                             .network = spec->network,
                             .created_ms = spec->created_ms,
                             .expires_ms = record->state.expires_ms,
                             .memory_bytes = spec->memory_bytes,
                             .disk_bytes = spec->disk_bytes,
                             .cpu_millis = spec->cpu_millis,
                             .max_pids = spec->max_pids,
                             .labels = spec->labels,
                             .label_count = spec->label_count,
                             .ports = record->ports,
                             .port_count = record->port_count};
}
