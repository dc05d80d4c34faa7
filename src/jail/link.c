// SPDX-License-Identifier: Apache-2.0
// Datagrams with descriptors between monitor and init. Layer: jail.
#include "jail/link.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(LINK_FDS_MAX * sizeof(int))];
};

static void attach(struct msghdr *message, union control *control, const int *fds, size_t count)
{
    memset(control, 0, sizeof(*control));
    message->msg_control = control->bytes;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
}

int link_send_data(int fd, char letter, const void *data, size_t size, const int *fds, size_t count)
{
    union control control;
    struct iovec parts[] = {{&letter, 1}, {(void *)(uintptr_t)data, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};
    if (count > LINK_FDS_MAX) {
        errno = E2BIG;
        return -1;
    }
    if (count > 0)
        attach(&message, &control, fds, count);
    return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)size + 1 ? 0 : -1;
}

int link_send(int fd, char letter, const int *fds, size_t count)
{
    return link_send_data(fd, letter, NULL, 0, fds, count);
}

void link_make_room(int fd, size_t size)
{
    // What a queue holds without: net.core.wmem_default, of which a message takes up to twice its
    // size.
    int room = 4 * 1024 * 1024;
    if (size > 16 * 1024)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
}

static ssize_t receive(int fd, struct iovec *parts, size_t count, int *ret_fds, size_t *ret_count)
{
    union control control;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = count,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t size;
    do
        size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    *ret_count = 0;
    struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS) {
        *ret_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(ret_fds, CMSG_DATA(header), *ret_count * sizeof(int));
    }
    return size;
}

int link_receive(int fd, char letter, int ret_fds[LINK_FDS_MAX], size_t *ret_count)
{
    char got = 0;
    struct iovec part = {&got, 1};
    return receive(fd, &part, 1, ret_fds, ret_count) == 1 && got == letter ? 0 : -1;
}

int link_receive_data(int fd, char letter, void **ret_data, size_t *ret_size,
                      int ret_fds[LINK_FDS_MAX], size_t *ret_count)
{
    char got = 0;
    ssize_t size;
    do
        size = recv(fd, &got, 1, MSG_PEEK | MSG_TRUNC);
    while (size < 0 && errno == EINTR);
    if (size < 2 || got != letter)
        return -1;
    void *data = malloc((size_t)size - 1);
    struct iovec parts[] = {{&got, 1}, {data, (size_t)size - 1}};
    if (!data || receive(fd, parts, 2, ret_fds, ret_count) != size) {
        free(data);
        return -1;
    }
    *ret_data = data;
    *ret_size = (size_t)size - 1;
    return 0;
}
