// SPDX-License-Identifier: Apache-2.0
// Addresses inside a sandbox's network, known to the jail (guest side) and the netstack. Layer: base.
#pragma once

#define NETPLAN_GUEST "10.0.2.15"
#define NETPLAN_GATEWAY "10.0.2.2"
#define NETPLAN_DNS "10.0.2.3"
#define NETPLAN_NETMASK "255.255.255.0"
#define NETPLAN_DEVICE "eth0"
