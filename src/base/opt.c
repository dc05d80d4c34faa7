// SPDX-License-Identifier: Apache-2.0
// Command-line options as tables. Layer: base.
#include "base/opt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/suggest.h"
#include "base/units.h"

// A row found, and as which name.
struct found {
    struct opt_set *set;
    size_t row;
    bool negated;
};

static const struct opt_row *row_of(const struct found *found)
{
    return &found->set->rows[found->row];
}

static int list_add(struct opt_list *list, const char *item, struct sbx_error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 8;
        const char **items = reallocarray(list->items, capacity, sizeof(*items));
        if (!items)
            return err_nomem(err);
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return 0;
}

static int read_flag(const struct opt_row *row, void *field, const char *value)
{
    static const char *const words[] = {"true", "yes", "on", "1", "false", "no", "off", "0"};
    (void)row;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcasecmp(value, words[i]) == 0) {
            *(int *)field = i < 4 ? 1 : -1;
            return 0;
        }
    return -1;
}

static int read_int(const struct opt_row *row, void *field, const char *value)
{
    bool bounded = row->min != 0 || row->max != 0;
    return units_parse_int(value, row->min, bounded ? row->max : INT64_MAX, field);
}

static int read_millis(const struct opt_row *row, void *field, const char *value)
{
    (void)row;
    return units_parse_millis(value, field);
}

static int read_duration(const struct opt_row *row, void *field, const char *value)
{
    (void)row;
    return units_parse_duration(value, field);
}

static int read_bytes(const struct opt_row *row, void *field, const char *value)
{
    (void)row;
    return units_parse_bytes(value, field);
}

static int read_enum(const struct opt_row *row, void *field, const char *value)
{
    for (int i = 0; row->choices[i]; i++)
        if (strcmp(row->choices[i], value) == 0) {
            *(int *)field = i + 1;
            return 0;
        }
    return -1;
}

static int read_string(const struct opt_row *row, void *field, const char *value)
{
    (void)row;
    *(const char **)field = value;
    return 0;
}

struct kind_row {
    int (*read)(const struct opt_row *row, void *field, const char *value); // NULL for lists
    const char *wanted; // completes "is not ..."
    const char *example;
};

static const struct kind_row kinds[] = {
    [OPT_FLAG] = {read_flag, "yes or no", "true"},
    [OPT_STRING] = {read_string, "a text", "TEXT"},
    [OPT_LIST] = {NULL, "a text", "TEXT"},
    [OPT_PAIR] = {NULL, "of the form NAME=VALUE", "NAME=VALUE"},
    [OPT_INT] = {read_int, "a whole number in range", "10"},
    [OPT_MILLIS] = {read_millis, "a number", "1.5"},
    [OPT_DURATION] = {read_duration, "a duration", "90, 30s, 5m or 1h30m"},
    [OPT_BYTES] = {read_bytes, "a size", "512m or 2g"},
    [OPT_ENUM] = {read_enum, "one of its choices", ""},
};

