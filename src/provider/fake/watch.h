// SPDX-License-Identifier: Apache-2.0
// Changes in directories of the provider "fake". Layer: provider.
#pragma once

#include "provider/fake/fake.h"

int fake_watch_start(void *box, const char *path, const struct sbx_file_options *options,
                     const struct sbx_call *call, void **ret_watch, struct sbx_error *err);
int fake_watch_next(void *watch, const struct sbx_call *call, struct sbx_change *ret_change,
                    struct sbx_error *err);
void fake_watch_free(void *watch);
// The sandbox has ended. With the lock held.
void fake_watch_wake_all(struct fake_box *box);
