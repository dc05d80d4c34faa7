// SPDX-License-Identifier: Apache-2.0
// This machine's own IPv4 addresses, from the kernel. Layer: netstack.
#include "netstack/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

#define READ_AGAIN_MS 30000

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static size_t copy_ipv4(const struct ifaddrs *list, uint32_t *out)
{
    size_t count = 0;
    for (; list; list = list->ifa_next) {
        if (!list->ifa_addr || list->ifa_addr->sa_family != AF_INET)
            continue;
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)list->ifa_addr;
        if (out)
            out[count] = ntohl(in->sin_addr.s_addr);
        count++;
    }
    return count;
}

static int read_again(struct hosts *hosts, int64_t now_ms)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0)
        return -1;
    size_t count = copy_ipv4(list, NULL);
    uint32_t *addrs = malloc((count + 1) * sizeof(*addrs));
    if (addrs) {
        copy_ipv4(list, addrs);
        qsort(addrs, count, sizeof(*addrs), compare);
        free(hosts->addrs);
        hosts->addrs = addrs;
        hosts->count = count;
        hosts->read_ms = now_ms;
    }
    freeifaddrs(list);
    return addrs ? 0 : -1;
}

// rtnetlink(7)
static int open_watch(void)
{
    struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV4_IFADDR};
    cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
        return -1;
    return steal_fd(&fd);
}

int hosts_init(struct hosts *hosts, int64_t now_ms)
{
    *hosts = (struct hosts){.watch_fd = open_watch()};
    if (hosts->watch_fd >= 0 && read_again(hosts, now_ms) == 0)
        return 0;
    hosts_deinit(hosts);
    return -1;
}

// What it says does not matter; too much for its buffer (ENOBUFS) is a change as well.
static void drain(int fd)
{
    char ignored[4096];
    while (recv(fd, ignored, sizeof(ignored), 0) > 0)
        ;
}

void hosts_refresh(struct hosts *hosts, bool changed, int64_t now_ms)
{
    if (changed)
        drain(hosts->watch_fd);
    else if (now_ms - hosts->read_ms < READ_AGAIN_MS)
        return;
    hosts->read_ms = now_ms;
    read_again(hosts, now_ms);
}

bool hosts_have(const struct hosts *hosts, uint32_t addr)
{
    return hosts->count && bsearch(&addr, hosts->addrs, hosts->count, sizeof(addr), compare);
}

void hosts_deinit(struct hosts *hosts)
{
    free(hosts->addrs);
    if (hosts->watch_fd >= 0)
        close(hosts->watch_fd);
    *hosts = (struct hosts){.watch_fd = -1};
}
