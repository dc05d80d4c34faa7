// SPDX-License-Identifier: Apache-2.0
// Hostile checks: sockets of the host and of the agent. Addresses are the driver's part, which can
// lay out a network where trying them is safe.
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static long connect_to(const char *name, bool abstract, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strnlen(name, sizeof(address.sun_path) - 2);
    memcpy(address.sun_path + abstract, name, length);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + length);
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    long returned = connect(fd, (struct sockaddr *)&address, size + !abstract);
    int error = errno;
    close(fd);
    errno = error;
    return returned;
}

static void refused_connection(struct result *result, const char *name, long returned)
{
    if (returned == 0 || errno == EAGAIN || errno == EPROTOTYPE)
        return result_open(result, "%.100s is reachable", name);
    result_ok(result, "%s", strerrorname_np(errno));
}

static void host_socket(const struct world *world, struct result *result)
{
    if (!world->socket || !world->socket[0])
        return result_skip(result, "no socket of the host was named");
    refused_connection(result, world->socket, connect_to(world->socket, true, SOCK_STREAM));
}

// Abstract sockets that are not ours: we have made none.
static void abstract_sockets(const struct world *world, struct result *result)
{
    FILE *list = fopen("/proc/net/unix", "re");
    char line[512];
    result_ok(result, "none");
    while (list && fgets(line, sizeof(line), list)) {
        char *at = strstr(line, " @");
        if (!at)
            continue;
        at[strcspn(at, "\n")] = '\0';
        refused_connection(result, at + 2, connect_to(at + 2, true, SOCK_STREAM));
        if (result->verdict == OPEN)
            return;
    }
}

static bool find_socket(const char *path, int depth, struct result *result)
{
    DIR *dir = opendir(path);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        char below[4096];
        struct stat info;
        snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.' || lstat(below, &info) < 0)
            continue;
        if (S_ISSOCK(info.st_mode)) {
            refused_connection(result, below, connect_to(below, false, SOCK_STREAM));
            found = result->verdict == OPEN;
        } else if (S_ISDIR(info.st_mode) && depth) {
            found = find_socket(below, depth - 1, result);
        }
    }
    if (dir)
        closedir(dir);
    return found;
}

static void named_sockets(const struct world *world, struct result *result)
{
    static const char *const places[] = {"/run", "/var/run", "/tmp", "/home", "/root", "/dev"};
    result_ok(result, "none");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (find_socket(places[i], 4, result))
            return;
}

// The agent listens on a socket whose path is the host's; from here it must lead nowhere.
static void agent_socket(const struct world *world, struct result *result)
{
    FILE *list = fopen("/proc/net/unix", "re");
    char line[512], path[256];
    result_ok(result, "not reachable");
    while (list && fgets(line, sizeof(line), list)) {
        if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %255s", path) != 1 || path[0] != '/')
            continue;
        refused_connection(result, path, connect_to(path, false, SOCK_STREAM));
        if (result->verdict == OPEN)
            return;
    }
}

static void agent_port(const struct world *world, struct result *result)
{
    DIR *dir = opendir("/dev/virtio-ports");
    result_ok(result, "absent");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof(path), "/dev/virtio-ports/%s", entry->d_name);
        if (entry->d_name[0] != '.' && open(path, O_RDWR | O_NONBLOCK) >= 0)
            return result_open(result, "%.100s opens", path);
    }
}

const struct probe network_probes[] = {
    {"37", "abstract socket of the host", host_socket},
    {"37", "abstract sockets", abstract_sockets},
    {"37", "named sockets", named_sockets},
    {"58", "socket of the agent", agent_socket},
    {"58", "port of the agent", agent_port},
    {0},
};
