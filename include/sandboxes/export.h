/* SPDX-License-Identifier: Apache-2.0 */
/* Visibility of public symbols. */
#ifndef SANDBOXES_EXPORT_H
#define SANDBOXES_EXPORT_H

#if defined(__GNUC__)
#define SBX_API __attribute__((visibility("default")))
#else
#define SBX_API
#endif

#endif
