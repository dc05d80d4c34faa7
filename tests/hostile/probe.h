// SPDX-License-Identifier: Apache-2.0
/*
 * The hostile program: tries to leave the sandbox it runs in, one check a hole, numbered as the
 * rows of the list in docs/threats.md. A check never harms the machine where the hole is open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum verdict { BLOCKED, OPEN, SKIPPED };

// What the driver knows of the world outside, "" or 0 where it said nothing.
struct world {
    bool root;             // we are the sandbox's own root
    bool terminal;         // a terminal is expected on standard input
    pid_t parent;          // of the probe
    pid_t victim;          // a process of the host, by its number there
    int ipc_key;           // of System V shared memory of the host
    const char *shm;       // name of POSIX shared memory of the host
    const char *socket;    // name of an abstract socket of the host
    const char *writable;  // a directory where files may be made
    const char *inherited; // NULL, or what was found open or odd at the start
};

struct result {
    enum verdict verdict;
    char detail[200];
};

// Each of these sets the verdict and says why.
void result_ok(struct result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void result_open(struct result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void result_skip(struct result *result, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// For an attempt's return value: OPEN when it succeeded or failed for a reason other than a refusal
// (EPERM, EACCES, ENOSYS), for then the kernel has looked at it.
void result_refused(struct result *result, long returned);
// The same for what may also be absent or read-only.
void result_absent(struct result *result, long returned);

struct probe {
    const char *row;
    const char *name;
    void (*run)(const struct world *world, struct result *result);
};

// Each topic's probes, ended by a row without a name.
extern const struct probe identity_probes[], kernel_probes[], file_probes[], network_probes[],
    process_probes[];

// The table of system calls: run as probes one by one.
size_t calls_count(void);
const char *calls_row(size_t index);
const char *calls_name(size_t index);
void calls_run(size_t index, struct result *result);

// A small file's text, NUL-terminated; -1 where it can't be read.
ssize_t read_text(const char *path, char *text, size_t size);
// The number after "key:" in /proc/PID/status (base 10 or 16), or -1.
long long status_field(const char *pid, const char *key, int base);

// What a bomb's name says, until it is stopped. Returns only where a limit held.
int bomb_run(const char *kind);

// Tries "ADDRESS:PORT" or "[ADDRESS]:PORT".
int connect_run(const char *address, bool datagram);
