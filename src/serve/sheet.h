// SPDX-License-Identifier: Apache-2.0
/*
 * What the server knows about a sandbox beyond what the engine keeps, one file of JSON each in the
 * state directory, so that it survives a restart. Layer: serve.
 */
#pragma once

#include "serve/pairlist.h"

#define SHEET_ID_SIZE 64
#define SHEET_NAME_SIZE 256
#define SHEET_HOST_SIZE 128
#define SHEET_RANGES "networkAllowList"
#define SHEET_NAMES "domainAllowList"

enum sheet_api { API_E2B = 1, API_DAYTONA = 2 };

// What the API says when the engine's state would not do.
enum sheet_state { SHEET_AS_IS = 0, SHEET_STOPPED = 1, SHEET_ARCHIVED = 2 };

struct sheet {
    char id[SHEET_ID_SIZE];
    char owner[32];              // id of the key
    char image[SHEET_NAME_SIZE]; // template or snapshot, as the client named it
    char name[SHEET_NAME_SIZE];
    int64_t api;   // enum sheet_api
    int64_t state; // enum sheet_state
    struct pairlist labels, env;
    char
        mask_host[SHEET_HOST_SIZE]; // what servers inside are told instead of the address asked for
    struct pairlist tokens;         // of signed addresses: proxy.h
    struct pairlist lists;          // Daytona's SHEET_RANGES and SHEET_NAMES, as they were given
    struct pairlist inside;         // once env was changed: what the sandbox itself knows instead
    int64_t created_ms, used_ms, paused_ms;
    int64_t end_ms;                                          // 0: none
    int64_t secure, auto_pause, auto_resume, internet, open; // booleans
    int64_t auto_stop, auto_archive, auto_delete;            // minutes
    int64_t idle_pause;                                      // minutes; 0: never
    int64_t key_turn;  // how often the key for addresses of files was changed
    int64_t env_apart; // the sandbox does not know env: each command is given it
};

void sheet_deinit(struct sheet *sheet);

// Written by rename, 0600. Errors: IO, NOMEM.
int sheet_save(const struct sheet *sheet, int dir_fd, struct sbx_error *err);
int sheet_load(int dir_fd, const char *id, struct sheet *ret_record, struct sbx_error *err);
void sheet_remove(int dir_fd, const char *id);
