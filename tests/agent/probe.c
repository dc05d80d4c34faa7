// SPDX-License-Identifier: Apache-2.0
// Runs inside, as a command of the agent's tests: probe MODE [ARGUMENT].
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Stopped as one who is traced by its parent.
static int traceme(const char *argument)
{
    (void)argument;
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    puts("up");
    fflush(stdout);
    raise(SIGSTOP);
    return 9;
}

// So many orphans that end at once.
static int orphans(const char *argument)
{
    for (int left = atoi(argument); left > 0;) {
        int batch = left < 100 ? left : 100;
        pid_t pid = fork();
        if (pid == 0) {
            for (int i = 0; i < batch; i++)
                if (fork() == 0)
                    _exit(0);
            _exit(0);
        }
        waitpid(pid, NULL, 0);
        left -= batch;
    }
    return 0;
}

// So many children one after the other; 1 when one of them does not end. Each fork takes long,
// since there are many mappings to copy.
static int forks(const char *argument)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 50000;
    char *base = mmap(NULL, pages * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; base != MAP_FAILED && i < pages; i += 2)
        mprotect(base + i * page, page, PROT_NONE);
    puts("up");
    fflush(stdout);
    for (int left = atoi(argument); left > 0; left--) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        alarm(20);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            return 1;
    }
    return 0;
}

static int winsize(const char *argument)
{
    struct winsize size = {0};
    (void)argument;
    ioctl(0, TIOCGWINSZ, &size);
    printf("%d %d\n", size.ws_row, size.ws_col);
    return 0;
}

static volatile sig_atomic_t interrupted, resized;

static void note(int number)
{
    if (number == SIGINT)
        interrupted = 1;
    else
        resized = 1;
}

// On a terminal: says what comes, until its end. Signals come only while it waits.
static int keys(const char *argument)
{
    char line[256];
    sigset_t blocked, none;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct sigaction action = {.sa_handler = note};
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGWINCH);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    puts("ready");
    for (ssize_t size = 1; size != 0;) {
        fflush(stdout);
        int ready = ppoll(&input, 1, NULL, &none);
        if (resized)
            winsize(argument);
        if (interrupted)
            puts("interrupted");
        resized = interrupted = 0;
        if (ready > 0 && (size = read(0, line, sizeof(line))) > 0)
            printf("got-%.*s", (int)size, line);
    }
    puts("ended");
    return 0;
}

// The descriptors that are open.
static int descriptors(const char *argument)
{
    (void)argument;
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("%d ", fd);
    return 0;
}

// So many bytes of a known pattern.
static int flood(const char *argument)
{
    char block[65536];
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i % 251);
    for (long left = atol(argument); left > 0;) {
        long size = left < (long)sizeof(block) ? left : (long)sizeof(block);
        if (write(1, block, (size_t)size) != size)
            return 1;
        left -= size;
    }
    return 0;
}

// So many directories, each in the one before, and now and then a file.
static int deepen(const char *argument)
{
    for (int i = atoi(argument); i > 0; i--) {
        if (mkdir("d", 0777) < 0 || chdir("d") < 0)
            return 1;
        if (i % 100 == 0)
            close(open("file", O_CREAT | O_WRONLY, 0666));
    }
    return 0;
}

// A child of the agent that has not become its program yet.
static int is_starting(int pid)
{
    char path[32], text[512] = "";
    int parent = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    return size > 0 && strstr(text, "(sandboxes-agent)") &&
           sscanf(strrchr(text, ')'), ") %*c %d", &parent) == 1 && parent == 1;
}

// Stops every command that is about to start, for so many milliseconds. Prints how many it met.
static int stopper(const char *argument)
{
    int met = 0;
    struct timespec now, start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    puts("up");
    fflush(stdout);
    do {
        DIR *dir = opendir("/proc");
        for (struct dirent *entry; (entry = readdir(dir));) {
            int pid = atoi(entry->d_name);
            if (pid > 1 && is_starting(pid) && kill(pid, SIGSTOP) == 0)
                met++;
        }
        closedir(dir);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 <
             atoi(argument));
    printf("%d\n", met);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(const char *argument);
} modes[] = {{"traceme", traceme}, {"orphans", orphans},         {"forks", forks},
             {"winsize", winsize}, {"descriptors", descriptors}, {"keys", keys},
             {"flood", flood},     {"deepen", deepen},           {"stopper", stopper}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run(argc > 2 ? argv[2] : "");
    return 2;
}
