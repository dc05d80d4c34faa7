// SPDX-License-Identifier: Apache-2.0
/*
 * The part of /etc that sandboxes may see: an allow-list, because a deny-list forgets the next
 * secret. What is on it is still copied only when everybody may read it here, and looked through
 * for keys and passwords. Layer: engine.
 */
#include "engine/hostetc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "base/cleanup.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/names.h"
#include "engine/redact.h"

#define FILE_BYTES_MAX (8u << 20)
#define TOTAL_BYTES_MAX (128u << 20)
#define ENTRIES_MAX 50000
#define DEPTH_MAX 12

struct row {
    const char *pattern; // below /etc; * in the last part
    enum redact_scan scan;
    const char *reason;
};

static const struct row rows[] = {
    {"alternatives", REDACT_URLS, "programs in /usr/bin lead through it"},
    {"ld.so.cache", REDACT_URLS, "where the loader finds libraries"},
    {"ld.so.conf", REDACT_URLS, "ldconfig after a package is installed"},
    {"ld.so.conf.d", REDACT_URLS, "as above"},
    {"ld-musl-*", REDACT_URLS, "where musl's loader finds libraries"},
    {"ssl/certs", REDACT_URLS, "certificates of authorities: TLS"},
    {"ssl/openssl.cnf", REDACT_URLS, "OpenSSL's settings"},
    {"ssl/cert.pem", REDACT_URLS, "certificates of authorities (Alpine, Fedora)"},
    {"ssl/ca-bundle.pem", REDACT_URLS, "certificates of authorities (openSUSE)"},
    {"ssl/ct_log_list.cnf", REDACT_URLS, "OpenSSL's settings"},
    {"ca-certificates", REDACT_URLS, "update-ca-certificates"},
    {"ca-certificates.conf", REDACT_URLS, "update-ca-certificates"},
    {"pki/tls/certs", REDACT_URLS, "certificates of authorities (Fedora)"},
    {"pki/tls/cert.pem", REDACT_URLS, "certificates of authorities (Fedora)"},
    {"pki/tls/openssl.cnf", REDACT_URLS, "OpenSSL's settings (Fedora)"},
    {"pki/ca-trust", REDACT_URLS, "certificates of authorities (Fedora)"},
    {"pki/java", REDACT_URLS, "certificates of authorities for Java (Fedora)"},
    {"pki/rpm-gpg", REDACT_PUBLIC, "public keys of package archives"},
    {"crypto-policies", REDACT_URLS, "settings of TLS libraries (Fedora)"},
    {"gnutls", REDACT_URLS, "settings of a TLS library"},
    {"localtime", REDACT_URLS, "time zone"},
    {"timezone", REDACT_URLS, "time zone"},
    {"locale.alias", REDACT_URLS, "names of locales"},
    {"locale.conf", REDACT_WHOLE, "default locale"},
    {"locale.gen", REDACT_URLS, "locale-gen"},
    {"default/locale", REDACT_WHOLE, "default locale"},
    {"default/useradd", REDACT_WHOLE, "useradd of package installations"},
    {"default/nss", REDACT_WHOLE, "name service settings"},
    {"profile", REDACT_WHOLE, "login shells"},
    {"profile.d", REDACT_WHOLE, "login shells"},
    {"bash.bashrc", REDACT_WHOLE, "interactive shells"},
    {"bashrc", REDACT_WHOLE, "interactive shells (Fedora)"},
    {"bash_completion", REDACT_WHOLE, "completion in shells"},
    {"bash_completion.d", REDACT_WHOLE, "completion in shells"},
    {"zsh", REDACT_WHOLE, "interactive shells"},
    {"inputrc", REDACT_URLS, "keys in shells"},
    {"skel", REDACT_WHOLE, "files of a new home"},
    {"shells", REDACT_URLS, "list of shells"},
    {"terminfo", REDACT_URLS, "terminals"},
    {"vim", REDACT_WHOLE, "editor"},
    {"nanorc", REDACT_WHOLE, "editor"},
    {"host.conf", REDACT_URLS, "resolver"},
    {"gai.conf", REDACT_URLS, "order of addresses"},
    {"protocols", REDACT_URLS, "numbers of protocols"},
    {"services", REDACT_URLS, "numbers of services"},
    {"rpc", REDACT_URLS, "numbers of services"},
    {"ethertypes", REDACT_URLS, "numbers of protocols"},
    {"netconfig", REDACT_URLS, "transport protocols of RPC"},
    {"mime.types", REDACT_URLS, "types of files"},
    {"magic", REDACT_URLS, "types of files"},
    {"magic.mime", REDACT_URLS, "types of files"},
    {"os-release", REDACT_URLS, "which system this is"},
    {"*-release", REDACT_URLS, "which system this is"},
    {"*_version", REDACT_URLS, "which system this is"},
    {"issue", REDACT_URLS, "which system this is"},
    {"login.defs", REDACT_URLS, "useradd of package installations"},
    {"adduser.conf", REDACT_URLS, "adduser of package installations"},
    {"deluser.conf", REDACT_URLS, "deluser of package installations"},
    {"debconf.conf", REDACT_URLS, "package installation"},
    {"ucf.conf", REDACT_URLS, "package installation"},
    {"dpkg", REDACT_WHOLE, "package installation"},
    {"apt/sources.list", REDACT_LINES, "where packages come from"},
    {"apt/sources.list.d", REDACT_LINES, "where packages come from"},
    {"apt/mirrors", REDACT_LINES, "where packages come from"},
    {"apt/preferences", REDACT_LINES, "which packages are preferred"},
    {"apt/preferences.d", REDACT_LINES, "which packages are preferred"},
    {"apt/apt.conf", REDACT_LINES, "settings of package installation"},
    {"apt/apt.conf.d", REDACT_LINES, "settings of package installation"},
    {"apt/trusted.gpg", REDACT_PUBLIC, "public keys of package archives"},
    {"apt/trusted.gpg.d", REDACT_PUBLIC, "public keys of package archives"},
    {"apt/keyrings", REDACT_PUBLIC, "public keys of package archives"},
    {"apk", REDACT_LINES, "package installation (Alpine)"},
    {"dnf", REDACT_WHOLE, "package installation (Fedora)"},
    {"yum.repos.d", REDACT_WHOLE, "where packages come from (Fedora)"},
    {"rpm", REDACT_WHOLE, "package installation (Fedora)"},
    {"pacman.conf", REDACT_WHOLE, "package installation (Arch)"},
    {"pacman.d/mirrorlist", REDACT_LINES, "where packages come from (Arch)"},
    {"zypp/repos.d", REDACT_WHOLE, "where packages come from (openSUSE)"},
    {"fonts", REDACT_URLS, "fontconfig"},
    {"java-*", REDACT_LINES, "Java's settings lead here from /usr/lib/jvm"},
    {"perl", REDACT_WHOLE, "Perl's settings and modules"},
    {"python*", REDACT_WHOLE, "Python's settings"},
    {"php", REDACT_LINES, "PHP's settings"},
    {"R", REDACT_WHOLE, "R's settings"},
    {"julia", REDACT_WHOLE, "Julia's settings"},
    {"gemrc", REDACT_WHOLE, "Ruby's packages"},
    {"maven", REDACT_WHOLE, "Maven's settings"},
    {"gdb", REDACT_WHOLE, "debugger"},
    {"ImageMagick-*", REDACT_URLS, "what its tools may do"},
    {"texmf", REDACT_URLS, "TeX"},
    {"groff", REDACT_URLS, "manual pages"},
    {"manpath.config", REDACT_URLS, "manual pages"},
    {"xml", REDACT_URLS, "catalogues of document types"},
    {"sgml", REDACT_URLS, "catalogues of document types"},
    {"openmpi", REDACT_WHOLE, "MPI programs"},
    {"glvnd", REDACT_URLS, "software rendering"},
    {"xattr.conf", REDACT_URLS, "which attributes are copied"},
};

