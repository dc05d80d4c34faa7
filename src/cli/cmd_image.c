// SPDX-License-Identifier: Apache-2.0
// sandboxes image: becomes the helper program that fetches and keeps images. Its libraries burden
// no other command. Layer: cli.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/become.h"
#include "cli/command.h"
#include "cli/spinner.h"
#include "engine/fetcher.h"
#include "registry/show.h"

/*
 * Of many that pull one image at once, all but one sleep here and tell what that one has found.
 * 0: it is our turn, or nothing that this is good for; 1: told, and *ret_status is how to end.
 */
static int wait_turn(struct invocation *use, const char *name, struct imageturn *ret_turn,
                     int *ret_status)
{
    int64_t began_ns = clock_boot_ns();
    const struct deadline deadline = {.at_ms = DEADLINE_NEVER};
    const struct image_values *values = use->values;
    cleanup(cachedir_close) struct cachedir cache = {.fd = -1};
    cleanup_imagestore struct imagestore store = IMAGESTORE_NONE;
    cleanup_imagerecord struct imagerecord record = {0};
    cleanup(show_deinit) struct show show = {0};
    struct spinner spinner;
    char whole[IMAGEREF_NAME_SIZE];
    if (imageref_whole(name, whole, NULL) < 0 || cachedir_open(&cache, NULL) < 0 ||
        imagestore_open(&cache, &store, NULL) < 0)
        return 0; // the program says it
    spinner_start(&spinner, "waiting for another process that pulls it",
                  values->quiet > 0 || values->json > 0);
    int rc = imageturn_take(&store, whole, began_ns, deadline, ret_turn, NULL);
    spinner_stop(&spinner);
    if (rc != 1 || imagerecord_read(&store, whole, &record, NULL) < 0)
        return 0;
    show_begin(&show, values, true);
    show_record(&show, &record);
    *ret_status = show_finish(&show) < 0 ? EXIT_OURS : 0;
    return 1;
}

// For the program that we become.
static bool keep_turn(const struct imageturn *turn)
{
    if (turn->fd == FETCH_TURN_FD)
        return fcntl(turn->fd, F_SETFD, 0) == 0;
    return turn->fd >= 0 && dup2(turn->fd, FETCH_TURN_FD) >= 0;
}

static int run_image(struct cli *cli, struct invocation *use)
{
    struct sbx_error err;
    struct imageturn turn = IMAGETURN_NONE;
    int status;
    cleanup_free const char **argv = calloc((size_t)use->argc + 5, sizeof(*argv));
    if (!argv) {
        err_nomem(&err);
        return cli_fail(cli, &err);
    }
    if (use->operands.count == 2 && strcmp(use->operands.items[0], "pull") == 0 &&
        wait_turn(use, use->operands.items[1], &turn, &status) == 1)
        return status;
    size_t count = 0;
    argv[count++] = "sandboxes image";
    if (keep_turn(&turn))
        argv[count++] = FETCH_TURN_FLAG;
    if (cli->config_path) { // it may stand before the command
        argv[count++] = "--config";
        argv[count++] = cli->config_path;
    }
    memcpy(argv + count, use->argv, (size_t)use->argc * sizeof(*argv));
    return cli_become(cli, FETCH_PROGRAM, "build sandboxes with libcurl and jansson", argv);
}

static const struct command_example examples[] = {
    {"sandboxes image pull python:3.12-slim", "from Docker Hub"},
    {"sandboxes image import saved.tar", "what docker save or skopeo wrote"},
    {"sandboxes image build-from-dir ./rootfs mine", "then: sandboxes run --image mine ..."},
    {"sandboxes image list", "what is here"},
    {"sandboxes image prune", "frees what nothing needs"},
    {NULL, NULL},
};

static const char *const forms[] = {
    "pull", "list", "inspect", "rm", "prune", "import FILE", "build-from-dir FILE", NULL};

const struct command command_image = {
    .name = "image",
    .aliases = "images",
    .summary = "fetch, list and remove images of registries",
    .operands = "[OPTIONS] pull NAME... | list | inspect NAME... | rm NAME... | prune | import "
                "FILE|DIR [NAME] | build-from-dir DIR NAME",
    .details =
        "Images of registries, for 'run --image NAME' and its like, which fetch one that is not "
        "here. 'pull' fetches anew what the name means now; layers that are here already are not "
        "fetched again. 'import' takes a saved image: an OCI layout or what 'docker save' wrote, "
        "as a directory or tar archive. 'build-from-dir' makes an image of a directory with a root "
        "file system in it.\n\n"
        "Names are written as everywhere: python:3.12-slim, ghcr.io/owner/name:tag, "
        "name@sha256:... Credentials are those of docker login and podman login. The table "
        "[images] of the configuration has plain_http, a list of registries without TLS, and "
        "mirrors, a list of REGISTRY=URL.\n\n"
        "'prune' removes what no image needs, and of what was made of this machine and of "
        "archives what is outdated; with --all also every image on which no sandbox stands.",
    .examples = examples,
    .parts = {{"Options", image_rows, IMAGE_ROW_COUNT, 0}},
    .values_size = sizeof(struct image_values),
    .least = 1,
    .most = SIZE_MAX,
    .forms = forms,
    .run = run_image,
};
