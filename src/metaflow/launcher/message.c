// SPDX-License-Identifier: Apache-2.0
// The launcher's own lines. Layer: metaflow.
#include "metaflow/launcher/message.h"

#include <stdarg.h>
#include <stdio.h>

void message_error(const struct sbx_error *err)
{
    dprintf(2, "Sandbox error: %s\n  try: %s\n", err->message, err->remedy);
}

void message_note(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dprintf(2, "Sandbox: %s\n", text);
}
