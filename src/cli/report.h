// SPDX-License-Identifier: Apache-2.0
// The shapes of JSON results, one function a shape, shared by the commands. Layer: cli.
#pragma once

#include <sandboxes/sandboxes.h>

#include "base/json.h"
#include "cli/pump.h"

// Of each stream, in a result.
#define REPORT_OUTPUT_MAX (64UL * 1024 * 1024)

// Member "error": an object, or null when err is NULL.
void report_error(struct json *json, const struct sbx_error *err);

// An object with the facts of a sandbox.
void report_info(struct json *json, const struct sbx_info *info);

// An object with what a sandbox uses.
void report_metrics(struct json *json, const char *id, const struct sbx_metrics *metrics);

// Members: how a command ended and what it wrote.
void report_end(struct json *json, int status, const struct pump_end *end, const struct buf *out,
                const struct buf *err);

// Member "KEY" with text, or "KEY_base64" when the bytes are not UTF-8.
void report_bytes(struct json *json, const char *key, const char *data, size_t size);
