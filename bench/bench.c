// SPDX-License-Identifier: Apache-2.0
// Time, samples, plain processes: see bench.h.
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

uint64_t bench_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void bench_samples(const char *group, const char *name, const char *unit, const double *samples,
                   size_t count)
{
    printf("{\"group\": \"%s\", \"name\": \"%s\", \"unit\": \"%s\", \"samples\": [", group, name,
           unit);
    for (size_t i = 0; i < count; i++)
        printf("%s%.6g", i ? ", " : "", samples[i]);
    printf("]}\n");
    fflush(stdout);
}

void bench_value(const char *group, const char *name, const char *unit, double value)
{
    bench_samples(group, name, unit, &value, 1);
}

pid_t bench_spawn(const char *const *argv, int *ret_out_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_die("pipe: %s", strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    pid_t pid;
    int error = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        bench_die("%s: %s", argv[0], strerror(error));
    close(ends[1]);
    *ret_out_fd = ends[0];
    return pid;
}

uint64_t bench_drain(int fd, char *buffer, size_t size)
{
    static char rest[1 << 18];
    uint64_t total = 0;
    size_t kept = 0;
    for (;;) {
        ssize_t got = read(fd, rest, sizeof(rest));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        total += (uint64_t)got;
        if (size > 0 && kept < size - 1) {
            size_t part = (size_t)got < size - 1 - kept ? (size_t)got : size - 1 - kept;
            memcpy(buffer + kept, rest, part);
            kept += part;
        }
    }
    if (size > 0)
        buffer[kept] = '\0';
    return total;
}

uint64_t bench_run(const char *const *argv, const char *expect)
{
    char text[256];
    int out, status;
    uint64_t begin = bench_now();
    pid_t pid = bench_spawn(argv, &out);
    bench_drain(out, text, sizeof(text));
    if (waitpid(pid, &status, 0) != pid)
        bench_die("wait: %s", strerror(errno));
    uint64_t taken = bench_now() - begin;
    close(out);
    if (status != 0)
        bench_die("%s ended with status %d", argv[0], status);
    if (expect && strcmp(text, expect) != 0)
        bench_die("%s printed \"%s\"", argv[0], text);
    return taken;
}

double bench_machine_cpu_ms(void)
{
    FILE *file = fopen("/proc/stat", "re");
    double user, nice, system, idle, iowait, irq, softirq;
    if (!file || fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle,
                        &iowait, &irq, &softirq) != 7)
        bench_die("/proc/stat can't be read");
    fclose(file);
    return (user + nice + system + irq + softirq) * 1000.0 / (double)sysconf(_SC_CLK_TCK);
}

double bench_meminfo_kb(const char *field)
{
    FILE *file = fopen("/proc/meminfo", "re");
    char line[256];
    size_t length = strlen(field);
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, field, length) == 0 && line[length] == ':') {
            fclose(file);
            return strtod(line + length + 1, NULL);
        }
    }
    bench_die("/proc/meminfo has no %s", field);
}

// Pages that processors keep ready: `count` of each pageset in /proc/zoneinfo.
static double free_lists_kb(void)
{
    FILE *file = fopen("/proc/zoneinfo", "re");
    char line[256];
    double pages = 0, count;
    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, " count: %lf", &count) == 1)
            pages += count;
    if (!file)
        bench_die("cannot read /proc/zoneinfo");
    fclose(file);
    return pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

double bench_used_kb(void)
{
    return bench_meminfo_kb("MemTotal") - bench_meminfo_kb("MemFree") - free_lists_kb() -
           bench_meminfo_kb("Active(file)") - bench_meminfo_kb("Inactive(file)");
}

const char *bench_env(const char *name)
{
    const char *value = getenv(name);
    if (!value)
        bench_die("%s is not set: start this by ./dev bench", name);
    return value;
}

static bool is_helper(const char *pid)
{
    char path[300], name[64] = "";
    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool named = fgets(name, sizeof(name), file) != NULL;
    fclose(file);
    return named && (strncmp(name, "sandboxes-", 10) == 0 || strncmp(name, "qemu-system", 11) == 0);
}

double bench_helpers_kb(const char *field, size_t *ret_count)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    double sum = 0;
    *ret_count = 0;
    while (proc && (entry = readdir(proc))) {
        char path[300], line[256];
        snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", entry->d_name);
        FILE *file = is_helper(entry->d_name) ? fopen(path, "re") : NULL;
        if (!file)
            continue;
        while (fgets(line, sizeof(line), file))
            if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
                sum += strtod(line + strlen(field) + 1, NULL);
        fclose(file);
        (*ret_count)++;
    }
    if (proc)
        closedir(proc);
    return sum;
}
