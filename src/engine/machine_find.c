// SPDX-License-Identifier: Apache-2.0
// What this machine has for sandboxes under a guest kernel. Layer: engine.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/dirs.h"
#include "base/fd.h"
#include "engine/launch.h"
#include "engine/machine.h"

static const char *const programs[] = {
    "/usr/bin/qemu-system-x86_64", "/usr/local/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm"};
// qboot, which starts a kernel and nothing else.
static const char *const firmwares[] = {"/usr/share/qemu/qboot.rom", "/usr/share/qboot/qboot.rom",
                                        "/usr/local/share/qemu/qboot.rom"};

static bool find_first(const char *const *paths, size_t count, char ret_path[PATH_MAX])
{
    for (size_t i = 0; i < count; i++)
        if (access(paths[i], R_OK) == 0) {
            snprintf(ret_path, PATH_MAX, "%s", paths[i]);
            return true;
        }
    return false;
}

static int find_qemu(struct machine_parts *parts, struct sbx_error *err)
{
    if (find_first(programs, ARRAY_SIZE(programs), parts->qemu) &&
        find_first(firmwares, ARRAY_SIZE(firmwares), parts->firmware))
        return 0;
    err_set(err, SBX_ERR_SETUP, "QEMU for x86-64 with its machine 'microvm' is not installed");
    return err_hint(err, "install it: apt install --no-install-recommends qemu-system-x86");
}

// An uncompressed kernel is one of our configuration: it reads its devices from the command line.
static bool is_elf(const char *path)
{
    char magic[4] = "";
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fd_read_full(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0;
}

// BOOT/vmlinuz-VERSION has its modules in BOOT/../lib/modules/VERSION, where packages put both.
static void find_modules(struct machine_parts *parts)
{
    const char *slash = strrchr(parts->kernel, '/');
    const char *version = slash ? strstr(slash, "vmlinuz-") : NULL;
    parts->modules[0] = '\0';
    if (version)
        snprintf(parts->modules, PATH_MAX, "%.*s/../lib/modules/%s", (int)(slash - parts->kernel),
                 parts->kernel, version + 8);
    if (access(parts->modules, R_OK | X_OK) < 0)
        parts->modules[0] = '\0';
}

static bool use_kernel(struct machine_parts *parts, const char *path)
{
    if (access(path, R_OK) < 0)
        return false;
    snprintf(parts->kernel, PATH_MAX, "%s", path);
    parts->acpi = !is_elf(path);
    if (parts->acpi)
        find_modules(parts);
    return true;
}

// The newest by name of DIRECTORY/vmlinuz-*, whose modules have the image's file system.
static bool use_newest(struct machine_parts *parts, const char *directory)
{
    struct dirent **names;
    bool found = false;
    int count = scandir(directory, &names, NULL, versionsort);
    for (int i = count; i-- > 0;) {
        char path[PATH_MAX], module[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]->d_name);
        if (!found && strncmp(names[i]->d_name, "vmlinuz-", 8) == 0 && use_kernel(parts, path)) {
            int length = snprintf(module, sizeof(module), "%s/kernel/fs/9p", parts->modules);
            found = length < PATH_MAX && access(module, X_OK) == 0;
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return found;
}

int machine_find_kernel(struct machine_parts *parts, struct sbx_error *err)
{
    char cache[PATH_MAX - 64], path[PATH_MAX];
    const char *named = getenv("SANDBOXES_MICROVM_KERNEL");
    if (named && named[0]) {
        if (use_kernel(parts, named))
            return 0;
        err_set(err, SBX_ERR_SETUP, "the kernel '%s' can't be read", named);
        return err_hint(err, "set SANDBOXES_MICROVM_KERNEL to the path of a vmlinux or vmlinuz");
    }
    if (dirs_cache(cache, sizeof(cache), err) == 0) {
        snprintf(path, sizeof(path), "%s/kernel/vmlinux", cache);
        if (use_kernel(parts, path))
            return 0;
        snprintf(path, sizeof(path), "%s/kernel/boot", cache);
        if (use_newest(parts, path))
            return 0;
    }
    if (use_newest(parts, "/boot"))
        return 0;
    err_set(err, SBX_ERR_SETUP, "there is no kernel for guests");
    return err_hint(err, "make one: sandboxes microvm setup");
}

static int find_program(const char *name, char ret_path[PATH_MAX], struct sbx_error *err)
{
    char path[PATH_MAX];
    int code = launch_find_program(name, path, sizeof(path), err);
    if (code == 0 && !realpath(path, ret_path))
        code = err_set(err, SBX_ERR_SETUP, "cannot find '%s'", path);
    return code;
}

int machine_find(struct machine_parts *ret_parts, struct sbx_error *err)
{
    int code = find_qemu(ret_parts, err);
    if (code == 0)
        code = machine_find_kernel(ret_parts, err);
    if (code == 0)
        code = find_program("sandboxes-vmm", ret_parts->vmm, err);
    if (code == 0)
        code = find_program("sandboxes-guest", ret_parts->guest, err);
    if (code == 0)
        code = find_program("sandboxes-preload.so", ret_parts->preload, err);
    if (code == 0)
        code = find_program("sandboxes-thaw", ret_parts->thaw, err);
    return code < 0 ? code : find_program("sandboxes-agent", ret_parts->agent, err);
}
