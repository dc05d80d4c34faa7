// SPDX-License-Identifier: Apache-2.0
// The bare program of the comparison: see floor.h. Linux 5.11 for overlay in a user namespace.
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

// In the child: the parent sees a wrong status.
static void must(int result, const char *what)
{
    if (result < 0) {
        dprintf(2, "floor: %s: %s\n", what, strerror(errno));
        _exit(1);
    }
}

static void raise_loopback(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    must(fd, "socket");
    must(ioctl(fd, SIOCSIFFLAGS, &request), "lo");
    close(fd);
}

static void make_device(const char *name)
{
    char from[64], to[64];
    snprintf(from, sizeof(from), "/dev/%s", name);
    snprintf(to, sizeof(to), "root/dev/%s", name);
    int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    must(fd, to);
    close(fd);
    must(mount(from, to, NULL, MS_BIND, NULL), to);
}

static void make_dev(void)
{
    static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
    must(mount("dev", "root/dev", "tmpfs", MS_NOSUID, "mode=755"), "dev");
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        make_device(devices[i]);
    must(mkdir("root/dev/pts", 0755), "dev/pts");
    must(mkdir("root/dev/shm", 0755), "dev/shm");
    must(mount("devpts", "root/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,mode=620"),
         "devpts");
}

static void make_root(const struct floor_options *options)
{
    char layers[512];
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    must(mount("base", options->base, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m"), "base");
    must(chdir(options->base), "base");
    must(mkdir("upper", 0755) | mkdir("work", 0755) | mkdir("root", 0755), "mkdir");
    snprintf(layers, sizeof(layers), "lowerdir=%s,upperdir=upper,workdir=work%s", options->root,
             options->user ? ",userxattr" : "");
    must(mount("overlay", "root", "overlay", MS_NOSUID | MS_NODEV, layers), "overlay");
    must(mount("proc", "root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    make_dev();
    must(mount("tmp", "root/tmp", "tmpfs", MS_NOSUID | MS_NODEV, NULL), "tmp");
    must(chdir("root"), "root");
    must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount");
}

static void filter_calls(void)
{
    static struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    must((int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter), "seccomp");
}

static int init_main(const struct floor_options *options, int out, int go)
{
    char byte;
    if (options->user) {
        must((int)read(go, &byte, 1), "map");
        must(setresgid(0, 0, 0) | setresuid(0, 0, 0), "ids");
    }
    must(dup2(out, 1), "dup2");
    if (options->network)
        raise_loopback();
    make_root(options);
    filter_calls();
    pid_t pid = vfork();
    if (pid == 0) {
        char *argv[] = {(char *)options->program, NULL};
        execve(options->program, argv, argv + 1);
        _exit(127);
    }
    int status = 1;
    must(waitpid(pid, &status, 0), "wait");
    return status != 0;
}

static void write_map(pid_t pid, const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        bench_die("%s: %s", path, strerror(errno));
    close(fd);
}

static uint64_t finish(pid_t pid, int out, uint64_t begin)
{
    char text[16];
    int status;
    bench_drain(out, text, sizeof(text));
    if (waitpid(pid, &status, 0) != pid || status != 0 || strcmp(text, "hello\n") != 0)
        bench_die("the floor's sandbox failed (status %d)", status);
    uint64_t taken = bench_now() - begin;
    close(out);
    return taken;
}

uint64_t floor_run(const struct floor_options *options)
{
    int out[2], go[2] = {-1, -1};
    uint64_t begin = bench_now();
    if (pipe2(out, O_CLOEXEC) < 0 || (options->user && pipe2(go, O_CLOEXEC) < 0))
        bench_die("pipe: %s", strerror(errno));
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
                 (options->network ? CLONE_NEWNET : 0) | (options->user ? CLONE_NEWUSER : 0),
        .exit_signal = SIGCHLD,
    };
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        bench_die("clone3: %s", strerror(errno));
    if (pid == 0)
        _exit(init_main(options, out[1], go[0]));
    close(out[1]);
    if (options->user) {
        write_map(pid, "uid_map", "0 100000 65536\n");
        write_map(pid, "gid_map", "0 100000 65536\n");
        if (write(go[1], "g", 1) != 1)
            bench_die("go: %s", strerror(errno));
        close(go[0]);
        close(go[1]);
    }
    return finish(pid, out[0], begin);
}

uint64_t floor_exec(const char *program)
{
    int out[2];
    uint64_t begin = bench_now();
    if (pipe2(out, O_CLOEXEC) < 0)
        bench_die("pipe: %s", strerror(errno));
    pid_t pid = vfork();
    if (pid == 0) {
        char *argv[] = {(char *)program, NULL};
        dup2(out[1], 1);
        execve(program, argv, argv + 1);
        _exit(127);
    }
    close(out[1]);
    return finish(pid, out[0], begin);
}
