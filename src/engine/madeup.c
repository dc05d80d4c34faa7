// SPDX-License-Identifier: Apache-2.0
// Small files and directories of a sandbox's root file system, as tables. Layer: engine.
#include "engine/madeup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/netplan.h"
#include "engine/accounts.h"
#include "engine/probe.h"
#include "engine/redact.h"

const struct madeup_dir madeup_mount_points[] = {
    {"proc", 0555, false},     {"sys", 0555, false},  {"dev", 0755, false}, {"tmp", 01777, false},
    {"run", 0755, false},      {"root", 0700, false}, {"etc", 0755, false}, {"home", 0755, false},
    {"home/user", 0755, true}, {NULL, 0, false},
};

const struct madeup_dir madeup_system_dirs[] = {
    {"usr", 0755, false},
    {"opt", 0755, false},
    {"mnt", 0755, false},
    {"srv", 0755, false},
    {"media", 0755, false},
    {"boot", 0755, false},
    {"run/lock", 01777, false},
    {"var", 0755, false},
    {"var/tmp", 01777, false},
    {"var/backups", 0755, false},
    {"var/local", 0755, false},
    {"var/log", 0755, false},
    {"var/log/apt", 0755, false},
    {"var/mail", 0775, false},
    {"var/opt", 0755, false},
    {"var/spool", 0755, false},
    {"var/cache", 0755, false},
    {"var/cache/apt", 0755, false},
    {"var/cache/apt/archives", 0755, false},
    {"var/cache/apt/archives/partial", 0700, false},
    {"var/cache/debconf", 0755, false},
    {"var/cache/fontconfig", 0755, false},
    {"var/cache/ldconfig", 0700, false},
    {"var/cache/man", 0755, false},
    {"var/lib", 0755, false},
    {"var/lib/apt", 0755, false},
    {"var/lib/apt/lists", 0755, false},
    {"var/lib/apt/lists/partial", 0700, false},
    {"var/lib/apt/mirrors", 0755, false},
    {"var/lib/apt/mirrors/partial", 0755, false},
    {"var/lib/apt/periodic", 0755, false},
    {"var/lib/dpkg", 0755, false},
    {"var/lib/misc", 0755, false},
    {"var/lib/pam", 0755, false},
    {"var/lib/python", 0755, false},
    {"var/lib/systemd", 0755, false},
    {"var/lib/ucf", 0755, false},
    {"var/lib/xml-core", 0755, false},
    {"var/lib/sgml-base", 0755, false},
    {"etc/apt", 0755, false},
    {"etc/apt/apt.conf.d", 0755, false},
    {"etc/default", 0755, false},
    {"etc/init.d", 0755, false},
    {"etc/opt", 0755, false},
    {"etc/pam.d", 0755, false},
    {"etc/profile.d", 0755, false},
    {"etc/rc0.d", 0755, false},
    {"etc/rc1.d", 0755, false},
    {"etc/rc2.d", 0755, false},
    {"etc/rc3.d", 0755, false},
    {"etc/rc4.d", 0755, false},
    {"etc/rc5.d", 0755, false},
    {"etc/rc6.d", 0755, false},
    {"etc/rcS.d", 0755, false},
    {"etc/security", 0755, false},
    {NULL, 0, false},
};

struct text_file {
    const char *path;
    mode_t mode;
    const char *text;
};

static const struct text_file name_files[] = {
    {"etc/resolv.conf", 0644, "nameserver " NETPLAN_DNS "\n"},
    {"etc/hostname", 0644, "sandbox\n"},
    {"etc/hosts", 0644,
     "127.0.0.1\tlocalhost\n"
     "127.0.1.1\tsandbox\n"
     "::1\tlocalhost ip6-localhost ip6-loopback\n"
     "ff02::1\tip6-allnodes\n"
     "ff02::2\tip6-allrouters\n"},
};

static const struct text_file etc_files[] = {
    {"etc/nsswitch.conf", 0644,
     "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"
     "hosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"
     "ethers: files\nrpc: files\nnetgroup: files\n"},
    {"etc/environment", 0644, ""},
    {"etc/fstab", 0644, ""},
    {"etc/machine-id", 0644, ""}, // no number by which sandboxes of one machine could be told
    {"etc/subuid", 0644, ""},
    {"etc/subgid", 0644, ""},
    {"etc/networks", 0644, "loopback 127.0.0.0\n"},
    // Mounted directories belong to numbers that are not the command's: git would refuse to touch
    // them.
    {"etc/gitconfig", 0644, "[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n"},
    // Packages run as the sandbox's root, which has no other account to drop to; no translations.
    {"etc/apt/apt.conf.d/99sandbox", 0644,
     "APT::Sandbox::User \"root\";\nDpkg::Use-Pty \"0\";\nAcquire::Languages \"none\";\n"},
    // Root of the sandbox may become anybody in it; nobody else can (no set-user-id inside).
    {"etc/pam.d/other", 0644,
     "auth sufficient pam_rootok.so\nauth required pam_deny.so\naccount required pam_permit.so\n"
     "password required pam_permit.so\nsession required pam_permit.so\n"},
};

