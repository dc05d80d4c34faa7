// SPDX-License-Identifier: Apache-2.0
// The view of this machine and directories as images: what is in them, what never is, made once.
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tree.h"
#include "engine/hostview.h"
#include "engine/image.h"
#include "engine/probe.h"
#include "engine/store.h"
#include "engine/view.h"

// A machine of our own under a temporary directory, and a cache beside it.
struct fixture {
    char base[64];
    char host[80];
    struct cachedir cache;
};

static void make_dir(const struct fixture *f, const char *path, mode_t mode)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", f->host, path);
    assert_int_equal(mkdir(full, 0700), 0);
    assert_int_equal(chmod(full, mode), 0);
}

static void put(const struct fixture *f, const char *path, mode_t mode, const char *text)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", f->host, path);
    unlink(full);
    int fd = open(full, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void put_link(const struct fixture *f, const char *path, const char *target)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", f->host, path);
    assert_int_equal(symlink(target, full), 0);
}

#define CANARY "canary-7f3a"
#define PEM_KEY "-----BEGIN RSA PRIVATE KEY-----\n" CANARY "\n-----END RSA PRIVATE KEY-----\n"

struct row {
    const char *path;
    mode_t mode;
    const char *text; // NULL: a directory
};

static const struct row tree[] = {
    {"usr", 0755, NULL},
    {"usr/bin", 0755, NULL},
    {"usr/bin/bash", 0755, "#!\n"},
    {"usr/bin/python3", 0755, "#!\n"},
    {"usr/lib", 0755, NULL},
    {"usr/local", 0755, NULL},
    {"usr/local/etc", 0755, NULL},
    {"usr/local/etc/npmrc", 0644,
     "registry=https://npm.example.com/\n//x/:_authToken=" CANARY "\n"},
    {"usr/local/etc/other", 0644, CANARY},
    {"root", 0755, NULL},
    {"root/file", 0644, CANARY},
    {"home", 0755, NULL},
    {"home/alice", 0755, NULL},
    {"home/alice/file", 0644, CANARY},
    {"opt", 0755, NULL},
    {"opt/file", 0644, CANARY},
    {"etc", 0755, NULL},
    {"etc/passwd", 0644,
     "root:$6$" CANARY ":0:0:" CANARY ":/root:/bin/zsh\n"
     "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
     "_apt:" CANARY ":42:65534:" CANARY ":/nonexistent:/usr/sbin/nologin\n"
     "malformed line\n"
     "alice" CANARY ":x:1000:1000:Alice:/home/alice:/bin/bash\n"},
    {"etc/group", 0644, "root:x:0:\nsudo:x:27:" CANARY "\nalice" CANARY ":x:1000:\nstaff:x:50:\n"},
    {"etc/shadow", 0644, CANARY},
    {"etc/hostname", 0644, CANARY},
    {"etc/hosts", 0644, "10.1.2.3 " CANARY "\n"},
    {"etc/resolv.conf", 0644, "search " CANARY "\n"},
    {"etc/machine-id", 0644, CANARY},
    {"etc/krb5.conf", 0644, CANARY},
    {"etc/unknown.conf", 0644, CANARY},
    {"etc/ssl", 0755, NULL},
    {"etc/ssl/certs", 0755, NULL},
    {"etc/ssl/certs/ca-certificates.crt", 0644, "-----BEGIN CERTIFICATE-----\n"},
    {"etc/ssl/certs/stray.pem", 0644, PEM_KEY},
    {"etc/ssl/certs/site.key", 0644, CANARY},
    {"etc/ssl/private", 0755, NULL},
    {"etc/ssl/private/host.pem", 0644, CANARY},
    {"etc/ssl/openssl.cnf", 0644, "# input_password = secret\n"},
    {"etc/services", 0600, "ssh 22/tcp # " CANARY "\n"}, // not for everybody
    {"etc/protocols", 0644, "tcp 6 TCP\n"},
    {"etc/profile", 0644, "export PATH\n"},
    {"etc/profile.d", 0755, NULL},
    {"etc/profile.d/plain.sh", 0644, "export EDITOR=vi\n"},
    {"etc/profile.d/token.sh", 0644, "export AWS_SECRET_ACCESS_KEY=" CANARY "\n"},
    {"etc/profile.d/proxy.sh", 0644, "export http_proxy=http://u:" CANARY "@proxy:3128\n"},
    {"etc/apt", 0755, NULL},
    {"etc/apt/auth.conf", 0644, "machine x login y password " CANARY "\n"},
    {"etc/apt/auth.conf.d", 0755, NULL},
    {"etc/apt/auth.conf.d/x.conf", 0644, CANARY},
    {"etc/apt/sources.list", 0644,
     "deb https://u:" CANARY "@apt.example.com x y\ndeb https://deb.example.com stable main\n"},
    {"etc/apt/sources.list.d", 0755, NULL},
    {"etc/apt/sources.list.d/a.sources", 0644, "URIs: https://" CANARY "@h/\nSuites: x\n"},
    {"etc/apt/sources.list.d/b.sources", 0644, "URIs: https://h/\nSuites: x\n"},
    {"etc/apt/apt.conf.d", 0755, NULL},
    {"etc/apt/apt.conf.d/proxy", 0644,
     "Acquire::http::Proxy \"http://u:" CANARY "@p:1\";\nAcquire::Retries \"3\";\n"},
    {"etc/pip.conf", 0644,
     "[global]\nindex-url = https://u:" CANARY "@p/\nextra-index-url = https://pypi.example.com/\n"
     "password = " CANARY "\n"},
    {"etc/default", 0755, NULL},
    {"etc/default/locale", 0644, "LANG=\"de_DE.UTF-8\"\n"},
    {"etc/default/service", 0644, "PASSWORD=" CANARY "\n"},
    {"etc/alternatives", 0755, NULL},
    {"etc/skel", 0755, NULL},
    {"etc/skel/.profile", 0644, "# profile\n"},
    {"var", 0755, NULL},
    {"var/lib", 0755, NULL},
    {"var/lib/dpkg", 0755, NULL},
    {"var/lib/dpkg/status", 0644, "Package: x\n"},
};

