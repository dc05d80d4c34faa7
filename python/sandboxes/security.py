# SPDX-License-Identifier: Apache-2.0
"""Checks of paths on this machine that come from elsewhere.

They refuse what is plainly wrong, and say so. They are no boundary: between a check and the use of a
path it may change. The library itself opens what it transfers in a way that can't be led astray.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .exceptions import SandboxError

__all__ = ["validate_download_path", "validate_local_path", "validate_upload_path"]


def validate_local_path(
    path: str | os.PathLike[str],
    allowed_base_dirs: Iterable[str | os.PathLike[str]] | None = None,
    must_exist: bool = False,
    operation: str = "access",
) -> Path:
    """The path with links resolved, if it is below one of the allowed directories (None: anywhere)."""
    text = os.fspath(path)
    if not text:
        raise SandboxError(f"Empty path: nothing to {operation}")
    if ".." in Path(text).parts:
        raise SandboxError(f"Path traversal detected in '{text}': write it without '..'")
    resolved = Path(text).expanduser().resolve()
    if must_exist and not resolved.exists():
        raise SandboxError(f"Path does not exist: {text}")
    bases = None if allowed_base_dirs is None else [Path(base).resolve() for base in allowed_base_dirs]
    if bases is not None and not any(resolved.is_relative_to(base) for base in bases):
        raise SandboxError(f"Path outside allowed directories: {text}")
    return resolved


def validate_upload_path(
    local_path: str | os.PathLike[str], allowed_dirs: Iterable[str | os.PathLike[str]] | None = None
) -> Path:
    """The path of a file that exists and can be read."""
    path = validate_local_path(local_path, allowed_dirs, must_exist=True, operation="upload")
    if not path.is_file():
        raise SandboxError(f"Path is not a file: {local_path}")
    if not os.access(path, os.R_OK):
        raise SandboxError(f"File is not readable: {local_path}")
    return path


def validate_download_path(
    local_path: str | os.PathLike[str], allowed_dirs: Iterable[str | os.PathLike[str]] | None = None
) -> Path:
    """The path of a file that can be made or replaced."""
    path = validate_local_path(local_path, allowed_dirs, operation="download")
    if not path.parent.exists():
        raise SandboxError(f"The parent directory does not exist: {path.parent}")
    if not path.parent.is_dir():
        raise SandboxError(f"The parent is not a directory: {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise SandboxError(f"The directory is not writable: {path.parent}")
    return path
