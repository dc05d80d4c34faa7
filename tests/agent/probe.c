// SPDX-License-Identifier: Apache-2.0
// Runs inside, as a command of the agent's tests: probe MODE [ARGUMENT].
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
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

static int winsize(const char *argument)
{
    struct winsize size = {0};
    (void)argument;
    ioctl(0, TIOCGWINSZ, &size);
    printf("%d %d\n", size.ws_row, size.ws_col);
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

static const struct {
    const char *name;
    int (*run)(const char *argument);
} modes[] = {{"traceme", traceme}, {"orphans", orphans}, {"winsize", winsize}, {"flood", flood}};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run(argc > 2 ? argv[2] : "");
    return 2;
}
