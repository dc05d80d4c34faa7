// SPDX-License-Identifier: Apache-2.0
// Bytes per second: standard output, files and connections of a sandbox, against cat through a pipe
// and cp. usage: throughput MEBIBYTES ROUNDS [PROVIDER]
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ours.h"

struct throughput {
    struct sbx_sandbox *sandbox;
    const char *file, *copy; // on a memory file system
    uint64_t size;
    int server; // on this machine's loopback
    unsigned port;
};

#define LOOPBACK_INSIDE "10.0.2.2" // docs/network.md

typedef double (*case_fn)(struct throughput *); // GB/s

static double rate(uint64_t bytes, uint64_t begin)
{
    return (double)bytes / (double)(bench_now() - begin);
}

static double pipe_cat(struct throughput *all)
{
    char program[512];
    snprintf(program, sizeof(program), "%s/bin/cat", bench_env("BENCH_ROOT"));
    const char *argv[] = {program, all->file, NULL};
    int out, status;
    uint64_t begin = bench_now();
    pid_t pid = bench_spawn(argv, &out);
    if (bench_drain(out, NULL, 0) != all->size || waitpid(pid, &status, 0) != pid)
        bench_die("cat");
    close(out);
    return rate(all->size, begin);
}

static double plain_cp(struct throughput *all)
{
    const char *argv[] = {"cp", all->file, all->copy, NULL};
    unlink(all->copy);
    uint64_t begin = bench_now();
    bench_run(argv, "");
    return rate(all->size, begin);
}

static int count_bytes(void *payload, int stream, const void *data, size_t size)
{
    (void)stream;
    (void)data;
    *(uint64_t *)payload += size;
    return 0;
}

static double our_output(struct throughput *all)
{
    static const char *const argv[] = {"/bin/cat", "/tmp/big"};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_outcome outcome;
    struct sbx_error err = {0};
    uint64_t total = 0;
    exec.argv = argv;
    exec.argc = 2;
    uint64_t begin = bench_now();
    ours_check(sbx_stream_run(all->sandbox, &exec, count_bytes, &total, NULL, &outcome, &err), &err,
               "output");
    if (total != all->size || outcome.exit_code != 0)
        bench_die("output: %llu bytes", (unsigned long long)total);
    return rate(total, begin);
}

static double our_upload(struct throughput *all)
{
    struct sbx_error err = {0};
    (void)sbx_file_remove(all->sandbox, "/tmp/big", NULL, NULL,
                          &err); // as for cp: into memory just freed
    uint64_t begin = bench_now();
    ours_check(sbx_file_upload(all->sandbox, all->file, "/tmp/big", NULL, NULL, &err), &err,
               "upload");
    return rate(all->size, begin);
}

static double our_download(struct throughput *all)
{
    struct sbx_error err = {0};
    unlink(all->copy);
    uint64_t begin = bench_now();
    ours_check(sbx_file_download(all->sandbox, "/tmp/big", all->copy, NULL, NULL, &err), &err,
               "download");
    return rate(all->size, begin);
}

// One connection: what comes is read, then `size` bytes are sent.
struct serving {
    int server;
    uint64_t size, got;
};

static void *serve(void *payload)
{
    static char data[1 << 18];
    struct serving *serving = payload;
    int fd = accept4(serving->server, NULL, NULL, SOCK_CLOEXEC);
    uint64_t left = serving->size;
    for (ssize_t moved = 1; moved > 0 && left > 0; left -= moved > 0 ? (uint64_t)moved : 0)
        moved = write(fd, data, left < sizeof(data) ? (size_t)left : sizeof(data));
    shutdown(fd, SHUT_WR);
    for (ssize_t got; (got = read(fd, data, sizeof(data))) > 0;)
        serving->got += (uint64_t)got;
    close(fd);
    return NULL;
}

