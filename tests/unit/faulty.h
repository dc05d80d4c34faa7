// SPDX-License-Identifier: Apache-2.0
// A provider for tests of what builds on providers: the one called "fake" behind switches that make
// it fail, dawdle, lose an answer; it counts what is asked of it. Registered with its own payload.
#pragma once

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include <sandboxes/sandboxes.h>

#include "base/clock.h"
#include "core/settings.h"

extern const struct sbx_provider_ops provider_fake;

struct faulty {
    void *fake;
    // The next `failures` creations fail with this error; with `lose` the sandbox is made all the
    // same.
    atomic_int failures;
    struct sbx_error error;
    bool lose;
    int64_t create_ms; // each takes that long
    int meet;          // each waits until so many are being made at the same time
    atomic_int creates, alive, making,
        widest; // calls, sandboxes now, at the same time, most of these
};

// Calls on sandboxes of any faulty provider.
static struct {
    atomic_int info_failures, destroy_failures, read_failures, write_failures;
    atomic_int infos, destroys, reads, writes;
    bool destroy_loses; // the sandbox is destroyed all the same
    struct sbx_error error;
} faulty_calls;
static atomic_int faulty_alive;

static inline struct sbx_error faulty_error(int code, int sys_errno, int http_status,
                                            uint32_t retry_after_ms)
{
    struct sbx_error err = {.code = code,
                            .sys_errno = sys_errno,
                            .http_status = http_status,
                            .retry_after_ms = retry_after_ms};
    snprintf(err.message, sizeof(err.message), "made to fail with %s", sbx_code_name(code));
    snprintf(err.remedy, sizeof(err.remedy), "mend %s", sbx_code_name(code));
    return err;
}

// True for as many calls as the switch says.
static inline bool faulty_due(atomic_int *left)
{
    int now = atomic_load(left);
    while (now > 0)
        if (atomic_compare_exchange_weak(left, &now, now - 1))
            return true;
    return false;
}

static inline int faulty_wait(int64_t ms, const struct sbx_call *call, struct sbx_error *err)
{
    struct deadline whole = deadline_from_call(call);
    int64_t until = clock_boot_ms() + ms;
    int code = ms ? deadline_wait(deadline_min(whole, until), -1, 0, NULL, err) : 0;
    return code == SBX_ERR_TIMEOUT && until <= whole.at_ms ? 0 : code;
}

static inline void faulty_widen(struct faulty *faulty)
{
    int now = atomic_fetch_add(&faulty->making, 1) + 1, most = atomic_load(&faulty->widest);
    while (now > most && !atomic_compare_exchange_weak(&faulty->widest, &most, now)) {
    }
}

static inline int faulty_create(void *provider, const struct sbx_spec *spec,
                                const struct sbx_call *call, void **ret_box, struct sbx_error *err)
{
    struct faulty *faulty = provider;
    struct sbx_spec known = *spec;
    known.image = NULL; // the fake has one image; which was asked for is the tests' business
    atomic_fetch_add(&faulty->creates, 1);
    bool fails = faulty_due(&faulty->failures);
    faulty_widen(faulty);
    for (int i = 0; i < 10000 && faulty->widest < faulty->meet; i++)
        usleep(1000);
    int code = faulty_wait(faulty->create_ms, call, err);
    atomic_fetch_sub(&faulty->making, 1);
    if (code == 0 && (!fails || faulty->lose))
        code = provider_fake.create(faulty->fake, &known, call, ret_box, err);
    if (code == 0 && (!fails || faulty->lose)) {
        atomic_fetch_add(&faulty->alive, 1);
        atomic_fetch_add(&faulty_alive, 1);
    }
    if (!fails)
        return code;
    if (faulty->lose && code == 0)
        provider_fake.box_free(*ret_box);
    *err = faulty->error;
    return err->code;
}

static inline int faulty_get(void *provider, const char *id, const struct sbx_call *call,
                             void **ret_box, struct sbx_error *err)
{
    return provider_fake.get(((struct faulty *)provider)->fake, id, call, ret_box, err);
}

static inline int faulty_list(void *provider, const struct sbx_pair *labels, size_t label_count,
                              const struct sbx_call *call, struct sbx_list *ret_list,
                              struct sbx_error *err)
{
    return provider_fake.list(((struct faulty *)provider)->fake, labels, label_count, call,
                              ret_list, err);
}

static inline int faulty_info(void *box, const struct sbx_call *call, struct sbx_info *ret_info,
                              struct sbx_error *err)
{
    atomic_fetch_add(&faulty_calls.infos, 1);
    if (!faulty_due(&faulty_calls.info_failures))
        return provider_fake.info(box, call, ret_info, err);
    *err = faulty_calls.error;
    return err->code;
}

static inline int faulty_destroy(void *box, const struct sbx_call *call, struct sbx_error *err)
{
    atomic_fetch_add(&faulty_calls.destroys, 1);
    bool fails = faulty_due(&faulty_calls.destroy_failures);
    int code = fails && !faulty_calls.destroy_loses ? 0 : provider_fake.destroy(box, call, err);
    if (code == 0 && (!fails || faulty_calls.destroy_loses))
        atomic_fetch_sub(&faulty_alive, 1);
    if (!fails)
        return code;
    *err = faulty_calls.error;
    return err->code;
}

static inline int faulty_read(void *box, const char *path, const struct sbx_file_options *options,
                              const struct sbx_call *call, char **ret_data, size_t *ret_size,
                              struct sbx_error *err)
{
    atomic_fetch_add(&faulty_calls.reads, 1);
    if (!faulty_due(&faulty_calls.read_failures))
        return provider_fake.file_read(box, path, options, call, ret_data, ret_size, err);
    *err = faulty_calls.error;
    return err->code;
}

static inline int faulty_mkdir(void *box, const char *path, const struct sbx_file_options *options,
                               const struct sbx_call *call, struct sbx_error *err)
{
    atomic_fetch_add(&faulty_calls.writes, 1);
    if (!faulty_due(&faulty_calls.write_failures))
        return provider_fake.file_mkdir(box, path, options, call, err);
    *err = faulty_calls.error;
    return err->code;
}

static inline void faulty_close(void *provider)
{
    provider_fake.close(((struct faulty *)provider)->fake);
}

// Registers `faulty` under this name; it must outlive the client. 0 or the code.
static inline int faulty_add(struct sbx_client *client, const char *name, struct faulty *faulty)
{
    static const struct config none;
    struct sbx_settings settings;
    struct sbx_error err;
    struct sbx_provider_ops ops = provider_fake;
    settings_init(&settings, &none, name);
    int code = provider_fake.open(&settings, &faulty->fake, &err);
    ops.name = name;
    ops.capabilities = UINT32_MAX;
    ops.open = NULL;
    ops.close = faulty_close;
    ops.probe = NULL;
    ops.create = faulty_create;
    ops.get = faulty_get;
    ops.list = faulty_list;
    ops.info = faulty_info;
    ops.destroy = faulty_destroy;
    ops.file_read = faulty_read;
    ops.file_mkdir = faulty_mkdir;
    return code < 0 ? code : sbx_client_register_provider(client, &ops, faulty, &err);
}
