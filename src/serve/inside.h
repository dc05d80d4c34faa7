// SPDX-License-Identifier: Apache-2.0
// Programs of ours that run inside of sandboxes, as texts. Layer: serve.
#pragma once

extern const char inside_interpreter[]; // Python; inside/interpreter.py
