/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes: specification, creation, finding, end of life, metrics, ports. */
#ifndef SANDBOXES_SANDBOX_H
#define SANDBOXES_SANDBOX_H

#include <sandboxes/client.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sbx_network {
    SBX_NETWORK_DEFAULT =
        0, /* the provider's default; local: internet, or allow when a list is given */
    SBX_NETWORK_NONE = 1, /* loopback only */
    SBX_NETWORK_INTERNET =
        2, /* public addresses; never the host, private ranges or metadata services */
    SBX_NETWORK_ALLOW = 3, /* only what the allow list names */
    SBX_NETWORK_HOST = 4   /* the host's own network: no isolation of network at all */
};

enum sbx_mount_flags {
    SBX_MOUNT_WRITABLE = 1 << 0 /* default is read-only */
};

/* A directory or file of this machine, seen inside the sandbox. */
struct sbx_mount {
    const char *source; /* absolute path here */
    const char *target; /* absolute path inside */
    uint32_t flags;     /* enum sbx_mount_flags */
};

/* A port of the sandbox reachable at 127.0.0.1:host_port. */
struct sbx_port {
    uint16_t port;      /* inside, TCP */
    uint16_t host_port; /* here; 0: any free one */
};

enum sbx_lifetime {
    SBX_LIFETIME_DETACHED = 0, /* lives until destroyed or its time to live ends */
    SBX_LIFETIME_TIED = 1      /* ends with the creating process too, however that ends */
};

/* What is asked for. All zero means defaults. What can't be given is an error, never dropped.
 * Borrowed. */
struct sbx_spec {
    size_t size;
    const char *provider;  /* NULL: the client's default */
    const char *image;     /* NULL: the provider's default; local: "host", a directory, a tarball */
    const char *user;      /* default user of commands; NULL: "user" */
    const char *workdir;   /* default directory of commands; NULL: that user's home */
    const char *hostname;  /* NULL: "sandbox" */
    const char *gpu;       /* kind of gpu; NULL: none */
    uint64_t memory_bytes; /* 0: default */
    uint64_t disk_bytes;   /* of the writable layer; 0: default */
    uint32_t cpu_millis;   /* 1000 = one core; 0: default */
    uint32_t max_pids;     /* processes and threads; 0: default */
    uint32_t max_open_files; /* per process; 0: default */
    uint32_t lifetime;       /* enum sbx_lifetime */
    int64_t ttl_ms;          /* time to live from creation; 0: the provider's default; -1: none */
    uint32_t network;        /* enum sbx_network */
    uint32_t reserved;
    const char *const
        *allow; /* "example.com", "*.example.com", "1.2.3.0/24", each with optional ":port". With
                   network INTERNET: reached besides, by number only (local; docs/network.md) */
    size_t allow_count;
    const struct sbx_pair *env; /* of every command */
    size_t env_count;
    const struct sbx_pair *labels;
    size_t label_count;
    const struct sbx_mount *mounts;
    size_t mount_count;
    const struct sbx_port *ports;
    size_t port_count;
};
#define SBX_SPEC_INIT                                                                              \
    {                                                                                              \
        .size = sizeof(struct sbx_spec)                                                            \
    }

enum sbx_state {
    SBX_STATE_UNKNOWN = 0,
    SBX_STATE_CREATING = 1,
    SBX_STATE_RUNNING = 2,
    SBX_STATE_PAUSED = 3,
    SBX_STATE_STOPPED = 4,
    SBX_STATE_FAILED = 5
};

/* A living sandbox, seen from this process. Thread-safe. */
struct sbx_sandbox;