static double traffic(struct throughput *all, bool out)
{
    char port[16], size[32];
    const char *const argv[] = {"/bin/traffic", LOOPBACK_INSIDE, port, size};
    struct serving serving = {.server = all->server, .size = out ? 0 : all->size};
    struct sbx_exec exec = SBX_EXEC_INIT;
    struct sbx_outcome outcome;
    struct sbx_error err = {0};
    uint64_t ignored = 0;
    pthread_t thread;
    snprintf(port, sizeof(port), "%u", all->port);
    snprintf(size, sizeof(size), "%llu", (unsigned long long)all->size);
    exec.argv = argv;
    exec.argc = out ? 4 : 3;
    if (pthread_create(&thread, NULL, serve, &serving) != 0)
        bench_die("no thread");
    uint64_t begin = bench_now();
    ours_check(sbx_stream_run(all->sandbox, &exec, count_bytes, &ignored, NULL, &outcome, &err),
               &err, "traffic");
    double result = rate(all->size, begin);
    if (outcome.exit_code != 0)
        bench_die("traffic: exit status %d", outcome.exit_code);
    pthread_join(thread, NULL);
    if (serving.got != (out ? all->size : 0))
        bench_die("traffic: %llu bytes came", (unsigned long long)serving.got);
    return result;
}

static double our_sending(struct throughput *all)
{
    return traffic(all, true);
}

static double our_receiving(struct throughput *all)
{
    return traffic(all, false);
}

static const struct {
    const char *name;
    case_fn run;
} cases[] = {
    {"cat through a pipe", pipe_cat},
    {"cp", plain_cp},
    {"our upload", our_upload},
    {"our stdout", our_output},
    {"our download", our_download},
    {"our network, sent", our_sending},
    {"our network, received", our_receiving},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

// Random contents: nothing on the way may profit from zeroes.
static void make_file(const char *path, uint64_t size)
{
    static uint64_t block[1 << 15];
    FILE *file = fopen(path, "we");
    if (!file)
        bench_die("%s can't be written", path);
    uint64_t state = 88172645463325252u;
    for (uint64_t done = 0; done < size; done += sizeof(block)) {
        for (size_t i = 0; i < sizeof(block) / sizeof(block[0]); i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block[i] = state;
        }
        if (fwrite(block, sizeof(block), 1, file) != 1)
            bench_die("%s can't be written", path);
    }
    fclose(file);
}

static void listen_here(struct throughput *all)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    all->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(all->server, (struct sockaddr *)&address, size) < 0 || listen(all->server, 8) < 0 ||
        getsockname(all->server, (struct sockaddr *)&address, &size) < 0)
        bench_die("no port to listen on");
    all->port = ntohs(address.sin_port);
}

static struct sbx_sandbox *create_large(struct ours *ours, const struct throughput *all)
{
    char rule[64];
    const char *const rules[] = {rule};
    uint64_t size = all->size;
    snprintf(rule, sizeof(rule), LOOPBACK_INSIDE ":%u", all->port);
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_error err = {0};
    struct sbx_sandbox *sandbox = NULL;
    spec.image = bench_env("BENCH_ROOT");
    spec.network = SBX_NETWORK_INTERNET;
    spec.allow = rules;
    spec.allow_count = 1;
    spec.lifetime = SBX_LIFETIME_TIED;
    spec.memory_bytes = size * 4 + (1u << 30);
    spec.disk_bytes = size * 3;
    ours_check(sbx_sandbox_create(ours_client(ours), &spec, NULL, &sandbox, &err), &err, "create");
    return sandbox;
}

static void check_copy(const struct throughput *all)
{
    const char *argv[] = {"cmp", all->file, all->copy, NULL};
    bench_run(argv, "");
}

int main(int argc, char **argv)
{
    if (argc < 3)
        bench_die("usage: throughput MEBIBYTES ROUNDS [PROVIDER]");
    char file[256], copy[256];
    const char *memory = bench_env("BENCH_MEMORY");
    size_t rounds = strtoul(argv[2], NULL, 10);
    snprintf(file, sizeof(file), "%s/big", memory);
    snprintf(copy, sizeof(copy), "%s/copy", memory);
    struct ours *ours = ours_open(argc > 3 ? argv[3] : "local");
    struct throughput all = {.file = file, .copy = copy, .size = strtoul(argv[1], NULL, 10) << 20};
    double *samples = calloc(CASES * rounds, sizeof(*samples));
    if (!samples)
        bench_die("out of memory");
    make_file(file, all.size);
    listen_here(&all);
    all.sandbox = create_large(ours, &all);
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < CASES; i++)
            samples[i * rounds + round] = cases[i].run(&all);
    check_copy(&all);
    for (size_t i = 0; i < CASES; i++)
        bench_samples(argc > 3 ? argv[3] : "throughput", cases[i].name, "GB/s",
                      samples + i * rounds, rounds);
    ours_destroy(all.sandbox);
    ours_close(ours);
    free(samples);
    return 0;
}
