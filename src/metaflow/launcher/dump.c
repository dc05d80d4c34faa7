// SPDX-License-Identifier: Apache-2.0
// Dumps of debug mode. Layer: metaflow.
#include "metaflow/launcher/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"

#define DUMP_MAX (4 << 20)

// Values that may be shown: what is not known to be harmless is masked.
static const char *const harmless[] = {"METAFLOW_RUN_ID",
                                       "METAFLOW_USER",
                                       "METAFLOW_DEFAULT_",
                                       "METAFLOW_DATASTORE_SYSROOT_",
                                       "METAFLOW_SANDBOX_WORKLOAD",
                                       "METAFLOW_SANDBOX_BACKEND",
                                       "METAFLOW_SANDBOX_STAGE",
                                       "METAFLOW_CARD_",
                                       "METAFLOW_CODE_",
                                       "METAFLOW_S3_WORKER_COUNT",
                                       "METAFLOW_FLOW_FILENAME",
                                       "PYTHONUNBUFFERED",
                                       "PYTHONPATH",
                                       "PYTHONNOUSERSITE"};

static const char *shown(const struct sbx_pair *pair)
{
    for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
        if (strncmp(pair->name, harmless[i], strlen(harmless[i])) == 0)
            return pair->value;
    return "***";
}

static int write_dump(const struct step_options *options, const char *suffix, struct buf *text,
                      struct sbx_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s-%s-%s-%lld.%s", options->debug,
             options->provider ? options->provider : "default", options->step, options->task_id,
             (long long)options->attempt, suffix);
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (text->failed || fd < 0 || fd_write_full(fd, text->data, text->size) < 0)
        return err_sys(err, SBX_ERR_IO, text->failed ? ENOMEM : errno, "cannot write '%s'", path);
    return 0;
}

static void add_quoted(struct buf *text, const char *word)
{
    buf_puts(text, "'");
    for (; *word; word++)
        if (*word == '\'')
            buf_puts(text, "'\\''");
        else
            buf_add(text, word, 1);
    buf_puts(text, "'");
}

static void add_script(const struct step_options *options, struct buf *text)
{
    buf_puts(text, "#!/bin/sh\nexec");
    for (size_t i = 0; i < options->command.count; i++) {
        buf_puts(text, " ");
        add_quoted(text, options->command.items[i]);
    }
    buf_puts(text, "\n");
}

int dump_write(const struct step_options *options, const struct sbx_pair *env, size_t env_count,
               struct sbx_error *err)
{
    cleanup_buf struct buf script = BUF_INIT(DUMP_MAX), variables = BUF_INIT(DUMP_MAX);
    struct json json = JSON_INIT(&variables, true);
    if (mkdir(options->debug, 0700) < 0 && errno != EEXIST)
        return err_sys(err, SBX_ERR_IO, errno, "cannot make the directory '%s'", options->debug);
    add_script(options, &script);
    json_begin_object(&json);
    for (size_t i = 0; i < env_count; i++)
        json_put_text(&json, env[i].name, shown(&env[i]));
    json_end_object(&json);
    int code = write_dump(options, "sh", &script, err);
    return code < 0 ? code : write_dump(options, "env.json", &variables, err);
}
