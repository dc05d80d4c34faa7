// SPDX-License-Identifier: Apache-2.0
// The configuration file: its grammar, see config.h for what of TOML 1.0 is accepted. Layer: core.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/utf8.h"
#include "core/config.h"

struct parser {
    const char *at;
    const char *end;
    const char *path;
    unsigned line;
    char table[CONFIG_NAME_MAX + 1];
    struct config *config;
    struct sbx_error *err;
};

static int fail(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3);

static int fail(struct parser *p, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    err_set(p->err, SBX_ERR_INVALID, "%s:%u: %s", p->path, p->line, text);
    return err_hint(p->err, "correct line %u of '%s'", p->line, p->path);
}

static bool at_char(const struct parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

static void skip_blanks(struct parser *p)
{
    while (at_char(p, ' ') || at_char(p, '\t'))
        p->at++;
}

// At the end of a line or of the text, after an optional comment; steps over it.
static int end_line(struct parser *p)
{
    skip_blanks(p);
    if (at_char(p, '#'))
        while (p->at < p->end && *p->at != '\n')
            p->at++;
    if (at_char(p, '\r') && p->end - p->at > 1 && p->at[1] == '\n')
        p->at++;
    if (p->at < p->end && *p->at != '\n')
        return fail(p, "something follows where the line should end");
    if (p->at < p->end)
        p->at++;
    p->line++;
    return 0;
}

static bool bare(char c)
{
    return c && strchr(TEXT_ALNUM "_-", c);
}

// A bare key, or several joined by dots, put after what `name` already holds.
static int read_name(struct parser *p, bool dotted, char *name, size_t size)
{
    size_t length = 0;
    for (;;) {
        skip_blanks(p);
        const char *start = p->at;
        while (p->at < p->end && bare(*p->at))
            p->at++;
        size_t part = (size_t)(p->at - start);
        if (part == 0)
            return fail(p, "a name is expected, of letters, digits, '_' and '-'");
        if (length + part + 1 >= size)
            return fail(p, "a name is longer than %zu bytes", size - 1);
        memcpy(name + length, start, part);
        length += part;
        name[length] = '\0';
        skip_blanks(p);
        if (!at_char(p, '.'))
            return 0;
        if (!dotted)
            return fail(p, "dotted keys are not accepted: put [%s] on a line of its own", name);
        name[length++] = '.';
        p->at++;
    }
}

static void put_utf8(struct buf *out, uint32_t point)
{
    static const unsigned char leads[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    char bytes[4];
    for (size_t i = length; i-- > 1; point >>= 6)
        bytes[i] = (char)(0x80 | (point & 0x3f));
    bytes[0] = (char)(leads[length] | point);
    buf_add(out, bytes, length);
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)((found - digits) % 16) : -1;
}

static int read_unicode_escape(struct parser *p, size_t digits, struct buf *out)
{
    uint32_t point = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = p->at < p->end ? hex_value(*p->at) : -1;
        if (value < 0)
            return fail(p, "\\u needs 4 hexadecimal digits, \\U 8");
        point = point << 4 | (uint32_t)value;
        p->at++;
    }
    if (point == 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return fail(p, "the escape is not a character that text may have");
    put_utf8(out, point);
    return 0;
}

static int read_escape(struct parser *p, struct buf *out)
{
    static const char names[] = "btnfr\"\\", bytes[] = "\b\t\n\f\r\"\\";
    char c = p->at < p->end ? *p->at++ : '\0';
    if (c == 'u' || c == 'U')
        return read_unicode_escape(p, c == 'u' ? 4 : 8, out);
    const char *found = c ? strchr(names, c) : NULL;
    if (!found)
        return fail(p, "unknown escape after '\\'; write '\\\\' for a backslash");
    buf_add(out, &bytes[found - names], 1);
    return 0;
}

// A string in "..." or '...'; p->at is on its opening quote.
static int read_string(struct parser *p, struct buf *out)
{
    char quote = *p->at++;
    if (at_char(p, quote) && p->end - p->at > 1 && p->at[1] == quote)
        return fail(p, "strings of several lines are not accepted: use \\n");
    while (p->at < p->end && *p->at != quote) {
        char c = *p->at++;
        if ((unsigned char)c < 0x20 && c != '\t')
            return fail(p, "the string is not closed before the line ends");
        if (c == '\\' && quote == '"') {
            int code = read_escape(p, out);
            if (code < 0)
                return code;
        } else {
            buf_add(out, &c, 1);
        }
    }
    if (p->at == p->end)
        return fail(p, "the string is not closed before the file ends");
    p->at++;
    return 0;
}

// Blanks, comments and line ends between the elements of an array.
static int skip_in_array(struct parser *p)
{
    for (;;) {
        skip_blanks(p);
        if (!at_char(p, '#') && !at_char(p, '\n') && !at_char(p, '\r'))
            return p->at == p->end ? fail(p, "the array is not closed before the file ends") : 0;
        int code = end_line(p);
        if (code < 0)
            return code;
    }
}

static int read_array(struct parser *p, struct buf *out)
{
    p->at++;
    for (;;) {
        int code = skip_in_array(p);
        if (code == 0 && at_char(p, ']'))
            break;
        if (code == 0 && !at_char(p, '"') && !at_char(p, '\''))
            code = fail(p, "an array holds strings, in quotes");
        size_t start = out->size;
        if (code == 0)
            code = read_string(p, out);
        if (code == 0 && out->size > start && memchr(out->data + start, '\n', out->size - start))
            code = fail(p, "a string of an array can't hold a line end");
        buf_puts(out, "\n");
        if (code == 0)
            code = skip_in_array(p);
        if (code == 0 && at_char(p, ','))
            p->at++;
        else if (code == 0 && !at_char(p, ']'))
            code = fail(p, "',' or ']' is expected in the array");
        if (code < 0)
            return code;
    }
    p->at++;
    return 0;
}

// An integer in decimal, "true" or "false"; stored without sign '+' and underscores.
static int read_bare_value(struct parser *p, struct buf *out, enum config_kind *ret_kind)
{
    const char *start = p->at;
    while (p->at < p->end && !strchr(" \t\r\n#", *p->at))
        p->at++;
    char word[32];
    size_t length = (size_t)(p->at - start);
    if (length == 0 || length >= sizeof(word))
        return fail(p, "a value is expected: \"text\", number, true, false or [\"text\", ...]");
    memcpy(word, start, length);
    word[length] = '\0';
    *ret_kind = CONFIG_BOOLEAN;
    buf_puts(out, word);
    if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
        return 0;
    const char *digits = word + (word[0] == '-');
    *ret_kind = CONFIG_INTEGER;
    if (!text_of(digits, TEXT_DIGITS, 18) || (digits[0] == '0' && digits[1]))
        return fail(p, "'%s' is not a value: text needs quotes, numbers are decimal integers",
                    word);
    return 0;
}

static int read_value(struct parser *p, struct buf *out, enum config_kind *ret_kind)
{
    if (at_char(p, '"') || at_char(p, '\'')) {
        *ret_kind = CONFIG_STRING;
        return read_string(p, out);
    }
    if (at_char(p, '[')) {
        *ret_kind = CONFIG_LIST;
        return read_array(p, out);
    }
    return read_bare_value(p, out, ret_kind);
}

static int append(struct parser *p, const char *key, char *value, enum config_kind kind,
                  unsigned line)
{
    struct config *config = p->config;
    if (config->count == CONFIG_ENTRIES_MAX) {
        free(value);
        return fail(p, "there are more than %d settings", CONFIG_ENTRIES_MAX);
    }
    struct config_entry *entries =
        realloc(config->entries, (config->count + 1) * sizeof(*config->entries));
    if (entries)
        config->entries = entries;
    struct config_entry entry = {strdup(p->table), strdup(key), value, kind, line};
    if (!entries || !entry.table || !entry.key || !entry.value) {
        free(entry.table);
        free(entry.key);
        free(entry.value);
        return err_nomem(p->err);
    }
    config->entries[config->count++] = entry;
    return 0;
}

static int read_setting(struct parser *p)
{
    char key[CONFIG_NAME_MAX + 1];
    unsigned line = p->line;
    int code = read_name(p, false, key, sizeof(key));
    if (code < 0)
        return code;
    const struct config_entry *twin = config_find(p->config, p->table, key);
    if (twin)
        return fail(p, "'%s' is set already in line %u", key, twin->line);
    if (!at_char(p, '='))
        return fail(p, "'=' is expected after '%s'", key);
    p->at++;
    skip_blanks(p);
    enum config_kind kind;
    cleanup_buf struct buf value = BUF_INIT(CONFIG_SIZE_MAX);
    code = read_value(p, &value, &kind);
    if (code < 0)
        return code;
    return append(p, key, buf_steal(&value, NULL), kind, line);
}

static int read_table(struct parser *p)
{
    p->at++;
    if (at_char(p, '['))
        return fail(p, "arrays of tables are not accepted");
    char name[sizeof(p->table)];
    int code = read_name(p, true, name, sizeof(name));
    if (code < 0)
        return code;
    if (!at_char(p, ']'))
        return fail(p, "']' is expected after '%s'", name);
    p->at++;
    for (size_t i = 0; i < p->config->count; i++)
        if (strcmp(p->config->entries[i].table, name) == 0)
            return fail(p, "table [%s] has begun already before line %u", name,
                        p->config->entries[i].line);
    memcpy(p->table, name, sizeof(name));
    return 0;
}

static int read_line(struct parser *p)
{
    int code = 0;
    skip_blanks(p);
    if (at_char(p, '['))
        code = read_table(p);
    else if (p->at < p->end && !strchr("#\r\n", *p->at))
        code = read_setting(p);
    return code < 0 ? code : end_line(p);
}

int config_parse(const char *path, const char *text, size_t size, struct config *ret_config,
                 struct sbx_error *err)
{
    if (memchr(text, '\0', size) || !utf8_valid(text, size))
        return err_set(err, SBX_ERR_INVALID, "%s: the file is not text in UTF-8", path);
    cleanup(config_deinit) struct config config = {.path = strdup(path)};
    if (!config.path)
        return err_nomem(err);
    struct parser p = {.at = text, .end = text + size, .path = path, .line = 1};
    p.config = &config;
    p.err = err;
    while (p.at < p.end) {
        int code = read_line(&p);
        if (code < 0)
            return code;
    }
    *ret_config = config;
    config = (struct config){0};
    return 0;
}
