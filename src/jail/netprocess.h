// SPDX-License-Identifier: Apache-2.0
// The user-space network's process: started by the first packet that leaves the sandbox, so that an
// idle sandbox does not pay for it. Layer: jail.
#pragma once

#include "jail/monitor.h"

void netprocess_start(struct monitor *monitor);
void netprocess_reap(
    struct monitor *monitor); // it has ended by itself: the next packet starts another
// Other rules from now on: `fields` are those of MONITOR_SET_NETWORK. Whatever is connected breaks
// off. UNSUPPORTED, INVALID, NOMEM, IO; the old rules hold then.
int netprocess_change(struct monitor *monitor, struct wire_reader *fields, struct sbx_error *err);
void netprocess_stop(struct monitor *monitor);