// Never, wherever they lie.
static const char *const denied_names[] = {
    "private",      "*.key",      "*.p12",      "*.pfx",         "*.jks", "*.keytab", "auth.conf*",
    "*credential*", "*secret*",   "*password*", "settings*.xml", "netrc", ".netrc",   "id_rsa*",
    "id_ed25519*",  "*.pwd.lock", "*~",
};

// Links from /etc that lead here are replaced by what is there; /usr is in the sandbox anyway.
static const char *const followed[] = {"/var/lib/ca-certificates/", "/nix/store/"};
static const char *const kept[] = {"/usr/", "/bin/", "/sbin/", "/lib", "/proc/", "/dev/null"};

struct job {
    int host_fd;
    int root_fd;
    enum redact_scan scan;
    size_t bytes;
    size_t entries;
    char *content; // FILE_BYTES_MAX + 1, reused
    struct sbx_error *err;
};

static bool has_prefix(const char *text, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static bool is_denied(const char *name, enum redact_scan scan)
{
    if (scan == REDACT_PUBLIC && fnmatch("*.key", name, 0) == 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(denied_names); i++)
        if (fnmatch(denied_names[i], name, FNM_CASEFOLD) == 0)
            return true;
    return false;
}

static int fail(struct job *job, const char *name)
{
    return err_sys(job->err, 0, errno, "cannot copy %s of /etc into the view of this machine",
                   name);
}

static int write_file(struct job *job, int to, const char *name, mode_t mode, size_t size)
{
    cleanup_fd int fd =
        openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : fail(job, name); // two rows may name one file
    if (fd_write_full(fd, job->content, size) < 0 || fchmod(fd, mode & 0111 ? 0755 : 0644) < 0)
        return fail(job, name);
    return 0;
}

// Takes fd over. Unreadable and oversized files are left out, not errors.
static int copy_file(struct job *job, int fd, int to, const char *name, const struct stat *info)
{
    cleanup_fd int from = fd;
    if (info->st_size > (off_t)FILE_BYTES_MAX || job->bytes > TOTAL_BYTES_MAX)
        return 0;
    ssize_t got = fd_read_full(from, job->content, FILE_BYTES_MAX);
    if (got < 0)
        return 0;
    size_t size = (size_t)got;
    job->bytes += size;
    return redact_content(name, job->scan, job->content, &size)
               ? write_file(job, to, name, info->st_mode, size)
               : 0;
}

static int copy_entry(struct job *job, int from, int to, const char *name, const char *parent,
                      int depth);

static int make_dir(struct job *job, int to, const char *name, int *ret_fd)
{
    if (mkdirat(to, name, 0755) < 0 && errno != EEXIST)
        return fail(job, name);
    int fd = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, 0755) < 0) {
        if (fd >= 0)
            close(fd);
        return fail(job, name);
    }
    *ret_fd = fd;
    return 0;
}

