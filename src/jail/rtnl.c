// SPDX-License-Identifier: Apache-2.0
// Requests about network devices and routes. Layer: jail.
#include "jail/rtnl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

void rtnl_begin(struct rtnl_request *request, uint16_t flags)
{
    *request = (struct rtnl_request){
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                   .nlmsg_type = RTM_NEWLINK,
                   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)}};
}

void rtnl_begin_route(struct rtnl_request *request)
{
    *request = (struct rtnl_request){
        .header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                   .nlmsg_type = RTM_NEWROUTE,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL},
        .route = {.rtm_family = AF_INET,
                  .rtm_table = RT_TABLE_MAIN,
                  .rtm_protocol = RTPROT_BOOT,
                  .rtm_scope = RT_SCOPE_UNIVERSE,
                  .rtm_type = RTN_UNICAST}};
}

struct rtattr *rtnl_add(struct rtnl_request *request, unsigned short type, const void *data,
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

void rtnl_end_nested(struct rtnl_request *request, struct rtattr *attribute)
{
    char *end = (char *)request + NLMSG_ALIGN(request->header.nlmsg_len);
    attribute->rta_len = (unsigned short)(end - (char *)attribute);
}

int rtnl_talk(const struct rtnl_request *request)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[512];
    } answer = {.error = {.error = -EIO}};
    cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || send(fd, request, request->header.nlmsg_len, 0) < 0 ||
        recv(fd, &answer, sizeof(answer), 0) < (ssize_t)sizeof(answer.header))
        return -1;
    errno = answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : EIO;
    return errno ? -1 : 0;
}
