// SPDX-License-Identifier: Apache-2.0
// The records of a sandbox's directory, `spec` and `state`, as facts about the sandbox. Layer:
// engine.
#pragma once

#include "wire/box_msg.h"
#include "wire/monitor_msg.h"

struct record {
    char *data; // owned; the strings of spec point into it
    struct box_spec spec;
    struct monitor_state state;
    struct sbx_port *ports; // owned
    size_t port_count;
};

#define cleanup_record cleanup(record_deinit)
void record_deinit(struct record *record);

enum record_result { RECORD_OK = 0, RECORD_ABSENT = 1, RECORD_BAD = -1, RECORD_NOMEM = -2 };

// Reads spec and state of the open directory (O_PATH is enough) of sandbox `id`. Bad is whatever is
// not a record of this version about this sandbox: the caller skips it.
enum record_result record_read(int dir_fd, const char *id, struct record *ret_record);

// Stands for a living sandbox whose record is damaged or of another version: its id, state UNKNOWN
// and nothing else, so that it can be seen and ended.
enum record_result record_bare(const char *id, struct record *ret_record);

// Reads `state` alone. False when there is none, or a damaged one.
bool record_state(int dir_fd, struct monitor_state *ret_state);

// Reads `state` anew into the record.
void record_refresh(int dir_fd, struct record *record);

// Strings and arrays are the record's.
struct sbx_info record_info(const struct record *record);
