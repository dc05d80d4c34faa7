// SPDX-License-Identifier: Apache-2.0
// Trying things in children. Only async-signal-safe calls there: our caller may have threads.
// Layer: engine.
#include "engine/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define SECONDS_MAX 3 // a child that hangs (a dead network file system, say) is ended
#define CAP_SYS_ADMIN_NUMBER 21

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif

typedef int (*try_fn)(const char *argument);

static int wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : ETIMEDOUT;
}

static int in_child(try_fn try, const char *argument)
{
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(SECONDS_MAX);
        _exit(try(argument));
    }
    return wait_for(child);
}

bool probe_privileged(void)
{
    char text[64];
    unsigned inside, outside, count;
    return geteuid() == 0 && fd_read_file(AT_FDCWD, "/proc/self/uid_map", text, sizeof(text)) > 0 &&
           sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && count == UINT32_MAX &&
           prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN_NUMBER) == 1;
}

static int write_map(const char *file, unsigned inside, unsigned outside, unsigned count)
{
    char line[64];
    snprintf(line, sizeof(line), "%u %u %u\n", inside, outside, count);
    return fd_write_file(AT_FDCWD, file, line);
}

// Into new namespaces, with the right to mount in them. 0 or an errno.
static int enter_user_namespace(int more)
{
    unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | more) < 0)
        return errno;
    if (fd_write_file(AT_FDCWD, "/proc/self/setgroups", "deny") < 0 && errno != ENOENT)
        return errno;
    if (write_map("/proc/self/uid_map", 0, uid, 1) < 0 ||
        write_map("/proc/self/gid_map", 0, gid, 1) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return errno;
    return 0;
}

static int enter(int more)
{
    if (!probe_privileged())
        return enter_user_namespace(more);
    if (unshare(CLONE_NEWNS | more) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return errno;
    return 0;
}

// A tmpfs of our own as current directory.
static int enter_tmpfs(void)
{
    static const char *const places[] = {"/tmp", "/var/tmp", "/run", "/mnt", "/"};
    int failed = ENOENT;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (mount("tmpfs", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "size=64k") == 0)
            return chdir(places[i]) < 0 ? errno : 0;
        failed = errno;
    }
    return failed;
}

static int try_user_namespace(const char *unused)
{
    (void)unused;
    int failed = enter_user_namespace(0);
    return failed ? failed : enter_tmpfs();
}

static int try_namespaces(const char *unused)
{
    (void)unused;
    return enter(CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
}

static int mount_proc(const char *unused)
{
    (void)unused;
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno : 0;
}

static int try_proc(const char *unused)
{
    (void)unused;
    int failed = enter(CLONE_NEWPID);
    return failed ? failed : in_child(mount_proc, NULL); // the child is in the new pid namespace
}

static int try_overlay(const char *unused)
{
    static const char *const dirs[] = {"lower", "upper", "work", "merged"};
    char options[128];
    (void)unused;
    bool privileged = probe_privileged();
    int failed = enter(0);
    if (!failed)
        failed = enter_tmpfs();
    for (size_t i = 0; !failed && i < ARRAY_SIZE(dirs); i++)
        failed = mkdir(dirs[i], 0755) < 0 ? errno : 0;
    snprintf(options, sizeof(options), "lowerdir=lower:/usr,upperdir=upper,workdir=work%s",
             privileged ? "" : ",userxattr");
    if (!failed && mount("overlay", "merged", "overlay", MS_NOSUID | MS_NODEV, options) < 0)
        failed = errno;
    if (!failed && mkdir("merged/written", 0755) < 0)
        failed = errno;
    return failed;
}

// A user namespace to map by. Its holder says that it is in it, then waits to be killed.
static pid_t start_holder(int *ret_userns)
{
    int ends[2];
    char byte;
    if (fd_pipe(ends) < 0)
        return -1;
    pid_t holder = fork();
    if (holder == 0) {
        alarm(SECONDS_MAX);
        if (unshare(CLONE_NEWUSER) == 0 && write(ends[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(ends[1]);
    char path[64];
    *ret_userns = -1;
    if (holder > 0 && read(ends[0], &byte, 1) == 1) {
        snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)holder);
        write_map(path, 0, 0x70000000, 65536);
        snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)holder);
        write_map(path, 0, 0x70000000, 65536);
        snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)holder);
        *ret_userns = open(path, O_RDONLY | O_CLOEXEC);
    }
    close(ends[0]);
    return holder;
}

// struct mount_attr of mount_setattr(2); older headers lack it.
struct mount_attributes {
    uint64_t set, clear, propagation, userns_fd;
};

