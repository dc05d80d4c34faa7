// SPDX-License-Identifier: Apache-2.0
// TAP devices (kernel: Documentation/networking/tuntap.rst), packet(7) and unix(7) sockets.
// Layer: netstack.
#include "netstack/device.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static int wrong_device(struct sbx_error *err, int fd)
{
    return err_set(
        err, SBX_ERR_INVALID,
        "descriptor %d is no TAP device (IFF_TAP | IFF_NO_PI), packet or datagram socket", fd);
}

static int get_option(int fd, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

static void prepare_packet_socket(int fd)
{
    // Frames that the kernel itself sends from our end. Older kernels (before 4.20) mark them only.
    int on = 1;
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
    // As large as the kernel lets it be, which is double of what it is without asking (socket(7)).
    int size = 16 << 20;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int init_socket(struct device *device, struct sbx_error *err)
{
    int type = get_option(device->fd, SO_TYPE);
    device->socket = true;
    device->packet = get_option(device->fd, SO_DOMAIN) == AF_PACKET;
    if (device->packet ? type != SOCK_RAW : type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return wrong_device(err, device->fd);
    if (device->packet)
        prepare_packet_socket(device->fd);
    return 0;
}

static int init_tap(struct device *device, struct sbx_error *err)
{
    struct ifreq request = {0};
    if (ioctl(device->fd, TUNGETIFF, &request) < 0)
        return wrong_device(err, device->fd);
    int flags = request.ifr_flags;
    if (!(flags & IFF_TAP) || !(flags & IFF_NO_PI) || (flags & IFF_VNET_HDR))
        return wrong_device(err, device->fd);
    return 0;
}

int device_init(struct device *device, int fd, struct sbx_error *err)
{
    struct device made = {.fd = fd};
    int code = get_option(fd, SO_TYPE) >= 0 ? init_socket(&made, err) : init_tap(&made, err);
    if (code < 0)
        return code;
    if (fd_set_nonblock(fd, true) < 0)
        return err_sys(err, 0, errno, "descriptor %d", fd);
    *device = made;
    return 0;
}

static ssize_t read_socket(const struct device *device, uint8_t *buffer, size_t size)
{
    struct sockaddr_ll from = {0};
    socklen_t from_size = sizeof(from);
    ssize_t got =
        recvfrom(device->fd, buffer, size, MSG_TRUNC, (struct sockaddr *)&from, &from_size);
    if (got <= 0)
        return got;
    bool ours = device->packet && from.sll_pkttype == PACKET_OUTGOING;
    return ours || (size_t)got > size ? 1 : got; // 1: no frame is that short, it will be dropped
}

// A link that is down for now, and noise.
static bool transient(int error)
{
    return error == EAGAIN || error == EINTR || error == ENETDOWN || error == ENOBUFS ||
           error == EIO || error == ENOMEM;
}

size_t device_room(const struct device *device)
{
    return device->packet ? (size_t)get_option(device->fd, SO_RCVBUF) : SIZE_MAX;
}

ssize_t device_read(const struct device *device, uint8_t *buffer, size_t size)
{
    ssize_t got =
        device->socket ? read_socket(device, buffer, size) : read(device->fd, buffer, size);
    if (got > 0)
        return got;
    return got < 0 && transient(errno) ? 0 : -1;
}

void device_write(const struct device *device, const void *frame, size_t size)
{
    ssize_t done = device->socket ? send(device->fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                  : write(device->fd, frame, size);
    (void)done;
}