/* Facts about a sandbox; strings belong to whatever the struct was taken from. */
struct sbx_info {
    size_t size;
    const char *id;
    const char *provider;
    const char *image;
    const char *user;
    uint32_t state;     /* enum sbx_state */
    uint32_t network;   /* enum sbx_network */
    int64_t created_ms; /* Unix time */
    int64_t expires_ms; /* Unix time; 0: never */
    uint64_t memory_bytes;
    uint64_t disk_bytes;
    uint32_t cpu_millis;
    uint32_t max_pids;
    const struct sbx_pair *labels; /* sorted by name */
    size_t label_count;
    const struct sbx_port *ports;
    size_t port_count;
};
#define SBX_INFO_INIT                                                                              \
    {                                                                                              \
        .size = sizeof(struct sbx_info)                                                            \
    }

struct sbx_list {
    size_t count;
    const struct sbx_info *items;
    void *owner; /* private */
};

struct sbx_metrics {
    size_t size;
    uint64_t cpu_usec;     /* processor time used since creation */
    uint64_t memory_bytes; /* now */
    uint64_t memory_peak_bytes;
    uint64_t memory_limit_bytes; /* 0: none */
    uint64_t disk_bytes;         /* of the writable layer */
    uint64_t disk_limit_bytes;
    uint32_t pids;      /* processes and threads now, without our own */
    uint32_t oom_kills; /* processes killed for lack of memory so far */
};
#define SBX_METRICS_INIT                                                                           \
    {                                                                                              \
        .size = sizeof(struct sbx_metrics)                                                         \
    }

/*
 * Creates a sandbox and returns when its first command can run. The handle does not own the
 * sandbox: free it with sbx_sandbox_free(), end the sandbox with sbx_sandbox_destroy(). Errors:
 * INVALID (spec), SETUP (machine), UNSUPPORTED, QUOTA, AUTH, TIMEOUT, CANCELLED, NOMEM, IO. On
 * failure nothing is left behind.
 */
SBX_API int sbx_sandbox_create(struct sbx_client *client, const struct sbx_spec *spec,
                               const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                               struct sbx_error *err);

/* The living sandbox with this id (or a unique prefix of it). provider NULL: all are searched. */
SBX_API int sbx_sandbox_get(struct sbx_client *client, const char *provider, const char *id,
                            const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                            struct sbx_error *err);

/* A running sandbox that has all these labels (at least one); the oldest if several. provider NULL:
   all are searched. NOT_FOUND if there is none. */
SBX_API int sbx_sandbox_find(struct sbx_client *client, const char *provider,
                             const struct sbx_pair *labels, size_t label_count,
                             const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                             struct sbx_error *err);

/*
 * As find with the spec's labels; creates it if there is none. Two processes racing for the same
 * labels get the same sandbox (where the provider can lock; local can). ret_created may be NULL.
 */
SBX_API int sbx_sandbox_get_or_create(struct sbx_client *client, const struct sbx_spec *spec,
                                      const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                                      uint32_t *ret_created, struct sbx_error *err);

/* Living sandboxes that have all these labels, oldest first; provider NULL: those of all that are
   configured. Free with sbx_list_free(). */
SBX_API int sbx_sandbox_list(struct sbx_client *client, const char *provider,
                             const struct sbx_pair *labels, size_t label_count,
                             const struct sbx_call *call, struct sbx_list *ret_list,
                             struct sbx_error *err);
SBX_API void sbx_list_free(struct sbx_list *list);

SBX_API void sbx_sandbox_free(struct sbx_sandbox *sandbox);

/* Lives as long as the handle. */
SBX_API const char *sbx_sandbox_id(const struct sbx_sandbox *sandbox);
SBX_API const char *sbx_sandbox_provider(const struct sbx_sandbox *sandbox);

/* Facts as of now; strings live until the next call of it on this handle, or its end. The caller
   sets ret_info->size (SBX_INFO_INIT), as for all structs that begin with it. */
SBX_API int sbx_sandbox_info(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                             struct sbx_info *ret_info, struct sbx_error *err);

/* Ends the sandbox with everything in it; returns when nothing of it is left. Again: NOT_FOUND. */
SBX_API int sbx_sandbox_destroy(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                                struct sbx_error *err);

/* New time to live, counted from now; -1: none. */
SBX_API int sbx_sandbox_set_ttl(struct sbx_sandbox *sandbox, int64_t ttl_ms,
                                const struct sbx_call *call, struct sbx_error *err);