static void join_choices(const struct opt_row *row, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; row->choices[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", row->choices[i]);
}

static int complain_value(const struct opt_row *row, const char *value, const char *shown,
                          struct sbx_error *err)
{
    const struct kind_row *kind = &kinds[row->kind];
    err_set(err, SBX_ERR_INVALID, "%s: '%s' is not %s", shown, value, kind->wanted);
    if (row->kind == OPT_ENUM) {
        char choices[256];
        join_choices(row, choices, sizeof(choices));
        err_hint(err, "choose one of: %s", choices);
    } else if (row->kind == OPT_INT && (row->min || row->max)) {
        err_hint(err, "give a number from %lld to %lld", (long long)row->min, (long long)row->max);
    } else {
        err_hint(err, "write it as: %s", kind->example);
    }
    return SBX_ERR_INVALID;
}

// Whether a pair has the shape NAME=VALUE (or NAME where that is allowed).
static bool pair_ok(const struct opt_row *row, const char *value)
{
    const char *equals = strchr(value, '=');
    return equals ? equals != value : value[0] && (row->flags & OPT_NAME_ALONE);
}

int opt_set_value(struct opt_set *set, size_t row_index, const char *value, const char *shown,
                  struct sbx_error *err)
{
    const struct opt_row *row = &set->rows[row_index];
    void *field = (char *)set->values + row->offset;
    int (*read)(const struct opt_row *, void *, const char *) = kinds[row->kind].read;
    if (read ? read(row, field, value) < 0 : row->kind == OPT_PAIR && !pair_ok(row, value))
        return complain_value(row, value, shown, err);
    if (!read && list_add(field, value, err) < 0)
        return SBX_ERR_NOMEM;
    set->seen |= 1ULL << row_index;
    return 0;
}

bool opt_seen_field(const struct opt_set *set, const void *field)
{
    size_t offset = (size_t)((const char *)field - (const char *)set->values);
    for (size_t i = 0; i < set->count; i++)
        if (set->rows[i].offset == offset)
            return opt_seen(set, i);
    return false;
}

static bool name_is(const char *name, const char *text, size_t length)
{
    return name && strlen(name) == length && memcmp(name, text, length) == 0;
}

static bool match_long(const struct opt_row *row, const char *text, size_t length,
                       bool *ret_negated)
{
    *ret_negated = false;
    if (name_is(row->name, text, length) || name_is(row->alias, text, length))
        return true;
    *ret_negated = true;
    return (row->flags & OPT_NEGATABLE) && length > 3 && memcmp(text, "no-", 3) == 0 &&
           name_is(row->name, text + 3, length - 3);
}

static bool find_long(const struct opt_grammar *grammar, const char *text, size_t length,
                      struct found *ret_found)
{
    for (size_t s = 0; s < grammar->set_count; s++)
        for (size_t i = 0; i < grammar->sets[s].count; i++) {
            bool negated;
            if (match_long(&grammar->sets[s].rows[i], text, length, &negated)) {
                *ret_found = (struct found){&grammar->sets[s], i, negated};
                return true;
            }
        }
    return false;
}

static bool find_letter(const struct opt_grammar *grammar, char letter, struct found *ret_found)
{
    for (size_t s = 0; s < grammar->set_count; s++)
        for (size_t i = 0; i < grammar->sets[s].count; i++)
            if (grammar->sets[s].rows[i].letter == letter) {
                *ret_found = (struct found){&grammar->sets[s], i, false};
                return true;
            }
    return false;
}

static void offer_names(const struct opt_grammar *grammar, struct suggest *suggest)
{
    for (size_t s = 0; s < grammar->set_count; s++)
        for (size_t i = 0; i < grammar->sets[s].count; i++) {
            const struct opt_row *row = &grammar->sets[s].rows[i];
            if (row->flags & OPT_HIDDEN)
                continue;
            suggest_offer(suggest, row->name);
            if (row->alias)
                suggest_offer(suggest, row->alias);
        }
}

static int complain_unknown(const struct opt_grammar *grammar, const char *text, size_t length,
                            struct sbx_error *err)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)(length < 63 ? length : 63), text);
    err_set(err, SBX_ERR_INVALID, "unknown option '--%s'", name);
    struct suggest suggest = {.wanted = name};
    offer_names(grammar, &suggest);
    if (suggest.best)
        return err_hint(err, "did you mean '--%s'? '%s' shows all options", suggest.best,
                        grammar->help);
    return err_hint(err, "'%s' shows the options; words for the command itself go after '--'",
                    grammar->help);
}

// Where the parser stands.
struct cursor {
    const struct opt_grammar *grammar;
    const char *const *argv;
    size_t at, count;
};

static int take_value(struct cursor *cursor, const struct found *found, const char *shown,
                      const char **ret_value, struct sbx_error *err)
{
    if (cursor->at < cursor->count) {
        *ret_value = cursor->argv[cursor->at++];
        return 0;
    }
    err_set(err, SBX_ERR_INVALID, "%s needs a value", shown);
    err_hint(err, "write it as: %s %s", shown, row_of(found)->value);
    return SBX_ERR_INVALID;
}

static int set_flag(const struct found *found, struct sbx_error *err)
{
    (void)err;
    *(int *)((char *)found->set->values + row_of(found)->offset) = found->negated ? -1 : 1;
    found->set->seen |= 1ULL << found->row;
    return 0;
}

