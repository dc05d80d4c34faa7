// SPDX-License-Identifier: Apache-2.0
/*
 * The plan of a sandbox's own network, the same in each of them: what the jail gives to the device
 * inside is what `sandboxes-netstack` answers to. IPv4 only: there is no IPv6 beyond the loopback,
 * so no second set of addresses has to be guarded. There is no DHCP: the jail configures
 * everything, and the hardware address is whatever the kernel picked (the stack learns it by ARP).
 * Layer: base.
 */
#pragma once

#define NETPLAN_GUEST "10.0.2.15"
#define NETPLAN_GATEWAY "10.0.2.2"
#define NETPLAN_DNS "10.0.2.3"
#define NETPLAN_NETMASK "255.255.255.0"
#define NETPLAN_DEVICE "eth0"

// The same as numbers, in host byte order.
#define NETPLAN_GUEST_IP 0x0a00020fu
#define NETPLAN_GATEWAY_IP 0x0a000202u
#define NETPLAN_DNS_IP 0x0a000203u
#define NETPLAN_NETWORK_IP 0x0a000200u
#define NETPLAN_NETMASK_IP 0xffffff00u

// TCP ends in the stack, so the uplink's own MTU does not matter; large frames are what makes it
// fast. libslirp does not heed the other side's maximum segment size, so both ends must have it.
#define NETPLAN_MTU 65520
#define NETPLAN_QUEUE 128 // frames that wait for the stack

// Descriptors that sandboxes-netstack is started with.
#define NETPLAN_FD_DEVICE                                                                          \
    3                      // TAP (IFF_TAP | IFF_NO_PI), packet socket bound to a veth end, or a
                           // unix datagram or seqpacket socket: one whole Ethernet frame each time
#define NETPLAN_FD_LEASH 4 // the end of it ends the program