// Takes fd over. path is the directory's own, from the root of the machine.
static int copy_dir(struct job *job, int fd, int to, const char *name, const char *path, int depth)
{
    cleanup_dir DIR *dir = dir_adopt(fd);
    if (!dir)
        return err_nomem(job->err);
    cleanup_fd int below = -1;
    int rc = depth < DEPTH_MAX ? make_dir(job, to, name, &below) : 0;
    for (struct dirent *entry; rc == 0 && below >= 0 && (entry = readdir(dir));)
        if (!name_is_dots(entry->d_name))
            rc = copy_entry(job, dirfd(dir), below, entry->d_name, path, depth + 1);
    return rc;
}

// Copies what fd is, if everybody may read it here. Takes fd over.
static int copy_opened(struct job *job, int fd, int to, const char *name, const char *path,
                       int depth)
{
    struct stat info;
    if (fstat(fd, &info) == 0) {
        if (S_ISREG(info.st_mode) && info.st_mode & 0004)
            return copy_file(job, fd, to, name, &info);
        if (S_ISDIR(info.st_mode) && (info.st_mode & 0005) == 0005)
            return copy_dir(job, fd, to, name, path, depth);
    }
    close(fd);
    return 0;
}

// Makes target (as found in directory parent) an absolute path without "." and "..".
static int normalize(const char *parent, const char *target, char ret_path[PATH_MAX])
{
    char joined[PATH_MAX];
    if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", target[0] == '/' ? "" : parent, target) >=
        sizeof(joined))
        return -1;
    size_t used = 0;
    char *save = NULL;
    for (char *part = strtok_r(joined, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            while (used > 0 && ret_path[--used] != '/')
                ;
            continue;
        }
        used += (size_t)snprintf(ret_path + used, PATH_MAX - used, "/%s", part);
    }
    ret_path[used] = '\0';
    return 0;
}

static int copy_link(struct job *job, int from, int to, const char *name, const char *parent,
                     int depth)
{
    char target[PATH_MAX], path[PATH_MAX];
    ssize_t size = readlinkat(from, name, target, sizeof(target) - 1);
    if (size <= 0)
        return 0;
    target[size] = '\0';
    if (normalize(parent, target, path) < 0)
        return 0;
    if (has_prefix(path, followed, ARRAY_SIZE(followed))) {
        int fd = beneath_open(job->host_fd, path, O_RDONLY | O_NONBLOCK, 0);
        return fd < 0 ? 0 : copy_opened(job, fd, to, name, path, depth);
    }
    if (!has_prefix(path, kept, ARRAY_SIZE(kept)) && strncmp(path, "/etc/", 5) != 0)
        return 0;
    // Links that stay in /etc are checked when all is there.
    return symlinkat(target, to, name) < 0 && errno != EEXIST ? fail(job, name) : 0;
}

