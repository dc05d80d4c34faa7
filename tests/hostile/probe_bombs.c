// SPDX-License-Identifier: Apache-2.0
// Programs that use up one resource until a limit stops them. The driver bounds their time.
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024UL * 1024)

static char chunk[MIB];

static int stopped_by(const char *what, unsigned long amount)
{
    printf("%s stopped at %lu: %s\n", what, amount, strerrorname_np(errno));
    return 0;
}

static int bomb_anonymous(void)
{
    for (unsigned long i = 0;; i++) {
        char *memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return stopped_by("anonymous memory", i);
        memset(memory, 1, MIB);
    }
}

static int fill_descriptor(int fd, const char *what)
{
    unsigned long total = 0;
    for (ssize_t got; (got = write(fd, chunk, sizeof(chunk))) > 0;)
        total += (unsigned long)got;
    return stopped_by(what, total / MIB);
}

static int bomb_memfd(void)
{
    return fill_descriptor(memfd_create("bomb", 0), "memfd");
}

static int bomb_shm(void)
{
    return fill_descriptor(open("/dev/shm/bomb", O_CREAT | O_WRONLY, 0600), "/dev/shm");
}

static int bomb_disk(void)
{
    return fill_descriptor(open("/tmp/bomb", O_CREAT | O_WRONLY, 0600), "/tmp");
}

static int bomb_home(void)
{
    const char *home = getenv("HOME");
    if (!home || chdir(home) < 0)
        return 1;
    return fill_descriptor(open("bomb", O_CREAT | O_WRONLY, 0600), "home");
}

static int bomb_sysv(void)
{
    for (unsigned long i = 0;; i++) {
        int id = shmget(IPC_PRIVATE, 16 * MIB, IPC_CREAT | 0600);
        char *memory = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
        if (memory == (void *)-1)
            return stopped_by("System V memory", i * 16);
        memset(memory, 1, 16 * MIB);
    }
}

static int bomb_pipes(void)
{
    for (unsigned long i = 0;; i++) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK) < 0)
            return stopped_by("pipes", i);
        fcntl(ends[1], F_SETPIPE_SZ, MIB);
        while (write(ends[1], chunk, sizeof(chunk)) > 0)
            ;
    }
}

static int bomb_sockets(void)
{
    for (unsigned long i = 0;; i++) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
            return stopped_by("sockets", i);
        while (write(ends[1], chunk, sizeof(chunk)) > 0)
            ;
    }
}

// Connections to itself that nobody reads from, each with buffers as large as may be.
static int bomb_connections(void)
{
    static const int large = 1 << 30;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    unsigned long total = 0;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 1) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) < 0)
        return 1;
    for (int i = 0; i < 200; i++) {
        int end = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(end, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
        if (connect(end, (struct sockaddr *)&address, size) < 0)
            return stopped_by("connections", total / MIB);
        int other = accept(listener, NULL, NULL);
        setsockopt(other, SOL_SOCKET, SO_RCVBUF, &large, sizeof(large));
        for (ssize_t got; (got = send(end, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0;)
            total += (unsigned long)got;
    }
    return stopped_by("connections", total / MIB);
}

// What counts against an account's limits, as much as there is, and holds it.
static int bomb_account(void)
{
    char name[32];
    union sigval none = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    while (inotify_init1(0) >= 0)
        ;
    while (sigqueue(getpid(), SIGRTMIN, none) == 0)
        ;
    for (int i = 0; snprintf(name, sizeof(name), "/bomb-%d", i) > 0; i++)
        if (mq_open(name, O_CREAT | O_RDWR, 0600, NULL) < 0)
            break;
    printf("ready\n");
    fflush(stdout);
    pause();
    return 0;
}

// One page in each 2 MiB costs a page and a page table.
static int bomb_tables(void)
{
    for (unsigned long i = 0;; i++) {
        char *memory = mmap(NULL, 1024 * MIB, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            return stopped_by("page tables", i);
        madvise(memory, 1024 * MIB, MADV_NOHUGEPAGE);
        for (unsigned long at = 0; at < 1024; at += 2)
            memory[at * MIB] = 1;
    }
}

static int bomb_forks(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (;;)
        if (fork() < 0 && usleep(1000) < 0 && errno == EINVAL)
            return 1;
}

// As many processes as there may be, all asleep.
static int bomb_processes(void)
{
    for (unsigned long i = 0;; i++) {
        pid_t child = fork();
        if (child < 0)
            return stopped_by("processes", i);
        if (child == 0)
            for (;;)
                pause();
    }
}

static int bomb_inodes(void)
{
    char path[64];
    for (unsigned long i = 0;; i++) {
        snprintf(path, sizeof(path), "/tmp/bomb-%lu", i);
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        if (fd < 0)
            return stopped_by("files", i);
        close(fd);
    }
}

static int bomb_deep(void)
{
    if (chdir("/tmp") < 0)
        return 1;
    for (unsigned long i = 0; i < 100000; i++)
        if (mkdir("deep", 0700) < 0 || chdir("deep") < 0)
            return stopped_by("depth", i);
    printf("depth reached 100000\n");
    return 0;
}

static int bomb_orphans(void)
{
    for (unsigned long i = 0; i < 20000; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(fork() < 0);
        if (child < 0)
            return stopped_by("orphans", i);
        waitpid(child, NULL, 0);
    }
    printf("orphans made\n");
    return 0;
}

static int bomb_cpu(void)
{
    for (int i = 0; i < 7; i++)
        if (fork() == 0)
            break;
    for (volatile unsigned long i = 1; i; i++)
        ;
    return 0;
}

static int bomb_stubborn(void)
{
    for (int signal_number = 1; signal_number < 65; signal_number++)
        signal(signal_number, SIG_IGN);
    printf("ready\n");
    fflush(stdout);
    while (raise(SIGSTOP) == 0)
        ;
    return 1;
}

// Stops whatever it may, again and again: the agent's children on their way to exec too.
static int bomb_stopper(void)
{
    printf("ready\n");
    fflush(stdout);
    while (kill(-1, SIGSTOP) == 0 || errno == ESRCH)
        ;
    return stopped_by("stopping", 0);
}

// Signals process 1 in all ways that its rights allow.
static int bomb_init(void)
{
    for (int signal_number = 1; signal_number < 65; signal_number++)
        kill(1, signal_number);
    printf("process 1 was signalled\n");
    return 0;
}

static int bomb_files(void)
{
    for (unsigned long i = 0;; i++)
        if (open("/dev/null", O_RDONLY) < 0)
            return stopped_by("descriptors", i);
}

int bomb_run(const char *kind)
{
    static const struct {
        const char *kind;
        int (*run)(void);
    } bombs[] = {
        {"anonymous", bomb_anonymous},
        {"memfd", bomb_memfd},
        {"shm", bomb_shm},
        {"disk", bomb_disk},
        {"home", bomb_home},
        {"sysv", bomb_sysv},
        {"pipes", bomb_pipes},
        {"sockets", bomb_sockets},
        {"tables", bomb_tables},
        {"forks", bomb_forks},
        {"processes", bomb_processes},
        {"inodes", bomb_inodes},
        {"deep", bomb_deep},
        {"orphans", bomb_orphans},
        {"cpu", bomb_cpu},
        {"stubborn", bomb_stubborn},
        {"stopper", bomb_stopper},
        {"init", bomb_init},
        {"files", bomb_files},
        {"connections", bomb_connections},
        {"account", bomb_account},
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++)
        if (!strcmp(bombs[i].kind, kind))
            return bombs[i].run();
    fprintf(stderr, "unknown bomb '%s'\n", kind);
    return 2;
}
