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

// Two more stacks, below, for processes that share our memory until they end or execute something:
// forking copies page tables, and then each page that either writes to. They must not use the heap.
// NULL where errno(3) would be shared too (errno_apart.c).
enum lean_guest { LEAN_FIRST, LEAN_SECOND, LEAN_GUESTS };
char *lean_guest_stack_end(enum lean_guest guest);

// clone(2): a process that is body(payload) and ends with what that returns; in our memory if it
// has a stack, else in a copy. -1 and errno on failure.
int lean_clone(int flags, char *stack, int (*body)(void *), void *payload);

// On whose stack this is: LEAN_GUESTS on the program's own, or any other.
unsigned lean_whose_stack(const void *address);

// Runs body, which does not return, on a stack of the image where that can be done. It may call
// lean_shed().
_Noreturn void lean_run(void (*body)(void));

// Unmaps what is not the image, in a process that runs on a stack of it. Not while the heap has
// blocks outside.
void lean_shed(void);

// Gives back what earlier calls have used of the stack, and all of the guests' stacks.
void lean_trim(void);
