// SPDX-License-Identifier: Apache-2.0
// Requests of the library to the monitor: wire/monitor_msg.h. Layer: jail.
#pragma once

#include "jail/monitor.h"

// Takes a new connection from the control socket; surplus ones are closed.
void control_accept(struct monitor *monitor);

// Answers one request of clients[i], or closes it.
void control_serve(struct monitor *monitor, size_t i);
