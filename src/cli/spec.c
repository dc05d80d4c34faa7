// SPDX-License-Identifier: Apache-2.0
// The options that describe a sandbox. Layer: cli.
#include "cli/spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

// In the order of enum sbx_network.
static const char *const networks[] = {"none", "internet", "allow", "host", NULL};

#define FIELD(member) .offset = offsetof(struct spec_values, member)

const struct opt_row spec_rows[SPEC_ROW_COUNT] = {
    {.name = "provider",
     .letter = 'p',
     .kind = OPT_STRING,
     .value = "NAME",
     FIELD(provider),
     .help = "where: local, or a service that 'sandboxes providers' names [SANDBOXES_PROVIDER]"},
    {.name = "image",
     .letter = 'i',
     .kind = OPT_STRING,
     .value = "IMAGE",
     FIELD(image),
     .flags = OPT_SETTING,
     .help = "its root file system; local: 'host', a registry's name such as python:3.12-slim, a "
             "directory or a tarball"},
    {.name = "env",
     .letter = 'e',
     .kind = OPT_PAIR,
     .value = "NAME=VALUE",
     FIELD(env),
     .flags = OPT_NAME_ALONE,
     .help = "environment variable; NAME alone takes the value from here; repeatable"},
    {.name = "env-file",
     .kind = OPT_LIST,
     .value = "FILE",
     FIELD(env_files),
     .help = "environment variables, one NAME=VALUE a line; repeatable"},
    {.name = "label",
     .letter = 'l',
     .kind = OPT_PAIR,
     .value = "NAME=VALUE",
     FIELD(labels),
     .help = "label to find it by; repeatable"},
    {.name = "cpu",
     .kind = OPT_MILLIS,
     .value = "CORES",
     FIELD(cpu),
     .flags = OPT_SETTING,
     .help = "processor time it may use, in cores (1.5)"},
    {.name = "memory",
     .letter = 'm',
     .kind = OPT_BYTES,
     .value = "SIZE",
     FIELD(memory),
     .flags = OPT_SETTING,
     .help = "memory it may use (512m, 2g)"},
    {.name = "disk",
     .kind = OPT_BYTES,
     .value = "SIZE",
     FIELD(disk),
     .flags = OPT_SETTING,
     .help = "what it may write to its file system"},
    {.name = "pids",
     .kind = OPT_INT,
     .value = "N",
     FIELD(pids),
     .min = 1,
     .max = 4194304,
     .flags = OPT_SETTING,
     .help = "processes and threads it may have"},
    {.name = "gpu",
     .kind = OPT_STRING,
     .value = "KIND",
     FIELD(gpu),
     .help = "gpu, where the provider has them"},
    {.name = "network",
     .kind = OPT_ENUM,
     .value = "POLICY",
     .choices = networks,
     FIELD(network),
     .flags = OPT_SETTING,
     .help = "what it may reach"},
    {.name = "allow",
     .kind = OPT_LIST,
     .value = "HOST",
     FIELD(allow),
     .help = "reach only this name, *.name, address or range, with optional :port; repeatable"},
    {.name = "mount",
     .kind = OPT_LIST,
     .value = "SRC:DST[:rw]",
     FIELD(mounts),
     .help = "show a directory or file of this machine inside, read-only unless :rw; repeatable"},
    {.name = "publish",
     .alias = "port",
     .kind = OPT_LIST,
     .value = "[HOST:]PORT",
     FIELD(publish),
     .help = "make a TCP port of it reachable on this machine's loopback; repeatable"},
    {.name = "cwd",
     .letter = 'w',
     .alias = "workdir",
     .kind = OPT_STRING,
     .value = "DIR",
     FIELD(cwd),
     .help = "directory in which commands start"},
    {.name = "user",
     .letter = 'u',
     .kind = OPT_STRING,
     .value = "USER",
     FIELD(user),
     .flags = OPT_SETTING,
     .help = "user that commands run as: 'user', 'root', a name or a number"},
    {.name = "hostname",
     .kind = OPT_STRING,
     .value = "NAME",
     FIELD(hostname),
     .help = "its host name"},
    {.name = "ttl",
     .kind = OPT_DURATION,
     .value = "TIME",
     FIELD(ttl),
     .flags = OPT_SETTING,
     .help = "destroy it after that time (30s, 5m, 2h), whatever happens"},
};

static int complain(struct sbx_error *err, const char *option, const char *text, const char *form)
{
    err_set(err, SBX_ERR_INVALID, "%s: '%s' is not of the form %s", option, text, form);
    return err_hint(err, "write it as: %s %s", option, form);
}

int spec_parse_port(const char *text, const char *option, struct sbx_port *ret_port,
                    struct sbx_error *err)
{
    char host[8] = "0";
    const char *colon = strchr(text, ':'), *inside = colon ? colon + 1 : text;
    int64_t port, host_port;
    if (colon)
        snprintf(host, sizeof(host), "%.*s", (int)(colon - text < 7 ? colon - text : 7), text);
    if (units_parse_int(inside, 1, 65535, &port) < 0 ||
        units_parse_int(host, 0, 65535, &host_port) < 0)
        return complain(err, option, text, "[HOST_PORT:]PORT");
    *ret_port = (struct sbx_port){.port = (uint16_t)port, .host_port = (uint16_t)host_port};
    return 0;
}

static int build_ports(const struct opt_list *list, struct spec *spec, struct sbx_error *err)
{
    spec->ports = calloc(list->count + 1, sizeof(*spec->ports));
    if (!spec->ports)
        return err_nomem(err);
    for (size_t i = 0; i < list->count; i++) {
        int code = spec_parse_port(list->items[i], "--publish", &spec->ports[i], err);
        if (code < 0)
            return code;
    }
    spec->spec.ports = spec->ports;
    spec->spec.port_count = list->count;
    return 0;
}

