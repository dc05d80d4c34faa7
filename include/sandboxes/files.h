/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a sandbox. Paths inside are absolute, or relative to the default user's home. */
#ifndef SANDBOXES_FILES_H
#define SANDBOXES_FILES_H

#include <sandboxes/sandbox.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sbx_file_kind {
    SBX_FILE_REGULAR = 1,
    SBX_FILE_DIRECTORY = 2,
    SBX_FILE_SYMLINK = 3,
    SBX_FILE_OTHER = 4 /* device, socket, fifo */
};

struct sbx_file_info {
    const char *name; /* of list: without directory; of stat: the path asked for */
    const char *link; /* target of a symbolic link, else NULL */
    uint64_t size;
    int64_t modified_ms; /* Unix time */
    uint32_t kind;       /* enum sbx_file_kind */
    uint32_t mode;       /* permission bits, 07777 */
    uint32_t uid, gid;   /* inside the sandbox */
};

struct sbx_file_list {
    size_t count;
    const struct sbx_file_info *items; /* sorted by name */
    void *owner;                       /* private */
};

/* As whom, and how. NULL or all zero: the sandbox's default user, mode 0644 for new files. */
struct sbx_file_options {
    size_t size;
    const char *user;
    uint32_t mode;      /* of a new file or directory; 0: default */
    uint32_t recursive; /* remove: with contents; mkdir: with parents, existing is fine */
    uint64_t limit;     /* read: at most this many bytes, more is QUOTA; 0: 1 GiB */
};
#define SBX_FILE_OPTIONS_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(struct sbx_file_options)                                                    \
    }

/* Replaces the file's contents; missing parent directories are made. */
SBX_API int sbx_file_write(struct sbx_sandbox *sandbox, const char *path, const void *data,
                           size_t size, const struct sbx_file_options *options,
                           const struct sbx_call *call, struct sbx_error *err);

/* Whole contents, with a NUL after them that ret_size does not count. Free with sbx_free(). */
SBX_API int sbx_file_read(struct sbx_sandbox *sandbox, const char *path,
                          const struct sbx_file_options *options, const struct sbx_call *call,
                          char **ret_data, size_t *ret_size, struct sbx_error *err);

/*
 * Copies a file or directory tree of this machine into the sandbox, or out of it. A target that is
 * an existing directory receives the source inside it under its own name, as cp -r does; links are
 * copied as links, never followed below the source; devices, sockets and fifos are skipped. What
 * comes out of a sandbox is untrusted: nothing is written outside the target, set-user-id bits are
 * dropped.
 */
SBX_API int sbx_file_upload(struct sbx_sandbox *sandbox, const char *local_path, const char *path,
                            const struct sbx_file_options *options, const struct sbx_call *call,
                            struct sbx_error *err);
SBX_API int sbx_file_download(struct sbx_sandbox *sandbox, const char *path, const char *local_path,
                              const struct sbx_file_options *options, const struct sbx_call *call,
                              struct sbx_error *err);

SBX_API int sbx_file_stat(struct sbx_sandbox *sandbox, const char *path,
                          const struct sbx_file_options *options, const struct sbx_call *call,
                          struct sbx_file_list *ret_one, struct sbx_error *err);
SBX_API int sbx_file_list(struct sbx_sandbox *sandbox, const char *path,
                          const struct sbx_file_options *options, const struct sbx_call *call,
                          struct sbx_file_list *ret_list, struct sbx_error *err);
SBX_API void sbx_file_list_free(struct sbx_file_list *list);

SBX_API int sbx_file_mkdir(struct sbx_sandbox *sandbox, const char *path,
                           const struct sbx_file_options *options, const struct sbx_call *call,
                           struct sbx_error *err);
SBX_API int sbx_file_remove(struct sbx_sandbox *sandbox, const char *path,
                            const struct sbx_file_options *options, const struct sbx_call *call,
                            struct sbx_error *err);
SBX_API int sbx_file_rename(struct sbx_sandbox *sandbox, const char *from, const char *to,
                            const struct sbx_file_options *options, const struct sbx_call *call,
                            struct sbx_error *err);

/*
 * Changes in a directory, as they happen (SBX_CAP_WATCH). A name is below the directory; of a
 * renamed entry it is the old one, the new one is a CREATE of its own. Writing a file may be told
 * several times; what comes and goes quickly may not be told at all by services that look now and
 * then.
 */
enum sbx_change_kind {
    SBX_CHANGE_CREATE = 1,
    SBX_CHANGE_WRITE = 2,
    SBX_CHANGE_REMOVE = 3,
    SBX_CHANGE_RENAME = 4,
    SBX_CHANGE_MODE = 5 /* rights, owner or times */
};

struct sbx_change {
    uint32_t kind;    /* enum sbx_change_kind */
    const char *name; /* valid until the next call on the watch */
};

struct sbx_watch;

/* All that changes after this returns is told. options->recursive: in all directories below too. */
SBX_API int sbx_watch_start(struct sbx_sandbox *sandbox, const char *path,
                            const struct sbx_file_options *options, const struct sbx_call *call,
                            struct sbx_watch **ret_watch, struct sbx_error *err);

/*
 * The next change; waits for it. TIMEOUT and CANCELLED leave the watch as it is, so the call can be
 * made again. NOT_FOUND when the directory has gone; QUOTA when changes came faster than they were
 * read, so that some are lost.
 */
SBX_API int sbx_watch_next(struct sbx_watch *watch, const struct sbx_call *call,
                           struct sbx_change *ret_change, struct sbx_error *err);
SBX_API void sbx_watch_free(struct sbx_watch *watch);

/* Frees memory that the library returned. NULL is fine. */
SBX_API void sbx_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
