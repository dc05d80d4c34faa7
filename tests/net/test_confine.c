// SPDX-License-Identifier: Apache-2.0
// Unit: netstack/confine, netstack/syscalls: what a process that was taken over would still be able
// to.
#include "../unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "netstack/confine.h"
#include "netstack/resolvers.h"

static char *const no_words[] = {NULL};

// Each tries one thing: 0 when it went well, else errno.
static int result(long value)
{
    return value < 0 ? errno : 0;
}

static int try_resolv_conf(void)
{
    return result(open(RESOLVERS_FILE, O_RDONLY | O_CLOEXEC));
}

static int try_other_file(void)
{
    return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int try_directory(void)
{
    return result(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static int try_write(void)
{
    return result(open("/tmp/netstack-confine-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int try_write_null(void)
{
    return result(open("/dev/null", O_WRONLY | O_CLOEXEC));
}

static int try_unlink(void)
{
    return result(unlink("/tmp/netstack-confine-test"));
}

static int try_exec(void)
{
    return result(execve("/bin/true", no_words, no_words));
}

static int try_fork(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return result(pid);
}

static int try_kill(void)
{
    return result(kill(getppid(), 0));
}

static int try_ptrace(void)
{
    return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_unix_socket(void)
{
    return result(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_packet_socket(void)
{
    return result(socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_raw_socket(void)
{
    return result(socket(AF_INET, SOCK_RAW, 1));
}

static int try_audit_socket(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW, 9));
}

static int try_route_socket(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int try_tcp_socket(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_listen(void)
{
    return result(listen(socket(AF_INET, SOCK_STREAM, 0), 1));
}

static int try_executable_memory(void)
{
    void *made = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return made == MAP_FAILED ? errno : 0;
}

static int try_executable_again(void)
{
    static char page[8192];
    uintptr_t start = ((uintptr_t)page + 4095) & ~(uintptr_t)4095;
    return result(mprotect((void *)start, 4096, PROT_READ | PROT_EXEC));
}

static int try_plain_memory(void)
{
    void *made = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return made == MAP_FAILED ? errno : 0;
}

static int try_much_memory(void)
{
    void *made = mmap(NULL, 1u << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return made == MAP_FAILED ? errno : 0;
}

static int try_terminal(void)
{
    return result(syscall(SYS_ioctl, 0, 0x5412, "x")); // TIOCSTI
}

static int try_become_root(void)
{
    return result(setuid(0));
}

static int try_unshare(void)
{
    return result(syscall(SYS_unshare, 0x10000000));
}

static int try_raise_limit(void)
{
    struct rlimit limit = {4096, 4096};
    return result(setrlimit(RLIMIT_NOFILE, &limit));
}

struct attempt {
    const char *name;
    int (*attempt)(void);
    bool works;
    bool by_landlock; // nothing else forbids it
};

static const struct attempt attempts[] = {
    {"read resolv.conf", try_resolv_conf, true, false},
    {"use memory", try_plain_memory, true, false},
    {"make a TCP socket", try_tcp_socket, true, false},
    {"list addresses", try_route_socket, true, false},
    {"read another file", try_other_file, false, true},
    {"read a directory", try_directory, false, true},
    {"make a file", try_write, false, false},
    {"write to a device", try_write_null, false, false},
    {"remove a file", try_unlink, false, false},
    {"run a program", try_exec, false, false},
    {"make a process", try_fork, false, false},
    {"send a signal", try_kill, false, false},
    {"trace", try_ptrace, false, false},
    {"reach a unix socket", try_unix_socket, false, false},
    {"make a packet socket", try_packet_socket, false, false},
    {"make a raw socket", try_raw_socket, false, false},
    {"reach another netlink family", try_audit_socket, false, false},
    {"listen", try_listen, false, false},
    {"map executable memory", try_executable_memory, false, false},
    {"make memory executable", try_executable_again, false, false},
    {"use much memory", try_much_memory, false, false},
    {"type into a terminal", try_terminal, false, false},
    {"become root", try_become_root, false, false},
    {"make a namespace", try_unshare, false, false},
    {"raise a limit", try_raise_limit, false, false},
};

// In a process confined as the program is: the outcome of each attempt into `outcomes`.
static void attempt_all(int fd)
{
    struct sbx_error err = {0};
    int outcomes[ARRAY_SIZE(attempts)];
    dup2(fd, 1);
    if (confine_identity(CONFINE_NO_UID, &err) < 0 || confine_reach(&err) < 0)
        _exit(1);
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++)
        outcomes[i] = attempts[i].attempt();
    _exit(write(1, outcomes, sizeof(outcomes)) == sizeof(outcomes) ? 0 : 2);
}

static bool has_landlock(void)
{
    return syscall(444, NULL, 0, 1u) > 0;
}

static void only_what_is_needed_remains(void **state)
{
    (void)state;
    int ends[2], status, outcomes[ARRAY_SIZE(attempts)];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        attempt_all(ends[1]);
    close(ends[1]);
    ssize_t got = read(ends[0], outcomes, sizeof(outcomes));
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(got, sizeof(outcomes));
    for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
        bool expected = attempts[i].works || (attempts[i].by_landlock && !has_landlock());
        if ((outcomes[i] == 0) != expected)
            fail_msg("%s: %s", attempts[i].name, strerror(outcomes[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_needed_remains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
