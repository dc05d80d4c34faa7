// SPDX-License-Identifier: Apache-2.0
// sandboxes microvm: what this machine needs for sandboxes under a kernel of their own. Layer: cli.
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/become.h"
#include "cli/command.h"

#define ARGS_MAX 6

struct microvm_values {
    int packaged, keep;
    const char *source;
};

#define FIELD(name) .offset = offsetof(struct microvm_values, name)
static const struct opt_row rows[] = {
    {.name = "packaged",
     .kind = OPT_FLAG,
     FIELD(packaged),
     .help = "use the distribution's kernel: needs no compiler, guests start slower"},
    {.name = "source",
     .kind = OPT_STRING,
     .value = "FILE",
     FIELD(source),
     .help = "build from this tar archive of Linux instead of the distribution's package"},
    {.name = "keep",
     .kind = OPT_FLAG,
     FIELD(keep),
     .help = "keep the unpacked sources, to build again sooner"},
};

static int run_microvm(struct cli *cli, struct invocation *use)
{
    const struct microvm_values *values = use->values;
    const char *argv[ARGS_MAX] = {"sandboxes microvm setup"};
    size_t count = 1;
    struct sbx_error err;
    if (strcmp(use->operands.items[0], "setup") != 0) {
        err_set(&err, SBX_ERR_INVALID, "'microvm' knows no '%s'", use->operands.items[0]);
        err_hint(&err, "sandboxes microvm setup");
        return cli_usage(cli, &err);
    }
    if (values->packaged > 0)
        argv[count++] = "--packaged";
    if (values->keep > 0)
        argv[count++] = "--keep";
    if (values->source) {
        argv[count++] = "--source";
        argv[count++] = values->source;
    }
    return cli_become(cli, "sandboxes-guest-kernel", "install sandboxes anew", argv);
}

static const struct command_example examples[] = {
    {"sandboxes microvm setup", "builds a small kernel: minutes, once"},
    {"sandboxes microvm setup --packaged", "takes the distribution's kernel instead"},
    {"sandboxes run -p microvm -- uname -a", "a command under that kernel"},
    {NULL, NULL},
};

static const char *const forms[] = {"setup", NULL};

const struct command command_microvm = {
    .name = "microvm",
    .aliases = "",
    .summary = "set up the kernel for sandboxes under a kernel of their own",
    .operands = "[OPTIONS] setup",
    .details =
        "Sandboxes of the provider microvm run in QEMU under a Linux kernel of their own. 'setup' "
        "builds that kernel, small and quick to start, from the distribution's package of kernel "
        "sources, and keeps it in the cache directory. It takes minutes once and needs no "
        "privileges; stopped, it goes on where it was; when it is there for these sources "
        "and this configuration, it is used as it is.\n\n"
        "Building needs: gcc make flex bison bc xz-utils libelf-dev. With --packaged nothing is "
        "built. $SANDBOXES_MICROVM_KERNEL names any other kernel. 'sandboxes doctor' says what is "
        "there: QEMU, kernel, and whether guests are accelerated or emulated.",
    .examples = examples,
    .parts = {{"Options", rows, ARRAY_SIZE(rows), 0}},
    .values_size = sizeof(struct microvm_values),
    .least = 1,
    .most = 1,
    .forms = forms,
    .run = run_microvm,
};
