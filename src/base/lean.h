// SPDX-License-Identifier: Apache-2.0
/*
 * Programs that live as long as their sandbox, in as few pages as can be: of an idle process most
 * memory is page tables, three pages of them for each corner of the address space that holds
 * anything. So such a program keeps its heap (heap.h) and its stack within its image, and
 * everything else is unmapped. Static programs with musl only; others stay as they are. Layer:
 * base.
 */
#pragma once

// First thing in main(): what is outside of the image will not be used. No environment after it.
void lean_begin(char **argv);

// The end of that stack, guarded at its beginning: for clone(2).
char *lean_stack_end(void);

// Runs body, which does not return, on a stack of the image where that can be done. It may call
// lean_shed().
_Noreturn void lean_run(void (*body)(void));

// Unmaps what is not the image, in a process that runs on a stack of it. Not while the heap has
// blocks outside.
void lean_shed(void);

// Gives back what earlier calls have used of the stack.
void lean_trim(void);
