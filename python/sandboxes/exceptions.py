# SPDX-License-Identifier: Apache-2.0
"""What can go wrong. Every error is a SandboxError; those of the library carry what it knows."""

from __future__ import annotations

__all__ = [
    "ProviderError",
    "SandboxAuthenticationError",
    "SandboxError",
    "SandboxNotFoundError",
    "SandboxQuotaError",
    "SandboxStateError",
    "SandboxTimeoutError",
    "SandboxUnsupportedError",
]


class SandboxError(Exception):
    """Base of all errors of this package.

    The attributes are filled for errors that come from the library; others have the defaults.
    """

    code: str = ""
    """Kind of the failure, such as ``NOT_FOUND``; docs/errors.md lists them."""
    remedy: str = ""
    """What to do next: a command, a setting."""
    origin: str = ""
    """The part that failed, such as ``local``."""
    errno: int = 0
    """Number of the failed system call's error, or 0."""
    http_status: int = 0
    """Status that a service answered with, or 0."""
    retry_after: float = 0.0
    """Seconds that a service asked to wait, or 0."""


class ProviderError(SandboxError):
    """A provider could not do what was asked."""


class SandboxAuthenticationError(ProviderError):
    """Credentials are missing, wrong or expired, or do not allow it."""


class SandboxNotFoundError(SandboxError):
    """There is no such sandbox, file, command or provider."""


class SandboxTimeoutError(SandboxError):
    """It took longer than it was allowed to."""


class SandboxStateError(SandboxError):
    """It exists already, or its state does not allow that."""


class SandboxQuotaError(SandboxError):
    """A limit of the machine, the account or the pool is reached."""


class SandboxUnsupportedError(SandboxError, NotImplementedError):
    """This provider or this machine can't do that."""


_CLASSES: dict[str, type[SandboxError]] = {
    "INVALID": SandboxError,
    "NOT_FOUND": SandboxNotFoundError,
    "CONFLICT": SandboxStateError,
    "AUTH": SandboxAuthenticationError,
    "DENIED": SandboxAuthenticationError,
    "QUOTA": SandboxQuotaError,
    "TIMEOUT": SandboxTimeoutError,
    "CANCELLED": SandboxError,
    "UNSUPPORTED": SandboxUnsupportedError,
}


def from_native(
    code: int, errno: int, http_status: int, retry_after_ms: int, origin: str, message: str, remedy: str
) -> SandboxError:
    """The error that the library told of."""
    from . import _native

    name = _native.code_name(code)
    error = _CLASSES.get(name, ProviderError)(f"{message}; {remedy}" if remedy else message)
    error.code = name
    error.remedy = remedy
    error.origin = origin
    error.errno = errno
    error.http_status = http_status
    error.retry_after = retry_after_ms / 1000
    return error