static int idmap(const char *path, int userns)
{
#if defined(SYS_open_tree) && defined(SYS_mount_setattr)
    cleanup_fd int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | O_CLOEXEC);
    struct mount_attributes attributes = {.set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
    if (tree < 0 ||
        syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
        return errno;
    return 0;
#else
    return ENOSYS;
#endif
}

static int try_idmap(const char *path)
{
    int userns = -1, failed = 0;
    pid_t holder = start_holder(&userns);
    if (userns < 0)
        failed = EPERM;
    else
        failed = idmap(path, userns);
    if (holder > 0) {
        kill(holder, SIGKILL);
        waitpid(holder, NULL, 0);
    }
    return failed;
}

static int try_seccomp(const char *unused)
{
    (void)unused;
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return errno;
    return 0;
}

static int try_tap(const char *unused)
{
    (void)unused;
    int failed = enter(CLONE_NEWNET);
    if (failed)
        return failed;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    return fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ? errno : 0;
}

struct link_request {
    struct nlmsghdr header;
    struct ifinfomsg info;
    struct rtattr link;
    struct rtattr kind;
    char name[8]; // "veth", as IFLA_INFO_KIND without its NUL
};

static int try_veth(const char *unused)
{
    (void)unused;
    int failed = enter(CLONE_NEWNET);
    if (failed)
        return failed;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    struct link_request request = {
        .link = {.rta_len = RTA_LENGTH(RTA_LENGTH(4)), .rta_type = IFLA_LINKINFO},
        .kind = {.rta_len = RTA_LENGTH(4), .rta_type = IFLA_INFO_KIND},
        .name = "veth",
    };
    request.header = (struct nlmsghdr){
        .nlmsg_len = (uint32_t)(offsetof(struct link_request, name) + 4),
        .nlmsg_type = RTM_NEWLINK,
        .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK,
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[512];
    } reply = {.error = {.error = -EIO}};
    if (fd < 0 || send(fd, &request, request.header.nlmsg_len, 0) < 0 ||
        recv(fd, &reply, sizeof(reply), 0) < (ssize_t)sizeof(reply.header))
        return errno;
    return reply.header.nlmsg_type == NLMSG_ERROR ? -reply.error.error : EIO;
}

// The first id that the file grants to this account, by name or number.
static bool find_subordinate(const char *file, unsigned *ret_first)
{
    char text[16384], number[16];
    const struct passwd *account = getpwuid(getuid());
    snprintf(number, sizeof(number), "%u", getuid());
    if (fd_read_file(AT_FDCWD, file, text, sizeof(text)) < 0)
        return false;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[64];
        if (sscanf(line, "%63[^:]:%u:", name, ret_first) == 2 &&
            (strcmp(name, number) == 0 || (account && strcmp(name, account->pw_name) == 0)))
            return true;
    }
    return false;
}

// Two ids in the holder's namespace, the second a subordinate one: newuidmap(1) does it or refuses.
static int map_subordinate(pid_t holder, const char *program, unsigned own, const char *first)
{
    char pid[16], id[16];
    snprintf(pid, sizeof(pid), "%d", (int)holder);
    snprintf(id, sizeof(id), "%u", own);
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0) {
        dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDERR_FILENO);
        execl(program, program, pid, "0", id, "1", "1", first, "1", (char *)NULL);
        _exit(ENOENT);
    }
    int failed = wait_for(child);
    return failed && failed != ENOENT ? EPERM : failed;
}

// firsts: the first subordinate uid and gid, as text with a space between.
static int try_subids(const char *firsts)
{
    char uid[16], gid[16];
    int userns = -1;
    if (sscanf(firsts, "%15s %15s", uid, gid) != 2)
        return EINVAL;
    pid_t holder = start_holder(&userns);
    if (userns < 0)
        return EPERM;
    int failed = map_subordinate(holder, "/usr/bin/newuidmap", getuid(), uid);
    if (!failed)
        failed = map_subordinate(holder, "/usr/bin/newgidmap", getgid(), gid);
    kill(holder, SIGKILL);
    waitpid(holder, NULL, 0);
    return failed;
}

int probe_user_namespace(void)
{
    return in_child(try_user_namespace, NULL);
}

int probe_namespaces(void)
{
    return in_child(try_namespaces, NULL);
}

int probe_proc(void)
{
    return in_child(try_proc, NULL);
}

int probe_overlay(void)
{
    return in_child(try_overlay, NULL);
}

int probe_idmap(const char *path)
{
    return in_child(try_idmap, path);
}

int probe_subids(void)
{
    unsigned uid, gid;
    char firsts[32];
    if (!find_subordinate("/etc/subuid", &uid) || !find_subordinate("/etc/subgid", &gid))
        return ENOENT;
    snprintf(firsts, sizeof(firsts), "%u %u", uid, gid);
    return in_child(try_subids, firsts);
}

int probe_seccomp(void)
{
    return in_child(try_seccomp, NULL);
}

int probe_tap(void)
{
    return in_child(try_tap, NULL);
}

int probe_veth(void)
{
    return in_child(try_veth, NULL);
}

int probe_landlock(void)
{
#ifdef SYS_landlock_create_ruleset
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* ..._VERSION */);
    return version < 0 ? -errno : (int)version;
#else
    return -ENOSYS;
#endif
}
