// SPDX-License-Identifier: Apache-2.0
// What to run as a service is told it, and the list of a sandbox's commands, put together from its
// answer. Layer: provider.
#pragma once

#include <sandboxes/provider.h>

#include "base/buf.h"
#include "base/json.h"

// The program and its arguments, as elements of the array that json is in.
void cloud_put_words(struct json *json, const struct sbx_exec *exec);

struct cloud_commands;
// For at most so many; NULL without memory.
struct cloud_commands *cloud_commands_new(size_t most);
// info->command is what `shown` holds, of which at most `size` bytes are taken.
void cloud_commands_add(struct cloud_commands *commands, const struct sbx_process_info *info,
                        const struct buf *shown, size_t size);
// Takes the commands over, whatever happens.
int cloud_commands_finish(struct cloud_commands *commands, struct sbx_process_list *ret_list,
                          struct sbx_error *err);
void cloud_commands_free(struct sbx_process_list *list);
