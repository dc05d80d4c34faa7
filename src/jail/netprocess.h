// SPDX-License-Identifier: Apache-2.0
// The user-space network's process: started by the first packet that leaves the sandbox, so that an
// idle sandbox does not pay for it. Layer: jail.
#pragma once

#include "jail/monitor.h"

void netprocess_start(struct monitor *monitor);
void netprocess_reap(
    struct monitor *monitor); // it has ended by itself: the next packet starts another
void netprocess_stop(struct monitor *monitor);