static void make_host(struct fixture *f)
{
    for (size_t i = 0; i < sizeof(tree) / sizeof(tree[0]); i++) {
        if (tree[i].text)
            put(f, tree[i].path, tree[i].mode, tree[i].text);
        else
            make_dir(f, tree[i].path, tree[i].mode);
    }
    put_link(f, "bin", "usr/bin");
    put_link(f, "lib", "usr/lib");
    put_link(f, "etc/alternatives/vi", "/usr/bin/vim");
    put_link(f, "etc/alternatives/home", "/home/alice/file");
    put_link(f, "etc/alternatives/sly", "../../usr/../home/alice/file");
    put_link(f, "etc/alternatives/shadow", "/etc/shadow");
    put_link(f, "etc/alternatives/allowed", "/etc/protocols");
    put_link(f, "etc/localtime", "/usr/share/zoneinfo/Europe/Berlin");
    put_link(f, "etc/rpc", "/root/file");
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    snprintf(f->base, sizeof(f->base), "/tmp/test-image-XXXXXX");
    if (!f || !mkdtemp(f->base))
        return -1;
    snprintf(f->host, sizeof(f->host), "%s/host", f->base);
    snprintf(f->cache.path, sizeof(f->cache.path), "%s/cache", f->base);
    if (mkdir(f->host, 0755) < 0 || mkdir(f->cache.path, 0700) < 0)
        return -1;
    f->cache.fd = open(f->cache.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    setenv("SANDBOXES_CACHE_DIR", f->cache.path, 1);
    make_host(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->cache.fd);
    int rc = tree_remove(AT_FDCWD, f->base);
    free(f);
    return rc;
}

static void open_view(const struct fixture *f, struct image *ret_image)
{
    struct sbx_error err = {0};
    if (hostview_open(f->host, 0, &f->cache, deadline_in(30000), ret_image, &err) < 0)
        fail_msg("%s", err.message);
}

static const char *layer(const struct image *image, const char *target)
{
    for (size_t i = 0; i < image->layer_count; i++)
        if (strcmp(image->layers[i].name, target) == 0)
            return image->layers[i].value;
    fail_msg("no layer for %s", target);
    return NULL;
}

static const char *env(const struct image *image, const char *name)
{
    for (size_t i = 0; i < image->env_count; i++)
        if (strcmp(image->env[i].name, name) == 0)
            return image->env[i].value;
    return NULL;
}

// Contents of a file below the view's root, or NULL. Static storage.
static const char *content(const struct image *image, const char *path)
{
    static char text[8192];
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", layer(image, "/"), path);
    return fd_read_file(AT_FDCWD, full, text, sizeof(text)) < 0 ? NULL : text;
}

static bool exists(const struct image *image, const char *path)
{
    char full[512];
    struct stat info;
    snprintf(full, sizeof(full), "%s/%s", layer(image, "/"), path);
    return lstat(full, &info) == 0;
}

// Looks for the canary in every file, name and link target; also that everybody may read all of it.
static void search(int dir_fd, const char *name)
{
    struct stat info;
    char text[65536] = "";
    assert_null(strstr(name, CANARY));
    assert_int_equal(fstatat(dir_fd, name, &info, AT_SYMLINK_NOFOLLOW), 0);
    if (S_ISLNK(info.st_mode)) {
        ssize_t size = readlinkat(dir_fd, name, text, sizeof(text) - 1);
        assert_true(size > 0);
        assert_null(strstr(text, "home"));
    } else if (S_ISREG(info.st_mode)) {
        assert_true(fd_read_file(dir_fd, name, text, sizeof(text)) >= 0);
        if (strstr(text, CANARY))
            fail_msg("the secret is in %s: %s", name, text);
    } else if (S_ISDIR(info.st_mode)) {
        DIR *dir = fdopendir(openat(dir_fd, name, O_RDONLY | O_DIRECTORY));
        assert_non_null(dir);
        for (struct dirent *entry; (entry = readdir(dir));)
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                search(dirfd(dir), entry->d_name);
        closedir(dir);
    }
}

static void no_secret_is_in_the_view(void **state)
{
    struct image image;
    open_view(*state, &image);
    search(((struct fixture *)*state)->cache.fd, ".");
    image_deinit(&image);
}

static void what_programs_need_is_there(void **state)
{
    struct image image;
    open_view(*state, &image);
    assert_string_equal(content(&image, "etc/protocols"), "tcp 6 TCP\n");
    assert_string_equal(content(&image, "etc/ssl/openssl.cnf"), "# input_password = secret\n");
    assert_non_null(content(&image, "etc/ssl/certs/ca-certificates.crt"));
    assert_non_null(content(&image, "etc/profile.d/plain.sh"));
    assert_string_equal(content(&image, "etc/apt/sources.list"),
                        "deb https://deb.example.com stable main\n");
    assert_string_equal(content(&image, "etc/apt/apt.conf.d/proxy"), "Acquire::Retries \"3\";\n");
    assert_non_null(content(&image, "etc/apt/sources.list.d/b.sources"));
    assert_false(exists(&image, "etc/apt/sources.list.d/a.sources"));
    assert_non_null(strstr(content(&image, "etc/pip.conf"), "break-system-packages = true"));
    assert_non_null(strstr(content(&image, "etc/pip.conf"), "https://pypi.example.com/"));
    assert_non_null(strstr(content(&image, "etc/npmrc"), "registry=https://npm.example.com/"));
    assert_string_equal(content(&image, "home/user/.profile"), "# profile\n");
    assert_string_equal(content(&image, "etc/hostname"), "sandbox\n");
    assert_string_equal(content(&image, "etc/machine-id"), "");
    assert_true(exists(&image, "etc/alternatives/vi"));
    assert_true(exists(&image, "etc/alternatives/allowed"));
    assert_false(exists(&image, "etc/alternatives/shadow"));
    assert_false(exists(&image, "etc/alternatives/home"));
    assert_false(exists(&image, "etc/alternatives/sly"));
    assert_true(exists(&image, "etc/localtime"));
    assert_false(exists(&image, "etc/services"));
    assert_false(exists(&image, "etc/rpc"));
    assert_false(exists(&image, "etc/default/service"));
    assert_string_equal(env(&image, "LANG"), "de_DE.UTF-8");
    assert_non_null(strstr(env(&image, "PATH"), "/usr/local/bin:"));
    image_deinit(&image);
}

static void accounts_are_made_up(void **state)
{
    struct image image;
    open_view(*state, &image);
    assert_string_equal(content(&image, "etc/passwd"),
                        "root:x:0:0:root:/root:/bin/bash\n"
                        "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
                        "_apt:x:42:65534::/nonexistent:/usr/sbin/nologin\n"
                        "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
                        "user:x:1000:1000:user:/home/user:/bin/bash\n");
    assert_string_equal(content(&image, "etc/group"), "root:x:0:\nsudo:x:27:\nstaff:x:50:\n"
                                                      "nogroup:x:65534:\nuser:x:1000:\n");
    assert_null(strstr(content(&image, "etc/shadow"), "$"));
    image_deinit(&image);
}

static void layers_are_in_order(void **state)
{
    struct fixture *f = *state;
    struct image image;
    char path[512];
    struct stat info;
    open_view(f, &image);
    static const char *const targets[] = {"/", "/usr", "/usr", "/var/lib/dpkg"};
    // Root can link the package database; an ordinary user needs a layer for it.
    size_t expected = geteuid() == 0 ? 3 : 4;
    assert_int_equal(image.layer_count, expected);
    for (size_t i = 0; i < expected; i++)
        assert_string_equal(image.layers[i].name, targets[i]);
    snprintf(path, sizeof(path), "%s/usr", f->host);
    assert_string_equal(image.layers[2].value, path);
    snprintf(path, sizeof(path), "%s/bin/python", image.layers[1].value);
    assert_int_equal(lstat(path, &info), 0);
    snprintf(path, sizeof(path), "%s/local/etc/other", image.layers[1].value);
    assert_int_equal(lstat(path, &info), 0); // a whiteout: the machine's file is hidden
    assert_true(S_ISCHR(info.st_mode) && info.st_rdev == 0);
    image_deinit(&image);
}

static void modes_and_owners_are_right(void **state)
{
    static const struct {
        const char *path;
        mode_t mode;
    } rows[] = {{"", 0755},           {"tmp", 01777},       {"var/tmp", 01777},  {"etc", 0755},
                {"etc/passwd", 0644}, {"etc/shadow", 0600}, {"home/user", 0755}, {"root", 0700}};
    struct image image;
    mode_t before = umask(077);
    put(*state, "etc/passwd", 0644, "root:x:0:0::/:/bin/sh\n"); // a new view, under this umask
    open_view(*state, &image);
    umask(before);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[512];
        struct stat info;
        snprintf(path, sizeof(path), "%s/%s", layer(&image, "/"), rows[i].path);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, rows[i].mode);
        bool user = probe_privileged() && strcmp(rows[i].path, "home/user") == 0;
        assert_int_equal(info.st_uid, user ? 1000 : geteuid());
    }
    image_deinit(&image);
}

