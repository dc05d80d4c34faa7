# SPDX-License-Identifier: Apache-2.0
"""Where sandboxes can be made: one row a backend.

Layer: backends. May import exceptions.
"""
import os
from collections import namedtuple

from .exceptions import SandboxException

# provider: its name in the library. local: on this machine, so files can be mounted and the local
# datastore be used. key: the variable without which it can't be used.
# instead: the provider to use where that one can't run steps; the step's log says so.
Backend = namedtuple("Backend", "name provider local key url instead", defaults=[None])

BACKENDS = {backend.name: backend for backend in (
    Backend("local", "local", True, None, None),
    Backend("boxlite", "microvm", True, None, None, "local"),
    Backend("daytona", "daytona", False, "DAYTONA_API_KEY", "https://app.daytona.io/dashboard/keys"),
    Backend("e2b", "e2b", False, "E2B_API_KEY", "https://e2b.dev/dashboard?tab=keys"),
)}


def get(name):
    if name not in BACKENDS:
        raise SandboxException(
            f"Unknown sandbox backend '{name}'. Available backends: {', '.join(BACKENDS)}. "
            "Choose one with @sandbox(backend=...) or METAFLOW_SANDBOX_BACKEND. To add a new one see "
            "docs/metaflow/adding-a-backend.md")
    return BACKENDS[name]


def default_name(environ=os.environ):
    """METAFLOW_SANDBOX_BACKEND; else daytona where there is a key for it; else this machine."""
    named = environ.get("METAFLOW_SANDBOX_BACKEND")
    return named or ("daytona" if environ.get("DAYTONA_API_KEY") else "local")


def check_key(backend, environ=os.environ):
    if backend.key and not environ.get(backend.key):
        raise SandboxException(
            f"The {backend.name} backend needs an API key. Set {backend.key} in the shell that runs the "
            f"flow (a key: {backend.url}), or run on this machine with "
            "METAFLOW_SANDBOX_BACKEND=local")


def check_datastore(backend, datastore_type):
    """What is not on this machine can't reach the datastore that is."""
    if not backend.local and datastore_type == "local":
        raise SandboxException(
            f"@{backend.name} requires a remote datastore: a sandbox elsewhere can't reach the local one. "
            "Set METAFLOW_DEFAULT_DATASTORE=s3 and METAFLOW_DATASTORE_SYSROOT_S3=s3://bucket/path (or gs, "
            "azure), see https://docs.metaflow.org/scaling/remote-tasks/introduction, or run on this "
            "machine with @sandbox(backend='local')")
