// SPDX-License-Identifier: Apache-2.0
// The network namespace of a sandbox. Layer: jail.
#include "jail/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/lean.h"
#include "base/netplan.h"
#include "jail/ids.h"
#include "jail/rtnl.h"
#include "jail/veth.h"

#define STAGE "network namespace"
#define AWAIT_STEP_MS 20
// Of a tap device: one less than IPv6 needs, so that the kernel keeps nothing of IPv6 for it, some
// 18 kB. Frames are as large as the route says, and the device takes what it gets.
#define TAP_MTU 1279

static int raise_loopback(int fd, struct sbx_error *err)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return jail_fail(err, STAGE, "cannot bring up the interface lo");
    return 0;
}

// Brings up a device with its sizes.
static int set_up(const char *name, uint32_t mtu, uint32_t queue, struct sbx_error *err)
{
    struct rtnl_request request;
    rtnl_begin(&request, 0);
    request.info.ifi_flags = request.info.ifi_change = IFF_UP;
    rtnl_add(&request, IFLA_IFNAME, name, strlen(name) + 1);
    rtnl_add(&request, IFLA_MTU, &mtu, sizeof(mtu));
    rtnl_add(&request, IFLA_TXQLEN, &queue, sizeof(queue));
    if (rtnl_talk(&request) < 0)
        return jail_fail(err, STAGE, "cannot bring up the interface %s", name);
    return 0;
}

static void put_address(struct sockaddr *target, const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &address.sin_addr);
    memcpy(target, &address, sizeof(address));
}

static int set_address(int fd, unsigned long request_code, const char *text, struct sbx_error *err)
{
    struct ifreq request = {.ifr_name = NETPLAN_DEVICE};
    put_address(&request.ifr_addr, text);
    if (ioctl(fd, request_code, &request) < 0)
        return jail_fail(err, STAGE, "cannot set the address %s", text);
    return 0;
}

// With the size of its packets, whatever the device's is: ip-route(8), "mtu". The gateway, which is
// this machine's loopback where the rules say so, has one of its own; else its packets would be as
// small as the device.
static int add_route(bool of_gateway, struct sbx_error *err)
{
    struct rtnl_request request;
    struct in_addr gateway;
    uint32_t mtu = NETPLAN_MTU;
    inet_pton(AF_INET, NETPLAN_GATEWAY, &gateway);
    rtnl_begin_route(&request);
    if (of_gateway) {
        request.route.rtm_dst_len = 32;
        rtnl_add(&request, RTA_DST, &gateway, sizeof(gateway));
    }
    rtnl_add(&request, RTA_GATEWAY, &gateway, sizeof(gateway));
    struct rtattr *metrics = rtnl_add(&request, RTA_METRICS, NULL, 0);
    rtnl_add(&request, RTAX_MTU, &mtu, sizeof(mtu));
    rtnl_end_nested(&request, metrics);
    if (rtnl_talk(&request) < 0)
        return jail_fail(err, STAGE, "cannot add a route");
    return 0;
}

// A tap device; -1 with errno EACCES, EPERM or ENOENT where this machine keeps /dev/net/tun from
// us.
static int open_tap(void)
{
    cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    struct ifreq request = {.ifr_name = NETPLAN_DEVICE, .ifr_flags = IFF_TAP | IFF_NO_PI};
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        return -1;
    return steal_fd(&fd);
}

static int open_device(uint32_t *ret_mtu, struct sbx_error *err)
{
    int fd = open_tap();
    *ret_mtu = fd >= 0 ? TAP_MTU : NETPLAN_MTU;
    if (fd >= 0)
        return fd;
    if (errno != EACCES && errno != EPERM && errno != ENOENT && errno != ENODEV)
        return jail_fail(err, "tun", "cannot make a network device with /dev/net/tun");
    return veth_open(err);
}

// No IPv6 on the device to come: the user-space network has none, and its solicitations would wake
// it.
static void disable_ipv6(void)
{
    (void)fd_write_file(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}

static int add_device(struct jail_shared *shared, int fd, struct sbx_error *err)
{
    uint32_t mtu;
    disable_ipv6();
    int device = open_device(&mtu, err);
    if (device < 0)
        return device;
    shared->device_fd = device;
    // Large frames, and a queue that is not megabytes of them.
    int code = set_up(NETPLAN_DEVICE, mtu, NETPLAN_QUEUE, err);
    if (code == 0)
        code = set_address(fd, SIOCSIFADDR, NETPLAN_GUEST, err);
    if (code == 0)
        code = set_address(fd, SIOCSIFNETMASK, NETPLAN_NETMASK, err);
    if (code == 0)
        code = add_route(true, err);
    return code < 0 ? code : add_route(false, err);
}

// Says which descriptor the namespace has, or NETNS_FAILED.
static void announce(struct jail_shared *shared, int netns_fd)
{
    __atomic_store_n(&shared->netns_fd, netns_fd, __ATOMIC_RELEASE);
    syscall(SYS_futex, &shared->netns_fd, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int build(const struct jail *jail, struct sbx_error *err)
{
    if (unshare(CLONE_NEWNET) < 0)
        return jail_fail(err, STAGE, "cannot make a network namespace");
    int netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (netns_fd < 0)
        return jail_fail(err, STAGE, "cannot open /proc/self/ns/net");
    announce(jail->shared, netns_fd);
    cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return jail_fail(err, STAGE, "cannot make a socket");
    int code = raise_loopback(fd, err);
    if (code == 0 && jail->spec.network != SBX_NETWORK_NONE)
        code = add_device(jail->shared, fd, err);
    return code;
}

static int run(void *payload)
{
    const struct jail *jail = payload;
    struct jail_shared *shared = jail->shared;
    bool failed = build(jail, &shared->net_error) < 0;
    if (failed && shared->netns_fd < 0)
        announce(shared, NETNS_FAILED);
    _exit(failed);
}

pid_t network_start(struct jail *jail, struct sbx_error *err)
{
    char *stack = lean_guest_stack_end(LEAN_FIRST);
    pid_t pid = jail->privileged ? ids_clone(jail, CLONE_FILES, stack, run, jail)
                                 : lean_clone(CLONE_FILES | SIGCHLD, stack, run, jail);
    if (pid < 0)
        return jail_fail(err, STAGE, "cannot start the network process");
    return pid;
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0;
}

void network_await_namespace(const struct jail *jail, pid_t pid)
{
    const struct timespec step = {.tv_nsec = AWAIT_STEP_MS * 1000000L};
    int32_t *word = &jail->shared->netns_fd;
    // Killed, it could not announce anything.
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == NETNS_NONE &&
           (syscall(SYS_futex, word, FUTEX_WAIT, NETNS_NONE, &step, NULL, 0) == 0 ||
            errno != ETIMEDOUT || !has_ended(pid)))
        ;
}

void network_await_end(pid_t pid)
{
    siginfo_t info;
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
}

int network_join(struct jail *jail, pid_t pid, struct sbx_error *err)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return jail_fail(err, STAGE, "cannot wait for the network process");
    if (status == 0)
        return 0;
    if (jail->shared->net_error.code == 0)
        return err_set(err, SBX_ERR_IO, "the network process was killed (status %d)", status);
    *err = jail->shared->net_error;
    return err->code;
}