static void a_change_makes_a_new_view(void **state)
{
    struct image first, again, changed;
    open_view(*state, &first);
    open_view(*state, &again);
    assert_string_equal(layer(&first, "/"), layer(&again, "/"));
    put(*state, "etc/group", 0644, "root:x:0:\nnew:x:77:\n");
    open_view(*state, &changed);
    assert_string_not_equal(layer(&first, "/"), layer(&changed, "/"));
    assert_non_null(strstr(content(&changed, "etc/group"), "new:x:77:"));
    assert_non_null(content(&first, "etc/passwd")); // what may be in use stays
    image_deinit(&first);
    image_deinit(&again);
    image_deinit(&changed);
}

static size_t count_views(const struct fixture *f, const char *suffix)
{
    size_t count = 0;
    DIR *dir = opendir(f->cache.path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name), tail = strlen(suffix);
        count += strncmp(entry->d_name, "host", 4) == 0 && length >= tail &&
                 strcmp(entry->d_name + length - tail, suffix) == 0;
    }
    closedir(dir);
    return count;
}

static void clear_cache(const struct fixture *f)
{
    assert_int_equal(tree_remove(AT_FDCWD, f->cache.path), 0);
    assert_int_equal(mkdir(f->cache.path, 0700), 0);
    int fd = open(f->cache.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(dup3(fd, f->cache.fd, O_CLOEXEC), f->cache.fd);
    close(fd);
}

static int build_in_child(const struct fixture *f)
{
    struct image image;
    struct sbx_error err;
    if (hostview_open(f->host, 0, &f->cache, deadline_in(30000), &image, &err) < 0)
        return 1;
    bool right = exists(&image, "home/user/.profile");
    image_deinit(&image);
    return right ? 0 : 2;
}

static void many_at_once_build_once(void **state)
{
    struct fixture *f = *state;
    pid_t children[20];
    clear_cache(f);
    for (size_t i = 0; i < 20; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(build_in_child(f));
    }
    for (size_t i = 0; i < 20; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_views(f, ""), 1); // no second view, lock or leftover
}

static void a_killed_builder_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    for (unsigned delay = 0; delay < 20000; delay += 1000) {
        clear_cache(f);
        pid_t child = fork();
        if (child == 0)
            _exit(build_in_child(f));
        usleep(delay);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_int_equal(build_in_child(f), 0);
        assert_int_equal(count_views(f, ".new"), 0);
        assert_int_equal(count_views(f, ""), 1);
    }
}

