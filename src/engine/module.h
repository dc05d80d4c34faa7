// SPDX-License-Identifier: Apache-2.0
/*
 * The module with the providers of cloud services, `sandboxes-cloud.so` beside the helper
 * programs. It brings libcurl and what that pulls in, so it is opened when such a provider is
 * used, never for a sandbox of this machine. Layer: engine.
 */
#pragma once

#include <sandboxes/client.h>
#include <sandboxes/provider.h>

#define MODULE_FILE "sandboxes-cloud.so"
#define MODULE_ENTRY "sandboxes_cloud_provider"

// What the module exports: the table of this name, or NULL if it has none or was built from another
// version. Its own log lines go to `log`, if that is not NULL.
typedef const struct sbx_provider_ops *module_entry_fn(const char *version, const char *name,
                                                       sbx_log_fn log);

// Opens the module, once for the process, which it then stays in. Errors: SETUP.
int module_provider(const char *name, const struct sbx_provider_ops **ret_ops,
                    struct sbx_error *err);

/*
 * A program that is linked statically starts in a third of the time, and can open no modules
 * (module_static.c). Where one may be needed it becomes the same program as linked for that,
 * MODULE_FULL, from its beginning: so nothing may have been read, written or made yet. Returns 0
 * where modules can be opened.
 */
#define MODULE_FULL "sandboxes-full"
int module_become_full(struct sbx_error *err);
