// SPDX-License-Identifier: Apache-2.0
// Rules of the network mode `allow`: one a line; then what they accept is asked for.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/netranges.h"
#include "base/netrules.h"

#define RULES_MAX 64
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const struct netrule *rule)
{
    char below[NETRULES_NAME_MAX + 8] = "x.";
    size_t size = strlen(rule->name);
    CHECK(size >= 1 && size <= NETRULES_NAME_MAX);
    CHECK(strspn(rule->name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == size);
    CHECK(rule->name[0] != '.' && rule->name[size - 1] != '.' && !strstr(rule->name, ".."));
    strcat(below, rule->name);
    CHECK(netrule_names(rule, rule->name) == !rule->below);
    CHECK(netrule_names(rule, below) == rule->below);
    below[1] = 'x';
    CHECK(!netrule_names(rule, below));
}

static void check_range(const struct netrules *rules, const struct netrule *rule)
{
    CHECK((rule->addr & ~rule->mask) == 0);
    CHECK((~rule->mask & (~rule->mask + 1)) == 0); // ones, then zeros
    CHECK(!netrange_never_whole(rule->addr, rule->mask));
    CHECK(netrules_cover(rules, rule->addr, rule->port));
    CHECK(netrules_cover(rules, rule->addr | ~rule->mask, rule->port));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free char *text = calloc(1, size + 1);
    memcpy(text, data, size);
    const char *lines[RULES_MAX];
    size_t count = 0;
    for (char *rest = text; rest && count < RULES_MAX;)
        lines[count++] = strsep(&rest, "\n");
    cleanup_netrules struct netrules *rules = NULL;
    struct sbx_error err = {0};
    int code = netrules_parse(lines, count, &rules, &err);
    CHECK((code == 0) == (rules != NULL));
    CHECK(code == 0 || (err.code == code && err.message[0] && err.remedy[0]));
    for (size_t i = 0; rules && i < rules->count; i++) {
        if (rules->rule[i].name)
            check_name(&rules->rule[i]);
        else
            check_range(rules, &rules->rule[i]);
    }
    return 0;
}
