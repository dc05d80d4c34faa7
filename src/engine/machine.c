// SPDX-License-Identifier: Apache-2.0
// From what a user asks for to the jail of a guest. Layer: engine.
#include "engine/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/accel.h"
#include "engine/imagelist.h"
#include "wire/machine.h"

#define MIB (1024 * 1024)
#define USER_ID 1000   // as whose the jail shows mounts where the default user is not root
#define IMAGE "/image" // where the jail has what the guest mounts as its image

static int check_memory(const struct sbx_spec *asked, struct sbx_error *err)
{
    if (!asked->memory_bytes || asked->memory_bytes >= MACHINE_MEMORY_LEAST)
        return 0;
    return err_set(err, SBX_ERR_INVALID,
                   "memory of %llu MiB can't hold a guest kernel and a command; %llu MiB can",
                   (unsigned long long)(asked->memory_bytes / MIB), MACHINE_MEMORY_LEAST / MIB);
}

static int refuse(const struct sbx_spec *asked, struct sbx_error *err)
{
    if (asked->network == SBX_NETWORK_HOST)
        return err_set(err, SBX_ERR_UNSUPPORTED, "a guest can't use this machine's own network");
    return 0;
}

// QEMU's own files are the root of the jail; the image's lie beneath it.
static int join_layers(struct image *tree, struct image *image, struct sbx_error *err)
{
    for (size_t i = 0; i < image->layer_count; i++) {
        char target[PATH_MAX];
        const char *inside = image->layers[i].name;
        snprintf(target, sizeof(target), IMAGE "%s", strcmp(inside, "/") == 0 ? "" : inside);
        int code = imagelist_add_layer(tree, target, image->layers[i].value, err);
        if (code < 0)
            return code;
    }
    struct sbx_pair *layers = image->layers;
    size_t count = image->layer_count;
    image->layers = tree->layers;
    image->layer_count = tree->layer_count;
    tree->layers = layers;
    tree->layer_count = count;
    return 0;
}

static uint32_t count_cpus(uint32_t cpu_millis)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t wanted = cpu_millis ? (cpu_millis + 999) / 1000 : 1;
    return cores > 0 && wanted > (uint32_t)cores ? (uint32_t)cores : wanted;
}

static uint32_t kinds_of_mounts(const struct box_spec *box)
{
    uint32_t kinds = 0;
    for (size_t i = 0; i < box->mount_count; i++)
        kinds |=
            box->mounts[i].value[0] == 'w' ? MACHINE_MOUNTS_ARE_WRITTEN : MACHINE_MOUNTS_ARE_READ;
    return kinds;
}

static int describe(const struct machine_parts *parts, struct boxspec *spec, struct sbx_error *err)
{
    char text[MACHINE_TEXT_MAX];
    struct box_spec *box = &spec->box;
    struct machine machine = {
        .memory_mb = (uint32_t)(box->memory_bytes / MIB),
        .cpus = count_cpus(box->cpu_millis),
        .kvm = accel_is_kvm(),
        .acpi = parts->acpi,
        .network = box->network != SBX_NETWORK_NONE,
        .mounts = kinds_of_mounts(box),
        .user = box->flags & BOX_ROOT_USER ? 0 : USER_ID,
        .debug = getenv("SANDBOXES_MICROVM_DEBUG") != NULL,
        .disk_mb = (uint32_t)(box->disk_bytes / MIB),
        .processes = box->max_pids,
    };
    if (machine_print(&machine, text, sizeof(text)) < 0)
        return err_set(err, SBX_ERR_BUG, "the description of the machine is too long");
    char *copy = strdup(text);
    if (!copy)
        return err_nomem(err);
    spec->texts[spec->text_count++] = copy;
    box->machine = copy;
    if (machine.kvm)
        box->flags |= BOX_KVM;
    box->agent = parts->vmm;
    return 0;
}

int machine_fill(const struct sbx_spec *asked, const struct machine_parts *parts,
                 struct deadline deadline, struct boxspec *ret_spec, struct sbx_error *err)
{
    struct sbx_spec bounded = *asked;
    cleanup_boxspec struct boxspec spec = {0};
    cleanup(image_deinit) struct image tree = {0};
    int code = refuse(asked, err);
    if (code == 0)
        code = check_memory(asked, err);
    if (code < 0)
        return code;
    if (!asked->memory_bytes)
        bounded.memory_bytes = MACHINE_MEMORY;
    code = boxspec_fill(&bounded, deadline, &spec, err);
    if (!asked->cpu_millis) // the guest holds the others, whether this machine has cgroups or not
        spec.box.flags &= ~(uint32_t)BOX_LIMITS_ASKED;
    if (code == 0)
        code = machine_tree(parts, deadline, &tree, err);
    if (code == 0)
        code = describe(parts, &spec, err);
    if (code == 0)
        code = join_layers(&tree, &spec.image, err);
    if (code < 0)
        return code;
    spec.box.layers = spec.image.layers;
    spec.box.layer_count = spec.image.layer_count;
    *ret_spec = spec;
    spec = (struct boxspec){0};
    return 0;
}
