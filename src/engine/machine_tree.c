// SPDX-License-Identifier: Apache-2.0
// The files that QEMU in its jail sees: itself, what it is linked with, firmware, kernel and
// initial memory disk; nothing else of this machine. Layer: engine.
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "engine/machine.h"
#include "engine/view.h"
#include "wire/machine.h"

#define LIBRARIES_TEXT_MAX 65536
#define DISK_MAX (64 * 1024 * 1024)
#define MODULE "accel-tcg-x86_64.so"

static int make_parents(int tree_fd, const char *path)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        if (mkdirat(tree_fd, part, 0755) < 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

// Makes the file `target` (relative) with its directories. -1 and errno.
static int create(int tree_fd, const char *target)
{
    if (make_parents(tree_fd, target) < 0)
        return -1;
    return openat(tree_fd, target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
}

static int copy(int tree_fd, const char *source, const char *target, struct sbx_error *err)
{
    struct stat info;
    cleanup_fd int from = open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0 || fstat(from, &info) < 0)
        return err_sys(err, 0, errno, "cannot read %s", source);
    cleanup_fd int to = create(tree_fd, target);
    for (off_t left = info.st_size; to >= 0 && left > 0;) {
        ssize_t sent = sendfile(to, from, NULL, (size_t)left);
        if (sent <= 0)
            return err_sys(err, 0, errno, "cannot copy %s", source);
        left -= sent;
    }
    return to < 0 ? err_sys(err, 0, errno, "cannot copy %s", source) : 0;
}

// Beneath the same path as here.
static int copy_same(int tree_fd, const char *path, struct sbx_error *err)
{
    return copy(tree_fd, path, path + 1, err);
}

// The dynamic linker lists what it would load, instead of starting the program: ld.so(8).
static int list_libraries(const char *program, char *ret_text, size_t size, struct sbx_error *err)
{
    char *argv[] = {(char *)(uintptr_t)program, NULL};
    char *envp[] = {(char *)(uintptr_t) "LD_TRACE_LOADED_OBJECTS=1", NULL};
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (fd_pipe(ends) < 0)
        return err_sys(err, 0, errno, "cannot make a pipe");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int failed = posix_spawn(&pid, program, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    ssize_t got = failed ? -1 : fd_read_full(ends[0], ret_text, size - 1);
    close(ends[0]);
    while (!failed && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (got <= 0)
        return err_sys(err, SBX_ERR_SETUP, failed, "cannot list what '%s' is linked with", program);
    ret_text[got] = '\0';
    return 0;
}

// Lines "name => /path (address)", and one "/path (address)" for the linker itself.
static int copy_libraries(int tree_fd, const char *program, struct sbx_error *err)
{
    char text[LIBRARIES_TEXT_MAX], *save = NULL;
    int code = list_libraries(program, text, sizeof(text), err);
    for (char *line = strtok_r(text, "\n", &save); line && code == 0;
         line = strtok_r(NULL, "\n", &save)) {
        char *path = strchr(line, '/'), *end = path ? strstr(path, " (") : NULL;
        if (!end)
            continue;
        *end = '\0';
        code = copy_same(tree_fd, path, err);
    }
    return code;
}

// A QEMU built in parts has its translator in a module.
static int copy_translator(int tree_fd, struct sbx_error *err)
{
    static const char *const patterns[] = {"/usr/lib*/qemu/" MODULE, "/usr/lib*/*/qemu/" MODULE};
    int code = 0;
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
        glob_t found;
        if (glob(patterns[i], 0, NULL, &found) != 0)
            continue;
        for (size_t at = 0; at < found.gl_pathc && code == 0; at++)
            code = copy_same(tree_fd, found.gl_pathv[at], err);
        globfree(&found);
    }
    return code;
}

static int add_file(struct buf *disk, const char *name, const char *path, struct sbx_error *err)
{
    struct stat info;
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        return err_sys(err, 0, errno, "cannot read %s", path);
    cleanup_free char *data = malloc((size_t)info.st_size + 1);
    if (!data)
        return err_nomem(err);
    if (fd_read_full(fd, data, (size_t)info.st_size) != info.st_size)
        return err_sys(err, 0, errno, "cannot read %s", path);
    machine_disk_add(disk, name, S_IFREG | 0755, data, (size_t)info.st_size);
    return 0;
}

// sandboxes-guest loads those that are there, in its order: vmm/guest_modules.c.
static const char *const modules[] = {
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "drivers/virtio/virtio_mmio",
    "drivers/char/virtio_console",
    "drivers/virtio/virtio_balloon",
    "fs/netfs/netfs",
    "fs/fscache/fscache",
    "net/9p/9pnet",
    "net/9p/9pnet_virtio",
    "fs/9p/9p",
    "fs/exportfs/exportfs",
    "fs/overlayfs/overlay",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
};

static int add_modules(struct buf *disk, const char *directory, struct sbx_error *err)
{
    machine_disk_add(disk, "modules", S_IFDIR | 0755, NULL, 0);
    for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
        char path[PATH_MAX], name[64];
        const char *base = strrchr(modules[i], '/');
        int length = snprintf(path, sizeof(path), "%s/kernel/%s.ko", directory, modules[i]);
        if (length >= PATH_MAX || access(path, R_OK) < 0)
            continue;
        snprintf(name, sizeof(name), "modules%s.ko", base);
        int code = add_file(disk, name, path, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int write_disk(int tree_fd, const struct machine_parts *parts, struct sbx_error *err)
{
    cleanup_buf struct buf disk = BUF_INIT(DISK_MAX);
    machine_disk_add(&disk, "dev", S_IFDIR | 0755, NULL, 0);
    int code = add_file(&disk, "init", parts->guest, err);
    if (code == 0)
        code = add_file(&disk, "agent", parts->agent, err);
    if (code == 0 && parts->modules[0])
        code = add_modules(&disk, parts->modules, err);
    if (code < 0)
        return code;
    machine_disk_end(&disk);
    cleanup_fd int fd = create(tree_fd, "files/vm/initrd");
    if (disk.failed)
        return err_nomem(err);
    if (fd < 0 || fd_write_full(fd, disk.data, disk.size) < 0)
        return err_sys(err, 0, errno, "cannot write the guest's memory disk");
    return 0;
}

static int write_text(int tree_fd, const char *name, const char *text, struct sbx_error *err)
{
    cleanup_fd int fd = create(tree_fd, name);
    if (fd < 0 || fd_write_full(fd, text, strlen(text)) < 0)
        return err_sys(err, 0, errno, "cannot write %s", name);
    return 0;
}

static int build(void *payload, int new_fd, struct sbx_error *err)
{
    const struct machine_parts *parts = payload;
    if (mkdirat(new_fd, "files", 0755) < 0 || mkdirat(new_fd, "files/image", 0755) < 0 ||
        mkdirat(new_fd, "files/vm", 0755) < 0 || mkdirat(new_fd, "files" MACHINE_SAVED, 0755) < 0 ||
        mkdirat(new_fd, "files" MACHINE_MOUNTS, 0755) < 0 ||
        mkdirat(new_fd, "files" MACHINE_MOUNTS_READ, 0755) < 0 ||
        mkdirat(new_fd, "files" MACHINE_MOUNTS_WRITABLE, 0755) < 0)
        return err_sys(err, 0, errno, "cannot make the tree of QEMU");
    cleanup_fd int files_fd = openat(new_fd, "files", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int code = copy(files_fd, parts->qemu, "usr/bin/qemu-system-x86_64", err);
    if (code == 0)
        code = copy_libraries(files_fd, parts->qemu, err);
    if (code == 0)
        code = copy_translator(files_fd, err);
    if (code == 0)
        code = copy(files_fd, parts->agent, "image/bin/agent", err); // covered but for a rehearsal
    if (code == 0)
        code = copy(files_fd, parts->firmware, "vm/firmware", err);
    if (code == 0)
        code = copy(files_fd, parts->kernel, "vm/kernel", err);
    if (code == 0)
        code = copy(files_fd, parts->preload, "vm/preload.so", err);
    if (code == 0)
        code = copy(files_fd, parts->thaw, "vm/thaw", err);
    if (code == 0)
        code = write_disk(new_fd, parts, err);
    // Whom QEMU's network asks for the guest: the jail's own resolver, docs/network.md.
    if (code == 0)
        code = write_text(files_fd, "etc/resolv.conf", "nameserver 10.0.2.3\n", err);
    return code < 0 ? code : write_text(new_fd, "manifest", "layer\t/\tfiles\n", err);
}

int machine_tree(const struct machine_parts *parts, struct deadline deadline,
                 struct image *ret_tree, struct sbx_error *err)
{
    const char *const paths[] = {parts->qemu,  parts->firmware, parts->kernel,  parts->modules,
                                 parts->guest, parts->agent,    parts->preload, parts->thaw};
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    int code = cachedir_open(&cache, err);
    if (code < 0)
        return code;
    struct statkey key = view_key("qemu");
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct stat info;
        statkey_add_text(&key, paths[i]);
        statkey_add_stat(&key, stat(paths[i], &info) == 0 ? &info : NULL);
    }
    return view_open(&cache, "qemu", &key, deadline, build, (void *)(uintptr_t)parts, ret_tree,
                     err);
}