// Cuts ":ro" or ":rw" off the end of text; -1 for another third part.
static int take_mount_mode(char *text, uint32_t *ret_flags)
{
    *ret_flags = 0;
    char *first = strchr(text, ':'), *last = strrchr(text, ':');
    if (!first || first == last)
        return 0;
    if (strcmp(last, ":rw") == 0)
        *ret_flags = SBX_MOUNT_WRITABLE;
    else if (strcmp(last, ":ro") != 0)
        return -1;
    *last = '\0';
    return 0;
}

// "SRC:DST[:ro|rw]"; the source becomes absolute, as seen from here.
static int parse_mount(const char *option, struct sbx_mount *mount, struct sbx_error *err)
{
    cleanup_free char *text = strdup(option);
    if (!text)
        return err_nomem(err);
    if (take_mount_mode(text, &mount->flags) < 0)
        return complain(err, "--mount", option, "SOURCE:TARGET[:ro|:rw]");
    char *colon = strchr(text, ':');
    if (!colon || colon == text || colon[1] != '/' || strchr(colon + 1, ':'))
        return complain(err, "--mount", option, "SOURCE:/TARGET[:ro|:rw]");
    *colon = '\0';
    mount->source = realpath(text, NULL);
    if (!mount->source) {
        int code = err_sys(err, 0, errno, "--mount: %s", text);
        err_hint(err, "name a file or directory of this machine that exists");
        return code;
    }
    mount->target = strdup(colon + 1);
    return mount->target ? 0 : err_nomem(err);
}

static int build_mounts(const struct opt_list *list, struct spec *spec, struct sbx_error *err)
{
    spec->mounts = calloc(list->count + 1, sizeof(*spec->mounts));
    if (!spec->mounts)
        return err_nomem(err);
    for (size_t i = 0; i < list->count; i++) {
        spec->spec.mount_count = i + 1; // so that a half-made one is freed too
        int code = parse_mount(list->items[i], &spec->mounts[i], err);
        if (code < 0)
            return code;
    }
    spec->spec.mounts = spec->mounts;
    return 0;
}

static int build_network(const struct spec_values *values, struct sbx_spec *spec,
                         struct sbx_error *err)
{
    spec->network = (uint32_t)values->network;
    spec->allow = values->allow.items;
    spec->allow_count = values->allow.count;
    if (values->allow.count == 0 && spec->network == SBX_NETWORK_ALLOW) {
        err_set(err, SBX_ERR_INVALID, "--network allow needs to know what is allowed");
        return err_hint(err, "add --allow HOST, or choose --network none");
    }
    if (values->allow.count == 0)
        return 0;
    if (spec->network != SBX_NETWORK_DEFAULT && spec->network != SBX_NETWORK_ALLOW) {
        err_set(err, SBX_ERR_INVALID, "--allow and --network %s exclude each other",
                networks[values->network - 1]);
        return err_hint(err, "leave out one of them; --allow HOST alone allows only that");
    }
    spec->network = SBX_NETWORK_ALLOW;
    return 0;
}

static int build_pairs(const struct spec_values *values, struct spec *spec, struct sbx_error *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < values->env_files.count; i++)
        code = pairs_add_file(&spec->env, values->env_files.items[i], err);
    if (code == 0)
        code = pairs_add_list(&spec->env, &values->env, err);
    if (code == 0)
        code = pairs_add_list(&spec->labels, &values->labels, err);
    spec->spec.env = spec->env.items;
    spec->spec.env_count = spec->env.count;
    spec->spec.labels = spec->labels.items;
    spec->spec.label_count = spec->labels.count;
    return code;
}

static void build_plain(const struct spec_values *values, struct sbx_spec *spec)
{
    spec->provider = values->provider;
    spec->image = values->image;
    spec->user = values->user;
    spec->workdir = values->cwd;
    spec->gpu = values->gpu;
    spec->hostname = values->hostname;
    spec->memory_bytes = values->memory;
    spec->disk_bytes = values->disk;
    spec->cpu_millis = (uint32_t)values->cpu;
    spec->max_pids = (uint32_t)values->pids;
    spec->ttl_ms = values->ttl;
}

static int check_cpu(const struct spec_values *values, struct sbx_error *err)
{
    if (values->cpu <= 1000 * 1000 * 1000)
        return 0;
    err_set(err, SBX_ERR_INVALID, "--cpu: that many cores don't exist");
    return err_hint(err, "give a number of cores such as 0.5 or 2");
}

int spec_build(const struct spec_values *values, struct spec *ret_spec, struct sbx_error *err)
{
    cleanup_spec struct spec spec = {.spec = SBX_SPEC_INIT};
    build_plain(values, &spec.spec);
    int code = check_cpu(values, err);
    if (code == 0)
        code = build_network(values, &spec.spec, err);
    if (code == 0)
        code = build_pairs(values, &spec, err);
    if (code == 0)
        code = build_mounts(&values->mounts, &spec, err);
    if (code == 0)
        code = build_ports(&values->publish, &spec, err);
    if (code < 0)
        return code;
    *ret_spec = spec;
    memset(&spec, 0, sizeof(spec));
    return 0;
}

void spec_deinit(struct spec *spec)
{
    for (size_t i = 0; spec->mounts && i < spec->spec.mount_count; i++) {
        free((char *)spec->mounts[i].source);
        free((char *)spec->mounts[i].target);
    }
    free(spec->mounts);
    free(spec->ports);
    pairs_deinit(&spec->env);
    pairs_deinit(&spec->labels);
}
