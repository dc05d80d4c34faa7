// SPDX-License-Identifier: Apache-2.0
// The configuration file: finding, reading and keeping it. Layer: core.
#include "core/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

void config_deinit(struct config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        free(config->entries[i].table);
        free(config->entries[i].key);
        free(config->entries[i].value);
    }
    free(config->entries);
    free(config->path);
    *config = (struct config){0};
}

const struct config_entry *config_find(const struct config *config, const char *table,
                                       const char *key)
{
    for (size_t i = 0; i < config->count; i++)
        if (strcmp(config->entries[i].table, table) == 0 &&
            strcmp(config->entries[i].key, key) == 0)
            return &config->entries[i];
    return NULL;
}

// The XDG base directory specification: a relative XDG_CONFIG_HOME is to be ignored. False without
// a home.
static bool default_path(char *buffer, size_t size)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int length = -1;
    if (base && base[0] == '/')
        length = snprintf(buffer, size, "%s/sandboxes/config.toml", base);
    else if (home && home[0] == '/')
        length = snprintf(buffer, size, "%s/.config/sandboxes/config.toml", home);
    return length > 0 && (size_t)length < size;
}

// The file chooses what runs with the user's rights, so only the user and root may be able to
// change it.
static int check_owner(int fd, const char *path, struct sbx_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, SBX_ERR_INVALID, "configuration '%s' is not a regular file", path);
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        err_set(err, SBX_ERR_INVALID, "configuration '%s' may be changed by other users", path);
        return err_hint(err, "run: chmod go-w '%s'", path);
    }
    if (st.st_uid != geteuid() && st.st_uid != 0) {
        err_set(err, SBX_ERR_INVALID, "configuration '%s' belongs to another user", path);
        return err_hint(err, "run: sudo chown %ld '%s'", (long)geteuid(), path);
    }
    return 0;
}

static int load_fd(int fd, const char *path, struct config *ret_config, struct sbx_error *err)
{
    int code = check_owner(fd, path, err);
    if (code < 0)
        return code;
    cleanup_free char *text = malloc(CONFIG_SIZE_MAX + 1);
    if (!text)
        return err_nomem(err);
    ssize_t size = fd_read_full(fd, text, CONFIG_SIZE_MAX + 1);
    if (size < 0)
        return err_sys(err, 0, errno, "cannot read '%s'", path);
    if (size > CONFIG_SIZE_MAX)
        return err_set(err, SBX_ERR_INVALID, "configuration '%s' is larger than %d bytes", path,
                       CONFIG_SIZE_MAX);
    return config_parse(path, text, (size_t)size, ret_config, err);
}

int config_load(const char *path, struct config *ret_config, struct sbx_error *err)
{
    char found[PATH_MAX];
    bool optional = !path;
    if (!path && !default_path(found, sizeof(found))) {
        *ret_config = (struct config){0};
        return 0;
    }
    if (!path)
        path = found;
    // O_NONBLOCK: a fifo in its place must not hang the program.
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && optional && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_config = (struct config){0};
        return 0;
    }
    if (fd < 0)
        return err_sys(err, 0, errno, "cannot open configuration '%s'", path);
    return load_fd(fd, path, ret_config, err);
}
