// SPDX-License-Identifier: Apache-2.0
// The hostile program's main: runs each check in a child of its own and prints a line for it.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_SECONDS 10

static void set_result(struct result *result, enum verdict verdict, const char *format,
                       va_list args)
{
    result->verdict = verdict;
    vsnprintf(result->detail, sizeof(result->detail), format, args);
}

#define RESULT_FUNCTION(function, verdict)                                                         \
    void function(struct result *result, const char *format, ...)                                  \
    {                                                                                              \
        va_list args;                                                                              \
        va_start(args, format);                                                                    \
        set_result(result, verdict, format, args);                                                 \
        va_end(args);                                                                              \
    }

RESULT_FUNCTION(result_ok, BLOCKED)
RESULT_FUNCTION(result_open, OPEN)
RESULT_FUNCTION(result_skip, SKIPPED)

void result_refused(struct result *result, long returned)
{
    int refusal = errno;
    if (returned >= 0)
        result_open(result, "succeeded");
    else if (refusal == EPERM || refusal == EACCES || refusal == ENOSYS)
        result_ok(result, "%s", strerrorname_np(refusal));
    else
        result_open(result, "the kernel looked at it: %s", strerrorname_np(refusal));
}

void result_absent(struct result *result, long returned)
{
    int refusal = errno;
    if (returned < 0 && (refusal == ENOENT || refusal == EROFS || refusal == ENXIO ||
                         refusal == ENOTDIR || refusal == ENODEV))
        result_ok(result, "%s", strerrorname_np(refusal));
    else
        result_refused(result, returned);
}

ssize_t read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    ssize_t got = read(fd, text, size - 1);
    int error = errno;
    close(fd);
    errno = error;
    text[got > 0 ? got : 0] = '\0';
    return got;
}

long long status_field(const char *pid, const char *key, int base)
{
    char path[64], text[4096], wanted[64];
    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    snprintf(wanted, sizeof(wanted), "\n%s:", key);
    if (read_text(path, text, sizeof(text)) < 0)
        return -1;
    const char *at = strstr(text, wanted);
    return at ? strtoll(at + strlen(wanted), NULL, base) : -1;
}

// What a program should find at its start: three descriptors and a directory within its root.
static const char *find_inherited(char *text, size_t size)
{
    char cwd[4096];
    if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/') {
        snprintf(text, size, "the working directory lies outside of the root");
        return text;
    }
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int fd = atoi(entry->d_name);
        if (fd > 2 && fd != dirfd(dir))
            snprintf(text, size, "descriptor %d is open", fd);
    }
    if (dir)
        closedir(dir);
    for (int fd = 0; fd < 3; fd++) {
        struct stat info;
        if (!fstat(fd, &info) && S_ISDIR(info.st_mode))
            snprintf(text, size, "descriptor %d is a directory", fd);
    }
    return text[0] ? text : NULL;
}

// ---- one check, in a child, so that it may crash, hang or lose its rights

typedef void (*check_fn)(const struct world *world, struct result *result, const void *check);

static void run_probe(const struct world *world, struct result *result, const void *check)
{
    ((const struct probe *)check)->run(world, result);
}

static void run_call(const struct world *world, struct result *result, const void *check)
{
    (void)world;
    calls_run(*(const size_t *)check, result);
}

static void wait_for(pid_t child, struct result *result)
{
    int status = 0;
    for (int tenths = 0; waitpid(child, &status, WNOHANG) == 0; tenths++) {
        if (tenths == CHECK_SECONDS * 100) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            result_open(result, "hung for %d s", CHECK_SECONDS);
            return;
        }
        usleep(tenths < 20 ? 200 : 10000);
    }
    if (WIFSIGNALED(status))
        result_ok(result, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
}

static bool run_check(const struct world *world, const char *row, const char *name, check_fn run,
                      const void *check)
{
    static struct result *shared;
    if (!shared)
        shared =
            mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *shared = (struct result){.verdict = OPEN, .detail = "no verdict"};
    pid_t child = fork();
    if (child == 0) {
        run(world, shared, check);
        _exit(0);
    }
    if (child < 0)
        result_skip(shared, "fork: %s", strerror(errno));
    else
        wait_for(child, shared);
    static const char *const words[] = {"ok", "OPEN", "skip"};
    printf("%s %s %s: %s\n", words[shared->verdict], row, name, shared->detail);
    return shared->verdict == OPEN;
}

static bool wanted(const char *row, const char *only)
{
    return !only || !strcmp(row, only);
}

static int run_all(const struct world *world, const char *only)
{
    static const struct probe *const topics[] = {identity_probes, kernel_probes, file_probes,
                                                 network_probes, process_probes};
    int open_count = 0;
    for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++)
        for (const struct probe *probe = topics[t]; probe->name; probe++)
            if (wanted(probe->row, only))
                open_count += run_check(world, probe->row, probe->name, run_probe, probe);
    // Last, because what succeeds here changes the world.
    for (size_t i = 0; i < calls_count(); i++)
        if (wanted(calls_row(i), only))
            open_count += run_check(world, calls_row(i), calls_name(i), run_call, &i);
    return open_count;
}

// For a copy of this program that carries a set-user-ID bit or file capabilities.
static int tell_rights(void)
{
    printf("euid %d capabilities %llx\n", (int)geteuid(), status_field("self", "CapEff", 16));
    return 0;
}

static const char *option(int argc, char **argv, const char *name)
{
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++)
        if (!strncmp(argv[i], name, length) && (!argv[i][length] || argv[i][length] == '='))
            return argv[i][length] ? argv[i] + length + 1 : "";
    return NULL;
}

static int number(const char *text)
{
    return text ? atoi(text) : 0;
}

static const char *writable_directory(void)
{
    static const char *const candidates[] = {"/tmp", "/dev/shm", "/var/tmp", "."};
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
        if (!access(candidates[i], W_OK | X_OK))
            return candidates[i];
    return NULL;
}

int main(int argc, char **argv)
{
    static char inherited[100];
    struct world world = {.inherited = find_inherited(inherited, sizeof(inherited)),
                          .root = option(argc, argv, "--root"),
                          .terminal = option(argc, argv, "--terminal"),
                          .parent = getppid(),
                          .victim = number(option(argc, argv, "--victim")),
                          .ipc_key = number(option(argc, argv, "--ipc-key")),
                          .shm = option(argc, argv, "--shm"),
                          .socket = option(argc, argv, "--socket"),
                          .writable = writable_directory()};
    if (option(argc, argv, "--rights"))
        return tell_rights();
    if (option(argc, argv, "--bomb"))
        return bomb_run(option(argc, argv, "--bomb"));
    if (option(argc, argv, "--connect"))
        return connect_run(option(argc, argv, "--connect"), false);
    if (option(argc, argv, "--connect-udp"))
        return connect_run(option(argc, argv, "--connect-udp"), true);
    // Where holes are open, the checks remount and signal: never outside of a sandbox by mistake.
    if (!option(argc, argv, "--inside")) {
        fprintf(stderr, "usage: probe --inside [--root] [--terminal] [--only=ROW] [--victim=PID] "
                        "[--ipc-key=N] [--shm=NAME] [--socket=NAME] | --rights | --bomb=KIND | "
                        "--connect=ADDRESS:PORT | --connect-udp=ADDRESS:PORT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int open_count = run_all(&world, option(argc, argv, "--only"));
    printf("end %d open\n", open_count);
    return open_count > 100 ? 100 : open_count;
}
