/* SPDX-License-Identifier: Apache-2.0 */
/* A client: the configuration and the providers that calls go to. */
#ifndef SANDBOXES_CLIENT_H
#define SANDBOXES_CLIENT_H

#include <sandboxes/error.h>
#include <sandboxes/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sbx_client;
struct sbx_provider;

enum sbx_client_flags {
    /* Settings of providers come before those of the environment: for configurations that a program
       makes of what it was told. */
    SBX_CLIENT_SETTINGS_FIRST = 1 << 0
};

struct sbx_client_options {
    size_t size;
    /* Name of the default provider. NULL: SANDBOXES_PROVIDER, the configuration file, then the
       first configured one, at last "local". */
    const char *provider;
    const char *config_path; /* NULL: $XDG_CONFIG_HOME/sandboxes/config.toml, if there is one */
    uint32_t flags;          /* enum sbx_client_flags */
    uint32_t reserved;       /* 0 */
};
#define SBX_CLIENT_OPTIONS_INIT                                                                    \
    {                                                                                              \
        .size = sizeof(struct sbx_client_options)                                                  \
    }

/*
 * Opens a client. Cheap: no provider is contacted, no thread started. Thread-safe to use
 * afterwards; close it after everything that was made from it is freed. Errors: INVALID, NOT_FOUND,
 * NOMEM, IO.
 */
SBX_API int sbx_client_open(const struct sbx_client_options *options,
                            struct sbx_client **ret_client, struct sbx_error *err);
SBX_API void sbx_client_close(struct sbx_client *client);

/*
 * In the child of a fork: lets go of what ties the parent's sandboxes to the life of a process, so
 * that they end with the parent although this child lives on. Nothing else may be done with the
 * client, or with what was made from it, in the child; open another. Takes no lock.
 */
SBX_API void sbx_client_forked(struct sbx_client *client);

/* Name of the provider that is used when a spec names none. Lives as long as the client. */
SBX_API const char *sbx_client_default_provider(const struct sbx_client *client);

/* Makes another provider the default one, e.g. one that was added. NOT_FOUND if there is none of
 * the name. */
SBX_API int sbx_client_set_default(struct sbx_client *client, const char *name,
                                   struct sbx_error *err);

/* One provider as this machine and environment have it. Strings live as long as the client. */
struct sbx_provider_info {
    size_t size;
    const char *name;
    const char *description;
    uint32_t capabilities; /* enum sbx_capability, as far as this machine allows */
    uint32_t configured;   /* 1: can be used as things are */
    char reason[512];      /* why not, when not configured; else a note or "" */
    char remedy[512];      /* what would make it usable */
};
#define SBX_PROVIDER_INFO_INIT                                                                     \
    {                                                                                              \
        .size = sizeof(struct sbx_provider_info)                                                   \
    }

/* Number of providers known to this build, and the i-th of them in the order of auto-detection. */
SBX_API size_t sbx_provider_count(const struct sbx_client *client);
SBX_API int sbx_provider_get(struct sbx_client *client, size_t index,
                             struct sbx_provider_info *ret_info, struct sbx_error *err);

/* Library version, "MAJOR.MINOR.PATCH". */
SBX_API const char *sbx_version(void);

/* Receives debug lines: level 0 error .. 3 debug, origin such as "local", text without newline. */
typedef void (*sbx_log_fn)(void *payload, int level, const char *origin, const char *text);

/* Sets the only sink of log lines (NULL: none, the default). Call before other threads use the
 * library. */
SBX_API void sbx_log_set(sbx_log_fn sink, void *payload);

#ifdef __cplusplus
}
#endif
#endif
