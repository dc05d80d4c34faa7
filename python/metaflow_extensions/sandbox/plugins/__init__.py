# SPDX-License-Identifier: Apache-2.0
"""What Metaflow learns of this extension: names and where they are, nothing is imported here.

Layer: registration.
"""
import os

STEP_DECORATORS_DESC = [
    ("sandbox", ".sandbox_decorator.SandboxDecorator"),
    ("boxlite", ".sandbox_decorator.BoxliteDecorator"),
    ("daytona", ".sandbox_decorator.DaytonaDecorator"),
    ("e2b", ".sandbox_decorator.E2BDecorator"),
]

# Before Metaflow 2.19 and since.
CLIS_DESC = TRAMPOLINE_CLIS_DESC = [("sandbox", ".sandbox_cli.cli")]

# Environments are solved with this one, outside of sandboxes.
if os.environ.get("METAFLOW_SANDBOX_MICROMAMBA_PATH"):
    os.environ.setdefault("METAFLOW_PATH_TO_MICROMAMBA", os.environ["METAFLOW_SANDBOX_MICROMAMBA_PATH"])

# In a sandbox the local datastore is read-only; what is new goes to a directory of the task's own.
if os.environ.get("METAFLOW_SANDBOX_STAGE"):
    DATASTORES_DESC = [("local", ".staged_storage.StagedLocalStorage")]

# Metadata is local in a sandbox: what speaks to the service, and the HTTP client that it imports, is a fifth of
# the time that it takes to import Metaflow.
if os.environ.get("METAFLOW_SANDBOX_WORKLOAD"):
    METADATA_PROVIDERS_DESC = [("service", ".late_service.LateServiceProvider")]
    TOGGLE_SIDECAR = ["-heartbeat", "-spot_termination_monitor"]
    if os.environ.get("METAFLOW_SANDBOX_RECORDS"):  # elsewhere: the task's metadata is followed from outside
        METADATA_PROVIDERS_DESC.append(("local", ".journal.JournalMetadata"))
