// SPDX-License-Identifier: Apache-2.0
// sandboxes image: becomes the helper program that fetches and keeps images. Its libraries burden
// no other command. Layer: cli.
#include <string.h>

#include "base/cleanup.h"
#include "cli/become.h"
#include "cli/command.h"
#include "engine/fetcher.h"
#include "registry/options.h"

static int run_image(struct cli *cli, struct invocation *use)
{
    struct sbx_error err;
    cleanup_free const char **argv = calloc((size_t)use->argc + 4, sizeof(*argv));
    if (!argv) {
        err_nomem(&err);
        return cli_fail(cli, &err);
    }
    size_t count = 0;
    argv[count++] = "sandboxes image";
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
