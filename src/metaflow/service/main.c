// SPDX-License-Identifier: Apache-2.0
// metaflow-local-service: the commands. Layer: metaflow.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/opt.h"
#include "metaflow/service/mfdaemon.h"
#include "metaflow/service/mfrun.h"

#define PROGRAM "metaflow-local-service"
#define OWN_FAILURE 125
#define USAGE 2
#define SERVICES_MAX 64
#define IDLE_MAX_S (365 * 24 * 3600)

struct values {
    int64_t port, idle_timeout;
    const char *root;
    int help;
};

#define ROW(option_name, member, option_kind, ...)                                                 \
    {                                                                                              \
        .name = (option_name), .offset = offsetof(struct values, member), .kind = (option_kind),   \
        __VA_ARGS__                                                                                \
    }

static const struct opt_row rows[] = {
    ROW("port", port, OPT_INT, .value = "PORT", .max = 65535,
        .help = "port to listen on; 0, the default, is any free one"),
    ROW("metaflow-root", root, OPT_STRING, .value = "DIR",
        .help =
            "directory of .metaflow; else METAFLOW_DATASTORE_SYSROOT_LOCAL, the nearest one with "
            "a .metaflow from here upwards, or this one"),
    ROW("idle-timeout", idle_timeout, OPT_INT, .value = "SECONDS", .max = IDLE_MAX_S,
        .help = "end after so long without a request; 0 is never, the default 300"),
    ROW("help", help, OPT_FLAG, .help = "show this help"),
};

static const char overview[] =
    "Metadata service for Metaflow over the files in .metaflow.\n"
    "\n"
    "Usage: " PROGRAM " run [OPTIONS] PROGRAM [ARGUMENTS...]\n"
    "       " PROGRAM " start [OPTIONS]\n"
    "       " PROGRAM " status | url | stop [--metaflow-root DIR]\n"
    "\n"
    "  run     run a program with the service; it ends with the program\n"
    "  start   start the service and leave it running\n"
    "  status  tell whether it runs; status 1 when not\n"
    "  url     print its address; status 1 when it does not run\n"
    "  stop    end it\n"
    "\n"
    "Options:\n";

static int show_help(void)
{
    fputs(overview, stdout);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char name[64];
        snprintf(name, sizeof(name), "--%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("  %-24s %s\n", name, rows[i].help);
    }
    puts("\nEnvironment: METAFLOW_LOCAL_SERVICE_PORT, METAFLOW_LOCAL_SERVICE_IDLE_TIMEOUT, "
         "METAFLOW_LOCAL_SERVICE_DEBUG");
    return 0;
}

static int tell(const struct sbx_error *err, int status)
{
    fprintf(stderr, PROGRAM ": %s\n", err->message);
    if (err->remedy[0])
        fprintf(stderr, "%s\n", err->remedy);
    return status;
}

// An option's value from the environment, unless it was given.
static int take_setting(struct opt_set *set, size_t row, const char *name, struct sbx_error *err)
{
    const char *value = getenv(name);
    return value && *value && !opt_seen(set, row) ? opt_set_value(set, row, value, name, err) : 0;
}

