// SPDX-License-Identifier: Apache-2.0
// Parsing and asking the rules of the network mode `allow`. Layer: base.
#include "base/netrules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/netranges.h"

// Quoted text of users in messages is cut to this.
#define SHOWN "%.80s"

static int bad_rule(struct sbx_error *err, const char *text, const char *why, const char *remedy)
{
    err_set(err, SBX_ERR_INVALID, "allow rule '" SHOWN "': %s", text, why);
    err_hint(err, "%s", remedy);
    return SBX_ERR_INVALID;
}

static int parse_number(const char *text, uint32_t max, uint32_t *ret)
{
    uint32_t value = 0;
    if (!*text || strlen(text) > 5)
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (uint32_t)(*text - '0');
    }
    if (value > max)
        return -1;
    *ret = value;
    return 0;
}

// Cuts ":port" off the end of `work`.
static int cut_port(char *work, const char *text, uint16_t *ret_port, struct sbx_error *err)
{
    uint32_t port = 0;
    char *colon = strchr(work, ':');
    if (!colon)
        return 0;
    if (parse_number(colon + 1, 65535, &port) < 0 || port == 0)
        return bad_rule(err, text, "the port is not a number from 1 to 65535",
                        "write it as in 'example.com:443'");
    *colon = '\0';
    *ret_port = (uint16_t)port;
    return 0;
}

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// Labels of 1 to 63 characters between single dots.
static bool name_valid(const char *name)
{
    size_t label = 0;
    for (const char *p = name; *p; p++) {
        if (*p == '.' && label == 0)
            return false;
        label = *p == '.' ? 0 : label + 1;
        if (label > 63 || (*p != '.' && !name_char(*p)))
            return false;
    }
    return label > 0 && strlen(name) <= NETRULES_NAME_MAX;
}

static void lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + 'a' - 'A');
}

static int parse_name(char *work, const char *text, struct netrule *rule, struct sbx_error *err)
{
    lower(work);
    if (strncmp(work, "*.", 2) == 0) {
        rule->below = true;
        work += 2;
    }
    if (strchr(work, '*'))
        return bad_rule(err, text, "a star may only stand first, for every name below",
                        "write it as in '*.example.com'");
    if (!name_valid(work))
        return bad_rule(err, text, "it is neither a host name nor an IPv4 address or range",
                        "write as in 'example.com', '*.example.com', '1.2.3.0/24', each with an "
                        "optional ':port'; no scheme, no path, other alphabets as 'xn--...'");
    rule->name = strdup(work);
    return rule->name ? 0 : err_nomem(err);
}

static int cut_prefix(char *work, const char *text, uint32_t *ret_mask, struct sbx_error *err)
{
    uint32_t prefix = 32;
    char *slash = strchr(work, '/');
    if (slash) {
        if (parse_number(slash + 1, 32, &prefix) < 0)
            return bad_rule(err, text, "the length of the range is not a number from 0 to 32",
                            "write it as in '1.2.3.0/24'");
        *slash = '\0';
    }
    *ret_mask = prefix ? UINT32_MAX << (32 - prefix) : 0;
    return 0;
}

static int parse_range(char *work, const char *text, struct netrule *rule, struct sbx_error *err)
{
    int code = cut_prefix(work, text, &rule->mask, err);
    if (code < 0)
        return code;
    struct in_addr addr;
    if (inet_pton(AF_INET, work, &addr) != 1)
        return bad_rule(err, text, "it is not an IPv4 address",
                        "write four numbers, as in '1.2.3.4'");
    rule->addr = ntohl(addr.s_addr);
    if (rule->addr & ~rule->mask)
        return bad_rule(err, text, "the address has bits beyond the range's length",
                        "write the first address of the range, as in '1.2.3.0/24'");
    if (netrange_never_whole(rule->addr, rule->mask))
        return bad_rule(err, text,
                        "loopback, link-local, metadata and reserved addresses are never reachable",
                        "leave the rule out; network 'host' shares the host's own network");
    return 0;
}

// An address or range, right or wrong: no top-level domain is a number (RFC 3696).
static bool looks_numeric(const char *work)
{
    const char *dot = strrchr(work, '.');
    const char *last = dot ? dot + 1 : work;
    return strchr(work, '/') || (*last && last[strspn(last, "0123456789")] == '\0');
}

static void cut_last_dot(char *work)
{
    size_t size = strlen(work);
    if (size > 1 && work[size - 1] == '.')
        work[size - 1] = '\0';
}

static int parse_rule(const char *text, struct netrule *rule, struct sbx_error *err)
{
    char work[NETRULES_NAME_MAX + 16];
    int size = snprintf(work, sizeof(work), "%s", text);
    const char *colon = strchr(text, ':');
    if (size == 0)
        return bad_rule(err, text, "it is empty", "name a host, as in 'example.com'");
    if ((size_t)size >= sizeof(work))
        return bad_rule(err, text, "it is too long", "names have at most 253 characters");
    if (strstr(text, "://"))
        return bad_rule(err, text, "it is a URL",
                        "give the host name alone, as in 'example.com:443'");
    if (text[0] == '[' || (colon && strchr(colon + 1, ':'))) {
        err_set(err, SBX_ERR_UNSUPPORTED,
                "allow rule '" SHOWN "': sandboxes have no IPv6, so no rule can open it", text);
        err_hint(err, "use the host's name or its IPv4 address");
        return SBX_ERR_UNSUPPORTED;
    }
    int code = cut_port(work, text, &rule->port, err);
    if (code < 0)
        return code;
    cut_last_dot(work);
    return looks_numeric(work) ? parse_range(work, text, rule, err)
                               : parse_name(work, text, rule, err);
}

int netrules_parse(const char *const *texts, size_t count, struct netrules **ret,
                   struct sbx_error *err)
{
    if (count > NETRULES_MAX)
        return err_set(err, SBX_ERR_INVALID, "%zu allow rules are more than %d", count,
                       NETRULES_MAX);
    cleanup_netrules struct netrules *rules =
        calloc(1, sizeof(*rules) + count * sizeof(rules->rule[0]));
    if (!rules)
        return err_nomem(err);
    rules->count = count;
    for (size_t i = 0; i < count; i++) {
        int code = parse_rule(texts[i], &rules->rule[i], err);
        if (code < 0)
            return code;
    }
    *ret = steal_ptr(rules);
    return 0;
}

void netrules_free(struct netrules *rules)
{
    if (!rules)
        return;
    for (size_t i = 0; i < rules->count; i++)
        free(rules->rule[i].name);
    free(rules);
}

bool netrules_cover(const struct netrules *rules, uint32_t addr, uint16_t port)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct netrule *rule = &rules->rule[i];
        if (!rule->name && (addr & rule->mask) == rule->addr &&
            (rule->port == 0 || rule->port == port))
            return true;
    }
    return false;
}

bool netrule_names(const struct netrule *rule, const char *name)
{
    if (!rule->name)
        return false;
    size_t size = strlen(name), base = strlen(rule->name);
    if (!rule->below)
        return size == base && memcmp(name, rule->name, base) == 0;
    return size > base + 1 && name[size - base - 1] == '.' &&
           memcmp(name + size - base, rule->name, base) == 0;
}
