// SPDX-License-Identifier: Apache-2.0
// Unit: base/opt.
#include "unit.h"

#include "base/cleanup.h"
#include "base/opt.h"

static const char *const colours[] = {"red", "green", NULL};

struct values {
    int verbose, interactive, tty, reuse, colour;
    const char *name;
    struct opt_list env, hosts;
    int64_t count, timeout, cpu;
    uint64_t memory;
};

#define FIELD(member) .offset = offsetof(struct values, member)

static const struct opt_row rows[] = {
    {.name = "verbose", .letter = 'v', .kind = OPT_FLAG, FIELD(verbose)},
    {.name = "interactive", .letter = 'i', .kind = OPT_FLAG, FIELD(interactive)},
    {.name = "tty", .letter = 't', .kind = OPT_FLAG, FIELD(tty)},
    {.name = "reuse", .kind = OPT_FLAG, .flags = OPT_NEGATABLE, FIELD(reuse)},
    {.name = "colour",
     .alias = "color",
     .kind = OPT_ENUM,
     .choices = colours,
     .value = "C",
     FIELD(colour)},
    {.name = "name", .letter = 'n', .kind = OPT_STRING, .value = "NAME", FIELD(name)},
    {.name = "env",
     .letter = 'e',
     .kind = OPT_PAIR,
     .value = "K=V",
     .flags = OPT_NAME_ALONE,
     FIELD(env)},
    {.name = "host", .kind = OPT_LIST, .value = "HOST", FIELD(hosts)},
    {.name = "count", .kind = OPT_INT, .value = "N", .min = 1, .max = 100, FIELD(count)},
    {.name = "timeout", .kind = OPT_DURATION, .value = "TIME", FIELD(timeout)},
    {.name = "cpu", .kind = OPT_MILLIS, .value = "CORES", FIELD(cpu)},
    {.name = "memory", .letter = 'm', .kind = OPT_BYTES, .value = "SIZE", FIELD(memory)},
};

struct parsed {
    struct values values;
    struct opt_set set;
    struct opt_operands operands;
    struct sbx_error err;
    int code;
};

// words: NULL-terminated.
static void parse_between(struct parsed *parsed, size_t free_operands, const char *const *words)
{
    int count = 0;
    while (words[count])
        count++;
    memset(parsed, 0, sizeof(*parsed));
    parsed->set = (struct opt_set){rows, ARRAY_SIZE(rows), &parsed->values, 0};
    struct opt_grammar grammar = {&parsed->set, 1, free_operands, "it help"};
    parsed->code = opt_parse(&grammar, count, words, &parsed->operands, &parsed->err);
}

#define PARSE(parsed, ...) parse_between(parsed, SIZE_MAX, (const char *const[]){__VA_ARGS__, NULL})

static void release(struct parsed *parsed)
{
    opt_deinit(&parsed->set);
    opt_operands_deinit(&parsed->operands);
}
#define cleanup_parsed cleanup(release)

static void reads_every_kind(void **state)
{
    (void)state;
    cleanup_parsed struct parsed p;
    PARSE(&p, "--verbose", "--color=green", "--name", "x", "-e", "A=1=2", "-eB", "--host=a",
          "--host", "b", "--count", "100", "--timeout=1h30m", "--cpu", "1.5", "-m512m");
    assert_int_equal(p.code, 0);
    assert_int_equal(p.values.verbose, 1);
    assert_int_equal(p.values.colour, 2);
    assert_string_equal(p.values.name, "x");
    assert_int_equal(p.values.env.count, 2);
    assert_string_equal(p.values.env.items[0], "A=1=2");
    assert_string_equal(p.values.env.items[1], "B");
    assert_int_equal(p.values.hosts.count, 2);
    assert_int_equal(p.values.count, 100);
    assert_int_equal(p.values.timeout, 5400 * 1000);
    assert_int_equal(p.values.cpu, 1500);
    assert_int_equal(p.values.memory, 512 << 20);
    assert_true(opt_seen(&p.set, 0));
    assert_false(opt_seen(&p.set, 1));
}

static void bundles_letters(void **state)
{
    (void)state;
    cleanup_parsed struct parsed p;
    PARSE(&p, "-itnjoe", "-n=ann");
    assert_int_equal(p.code, 0);
    assert_true(p.values.interactive && p.values.tty && !p.values.verbose);
    assert_string_equal(p.values.name, "ann");
}

