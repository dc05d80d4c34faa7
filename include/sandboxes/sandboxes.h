/* SPDX-License-Identifier: Apache-2.0 */
/* Everything: one include for programs that use the library. */
#ifndef SANDBOXES_SANDBOXES_H
#define SANDBOXES_SANDBOXES_H

#include <sandboxes/client.h>
#include <sandboxes/error.h>
#include <sandboxes/files.h>
#include <sandboxes/manager.h>
#include <sandboxes/many.h>
#include <sandboxes/pool.h>
#include <sandboxes/process.h>
#include <sandboxes/provider.h>
#include <sandboxes/sandbox.h>
#include <sandboxes/types.h>

#endif