static void a_lock_is_waited_for_no_longer_than_allowed(void **state)
{
    struct fixture *f = *state;
    struct sbx_error err;
    struct image image;
    int lock = -1;
    clear_cache(f);
    assert_int_equal(cachedir_lock(f->cache.fd, "host.lock", deadline_in(0), &lock, &err), 0);
    int rc = hostview_open(f->host, 0, &f->cache, deadline_in(30), &image, &err);
    assert_int_equal(rc, SBX_ERR_TIMEOUT);
    struct sbx_cancel *cancel;
    assert_int_equal(sbx_cancel_new(&cancel, &err), 0);
    sbx_cancel_trigger(cancel);
    struct deadline deadline = {.at_ms = DEADLINE_NEVER, .cancel = cancel};
    assert_int_equal(hostview_open(f->host, 0, &f->cache, deadline, &image, &err),
                     SBX_ERR_CANCELLED);
    sbx_cancel_free(cancel);
    cachedir_unlock(f->cache.fd, "host.lock", &lock);
}

// A living sandbox, as long as the returned lock is open.
static int stand_on(const struct fixture *f, const struct image *image)
{
    struct store store;
    struct store_box box;
    struct sbx_error err;
    cleanup_buf struct buf text = BUF_INIT(BOX_SPEC_MAX);
    setenv("SANDBOXES_RUNTIME_DIR", f->base, 1);
    assert_int_equal(store_open(&store, &err), 0);
    assert_int_equal(store_create(&store, deadline_in(0), &box, &err), 0);
    struct box_spec spec = {.id = box.id,
                            .image = "host",
                            .user = "user",
                            .network = SBX_NETWORK_NONE,
                            .layers = image->layers,
                            .layer_count = image->layer_count};
    box_spec_put(&text, &spec);
    int fd = openat(box.lock_fd, BOX_FILE_SPEC, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(fd_write_full(fd, text.data, text.size), 0);
    close(fd);
    close(box.dir_fd);
    store_close(&store);
    return box.lock_fd;
}

// A view of its own, used last so long ago.
static void open_old_view(const struct fixture *f, int number, int hours, struct image *ret_image)
{
    char text[64], path[512];
    snprintf(text, sizeof(text), "root:x:0:\nnew:x:%d:\n", 70 + number);
    put(f, "etc/group", 0644, text);
    open_view(f, ret_image);
    const struct timespec used = {.tv_sec = time(NULL) - (time_t)hours * 3600};
    const struct timespec times[2] = {used, used};
    snprintf(path, sizeof(path), "%s/../manifest", layer(ret_image, "/"));
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

// Days since this machine started, where that tells whether a view can still be found.
static long days_of_boot(const struct fixture *f)
{
    struct timespec up;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &up), 0);
    return cachedir_is_own_disk(f->cache.fd) ? up.tv_sec / (24 * 3600) : LONG_MAX;
}

