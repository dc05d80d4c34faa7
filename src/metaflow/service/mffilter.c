// SPDX-License-Identifier: Apache-2.0
// Tasks by what their metadata says. Layer: metaflow.
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "metaflow/service/mftask.h"

#define PATTERN_MAX 4096

// Python's spelling in that of POSIX. Back references and counted repetitions are refused: matching
// them can take for ever.
static int translate(const char *pattern, struct buf *out, struct sbx_error *err)
{
    for (const char *at = pattern; *at; at++) {
        if (strncmp(at, "(?:", 3) == 0) {
            buf_puts(out, "(");
            at += 2;
        } else if (strncmp(at, "\\d", 2) == 0) {
            buf_puts(out, "[0-9]");
            at++;
        } else if (strncmp(at, "(?", 2) == 0 || *at == '{' ||
                   (*at == '\\' && at[1] >= '0' && at[1] <= '9')) {
            return err_set(err, SBX_ERR_INVALID, "pattern: \"%.3s\" is not supported here", at);
        } else if (*at == '\\' && at[1]) {
            buf_add(out, at++, 2);
        } else {
            buf_add(out, at, 1);
        }
    }
    return 0;
}

static int compile(const char *pattern, regex_t *ret_regex, struct sbx_error *err)
{
    cleanup_buf struct buf text = BUF_INIT(PATTERN_MAX);
    int code = translate(pattern, &text, err);
    if (code < 0)
        return code;
    const char *posix = buf_text(&text);
    if (!posix || strlen(pattern) > PATTERN_MAX / 2)
        return err_set(err, SBX_ERR_INVALID, "the pattern is too long");
    if (regcomp(ret_regex, posix, REG_EXTENDED | REG_NOSUB) != 0)
        return err_set(err, SBX_ERR_INVALID, "\"%.100s\" is no pattern", pattern);
    return 0;
}

struct filter {
    struct mfstore *store;
    const struct mfpath *step;
    const char *field;
    const regex_t *regex; // NULL: every task
    json_t *list;
};

static bool matches(const struct filter *filter, const struct mfpath *task)
{
    cleanup_json json_t *records = NULL;
    const char *field = *filter->field ? filter->field : NULL;
    if (mftask_metadata(filter->store, task, field, &records, NULL) < 0)
        return false;
    size_t i;
    json_t *record;
    json_array_foreach(records, i, record)
    {
        const char *value = json_string_value(json_object_get(record, "value"));
        if (value && regexec(filter->regex, value, 0, NULL, 0) == 0)
            return true;
    }
    return false;
}

static int take_task(void *payload, json_t *record)
{
    struct filter *filter = payload;
    const char *id = json_string_value(json_object_get(record, "task_id"));
    if (!id)
        return 0;
    const struct mfpath task = mfpath_child(filter->step, id);
    char text[MFPATH_SIZE];
    if (mfpath_text(&task, "", text, NULL) < 0 || (filter->regex && !matches(filter, &task)))
        return 0;
    return json_array_append_new(filter->list, json_string(text)) < 0 ? SBX_ERR_NOMEM : 0;
}

int mftask_filter(struct mfstore *store, const struct mfpath *step, const char *field,
                  const char *pattern, json_t **ret_list, struct sbx_error *err)
{
    bool every = !*pattern || strcmp(pattern, ".*") == 0;
    regex_t regex;
    int code = every ? 0 : compile(pattern, &regex, err);
    if (code < 0)
        return code;
    cleanup_json json_t *list = json_array();
    struct filter filter = {store, step, field, every ? NULL : &regex, list};
    code = mfstore_each(store, step, take_task, &filter, err);
    if (!every)
        regfree(&regex);
    if (code == 0)
        *ret_list = steal_ptr(list);
    return code == SBX_ERR_NOMEM ? err_nomem(err) : code;
}