static int copy_entry(struct job *job, int from, int to, const char *name, const char *parent,
                      int depth)
{
    struct stat info;
    if (is_denied(name, job->scan) || ++job->entries > ENTRIES_MAX ||
        fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    if (S_ISLNK(info.st_mode))
        return copy_link(job, from, to, name, parent, depth);
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return 0;
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", parent, name) >= sizeof(path))
        return 0;
    int fd = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? 0 : copy_opened(job, fd, to, name, path, depth);
}

// All entries of the open directory that match the last part of a row.
static int copy_matches(struct job *job, int from, int to, const char *pattern, const char *parent)
{
    if (!strchr(pattern, '*'))
        return copy_entry(job, from, to, pattern, parent, 0);
    cleanup_dir DIR *dir = dir_adopt(dup(from));
    int rc = 0;
    for (struct dirent *entry; dir && rc == 0 && (entry = readdir(dir));)
        if (fnmatch(pattern, entry->d_name, FNM_PERIOD) == 0)
            rc = copy_entry(job, from, to, entry->d_name, parent, 0);
    if (dir)
        rewinddir(dir); // the position is shared with `from`
    return rc;
}

// Opens directory `name` for both sides, stepping down. 1 when this machine has none.
static int step_down(struct job *job, int *from, int *to, const char *name)
{
    int below = openat(*from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below < 0)
        return 1;
    close(*from);
    *from = below;
    int made = -1;
    int rc = make_dir(job, *to, name, &made);
    if (rc < 0)
        return rc;
    close(*to);
    *to = made;
    return 0;
}

static int copy_row(struct job *job, const struct row *row)
{
    cleanup_fd int from = openat(job->host_fd, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cleanup_fd int to = openat(job->root_fd, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || to < 0)
        return fail(job, row->pattern);
    char path[PATH_MAX] = "/etc", pattern[128];
    snprintf(pattern, sizeof(pattern), "%s", row->pattern);
    char *part = pattern;
    for (char *slash; (slash = strchr(part, '/')); part = slash + 1) {
        *slash = '\0';
        int rc = step_down(job, &from, &to, part);
        if (rc != 0)
            return rc < 0 ? rc : 0;
        size_t used = strlen(path);
        snprintf(path + used, sizeof(path) - used, "/%s", part);
    }
    job->scan = row->scan;
    return copy_matches(job, from, to, part, path);
}

// Drops links into /etc whose target was not copied. Takes fd over.
static void drop_dangling(struct job *job, int fd, const char *path, int depth)
{
    cleanup_dir DIR *dir = dir_adopt(fd);
    if (!dir)
        return;
    for (struct dirent *entry; depth <= DEPTH_MAX && (entry = readdir(dir));) {
        char below[PATH_MAX], target[PATH_MAX];
        if (entry->d_name[0] == '.' && strspn(entry->d_name, ".") == strlen(entry->d_name))
            continue;
        snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
        ssize_t size = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
        if (size < 0) {
            int next =
                openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (next >= 0)
                drop_dangling(job, next, below, depth + 1);
            continue;
        }
        target[size] = '\0';
        char absolute[PATH_MAX];
        if (normalize(path, target, absolute) < 0 || strncmp(absolute, "/etc/", 5) != 0)
            continue;
        cleanup_fd int there = beneath_open(job->root_fd, absolute, O_PATH | O_NOFOLLOW, 0);
        if (there < 0 && errno == ENOENT)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
}

int hostetc_copy(int host_fd, int root_fd, struct sbx_error *err)
{
    cleanup_free char *content = malloc(FILE_BYTES_MAX + 1);
    if (!content)
        return err_nomem(err);
    struct job job = {.host_fd = host_fd, .root_fd = root_fd, .content = content, .err = err};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int rc = copy_row(&job, &rows[i]);
        if (rc < 0)
            return rc;
    }
    int etc = openat(root_fd, "etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (etc >= 0)
        drop_dangling(&job, etc, "/etc", 0);
    return 0;
}
