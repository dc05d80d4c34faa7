// SPDX-License-Identifier: Apache-2.0
// Opening the module of the cloud providers. Layer: engine.
#include "engine/module.h"

#include <dlfcn.h>
#include <limits.h>

#include "base/log.h"
#include "engine/launch.h"

static void forward(void *payload, int level, const char *origin, const char *text)
{
    log_write(level, origin, "%s", text);
}

int module_provider(const char *name, const struct sbx_provider_ops **ret_ops,
                    struct sbx_error *err)
{
    char path[PATH_MAX];
    int code = launch_find_program(MODULE_FILE, path, sizeof(path), err);
    if (code < 0) {
        err_set(err, SBX_ERR_SETUP, "the part for cloud services (%s) is not installed",
                MODULE_FILE);
        return err_hint(err, "install it: building sandboxes with libcurl and jansson present "
                             "makes it");
    }
    // Never closed: libcurl's and OpenSSL's threads and exit handlers would outlive their code.
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        const char *reason = dlerror();
        err_set(err, SBX_ERR_SETUP, "cannot load the part for cloud services: %s",
                reason ? reason : path);
        return err_hint(err, "install the libraries that it names, such as libcurl and jansson");
    }
    module_entry_fn *entry = (module_entry_fn *)(uintptr_t)dlsym(module, MODULE_ENTRY);
    *ret_ops = entry ? entry(SBX_VERSION, name, log_enabled() ? forward : NULL) : NULL;
    if (*ret_ops)
        return 0;
    err_set(err, SBX_ERR_SETUP, "'%s' is of another version of sandboxes", path);
    return err_hint(err, "install all of sandboxes again, from one build");
}

int module_become_full(struct sbx_error *err)
{
    (void)err;
    return 0;
}
