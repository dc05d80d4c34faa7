// SPDX-License-Identifier: Apache-2.0
// What a task printed, where its datastore is the local one beside its records. Layer: metaflow.
#pragma once

#include "metaflow/service/mfstore.h"

// Lines of `stream` (stdout, stderr) as {row, timestamp, line}; none when there is no such log.
int mflog_read(struct mfstore *store, const struct mfpath *task, const char *stream,
               int64_t attempt, json_t **ret_lines, struct sbx_error *err);
// Splits "[MFLOG|0|2026-01-02T03:04:05.678901Z|runtime|id]message"; the time in milliseconds since
// 1970. False for a line without that head.
bool mflog_parse(const char *line, size_t size, int64_t *ret_ms, size_t *ret_head);
