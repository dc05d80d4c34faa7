// SPDX-License-Identifier: Apache-2.0
// Halves of sandboxes made ahead (src/jail/spare.h): they are used, and none outlives its client,
// however that ends. With real root only: others have none.
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

#define SEEN_MAX 64
#define NOBODY 65534
#define TRIES 2000 // of 5 ms each

static int number;

static bool tell(bool good, const char *what)
{
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, what);
    fflush(stdout);
    return good;
}

// All that a process starts has its limit of core files, which is a number of its own: how the test
// tells its processes from those of others.
static void mark(void)
{
    struct rlimit limit = {(rlim_t)getpid(), RLIM_INFINITY};
    if (setrlimit(RLIMIT_CORE, &limit) < 0)
        exit(1);
}

static bool is_marked(const char *pid, pid_t by)
{
    char path[300], line[256];
    snprintf(path, sizeof(path), "/proc/%s/exe", pid);
    if (readlink(path, line, sizeof(line)) < 0) // has ended, and nobody took note yet
        return false;
    unsigned long long core = 0;
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%s/limits", pid);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file))
        found = sscanf(line, "Max core file size %llu", &core) == 1;
    if (file)
        fclose(file);
    return found && core == (unsigned long long)by;
}

static bool is_named(const char *pid, const char *name)
{
    char path[300], line[64] = "";
    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    FILE *file = fopen(path, "re");
    bool same = file && fgets(line, sizeof(line), file) && strncmp(line, name, strlen(name)) == 0;
    if (file)
        fclose(file);
    return same;
}

// Processes of that name that the process `by` started, itself not counted.
static size_t find(pid_t by, const char *name, pid_t found[SEEN_MAX])
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;
    while (proc && (entry = readdir(proc))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && pid != by && count < SEEN_MAX && is_named(entry->d_name, name) &&
            is_marked(entry->d_name, by))
            found[count++] = pid;
    }
    if (proc)
        closedir(proc);
    return count;
}

static void pause_a_bit(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static bool all_end(pid_t by)
{
    pid_t found[SEEN_MAX];
    for (int i = 0; i < TRIES && find(by, "", found) > 0; i++)
        pause_a_bit();
    return find(by, "", found) == 0;
}

static struct sbx_sandbox *create(struct sbx_client *client)
{
    struct sbx_spec spec = SBX_SPEC_INIT;
    struct sbx_sandbox *sandbox = NULL;
    struct sbx_error err = {0};
    spec.network = SBX_NETWORK_NONE;
    spec.lifetime = SBX_LIFETIME_TIED;
    if (sbx_sandbox_create(client, &spec, NULL, &sandbox, &err) < 0)
        printf("# %s\n", err.message);
    return sandbox;
}

static void destroy(struct sbx_sandbox *sandbox)
{
    struct sbx_error err = {0};
    if (sandbox && sbx_sandbox_destroy(sandbox, NULL, &err) == 0)
        sbx_sandbox_free(sandbox);
}

// A client whose spares wait: helper, and for each a monitor with its init.
static struct sbx_client *begin(pid_t seen[SEEN_MAX], size_t *ret_count)
{
    struct sbx_client *client = NULL;
    struct sbx_error err = {0};
    *ret_count = 0;
    if (sbx_client_open(NULL, &client, &err) < 0)
        return NULL;
    for (int i = 0; i < 2; i++)
        destroy(create(client));
    for (int i = 0; i < TRIES && *ret_count < 7; i++) {
        *ret_count = find(getpid(), "sandboxes-spare", seen);
        pause_a_bit();
    }
    return client;
}

// A spare becomes the monitor of the sandbox.
static bool is_used(const pid_t *spares, size_t count)
{
    pid_t monitors[SEEN_MAX];
    size_t total = find(getpid(), "sandboxes-monit", monitors);
    for (size_t i = 0; i < total; i++)
        for (size_t k = 0; k < count; k++)
            if (monitors[i] == spares[k])
                return true;
    return false;
}

static void check_use(void)
{
    pid_t seen[SEEN_MAX], again[SEEN_MAX];
    size_t count;
    struct sbx_client *client = begin(seen, &count);
    tell(client && count >= 7, "spares wait for the next sandbox");
    struct sbx_sandbox *sandbox = client ? create(client) : NULL;
    tell(sandbox && is_used(seen, count), "a sandbox is made of one");
    // Where another priority would be inherited, they are no use.
    if (client && setpriority(PRIO_PROCESS, 0, 1) == 0) {
        count = find(getpid(), "sandboxes-spare", seen);
        struct sbx_sandbox *other = create(client);
        size_t left = find(getpid(), "sandboxes-monit", again);
        tell(other && left == 2 && !is_used(seen, count), "of none if it was made elsewhere");
        destroy(other);
    }
    destroy(sandbox);
    sbx_client_close(client);
    tell(all_end(getpid()), "none outlives a client that closes");
}

static bool create_one(struct sbx_client *client)
{
    return create(client) != NULL;
}

static bool drop_root(struct sbx_client *client)
{
    if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
        return false;
    create(client); // may well fail
    return true;
}

// A process with a client that has spares, and does this; then it waits to be killed.
static pid_t fork_client(bool (*deed)(struct sbx_client *client), bool *ret_began)
{
    int ends[2];
    char byte;
    pid_t seen[SEEN_MAX];
    size_t count;
    if (pipe(ends) < 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        mark();
        struct sbx_client *client = begin(seen, &count);
        if (client && count >= 7 && deed(client) && write(ends[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    close(ends[1]);
    *ret_began = pid > 0 && read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    return pid;
}

static void kill_client(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void check_killed(void)
{
    bool began;
    pid_t pid = fork_client(create_one, &began);
    kill_client(pid);
    tell(began, "a client with spares");
    tell(all_end(pid), "none outlives a client that is killed");
}

// One that gives up root's rights would have them through its helper.
static void check_dropped(void)
{
    bool began;
    pid_t seen[SEEN_MAX];
    size_t count = SEEN_MAX;
    pid_t pid = fork_client(drop_root, &began);
    for (int i = 0; i < TRIES && began && count > 0; i++) {
        count = find(pid, "sandboxes-spare", seen);
        pause_a_bit();
    }
    tell(began && count == 0, "none is left to a client that is root no more");
    kill_client(pid);
}

int main(void)
{
    if (geteuid() != 0) {
        printf("1..0 # SKIP spares are made with real root only\n");
        return 0;
    }
    mark();
    check_use();
    check_killed();
    check_dropped();
    printf("1..%d\n", number);
    return 0;
}
