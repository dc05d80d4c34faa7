// SPDX-License-Identifier: Apache-2.0
// Whether a sandbox made for one specification serves for another. Layer: core.
#pragma once

#include <sandboxes/sandbox.h>

#include "base/sha256.h"
#include "core/names.h"

/*
 * A digest of everything that was asked for, and of the providers to try: equal for specifications
 * that ask for the same, however they order labels, environment and allowed addresses. A digest so
 * that no values of variables, which may be secret, are kept. The lifetime is left out: a pool's is
 * always the same. NOMEM.
 */
int spec_key(const struct sbx_spec *spec, const struct names *names, uint8_t ret_key[SHA256_SIZE],
             struct sbx_error *err);
