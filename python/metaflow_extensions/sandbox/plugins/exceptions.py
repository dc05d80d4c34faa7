# SPDX-License-Identifier: Apache-2.0
"""The error of this extension. Layer: exceptions. May import Metaflow only."""
from metaflow.exception import MetaflowException


class SandboxException(MetaflowException):
    headline = "Sandbox error"