static int complain_flag_value(const char *shown, struct sbx_error *err)
{
    err_set(err, SBX_ERR_INVALID, "%s takes no value", shown);
    return err_hint(err, "leave out what follows '='");
}

static int parse_long(struct cursor *cursor, const char *text, struct sbx_error *err)
{
    size_t length = strcspn(text, "=");
    struct found found;
    if (!find_long(cursor->grammar, text, length, &found))
        return complain_unknown(cursor->grammar, text, length, err);
    char shown[80];
    snprintf(shown, sizeof(shown), "--%.*s", (int)length, text);
    const char *value = text[length] == '=' ? text + length + 1 : NULL;
    if (row_of(&found)->kind == OPT_FLAG && !value)
        return set_flag(&found, err);
    if (found.negated)
        return complain_flag_value(shown, err);
    if (!value) {
        int code = take_value(cursor, &found, shown, &value, err);
        if (code < 0)
            return code;
    }
    return opt_set_value(found.set, found.row, value, shown, err);
}

// "-it", "-n3", "-n 3": flags until a letter takes the rest of the word as its value.
static int parse_letters(struct cursor *cursor, const char *text, struct sbx_error *err)
{
    for (; *text; text++) {
        struct found found;
        if (!find_letter(cursor->grammar, *text, &found)) {
            bool plain = *text > ' ' && *text < 0x7f;
            err_set(err, SBX_ERR_INVALID, "unknown option '-%.*s'", plain ? 1 : 0, text);
            return err_hint(err,
                            "'%s' shows the options; words for the command itself go after '--'",
                            cursor->grammar->help);
        }
        if (row_of(&found)->kind == OPT_FLAG) {
            set_flag(&found, err);
            continue;
        }
        char shown[3] = {'-', *text, '\0'};
        const char *value = text[1] == '=' ? text + 2 : text + 1;
        if (!text[1]) {
            int code = take_value(cursor, &found, shown, &value, err);
            if (code < 0)
                return code;
        }
        return opt_set_value(found.set, found.row, value, shown, err);
    }
    return 0;
}

static int parse_word(struct cursor *cursor, const char *word, struct opt_operands *operands,
                      struct sbx_error *err)
{
    if (word[0] == '-' && word[1] == '-')
        return parse_long(cursor, word + 2, err);
    if (word[0] == '-' && word[1])
        return parse_letters(cursor, word + 1, err);
    operands->items[operands->count++] = word;
    return 0;
}

static void take_rest(struct cursor *cursor, struct opt_operands *operands)
{
    while (cursor->at < cursor->count)
        operands->items[operands->count++] = cursor->argv[cursor->at++];
}

int opt_parse(const struct opt_grammar *grammar, int argc, const char *const *argv,
              struct opt_operands *ret_operands, struct sbx_error *err)
{
    struct cursor cursor = {
        .grammar = grammar, .argv = argv, .count = (size_t)(argc > 0 ? argc : 0)};
    *ret_operands = (struct opt_operands){.dashed = SIZE_MAX};
    ret_operands->items = calloc(cursor.count + 1, sizeof(*ret_operands->items));
    if (!ret_operands->items)
        return err_nomem(err);
    while (cursor.at < cursor.count) {
        const char *word = argv[cursor.at++];
        if (strcmp(word, "--") == 0) {
            ret_operands->dashed = ret_operands->count;
            take_rest(&cursor, ret_operands);
            break;
        }
        int code = parse_word(&cursor, word, ret_operands, err);
        if (code < 0)
            return code;
        if (ret_operands->count > grammar->free_operands)
            take_rest(&cursor, ret_operands);
    }
    return 0;
}

void opt_operands_deinit(struct opt_operands *operands)
{
    free(operands->items);
    *operands = (struct opt_operands){0};
}

void opt_deinit(struct opt_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->rows[i].kind != OPT_LIST && set->rows[i].kind != OPT_PAIR)
            continue;
        struct opt_list *list = (struct opt_list *)((char *)set->values + set->rows[i].offset);
        free(list->items);
        *list = (struct opt_list){0};
    }
}
