// SPDX-License-Identifier: Apache-2.0
// Fields of the library by the names that the command has for them. Layer: cli.
#include "cli/naming.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define WORD "abcdefghijklmnopqrstuvwxyz_"

static const struct {
    const char *field, *name;
} names[] = {
    {"spec.image", "--image"},       {"spec.user", "--user"},
    {"spec.workdir", "--cwd"},       {"spec.hostname", "--hostname"},
    {"spec.network", "--network"},   {"spec.allow", "--allow"},
    {"spec.env", "--env"},           {"spec.labels", "--label"},
    {"spec.mounts", "--mount"},      {"spec.ports", "--publish"},
    {"spec.gpu", "--gpu"},           {"exec.cwd", "--cwd"},
    {"exec.user", "--user"},         {"exec.env", "--env"},
    {"exec.shell", "the command"},   {"exec.argv[0]", "the program's name"},
    {"exec.argv", "the arguments"},  {"fork.labels", "--label"},
    {"fork.env", "--env"},           {"options.provider", "--provider"},
    {"local_path", "the path here"},
};

// The row of the field that begins here; its length too.
static const char *find(const char *text, size_t *ret_size)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t size = strlen(names[i].field);
        if (strncmp(text, names[i].field, size) != 0 || (text[size] && strchr(WORD, text[size])))
            continue;
        *ret_size = size;
        return names[i].name;
    }
    return NULL;
}

// "[3]" and the point after it: which of several it is, the message says in other words.
static size_t skip_index(const char *text)
{
    size_t digits = text[0] == '[' ? strspn(text + 1, "0123456789") : 0;
    return digits && text[1 + digits] == ']' ? digits + 2 : 0;
}

void naming_add(struct buf *out, const char *message)
{
    bool begins = true;
    while (*message) {
        size_t size;
        const char *name = begins ? find(message, &size) : NULL;
        if (!name) {
            begins = *message == ' ';
            buf_add(out, message++, 1);
            continue;
        }
        buf_puts(out, name);
        message += size;
        message += skip_index(message);
        if (*message == '.') {
            buf_puts(out, " ");
            message++;
        }
        begins = false;
    }
}
