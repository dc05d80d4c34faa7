// SPDX-License-Identifier: Apache-2.0
/*
 * What any provider must do, as cases of one sentence each. A case names the capabilities that it
 * needs; where the provider lacks one it is left out. Commands are such as the provider "fake"
 * understands too.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sandboxes/sandboxes.h>

struct contract_case {
    const char *name;
    CMUnitTestFunction test;
    uint32_t needs;  // capabilities
    uint32_t absent; // runs only where all of these are lacking
};

#define CASE(function, capabilities)                                                               \
    {                                                                                              \
#function, function, capabilities, 0                                                       \
    }

extern const struct contract_case sandbox_cases[], run_cases[], process_cases[], file_cases[],
    tree_cases[], watch_cases[], snapshot_cases[], argument_cases[];

// What all cases share.
struct suite {
    const char *self;     // path of this program
    const char *provider; // name
    uint32_t capabilities;
    char run[32]; // label value of everything that this run makes
    struct sbx_client *client;
    struct sbx_sandbox *sandbox; // for cases that don't change it for others
};
extern struct suite suite;
extern struct sbx_error err; // of the last call

#define ok(call) expect_ok((call), #call, __FILE__, __LINE__)
#define fails(code, call) expect_code((code), (call), #call, __FILE__, __LINE__)
void expect_ok(int code, const char *call, const char *file, int line);
void expect_code(int want, int code, const char *call, const char *file, int line);

// Skips the case if an ordinary user's machine lacks what `code` complains about; root has
// everything.
void skip_if_lacking(int code);
// The same for other users in a sandbox, which need a range of subordinate ids.
void need_other_users(void);

// A spec of this provider with this run's label and, if name is not NULL, one more.
struct sbx_spec spec_with(const char *name, const char *value);
struct sbx_sandbox *create(const struct sbx_spec *spec);
struct sbx_sandbox *create_plain(void);
void destroy(struct sbx_sandbox *sandbox);          // and frees
size_t living(const char *name, const char *value); // sandboxes of this run with that label
bool gone_within(const char *id, int seconds);      // polls

// Runs a line of shell; the result is freed by the next one.
const struct sbx_result *sh(struct sbx_sandbox *sandbox, const char *line);
const struct sbx_result *run(struct sbx_sandbox *sandbox, const struct sbx_exec *exec);
void expect_out(const struct sbx_result *result, const char *out);

// Reads until `text` has been seen on stdout or the end; asserts the former.
void read_until(struct sbx_process *process, const char *text);
struct sbx_outcome read_to_end(struct sbx_process *process);

char *pattern(size_t size); // bytes that repeat at no power of two; free()
