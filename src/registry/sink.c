// SPDX-License-Identifier: Apache-2.0
// Bytes of a layer on their way to the unpacker. Layer: registry.
#include "registry/sink.h"

#include <errno.h>

#include "base/fd.h"
#include "registry/progress.h"

int sink_write(struct sink *sink, const void *data, size_t size, struct sbx_error *err)
{
    if (size > sink->most - sink->size)
        return err_set(err, SBX_ERR_PROTOCOL, "a layer is larger than its manifest says");
    // The reader works on one piece while the next one is hashed.
    if (sink->fd >= 0 && fd_write_full(sink->fd, data, size) < 0) {
        sink->refused = errno == EPIPE;
        return err_sys(err, 0, errno, "cannot hand a layer to the unpacker");
    }
    sha256_update(&sink->hash, data, size);
    sink->size += size;
    if (sink->progress)
        progress_add(sink->progress, size);
    return 0;
}