static void old_views_go_unless_they_are_used(void **state)
{
    struct fixture *f = *state;
    struct image images[7];
    int lock = -1;
    for (int i = 0; i < 7; i++) {
        // Last used 40, 39, ... days ago.
        open_old_view(f, i, (40 - i) * 24, &images[i]);
        if (i == 0)
            lock = stand_on(f, &images[i]);
    }
    put(f, "etc/group", 0644, "root:x:0:\n");
    struct image last;
    open_view(f, &last); // makes a view, and looks after the old ones
    for (int i = 0; i < 7; i++) {
        bool kept = i == 0 || (i >= 4 && days_of_boot(f) > 40);
        assert_int_equal(access(layer(&images[i], "/"), F_OK), kept ? 0 : -1);
        image_deinit(&images[i]);
    }
    image_deinit(&last);
    close(lock);
}

static bool is_there(const struct image *image)
{
    return access(layer(image, "/"), F_OK) == 0;
}

static void views_go_when_asked_unless_they_are_used(void **state)
{
    struct fixture *f = *state;
    struct image now, before, stood_on;
    open_old_view(f, 0, 4, &stood_on);
    open_old_view(f, 1, 3, &before);
    open_old_view(f, 2, 0, &now);
    int lock = stand_on(f, &stood_on);
    assert_int_equal(view_clear(&f->cache, false), 1);
    assert_true(is_there(&now) && !is_there(&before) && is_there(&stood_on));
    close(lock);
    assert_int_equal(view_clear(&f->cache, true), 1);
    assert_true(is_there(&now) && !is_there(&stood_on));
    image_deinit(&now);
    image_deinit(&before);
    image_deinit(&stood_on);
}

