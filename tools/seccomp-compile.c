// SPDX-License-Identifier: Apache-2.0
/*
 * Compiles src/jail/seccomp_policy.def into classic BPF and prints it as C arrays, one per machine.
 * Runs while building; nothing of it, nor of libseccomp, which only knows the numbers of system
 * calls here, is linked into the product.
 *
 * Theory of operation. Per machine the table becomes a list of segments: neighbouring numbers with
 * the same answer. A decision tree over the segments is then chosen by dynamic programming, because
 * a filter is paid for three times: by its length, when the kernel compiles it; by the path of
 * every number, since the kernel (5.11 and later) walks all of them once while loading to learn
 * which are allowed whatever their arguments; and by the path of calls whose arguments are looked
 * at, each time. Code is laid out from its end to its beginning, so that the distance of every
 * forward jump is known.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "jail/seccomp_rows.h"

#define NUMBERS 512 // numbers above belong to no machine yet
#define SEGMENTS_MAX 256
#define CODE_MAX 4096
#define SINGLES_MAX 6  // single numbers tested one by one before the answer of the rest
#define LENGTH_COST 30 // an instruction of length against one on one number's path
#define CHECKED_COST 8 // weight of a number with conditions against one without

static const struct row rows[] = {
#include "jail/seccomp_policy.def"
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

// What libseccomp 2.5.3 doesn't know (Ubuntu 22.04). From 424 on numbers are the same on all
// machines; the first two are x86-64's alone.
static const struct {
    const char *name;
    int number;
} newer[] = {
    {"uretprobe", 335},         {"uprobe", 336},           {"memfd_secret", 447},
    {"process_mrelease", 448},  {"futex_waitv", 449},      {"set_mempolicy_home_node", 450},
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},      {"listns", 470},
};

static void die(const char *what, const char *name)
{
    fprintf(stderr, "seccomp-compile: %s: %s\n", what, name);
    exit(1);
}

// ---- the table, per machine: an answer for each number

// An answer is a verdict, or the first of the rows that must be asked in order (`checked`).
struct answer {
    bool checked;
    uint32_t verdict;
    const char *name; // the call, when checked
};

struct segment {
    uint32_t first, last;
    struct answer answer;
};

static int number_of(uint32_t arch, const char *name)
{
    int number = seccomp_syscall_resolve_name_arch(arch, name);
    for (size_t i = 0; number < 0 && i < sizeof(newer) / sizeof(newer[0]); i++)
        if (!strcmp(newer[i].name, name) && (newer[i].number >= 424 || arch == SCMP_ARCH_X86_64))
            number = newer[i].number;
    return number;
}

static bool names_call(const struct row *row, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = row->names; (at = strstr(at, name)); at += length)
        if ((at == row->names || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

static const struct row *row_after(const struct row *row, const char *name)
{
    for (row = row ? row + 1 : rows; row < rows + ROWS; row++)
        if (names_call(row, name))
            return row;
    return NULL;
}

// A name that no machine has is a slip of the pen.
static void check_name(const char *name)
{
    if (number_of(SCMP_ARCH_X86_64, name) < 0 && number_of(SCMP_ARCH_AARCH64, name) < 0)
        die("no such system call", name);
}

static void fill_answers(uint32_t arch, struct answer answers[NUMBERS])
{
    for (size_t i = 0; i < NUMBERS; i++)
        answers[i] = (struct answer){.verdict = VERDICT(DEFAULT)};
    for (const struct row *row = rows; row < rows + ROWS; row++) {
        char *names = strdup(row->names);
        for (char *name = strtok(names, " "); name; name = strtok(NULL, " ")) {
            check_name(name);
            int number = number_of(arch, name);
            if (number >= NUMBERS)
                die("number too high", name);
            if (number < 0 || row_after(NULL, name) != row)
                continue;
            bool checked = row->conditions[0].kind != COND_NONE;
            answers[number] = (struct answer){checked, row->verdict, strdup(name)};
        }
        free(names);
    }
}

static bool same_answer(const struct answer *a, const struct answer *b)
{
    if (a->checked || b->checked)
        return a->checked && b->checked && !strcmp(a->name, b->name);
    return a->verdict == b->verdict;
}

static size_t fill_segments(const struct answer answers[NUMBERS], struct segment *segments)
{
    size_t count = 0;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        if (count && same_answer(&segments[count - 1].answer, &answers[i]))
            segments[count - 1].last = i;
        else
            segments[count++] = (struct segment){i, i, answers[i]};
        if (count > SEGMENTS_MAX - 2)
            die("too many segments", "");
    }
    if (segments[count - 1].answer.checked ||
        segments[count - 1].answer.verdict != VERDICT(DEFAULT))
        die("the table's end must be the default", "");
    segments[count - 1].last = UINT32_MAX - 1;
    // -1 is what a tracer writes to have a call skipped; the kernel does nothing for it. Refusing
    // it would overwrite the result that the tracer has set.
    segments[count++] = (struct segment){UINT32_MAX, UINT32_MAX, {.verdict = SECCOMP_RET_ALLOW}};
    return count;
}

// ---- the decision tree

// For the segments from i to j: either split before segment `split`, or (split 0) test the segments
// that differ from segment `base`, each of one number, one after the other.
struct choice {
    uint64_t cost, weight;
    uint16_t split, base;
};

static struct choice choices[SEGMENTS_MAX][SEGMENTS_MAX];

static uint64_t weight_of(const struct segment *segment)
{
    if (segment->first >= NUMBERS)
        return 0;
    uint32_t last = segment->last < NUMBERS ? segment->last : segment->first;
    return (last - segment->first + 1) * (segment->answer.checked ? CHECKED_COST : 1);
}

// The cost of testing all but `base` one by one, or UINT64_MAX where that isn't possible.
static uint64_t cost_singly(const struct segment *segments, size_t i, size_t j, size_t base)
{
    size_t singles = 0;
    for (size_t k = i; k <= j; k++) {
        if (same_answer(&segments[k].answer, &segments[base].answer))
            continue;
        if (segments[k].first != segments[k].last || ++singles > SINGLES_MAX)
            return UINT64_MAX;
    }
    return singles * (choices[i][j].weight + LENGTH_COST);
}

static void choose(const struct segment *segments, size_t i, size_t j)
{
    struct choice *best = &choices[i][j];
    best->cost = UINT64_MAX;
    for (size_t k = i; k <= j; k++) {
        uint64_t cost = cost_singly(segments, i, j, k);
        if (cost < best->cost)
            best->cost = cost, best->split = 0, best->base = (uint16_t)k;
    }
    for (size_t k = i + 1; k <= j; k++) {
        uint64_t cost = choices[i][k - 1].cost + choices[k][j].cost + best->weight + LENGTH_COST;
        if (cost < best->cost)
            best->cost = cost, best->split = (uint16_t)k;
    }
}

static void choose_all(const struct segment *segments, size_t count)
{
    for (size_t length = 0; length < count; length++)
        for (size_t i = 0; i + length < count; i++) {
            size_t j = i + length;
            choices[i][j].weight =
                weight_of(&segments[j]) + (length ? choices[i][j - 1].weight : 0);
            choose(segments, i, j);
        }
}

// ---- code, from its end to its beginning

struct program {
    struct sock_filter code[CODE_MAX]; // reversed
    size_t length;
};

// A place is the length of the program once its instruction was laid down.
static size_t lay(struct program *program, uint16_t code, uint32_t k)
{
    if (program->length == CODE_MAX)
        die("program too long", "");
    program->code[program->length++] = (struct sock_filter)BPF_STMT(code, k);
    return program->length;
}

// The place of a `return verdict` that a jump can reach: 255 instructions away at most, and more
// may come between.
static size_t place_verdict(struct program *program, uint32_t verdict)
{
    for (size_t i = program->length; i-- > 0 && program->length - i < 240;)
        if (program->code[i].code == (BPF_RET | BPF_K) && program->code[i].k == verdict)
            return i + 1;
    return lay(program, BPF_RET | BPF_K, verdict);
}

static size_t near(struct program *program, size_t place)
{
    if (program->length - place < 250)
        return place;
    return lay(program, BPF_JMP | BPF_JA, (uint32_t)(program->length - place));
}

static size_t lay_jump(struct program *program, uint16_t test, uint32_t k, size_t yes, size_t no)
{
    no = near(program, no);
    yes = near(program, yes);
    size_t length = program->length;
    if (length - yes > 255 || length - no > 255)
        die("jump too far", "");
    lay(program, BPF_JMP | test | BPF_K, k);
    program->code[length].jt = (uint8_t)(length - yes);
    program->code[length].jf = (uint8_t)(length - no);
    return length + 1;
}

static bool same_value(const struct condition *a, const struct condition *b)
{
    return a->kind == b->kind && a->argument == b->argument && a->mask == b->mask;
}

static size_t lay_condition(struct program *program, const struct condition *condition, bool load,
                            size_t yes, size_t no)
{
    size_t place = no;
    if (condition->kind == COND_ANY)
        place = lay_jump(program, BPF_JSET, condition->values[0], yes, no);
    for (size_t i = condition->kind == COND_IN ? condition->count : 0; i-- > 0;)
        place = lay_jump(program, BPF_JEQ, condition->values[i], yes, place);
    if (!load)
        return place;
    if (condition->kind == COND_IN && condition->mask != UINT32_MAX)
        lay(program, BPF_ALU | BPF_AND | BPF_K, condition->mask);
    return lay(program, BPF_LD | BPF_W | BPF_ABS,
               (uint32_t)offsetof(struct seccomp_data, args[condition->argument]));
}

// The rows of one call. `held` is what the accumulator holds when the first of them begins.
static size_t lay_rows(struct program *program, const struct row *row, const char *name,
                       const struct condition *held)
{
    if (!row)
        die("the last row of a call has conditions", name);
    const struct condition *conditions = row->conditions;
    if (conditions[0].kind == COND_NONE)
        return place_verdict(program, row->verdict);
    // When the first condition fails, its value is still loaded for the next row; later ones spoil
    // it.
    bool alone = conditions[1].kind == COND_NONE;
    size_t no = lay_rows(program, row_after(row, name), name, alone ? &conditions[0] : NULL);
    size_t place = place_verdict(program, row->verdict);
    size_t count = 0;
    while (count < CONDITIONS_MAX && conditions[count].kind != COND_NONE)
        count++;
    for (size_t i = count; i-- > 0;)
        place = lay_condition(program, &conditions[i],
                              i > 0 || !held || !same_value(held, &conditions[0]), place, no);
    return place;
}

static size_t lay_answer(struct program *program, const struct answer *answer)
{
    if (answer->checked)
        return lay_rows(program, row_after(NULL, answer->name), answer->name, NULL);
    return place_verdict(program, answer->verdict);
}

static size_t lay_tree(struct program *program, const struct segment *segments, size_t i, size_t j)
{
    const struct choice *choice = &choices[i][j];
    if (choice->split) {
        size_t right = lay_tree(program, segments, choice->split, j);
        size_t left = lay_tree(program, segments, i, choice->split - 1u);
        return lay_jump(program, BPF_JGE, segments[choice->split].first, right, left);
    }
    const struct answer *base = &segments[choice->base].answer;
    size_t place = lay_answer(program, base);
    for (size_t k = i; k <= j; k++)
        if (!same_answer(&segments[k].answer, base)) {
            size_t yes = lay_answer(program, &segments[k].answer);
            place = lay_jump(program, BPF_JEQ, segments[k].first, yes, place);
        }
    return place;
}

// ---- output

static void print_program(const char *name, const char *machine, const struct program *program)
{
    printf("#if defined(%s) || defined(SECCOMP_ALL_MACHINES)\n", machine);
    printf("static const struct seccomp_code %s[] = {\n", name);
    for (size_t i = program->length; i-- > 0;) {
        const struct sock_filter *at = &program->code[i];
        printf("    {0x%02x, %u, %u, 0x%08" PRIx32 "},\n", at->code, at->jt, at->jf, at->k);
    }
    printf("};\n#endif\n\n");
}

static void compile(const char *name, const char *machine, uint32_t arch, uint32_t audit_arch)
{
    static struct answer answers[NUMBERS];
    static struct segment segments[SEGMENTS_MAX];
    static struct program program;
    fill_answers(arch, answers);
    size_t count = fill_segments(answers, segments);
    choose_all(segments, count);
    program.length = 0;
    // Another machine's calls have other numbers: int 0x80 on x86-64, 32-bit ARM.
    size_t tree = lay_tree(&program, segments, 0, count - 1);
    tree = lay(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    size_t kill = lay(&program, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    lay_jump(&program, BPF_JEQ, audit_arch, tree, kill);
    lay(&program, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    printf("// %zu segments, %zu instructions.\n", count, program.length);
    print_program(name, machine, &program);
}

int main(void)
{
    printf("// Made by tools/seccomp-compile.c from src/jail/seccomp_policy.def.\n\n");
    compile("seccomp_x86_64", "__x86_64__", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64);
    compile("seccomp_aarch64", "__aarch64__", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64);
    return 0;
}
