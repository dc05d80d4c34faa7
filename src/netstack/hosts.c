// SPDX-License-Identifier: Apache-2.0
// This machine's own IPv4 addresses, from the kernel. Layer: netstack.
#include "netstack/hosts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdlib.h>

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

int hosts_read(struct hosts *hosts, int64_t now_ms)
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
        *hosts = (struct hosts){addrs, count, now_ms};
    }
    freeifaddrs(list);
    return addrs ? 0 : -1;
}

void hosts_refresh(struct hosts *hosts, int64_t now_ms)
{
    if (now_ms - hosts->read_ms < READ_AGAIN_MS)
        return;
    hosts->read_ms = now_ms;
    hosts_read(hosts, now_ms);
}

bool hosts_have(const struct hosts *hosts, uint32_t addr)
{
    return hosts->count && bsearch(&addr, hosts->addrs, hosts->count, sizeof(addr), compare);
}

void hosts_deinit(struct hosts *hosts)
{
    free(hosts->addrs);
    *hosts = (struct hosts){0};
}
