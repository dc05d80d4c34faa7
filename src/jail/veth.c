// SPDX-License-Identifier: Apache-2.0
// A veth pair instead of a tap device. Layer: jail.
#include "jail/veth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/netplan.h"
#include "jail/jail.h"

#define PEER "peer0"
#define STAGE "veth"

struct request {
    struct nlmsghdr header;
    struct ifinfomsg info;
    char attributes[256];
};

static struct rtattr *add_attribute(struct request *request, unsigned short type, const void *data,
                                    size_t size)
{
    size_t at = NLMSG_ALIGN(request->header.nlmsg_len);
    struct rtattr *attribute = (struct rtattr *)(void *)((char *)request + at);
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    if (size)
        memcpy(RTA_DATA(attribute), data, size);
    request->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(attribute->rta_len));
    return attribute;
}

static void end_nested(struct request *request, struct rtattr *attribute)
{
    char *end = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);
    attribute->rta_len = (unsigned short)(end - (char *)attribute);
}

// RTM_NEWLINK of kind veth with its peer nested, as ip-link(8) sends it.
static void build_request(struct request *request)
{
    *request = (struct request){
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                   .nlmsg_type = RTM_NEWLINK,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK}};
    add_attribute(request, IFLA_IFNAME, NETPLAN_DEVICE, sizeof(NETPLAN_DEVICE));
    struct rtattr *link = add_attribute(request, IFLA_LINKINFO, NULL, 0);
    add_attribute(request, IFLA_INFO_KIND, "veth", 4);
    struct rtattr *data = add_attribute(request, IFLA_INFO_DATA, NULL, 0);
    static const struct ifinfomsg none;
    struct rtattr *peer = add_attribute(request, VETH_INFO_PEER, &none, sizeof(none));
    add_attribute(request, IFLA_IFNAME, PEER, sizeof(PEER));
    end_nested(request, peer);
    end_nested(request, data);
    end_nested(request, link);
}

static int make_pair(struct sbx_error *err)
{
    cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct request request;
    build_request(&request);
    if (fd < 0 || send(fd, &request, request.header.nlmsg_len, 0) < 0)
        return jail_fail(err, STAGE, "cannot ask for a pair of network devices");
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[512];
    } answer = {.error = {.error = -EIO}};
    if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.header))
        return jail_fail(err, STAGE, "cannot read the answer about network devices");
    errno = -answer.error.error;
    if (answer.header.nlmsg_type != NLMSG_ERROR || errno != 0)
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
