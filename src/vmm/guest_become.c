// SPDX-License-Identifier: Apache-2.0
// What makes a guest this sandbox's, where it was a saved one of many. Layer: vmm.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vmm/guest.h"
#include "wire/machine.h"

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

// Counted as entropy, and used at once: nothing that is drawn from here on is what another guest of
// the same saved state draws. random(4).
static int mix_entropy(const struct guest_config *config)
{
    struct {
        struct rand_pool_info info;
        char bytes[GUEST_ENTROPY_SIZE];
    } pool = {.info = {.entropy_count = GUEST_ENTROPY_SIZE * 8, .buf_size = GUEST_ENTROPY_SIZE}};
    if (config->entropy_size != GUEST_ENTROPY_SIZE)
        return guest_fail("no entropy was given");
    memcpy(pool.info.buf, config->entropy, GUEST_ENTROPY_SIZE);
    cleanup_fd int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC); // the agent's, mounted by then
    if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0)
        return guest_fail("cannot mix in entropy");
    (void)ioctl(fd, RNDRESEEDCRNG, 0); // EAGAIN on the first seed of all, which has just happened
    return 0;
}

static int set_clock(const struct guest_config *config)
{
    struct timespec now = {(time_t)(config->unix_ns / 1000000000u),
                           (long)(config->unix_ns % 1000000000u)};
    return clock_settime(CLOCK_REALTIME, &now) < 0 ? guest_fail("cannot set the clock") : 0;
}

static struct sockaddr in_address(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr address;
    inet_pton(AF_INET, text, &in.sin_addr);
    memcpy(&address, &in, sizeof(address));
    return address;
}

static int bring_up(int fd, const char *name)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int set_card(int fd)
{
    struct ifreq request = {.ifr_name = "eth0", .ifr_mtu = MACHINE_NET_MTU};
    struct rtentry route = {.rt_dst = in_address("0.0.0.0"),
                            .rt_genmask = in_address("0.0.0.0"),
                            .rt_gateway = in_address(MACHINE_NET_GATEWAY),
                            .rt_flags = RTF_UP | RTF_GATEWAY};
    if (ioctl(fd, SIOCSIFMTU, &request) < 0)
        return -1;
    request.ifr_addr = in_address(MACHINE_NET_GUEST);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0)
        return -1;
    request.ifr_netmask = in_address(MACHINE_NET_MASK);
    if (ioctl(fd, SIOCSIFNETMASK, &request) < 0 || bring_up(fd, "eth0") < 0)
        return -1;
    return ioctl(fd, SIOCADDRT, &route);
}

int guest_set_network(void)
{
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bring_up(fd, "lo") < 0)
        return guest_fail("cannot bring up the loopback device");
    if (if_nametoindex("eth0") && set_card(fd) < 0)
        return guest_fail("cannot configure the network card");
    return 0;
}

int guest_become(const struct guest_config *config)
{
    if (mix_entropy(config) < 0 || set_clock(config) < 0)
        return -1;
    if (sethostname(config->hostname, strlen(config->hostname)) < 0)
        return guest_fail("cannot set the hostname");
    return 0;
}
