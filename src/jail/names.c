// SPDX-License-Identifier: Apache-2.0
// Names inside a sandbox. Layer: jail.
#include "jail/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define UPPER "up0/etc/"
#define IMAGE_HOSTNAME "sandbox" // which images are made for

static int write_file(const char *path, const char *text, struct sbx_error *err)
{
    cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0)
        return jail_fail(err, "tmpfs", "cannot write '%s'", path);
    return 0;
}

static int write_hostname(const char *name, struct sbx_error *err)
{
    char text[512];
    snprintf(text, sizeof(text), "%s\n", name);
    int code = write_file(UPPER "hostname", text, err);
    if (code < 0)
        return code;
    snprintf(text, sizeof(text),
             "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n"
             "::1\tlocalhost ip6-localhost ip6-loopback\n",
             name);
    return write_file(UPPER "hosts", text, err);
}

// With real root the path leads nowhere any more.
static ssize_t read_servers(const struct jail *jail, char *text, size_t size)
{
    if (!jail->privileged)
        return fd_read_file(AT_FDCWD, "/etc/resolv.conf", text, size);
    ssize_t got = jail->resolv_fd < 0 ? -1 : fd_read_full(jail->resolv_fd, text, size);
    if (got < 0 || (size_t)got == size) // too large, as above
        return -1;
    text[got] = '\0';
    return got;
}

static bool is_named(const struct jail *jail)
{
    return strcmp(jail->spec.hostname, IMAGE_HOSTNAME) != 0;
}

bool names_are_needed(const struct jail *jail)
{
    return is_named(jail) || jail->spec.network == SBX_NETWORK_HOST;
}

int names_write(const struct jail *jail, struct sbx_error *err)
{
    bool shared = jail->spec.network == SBX_NETWORK_HOST;
    char servers[8192];
    if (mkdir("up0/etc", 0755) < 0)
        return jail_fail(err, "tmpfs", "cannot make 'etc'");
    int code = is_named(jail) ? write_hostname(jail->spec.hostname, err) : 0;
    if (code == 0 && shared && read_servers(jail, servers, sizeof(servers)) > 0)
        code = write_file(UPPER "resolv.conf", servers, err);
    return code;
}