static void negates(void **state)
{
    (void)state;
    cleanup_parsed struct parsed p;
    PARSE(&p, "--no-reuse");
    assert_int_equal(p.values.reuse, -1);
    cleanup_parsed struct parsed q;
    PARSE(&q, "--no-verbose");
    assert_int_equal(q.code, SBX_ERR_INVALID);
    cleanup_parsed struct parsed r;
    PARSE(&r, "--reuse=off", "--verbose=true");
    assert_int_equal(r.values.reuse, -1);
    assert_int_equal(r.values.verbose, 1);
}

static void dashes_end_options(void **state)
{
    (void)state;
    cleanup_parsed struct parsed p;
    PARSE(&p, "a", "-v", "-", "--", "-x", "--", "--name");
    assert_int_equal(p.code, 0);
    assert_int_equal(p.operands.count, 5);
    assert_int_equal(p.operands.dashed, 2);
    assert_string_equal(p.operands.items[1], "-");
    assert_string_equal(p.operands.items[2], "-x");
    assert_string_equal(p.operands.items[3], "--");
    assert_string_equal(p.operands.items[4], "--name");
    assert_int_equal(p.values.verbose, 1);
}

static void words_after_the_command_are_its_own(void **state)
{
    (void)state;
    const char *const words[] = {"-v", "ls", "-n", "x", "/tmp", "-la", "--bogus", NULL};
    cleanup_parsed struct parsed p;
    parse_between(&p, 1, words);
    assert_int_equal(p.code, 0);
    assert_string_equal(p.values.name, "x");
    assert_int_equal(p.operands.count, 4);
    assert_string_equal(p.operands.items[2], "-la");
    assert_int_equal(p.operands.dashed, SIZE_MAX);
}

static void names_the_mistake(void **state)
{
    (void)state;
    static const struct {
        const char *words[3];
        const char *message, *remedy;
    } table[] = {
        {{"--timout", "3"}, "unknown option '--timout'", "did you mean '--timeout'?"},
        {{"--zzzzzz"}, "unknown option '--zzzzzz'", "'it help'"},
        {{"-z"}, "unknown option '-z'", "'it help'"},
        {{"--name"}, "--name needs a value", "--name NAME"},
        {{"-vn"}, "-n needs a value", "-n NAME"},
        {{"--count", "101"}, "'101' is not a whole number in range", "from 1 to 100"},
        {{"--count", "1x"}, "'1x' is not", "from 1 to 100"},
        {{"--colour=blue"}, "'blue' is not one of its choices", "red, green"},
        {{"--env", "=1"}, "'=1' is not of the form NAME=VALUE", "NAME=VALUE"},
        {{"--timeout", "-1"}, "'-1' is not a duration", "30s"},
        {{"--memory", "1x"}, "'1x' is not a size", "512m"},
        {{"--verbose=maybe"}, "'maybe' is not yes or no", "true"},
        {{"--no-reuse=1"}, "--no-reuse takes no value", "'='"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        cleanup_parsed struct parsed p;
        PARSE(&p, table[i].words[0], table[i].words[1], table[i].words[2]);
        assert_int_equal(p.code, SBX_ERR_INVALID);
        assert_non_null(strstr(p.err.message, table[i].message));
        assert_non_null(strstr(p.err.remedy, table[i].remedy));
    }
}

static void sets_from_elsewhere(void **state)
{
    (void)state;
    cleanup_parsed struct parsed p;
    PARSE(&p, NULL);
    assert_int_equal(opt_set_value(&p.set, 9, "2m", "SANDBOXES_TIMEOUT", &p.err), 0);
    assert_int_equal(p.values.timeout, 120 * 1000);
    assert_int_equal(opt_set_value(&p.set, 9, "soon", "SANDBOXES_TIMEOUT", &p.err),
                     SBX_ERR_INVALID);
    assert_string_equal(p.err.message, "SANDBOXES_TIMEOUT: 'soon' is not a duration");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(bundles_letters),
        cmocka_unit_test(negates),
        cmocka_unit_test(dashes_end_options),
        cmocka_unit_test(words_after_the_command_are_its_own),
        cmocka_unit_test(names_the_mistake),
        cmocka_unit_test(sets_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
