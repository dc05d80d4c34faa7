/* SPDX-License-Identifier: Apache-2.0 */
/* Errors are values: every call that can fail takes a caller-owned struct sbx_error and fills it
 * once. */
#ifndef SANDBOXES_ERROR_H
#define SANDBOXES_ERROR_H

#include <stdint.h>

#include <sandboxes/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What kind of failure. Functions return 0 or one of these; docs/errors.md has a row for each. */
enum sbx_code {
    SBX_OK = 0,
    SBX_ERR_INVALID = -1,      /* the caller's argument, configuration or file is wrong */
    SBX_ERR_NOT_FOUND = -2,    /* no such sandbox, file, process, image, provider */
    SBX_ERR_CONFLICT = -3,     /* exists already, or its state forbids the operation */
    SBX_ERR_AUTH = -4,         /* credentials are missing, wrong or expired */
    SBX_ERR_DENIED = -5,       /* known who asks, but not allowed */
    SBX_ERR_QUOTA = -6,        /* a limit of the machine, account or pool is reached */
    SBX_ERR_TIMEOUT = -7,      /* the call's deadline passed */
    SBX_ERR_CANCELLED = -8,    /* the call's cancel token was triggered */
    SBX_ERR_UNAVAILABLE = -9,  /* the other side is gone or not reachable; trying again may help */
    SBX_ERR_PROTOCOL = -10,    /* the other side said something that makes no sense */
    SBX_ERR_UNSUPPORTED = -11, /* this provider or machine can't do that */
    SBX_ERR_SETUP = -12, /* the machine lacks something; the remedy says what to install or allow */
    SBX_ERR_EXEC = -13,  /* the program could not be started (sys_errno: ENOENT, EACCES, ...) */
    SBX_ERR_NOMEM = -14, /* out of memory */
    SBX_ERR_IO = -15,    /* a system call failed; sys_errno says how */
    SBX_ERR_BUG = -16    /* a defect of this library: please report it */
};
#define SBX_ERR_LAST SBX_ERR_BUG

/*
 * Fixed buffers on purpose: it can be filled without memory, in a forked child, and copied through
 * a pipe as it is. All strings are NUL-terminated UTF-8, cut at a character's boundary when too
 * long.
 */
struct sbx_error {
    int32_t code;            /* enum sbx_code */
    int32_t sys_errno;       /* errno of the failed system call, 0 if none */
    int32_t http_status;     /* status of a remote service's answer, 0 if none */
    uint32_t retry_after_ms; /* the service asked to wait that long, 0 if it didn't */
    char origin[48];         /* part that failed, e.g. "local", "jail", "e2b" */
    char message[512];       /* what failed, on which object */
    char remedy[512];        /* what to do next: command, setting or link; never empty on failure */
};

/* Symbolic name without prefix, e.g. "NOT_FOUND"; "UNKNOWN" for other numbers. Static storage. */
SBX_API const char *sbx_code_name(int32_t code);

/* What to do in general about an error of this kind; err.remedy says it for the case at hand. */
SBX_API const char *sbx_code_remedy(int32_t code);

#ifdef __cplusplus
}
#endif
#endif
