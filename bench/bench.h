// SPDX-License-Identifier: Apache-2.0
// Shared by the benchmark programs: time, samples, results as lines of JSON, plain processes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t bench_now(void); // CLOCK_MONOTONIC, ns

// Prints "bench: MESSAGE" and exits: a benchmark that can't measure has no result.
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

// {"group": ..., "name": ..., "unit": ..., "samples": [...]} on stdout.
void bench_samples(const char *group, const char *name, const char *unit, const double *samples,
                   size_t count);
void bench_value(const char *group, const char *name, const char *unit, double value);

// Starts argv with stdout (and stdin, if input_fd >= 0) on a pipe; returns the pid.
pid_t bench_spawn(const char *const *argv, int *ret_out_fd);
// Reads to the end; returns the number of bytes, keeps the first `size - 1` and a NUL in buffer.
uint64_t bench_drain(int fd, char *buffer, size_t size);
// Runs argv to its end; dies unless it exits with 0 and prints `expect` (NULL: anything).
uint64_t bench_run(const char *const *argv, const char *expect); // ns

// Busy time of all processors of the machine so far, in ms.
double bench_machine_cpu_ms(void);
// A field of /proc/meminfo in kB.
double bench_meminfo_kb(const char *field);

// What this machine uses besides pages of files, in kB: exact, unlike MemFree and MemAvailable,
// which leave out the free pages that each processor keeps ready, hundreds of megabytes at times.
double bench_used_kb(void);

const char *bench_env(const char *name); // dies when it is not set

// Sum of a field of smaps_rollup in kB over our helper programs, and QEMU; counts them too.
double bench_helpers_kb(const char *field, size_t *ret_count);
