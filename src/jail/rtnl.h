// SPDX-License-Identifier: Apache-2.0
// Requests about network devices and routes: rtnetlink(7). Layer: jail.
#pragma once

#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdint.h>

struct rtnl_request {
    struct nlmsghdr header;
    union {
        struct ifinfomsg info;
        struct rtmsg route;
    };
    char attributes[256];
};

// An RTM_NEWLINK request with these flags (NLM_F_*) beyond NLM_F_REQUEST and NLM_F_ACK.
void rtnl_begin(struct rtnl_request *request, uint16_t flags);

// An RTM_NEWROUTE request for a default route of IPv4.
void rtnl_begin_route(struct rtnl_request *request);

// Adds an attribute; what follows until rtnl_end_nested() is inside it. Requests fit by
// construction.
struct rtattr *rtnl_add(struct rtnl_request *request, unsigned short type, const void *data,
                        size_t size);
void rtnl_end_nested(struct rtnl_request *request, struct rtattr *attribute);

// Sends it and waits for the answer. -1 and errno on failure.
int rtnl_talk(const struct rtnl_request *request);
