// SPDX-License-Identifier: Apache-2.0
// The part of what is loaded into QEMU by which it can be frozen: frozen.h. Layer: vmm.
#pragma once

#include <stdbool.h>

// From now on FROZEN_SIGNAL is heard.
bool freeze_listen(void);
// By the first thread, where it would wait, and after it has. Where it froze it ends here; copies
// come back from here, with true.
bool freeze_if_asked(void);
