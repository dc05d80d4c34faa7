// SPDX-License-Identifier: Apache-2.0
// A veth pair instead of a tap device. Layer: jail.
#include "jail/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/netplan.h"
#include "jail/jail.h"
#include "jail/rtnl.h"

#define PEER "peer0"
#define STAGE "veth"

// RTM_NEWLINK of kind veth with its peer nested, as ip-link(8) sends it.
static int make_pair(struct sbx_error *err)
{
    static const struct ifinfomsg none;
    struct rtnl_request request;
    rtnl_begin(&request, NLM_F_CREATE | NLM_F_EXCL);
    rtnl_add(&request, IFLA_IFNAME, NETPLAN_DEVICE, sizeof(NETPLAN_DEVICE));
    struct rtattr *link = rtnl_add(&request, IFLA_LINKINFO, NULL, 0);
    rtnl_add(&request, IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = rtnl_add(&request, IFLA_INFO_DATA, NULL, 0);
    struct rtattr *peer = rtnl_add(&request, VETH_INFO_PEER, &none, sizeof(none));
    rtnl_add(&request, IFLA_IFNAME, PEER, sizeof(PEER));
    rtnl_end_nested(&request, peer);
    rtnl_end_nested(&request, data);
    rtnl_end_nested(&request, link);
    if (rtnl_talk(&request) < 0)
        return jail_fail(err, STAGE, "cannot make a pair of network devices");
    return 0;
}

// It drops what is larger than its own MTU, not that of the device inside.
static int set_up_peer(int fd)
{
    struct ifreq mtu = {.ifr_name = PEER, .ifr_mtu = NETPLAN_MTU};
    struct ifreq up = {.ifr_name = PEER, .ifr_flags = IFF_UP | IFF_RUNNING};
    return ioctl(fd, SIOCSIFMTU, &mtu) < 0 ? -1 : ioctl(fd, SIOCSIFFLAGS, &up);
}

// Whole checksums on what the guest sends: nothing below will fill them in.
static int disable_checksum_offload(int fd)
{
    struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM, .data = 0};
    struct ifreq request = {.ifr_name = NETPLAN_DEVICE, .ifr_data = (void *)&value};
    return ioctl(fd, SIOCETHTOOL, &request);
}

static int open_packet_socket(struct sbx_error *err)
{
    cleanup_fd int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return jail_fail(err, STAGE, "cannot open a packet socket");
    int one = 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(PEER)};
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return jail_fail(err, STAGE, "cannot bind a packet socket");
    return steal_fd(&fd);
}

int veth_open(struct sbx_error *err)
{
    int code = make_pair(err);
    if (code < 0)
        return code;
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || set_up_peer(fd) < 0 || disable_checksum_offload(fd) < 0)
        return jail_fail(err, STAGE, "cannot configure a pair of network devices");
    return open_packet_socket(err);
}
