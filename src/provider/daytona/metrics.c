// SPDX-License-Identifier: Apache-2.0
// What a sandbox of Daytona uses. Layer: provider.
#include <stdlib.h>

#include "base/cleanup.h"
#include "provider/daytona/daytona.h"

#define ANSWER_MAX (64u << 10)

// The toolbox does not tell. Without the shell that counts.
static uint32_t count_processes(struct daytona_box *box, struct deadline deadline)
{
    static const char count[] = "set -- /proc/[0-9]*; echo $(($# - 1))";
    const char *argv[] = {"/bin/sh", "-c", count};
    cleanup_buf struct buf out = BUF_INIT(ANSWER_MAX);
    struct sbx_error ignored;
    int exit_code;
    if (daytona_toolbox_run(box, NULL, argv, ARRAY_SIZE(argv), deadline, &exit_code, &out,
                            &ignored) < 0 ||
        !buf_text(&out))
        return 0;
    long number = strtol(out.data, NULL, 10);
    return number > 0 && number < INT32_MAX ? (uint32_t)number : 0;
}

// Processor use is told as a share, not as time: cpu_usec stays 0. Older servers measure nothing.
int daytona_metrics(void *self, const struct sbx_call *call, struct sbx_metrics *ret_metrics,
                    struct sbx_error *err)
{
    struct daytona_box *box = self;
    struct deadline deadline = cloud_deadline(call);
    cleanup_jsonv struct jsonv *told = NULL;
    int code = daytona_toolbox_call(box, "GET", "system/metrics", NULL,
                                    "cannot measure the sandbox", deadline, &told, err);
    if (code < 0)
        return code;
    *ret_metrics = (struct sbx_metrics){
        .size = sizeof(*ret_metrics),
        .memory_bytes = (uint64_t)jsonv_int(told, "memUsed", 0),
        .memory_limit_bytes = (uint64_t)jsonv_int(told, "memTotal", 0),
        .disk_bytes = (uint64_t)jsonv_int(told, "diskUsed", 0),
        .disk_limit_bytes = (uint64_t)jsonv_int(told, "diskTotal", 0),
        .pids = count_processes(box, deadline),
    };
    return 0;
}