static bool has_metaflow(const char *dir)
{
    char path[PATH_MAX];
    struct stat info;
    return (size_t)snprintf(path, sizeof(path), "%s/.metaflow", dir) < sizeof(path) &&
           stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

// Where local mode would keep its data.
static int default_parent(char ret_parent[PATH_MAX], struct sbx_error *err)
{
    const char *configured = getenv("METAFLOW_DATASTORE_SYSROOT_LOCAL");
    char here[PATH_MAX], at[PATH_MAX];
    if (!getcwd(here, sizeof(here)))
        return err_set(err, SBX_ERR_IO, "the working directory is gone");
    if (configured && *configured) {
        snprintf(ret_parent, PATH_MAX, "%s", configured);
        return 0;
    }
    snprintf(at, sizeof(at), "%s", here);
    for (char *slash; !has_metaflow(*at ? at : "/") && (slash = strrchr(at, '/'));)
        *slash = '\0';
    bool found = has_metaflow(*at ? at : "/");
    snprintf(ret_parent, PATH_MAX, "%s", found ? (*at ? at : "/") : here);
    return 0;
}

static int find_root(const struct values *values, bool make, char ret_root[PATH_MAX],
                     struct sbx_error *err)
{
    char parent[PATH_MAX];
    if (values->root)
        return mfdaemon_root(values->root, make, ret_root, err);
    int code = default_parent(parent, err);
    return code < 0 ? code : mfdaemon_root(parent, make, ret_root, err);
}

static bool is_true(const char *text)
{
    return text && (strcmp(text, "1") == 0 || strcasecmp(text, "true") == 0 ||
                    strcasecmp(text, "yes") == 0);
}

static struct mfdaemon_options options_of(const struct values *values, const char *root, bool kept)
{
    return (struct mfdaemon_options){.root = root,
                                     .port = (uint16_t)values->port,
                                     .idle_ms = values->idle_timeout * 1000,
                                     .kept = kept,
                                     .debug = is_true(getenv("METAFLOW_LOCAL_SERVICE_DEBUG"))};
}

static int do_run(const struct values *values, const struct opt_operands *operands)
{
    char root[PATH_MAX];
    struct sbx_error err = {0};
    if (operands->count == 0) {
        err_set(&err, SBX_ERR_INVALID, "run: which program?");
        err_hint(&err, "for example: " PROGRAM " run python flow.py run");
        return tell(&err, USAGE);
    }
    char **command = calloc(operands->count + 1, sizeof(*command));
    if (!command || find_root(values, true, root, &err) < 0)
        return tell(&err, OWN_FAILURE);
    memcpy(command, operands->items, operands->count * sizeof(*command));
    const struct mfdaemon_options options = options_of(values, root, false);
    int status = mfrun(&options, command, &err);
    free(command);
    return err.code < 0 ? tell(&err, status) : status;
}

static int do_start(const struct values *values, const struct opt_operands *operands)
{
    char root[PATH_MAX];
    struct sbx_error err;
    cleanup_fd int dir_fd = -1;
    struct mfdaemon daemon;
    if (find_root(values, true, root, &err) < 0 || mfstate_open_dir(&dir_fd, &err) < 0)
        return tell(&err, OWN_FAILURE);
    const struct mfdaemon_options options = options_of(values, root, true);
    if (mfdaemon_start(&options, dir_fd, &daemon, &err) < 0 ||
        (!daemon.ours && mfstate_keep(dir_fd, daemon.id, &err) < 0))
        return tell(&err, OWN_FAILURE);
    printf("%s: pid=%d  url=http://127.0.0.1:%u\n", daemon.ours ? "Started" : "Already running",
           (int)daemon.state.pid, daemon.state.port);
    if (daemon.ours)
        printf("  METAFLOW_SERVICE_URL=http://127.0.0.1:%u\n  METAFLOW_DEFAULT_METADATA=service\n",
               daemon.state.port);
    mfdaemon_release(&daemon);
    return 0;
}

// The only service that runs, for those who ask elsewhere than in its directory.
static int find_sole(int dir_fd, struct mfstate *ret_state, struct sbx_error *err)
{
    char ids[SERVICES_MAX][MFSTATE_ID_SIZE];
    size_t count = mfstate_list(dir_fd, ids, SERVICES_MAX), living = 0;
    struct mfstate state;
    for (size_t i = 0; i < count; i++)
        if (mfstate_read(dir_fd, ids[i], &state, NULL) == 0) {
            *ret_state = state;
            living++;
        }
    if (living == 1)
        return 0;
    err_set(err, SBX_ERR_NOT_FOUND, living ? "Not running here." : "Not running.");
    return err_hint(err, living ? "name one with --metaflow-root" : "start it: " PROGRAM " start");
}

static int find_service(const struct values *values, int dir_fd, struct mfstate *ret_state,
                        struct sbx_error *err)
{
    char root[PATH_MAX], id[MFSTATE_ID_SIZE];
    if (find_root(values, false, root, err) == 0) {
        mfstate_id(root, id);
        if (mfstate_read(dir_fd, id, ret_state, err) == 0)
            return 0;
    }
    if (!values->root)
        return find_sole(dir_fd, ret_state, err);
    err_set(err, SBX_ERR_NOT_FOUND, "Not running.");
    return err_hint(err, "start it: " PROGRAM " start --metaflow-root %s", values->root);
}

static int do_status(const struct values *values, const struct opt_operands *operands)
{
    struct mfstate state;
    struct sbx_error err;
    cleanup_fd int dir_fd = -1;
    if (mfstate_open_dir(&dir_fd, &err) < 0)
        return tell(&err, OWN_FAILURE);
    if (find_service(values, dir_fd, &state, &err) < 0) {
        puts(err.message);
        return 1;
    }
    printf("Running: pid=%d  url=http://127.0.0.1:%u\n  metaflow_root=%.*s\n", (int)state.pid,
           state.port, (int)(strlen(state.root) - strlen("/.metaflow")), state.root);
    return 0;
}

static int do_url(const struct values *values, const struct opt_operands *operands)
{
    struct mfstate state;
    struct sbx_error err;
    cleanup_fd int dir_fd = -1;
    if (mfstate_open_dir(&dir_fd, &err) < 0)
        return tell(&err, OWN_FAILURE);
    if (find_service(values, dir_fd, &state, &err) < 0)
        return tell(&err, 1);
    printf("http://127.0.0.1:%u", state.port);
    return 0;
}

static int do_stop(const struct values *values, const struct opt_operands *operands)
{
    struct mfstate state;
    struct sbx_error err;
    cleanup_fd int dir_fd = -1;
    if (mfstate_open_dir(&dir_fd, &err) < 0)
        return tell(&err, OWN_FAILURE);
    if (find_service(values, dir_fd, &state, &err) < 0) {
        puts("No running daemon found.");
        return 0;
    }
    char id[MFSTATE_ID_SIZE];
    mfstate_id(state.root, id);
    int code = mfdaemon_stop(dir_fd, id, &err);
    if (code < 0 && code != SBX_ERR_NOT_FOUND)
        return tell(&err, OWN_FAILURE);
    puts("Stopped.");
    return 0;
}

static const struct command {
    const char *name;
    int (*run)(const struct values *values, const struct opt_operands *operands);
} commands[] = {{"run", do_run},
                {"start", do_start},
                {"status", do_status},
                {"url", do_url},
                {"stop", do_stop}};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct values values = {.idle_timeout = 300};
    struct opt_set set = {.rows = rows, .count = ARRAY_SIZE(rows), .values = &values};
    struct opt_operands operands;
    struct opt_grammar grammar = {.sets = &set, .set_count = 1, .help = PROGRAM " --help"};
    struct sbx_error err;
    int code = opt_parse(&grammar, argc, (const char *const *)argv, &operands, &err);
    if (code == 0)
        code = take_setting(&set, 0, "METAFLOW_LOCAL_SERVICE_PORT", &err);
    if (code == 0)
        code = take_setting(&set, 2, "METAFLOW_LOCAL_SERVICE_IDLE_TIMEOUT", &err);
    int status = code < 0      ? tell(&err, USAGE)
                 : values.help ? show_help()
                               : command->run(&values, &operands);
    opt_operands_deinit(&operands);
    opt_deinit(&set);
    return status;
}

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
    if (command)
        return run_command(command, argc - 2, argv + 2);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return puts(PROGRAM " " SBX_VERSION) < 0;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return show_help();
    fprintf(stderr, PROGRAM ": %s\nSee " PROGRAM " --help\n",
            argc > 1 ? "no such command" : "what shall be done?");
    return USAGE;
}