static void a_directory_is_an_image(void **state)
{
    struct fixture *f = *state;
    struct sbx_error err = {0};
    struct image image;
    char path[512];
    if (image_open(f->host, 0, deadline_in(30000), &image, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(image.layer_count, 2);
    assert_string_equal(image.layers[1].name, "/");
    assert_string_equal(image.layers[1].value, f->host);
    assert_non_null(strstr(content(&image, "etc/resolv.conf"), "nameserver "));
    assert_non_null(strstr(content(&image, "etc/passwd"), "user:x:1000:1000:"));
    assert_non_null(strstr(content(&image, "etc/passwd"), "alice"));
    assert_true(exists(&image, "proc"));
    image_deinit(&image);
    snprintf(path, sizeof(path), "%s/etc", f->host);
    assert_int_equal(image_open(path, 0, deadline_in(0), &image, &err), SBX_ERR_INVALID);
    assert_non_null(strstr(err.remedy, "--mount"));
}

// Links in a hostile directory must not show us, or the sandbox, files of this machine.
static void links_of_a_directory_stay_in_it(void **state)
{
    struct fixture *f = *state;
    struct sbx_error err = {0};
    struct image image;
    char path[512], outside[512];
    snprintf(outside, sizeof(outside), "%s/outside", f->base);
    int fd = open(outside, O_WRONLY | O_CREAT, 0644);
    assert_int_equal(fd_write_full(fd, "user2:" CANARY ":\n", 19), 0);
    close(fd);
    snprintf(path, sizeof(path), "%s/etc/passwd", f->host);
    unlink(path);
    assert_int_equal(symlink(outside, path), 0);
    assert_int_equal(image_open(f->host, 0, deadline_in(30000), &image, &err), 0);
    assert_null(strstr(content(&image, "etc/passwd"), CANARY));
    image_deinit(&image);
}

static void unknown_images_are_errors(void **state)
{
    struct sbx_error err;
    struct image image;
    (void)state;
    static const struct {
        const char *name;
        int code;
        const char *hint;
    } rows[] = {
        {"Python:3.12", SBX_ERR_INVALID, "python:3.12-slim"},
        {"./nothing-here", SBX_ERR_NOT_FOUND, "'host'"},
        {"example.com/python:", SBX_ERR_INVALID, "ghcr.io"},
        {"", SBX_ERR_INVALID, "python:3.12-slim"},
        {"/", SBX_ERR_INVALID, "'host'"},
        {"/dev/null", SBX_ERR_INVALID, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(image_open(rows[i].name, 0, deadline_in(0), &image, &err), rows[i].code);
        assert_non_null(strstr(err.remedy, rows[i].hint));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(no_secret_is_in_the_view),
        TEST(what_programs_need_is_there),
        TEST(accounts_are_made_up),
        TEST(layers_are_in_order),
        TEST(modes_and_owners_are_right),
        TEST(a_change_makes_a_new_view),
        TEST(many_at_once_build_once),
        TEST(a_killed_builder_leaves_nothing),
        TEST(a_lock_is_waited_for_no_longer_than_allowed),
        TEST(old_views_go_unless_they_are_used),
        TEST(views_go_when_asked_unless_they_are_used),
        TEST(a_directory_is_an_image),
        TEST(links_of_a_directory_stay_in_it),
        TEST(unknown_images_are_errors),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
