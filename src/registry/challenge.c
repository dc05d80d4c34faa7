// SPDX-License-Identifier: Apache-2.0
// Challenges of registries. Layer: registry.
#include "registry/challenge.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/text.h"

#define TOKEN TEXT_ALNUM "!#$%&'*+-.^_`|~"

// A token or a quoted string, copied unless `out` is NULL; NULL when it makes no sense.
static const char *take_value(const char *at, char *out, size_t size)
{
    size_t used = 0;
    bool quoted = *at == '"';
    if (quoted)
        at++;
    while (*at && (quoted ? *at != '"' : strchr(TOKEN "/:", *at) != NULL)) {
        if (quoted && *at == '\\' && at[1])
            at++;
        if (out && used + 1 >= size)
            return NULL;
        if (out)
            out[used] = *at;
        used++;
        at++;
    }
    if (out)
        out[used] = '\0';
    if (quoted && *at != '"')
        return NULL;
    return quoted ? at + 1 : at;
}

struct parameter {
    const char *name;
    char *out;
    size_t size;
};

static const char *take_parameters(const char *at, struct challenge *challenge)
{
    const struct parameter known[] = {{"realm", challenge->realm, sizeof(challenge->realm)},
                                      {"service", challenge->service, sizeof(challenge->service)},
                                      {"scope", challenge->scope, sizeof(challenge->scope)}};
    for (;;) {
        at += strspn(at, " \t,");
        size_t length = strspn(at, TOKEN);
        if (length == 0 || at[length] != '=')
            return at; // the end, or the next challenge
        const struct parameter *row = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
            if (strlen(known[i].name) == length && strncasecmp(at, known[i].name, length) == 0)
                row = &known[i];
        at = take_value(at + length + 1, row ? row->out : NULL, row ? row->size : 0);
        if (!at)
            return NULL;
    }
}

bool challenge_parse(const char *header, struct challenge *ret_challenge)
{
    for (const char *at = header; at && *at;) {
        struct challenge challenge = {0};
        at += strspn(at, " \t,");
        size_t length = strspn(at, TOKEN);
        if (length == 0)
            return false;
        challenge.bearer = length == 6 && strncasecmp(at, "bearer", 6) == 0;
        challenge.basic = length == 5 && strncasecmp(at, "basic", 5) == 0;
        at = take_parameters(at + length, &challenge);
        if (at && (challenge.basic || (challenge.bearer && challenge.realm[0]))) {
            *ret_challenge = challenge;
            return true;
        }
    }
    return false;
}