/*
 * Other rules for the network of a living sandbox, from now on: as network and allow of its
 * specification, NONE, INTERNET or ALLOW; DEFAULT is what it is when creating. What is connected
 * breaks off. UNSUPPORTED for one that was created with no network, or with the host's.
 */
SBX_API int sbx_sandbox_set_network(struct sbx_sandbox *sandbox, uint32_t network,
                                    const char *const *allow, size_t allow_count,
                                    const struct sbx_call *call, struct sbx_error *err);

SBX_API int sbx_sandbox_metrics(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                                struct sbx_metrics *ret_metrics, struct sbx_error *err);

/*
 * Makes a TCP port of the sandbox reachable. port->host_port 0 picks a free one. ret_url receives
 * an address such as "127.0.0.1:40123" or "https://8000-id.example.com" (at most url_size bytes
 * with NUL).
 */
SBX_API int sbx_sandbox_expose(struct sbx_sandbox *sandbox, const struct sbx_port *port,
                               const struct sbx_call *call, char *ret_url, size_t url_size,
                               struct sbx_error *err);

SBX_API int sbx_sandbox_pause(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                              struct sbx_error *err);
SBX_API int sbx_sandbox_resume(struct sbx_sandbox *sandbox, const struct sbx_call *call,
                               struct sbx_error *err);

/*
 * Keeps the sandbox's files as an image: sandboxes created with spec.image = name begin with them.
 * A snapshot that has the name is replaced. What runs in the sandbox stands still meanwhile, where
 * it can be paused, and goes on after; a paused one stays paused. Not part of it: processes,
 * memory, mounts, /dev/shm, variables given to the sandbox. Local: the name is like any image's
 * (docs/images.md). Errors: INVALID (name), NOT_FOUND, UNSUPPORTED, QUOTA (too large, no room),
 * TIMEOUT, CANCELLED, IO. On failure nothing is left behind, and what had the name has it still.
 */
SBX_API int sbx_sandbox_snapshot(struct sbx_sandbox *sandbox, const char *name,
                                 const struct sbx_call *call, struct sbx_error *err);

/* Forgets a snapshot; sandboxes made from it go on. provider NULL: the client's default. NOT_FOUND
   if no snapshot has the name. */
SBX_API int sbx_snapshot_remove(struct sbx_client *client, const char *provider, const char *name,
                                const struct sbx_call *call, struct sbx_error *err);

/* What a fork has other than its original. All zero: nothing but the id. Borrowed. */
struct sbx_fork {
    size_t size;
    const struct sbx_pair *labels; /* all that it has: the original's are not taken over */
    size_t label_count;
    const struct sbx_pair *env; /* besides the original's, in place of those of the same name */
    size_t env_count;
    int64_t ttl_ms;    /* as of sbx_spec; 0: what the original was created with, from now on */
    uint32_t lifetime; /* enum sbx_lifetime */
    uint32_t reserved;
};
#define SBX_FORK_INIT                                                                              \
    {                                                                                              \
        .size = sizeof(struct sbx_fork)                                                            \
    }

/*
 * A new sandbox with the files of this one as they are now, taken as for a snapshot, and with its
 * image, user, limits, network, mounts and variables. Processes don't run in it, ports are not
 * exposed. fork NULL: nothing else is different. Errors as of sbx_sandbox_snapshot() and
 * sbx_sandbox_create().
 */
SBX_API int sbx_sandbox_fork(struct sbx_sandbox *sandbox, const struct sbx_fork *fork,
                             const struct sbx_call *call, struct sbx_sandbox **ret_sandbox,
                             struct sbx_error *err);

/* "running", "paused", ... and "none", "internet", ...; NULL for other numbers. Static storage. */
SBX_API const char *sbx_state_name(uint32_t state);
SBX_API const char *sbx_network_name(uint32_t network);

#ifdef __cplusplus
}
#endif
#endif
