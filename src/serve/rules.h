// SPDX-License-Identifier: Apache-2.0
// Rules of a sandbox's network, as either API words them. Layer: serve.
#pragma once

#include "net/json.h"
#include "serve/place.h"

#define RULES_MAX 64

struct serve_settings;

struct rules {
    bool internet;    // what the API says of it
    uint32_t network; // enum sbx_network
    const char *allow[RULES_MAX];
    size_t count;
    char *texts; // owned; NULL while they are borrowed
};
void rules_deinit(struct rules *rules);

// E2B's: allow_internet_access is a member of body, the rest of network. INVALID, UNSUPPORTED.
int rules_read_e2b(const struct jsonv *body, const struct jsonv *network, struct rules *rules,
                   struct sbx_error *err);

// Daytona's: lists with commas, of ranges and of names; NULL: none. INVALID, NOMEM.
int rules_read_daytona(bool block, const char *ranges, const char *names, struct rules *rules,
                       struct sbx_error *err);

// Into a specification; and onto a living sandbox. Borrowed.
void rules_put(const struct rules *rules, struct sbx_spec *spec);
// What this server grants of it: without rules of its own also what the operator opened. DENIED.
int rules_grant(const struct serve_settings *settings, struct sbx_spec *spec,
                struct sbx_error *err);
int rules_apply(const struct rules *rules, struct place *box, const struct sbx_call *call,
                struct sbx_error *err);
