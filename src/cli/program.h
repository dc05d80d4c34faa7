// SPDX-License-Identifier: Apache-2.0
// What `run` is asked to run: a line for the shell, words, or a program's text. Layer: cli.
#pragma once

#include "base/opt.h"
#include "cli/language.h"

enum program_kind {
    PROGRAM_LINE,  // for the sandbox's sh -c
    PROGRAM_WORDS, // argv as it is; none: what the image itself runs
    PROGRAM_TEXT   // goes into a file of the sandbox
};

struct program {
    enum program_kind kind;
    const char *line;
    const char *const *words; // PROGRAM_WORDS: argv; PROGRAM_TEXT: the program's arguments
    size_t word_count;
    const struct language *language; // NULL: the file itself is executed
    char *data;                      // owned
    size_t size;
    char name[256];   // of the file in the sandbox
    const char *path; // the file it came from, NULL for standard input; borrowed
};

// Decides by file, language and operands; reads the program's text. With `shell`, nothing to run
// and a terminal to type on mean a login shell. INVALID: a mistake in the command line.
int program_read(const char *file, const char *language, const struct opt_operands *operands,
                 bool shell, struct program *ret_program, struct sbx_error *err);
void program_deinit(struct program *program);
#define cleanup_program cleanup(program_deinit)
