// SPDX-License-Identifier: Apache-2.0
/*
 * Gives a command its whole input while another thread reads its output: a program that writes much
 * before it has read all would otherwise wait for us while we wait for it. Layer: core.
 */
#pragma once

#include "core/client.h"

struct feed;

/*
 * Starts feeding. Small input is written at once, without a thread; *ret_feed is NULL then. With
 * `copy` the data need not outlive the call. The process handle must outlive the feed.
 */
int feed_start(const struct provider *provider, void *process, const void *data, size_t size,
               bool copy, const struct sbx_call *call, struct feed **ret_feed,
               struct sbx_error *err);

// Writes all of it on this thread and ends the input.
int feed_now(const struct provider *provider, void *process, const void *data, size_t size,
             const struct sbx_call *call, struct sbx_error *err);

// Stops within milliseconds and frees. The error is that of a failed delivery; a command that did
// not want all of its input is none. NULL is fine.
int feed_stop(struct feed *feed, struct sbx_error *err);
