// SPDX-License-Identifier: Apache-2.0
// Option parsing: the first byte is the number of free operands, then words separated by NUL.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/opt.h"

#define WORDS_MAX 64
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const choices[] = {"one", "two", NULL};

struct values {
    int flag, other, choice;
    const char *text;
    struct opt_list list, pairs, names;
    int64_t number, millis, duration;
    uint64_t bytes;
};

#define FIELD(member) .offset = offsetof(struct values, member)

static const struct opt_row rows[] = {
    {.name = "flag", .letter = 'f', .kind = OPT_FLAG, .flags = OPT_NEGATABLE, FIELD(flag)},
    {.name = "other", .letter = 'o', .kind = OPT_FLAG, FIELD(other)},
    {.name = "choice",
     .alias = "pick",
     .kind = OPT_ENUM,
     .choices = choices,
     .value = "C",
     FIELD(choice)},
    {.name = "text", .letter = 't', .kind = OPT_STRING, .value = "T", FIELD(text)},
    {.name = "list", .letter = 'l', .kind = OPT_LIST, .value = "L", FIELD(list)},
    {.name = "pair", .letter = 'p', .kind = OPT_PAIR, .value = "P", FIELD(pairs)},
    {.name = "name", .kind = OPT_PAIR, .flags = OPT_NAME_ALONE, .value = "N", FIELD(names)},
    {.name = "number",
     .letter = 'n',
     .kind = OPT_INT,
     .min = -5,
     .max = 5,
     .value = "N",
     FIELD(number)},
    {.name = "millis", .kind = OPT_MILLIS, .value = "M", FIELD(millis)},
    {.name = "duration", .letter = 'd', .kind = OPT_DURATION, .value = "D", FIELD(duration)},
    {.name = "bytes", .letter = 'b', .kind = OPT_BYTES, .value = "B", FIELD(bytes)},
};

static size_t split(char *text, size_t size, const char **words)
{
    size_t count = 0;
    for (size_t at = 0; at < size && count < WORDS_MAX; at += strlen(text + at) + 1)
        words[count++] = text + at;
    return count;
}

static void check_values(const struct values *values, const struct opt_operands *operands,
                         size_t count)
{
    CHECK(values->flag >= -1 && values->flag <= 1);
    CHECK(values->choice >= 0 && values->choice <= 2);
    CHECK(values->number >= -5 && values->number <= 5);
    CHECK(values->duration >= 0 && values->millis >= 0);
    CHECK(operands->count + values->list.count + values->pairs.count <= count);
    CHECK(operands->dashed == SIZE_MAX || operands->dashed <= operands->count);
    for (size_t i = 0; i < values->pairs.count; i++)
        CHECK(strchr(values->pairs.items[i], '=') && values->pairs.items[i][0] != '=');
    for (size_t i = 0; i < values->names.count; i++)
        CHECK(values->names.items[i][0] != '=' && values->names.items[i][0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    cleanup_free char *text = calloc(1, size);
    const char *words[WORDS_MAX];
    memcpy(text, data + 1, size - 1);
    size_t count = split(text, size - 1, words);
    struct values values = {0};
    struct opt_set set = {rows, ARRAY_SIZE(rows), &values, 0};
    struct opt_grammar grammar = {&set, 1, data[0] > 9 ? SIZE_MAX : data[0], "fuzz --help"};
    struct opt_operands operands;
    struct sbx_error err;
    memset(&err, 0xaa, sizeof(err));
    int code = opt_parse(&grammar, (int)count, words, &operands, &err);
    if (code == 0)
        check_values(&values, &operands, count);
    else
        CHECK(err.message[0] && err.remedy[0] && memchr(err.message, '\0', sizeof(err.message)));
    opt_operands_deinit(&operands);
    opt_deinit(&set);
    return 0;
}
