# SPDX-License-Identifier: Apache-2.0
"""Settings of Metaflow's that this extension changes.

`spin` ignores decorators that it does not know: the step would run outside of its sandbox.

Layer: registration.
"""
import sys

_config = sys.modules.get("metaflow.metaflow_config")
SPIN_DISALLOWED_DECORATORS = [
    *getattr(_config, "SPIN_DISALLOWED_DECORATORS", []), "sandbox", "boxlite", "daytona", "e2b"]