static int fail(const char *path, struct sbx_error *err)
{
    return err_sys(err, 0, errno, "cannot make %s of a root file system", path);
}

int madeup_make_dirs(int root_fd, const struct madeup_dir *dirs, struct sbx_error *err)
{
    bool owners = probe_privileged();
    for (; dirs->path; dirs++) {
        if (mkdirat(root_fd, dirs->path, 0700) < 0 && errno != EEXIST)
            return fail(dirs->path, err);
        if (dirs->user && owners &&
            fchownat(root_fd, dirs->path, ACCOUNTS_UID, ACCOUNTS_UID, AT_SYMLINK_NOFOLLOW) < 0)
            return fail(dirs->path, err);
        if (fchmodat(root_fd, dirs->path, dirs->mode, 0) < 0)
            return fail(dirs->path, err);
    }
    return 0;
}

int madeup_write(int root_fd, const char *path, mode_t mode, const char *text, size_t size,
                 struct sbx_error *err)
{
    if (unlinkat(root_fd, path, 0) < 0 && errno != ENOENT)
        return fail(path, err);
    cleanup_fd int fd =
        openat(root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || fd_write_full(fd, text, size) < 0 || fchmod(fd, mode) < 0)
        return fail(path, err);
    return 0;
}

static int write_files(int root_fd, const struct text_file *files, size_t count,
                       struct sbx_error *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = madeup_write(root_fd, files[i].path, files[i].mode, files[i].text,
                              strlen(files[i].text), err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int madeup_write_names(int root_fd, struct sbx_error *err)
{
    return write_files(root_fd, name_files, ARRAY_SIZE(name_files), err);
}

// Settings of package managers that say where packages come from, and nothing else of them.
struct filtered_file {
    const char *path;       // in the sandbox
    const char *sources[3]; // here, the first that exists
    const char *head;
    const char *keys[8]; // lines that are kept, unless there is a password in their URL
    const char *cafile;  // names the file of certificates, for tools that bring their own
};

#define CA_FILE "/etc/ssl/certs/ca-certificates.crt"

static const struct filtered_file filtered_files[] = {
    {"etc/pip.conf",
     {"etc/pip.conf"},
     "[global]\n"
     "break-system-packages = true\n" // the system here is the sandbox's own
     "root-user-action = ignore\n"
     "disable-pip-version-check = true\n",
     {"index-url", "extra-index-url", "trusted-host", "timeout"},
     "cert = " CA_FILE "\n"},
    {"etc/npmrc",
     {"usr/etc/npmrc", "etc/npmrc", "usr/local/etc/npmrc"},
     "update-notifier=false\nfund=false\n",
     {"registry", "strict-ssl"},
     "cafile=" CA_FILE "\n"},
};

static bool line_kept(const struct filtered_file *file, const char *line)
{
    size_t length = strcspn(line, " \t=");
    if (redact_has_userinfo(line, strlen(line)))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(file->keys) && file->keys[i]; i++)
        if (strlen(file->keys[i]) == length && strncmp(file->keys[i], line, length) == 0)
            return true;
    return false;
}

static void put_kept_lines(const struct filtered_file *file, int host_fd, struct buf *out)
{
    char content[16384];
    ssize_t size = -1;
    for (size_t i = 0; size < 0 && i < ARRAY_SIZE(file->sources) && file->sources[i]; i++) {
        cleanup_fd int fd = beneath_open(host_fd, file->sources[i], O_RDONLY | O_NONBLOCK, 0);
        if (fd >= 0)
            size = fd_read_full(fd, content, sizeof(content) - 1);
    }
    if (size <= 0)
        return;
    content[size] = '\0';
    char *save = NULL;
    for (char *line = strtok_r(content, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (line_kept(file, line))
            buf_printf(out, "%s\n", line);
}

static int write_filtered(int root_fd, int host_fd, const struct filtered_file *file,
                          struct sbx_error *err)
{
    cleanup_buf struct buf out = BUF_INIT(65536);
    buf_puts(&out, file->head);
    cleanup_fd int ca = beneath_open(host_fd, CA_FILE, O_PATH, 0);
    if (ca >= 0)
        buf_puts(&out, file->cafile);
    put_kept_lines(file, host_fd, &out);
    if (out.failed)
        return err_nomem(err);
    return madeup_write(root_fd, file->path, 0644, out.data, out.size, err);
}

int madeup_write_etc(int root_fd, int host_fd, struct sbx_error *err)
{
    int rc = write_files(root_fd, etc_files, ARRAY_SIZE(etc_files), err);
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(filtered_files); i++)
        rc = write_filtered(root_fd, host_fd, &filtered_files[i], err);
    if (rc == 0 && symlinkat("../proc/self/mounts", root_fd, "etc/mtab") < 0)
        rc = fail("etc/mtab", err);
    return rc;
}
