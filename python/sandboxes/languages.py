# SPDX-License-Identifier: Apache-2.0
"""Code in some language as one line for a shell."""

from __future__ import annotations

import shlex

from .exceptions import SandboxError

__all__ = ["command_for"]

_INLINE = {
    "python": "python3 -c {code}",
    "javascript": "node -e {code}",
    "bash": "bash -c {code}",
    "sh": "sh -c {code}",
    "ruby": "ruby -e {code}",
    "perl": "perl -e {code}",
    "php": "php -r {code}",
}
_FILES = {
    "typescript": ("main.ts", "npx -y ts-node main.ts"),
    "go": ("main.go", "go run main.go"),
    "rust": ("main.rs", "rustc -o main main.rs && ./main"),
    "c": ("main.c", "cc -o main main.c && ./main"),
    "java": ("Main.java", "java Main.java"),
}
_OTHER_NAMES = {"node": "javascript", "js": "javascript", "py": "python", "python3": "python", "ts": "typescript"}


def command_for(code: str, language: str) -> str:
    """The shell's line that runs the code. Any character of the code is safe in it."""
    name = _OTHER_NAMES.get(language.lower(), language.lower())
    quoted = shlex.quote(code)
    if name in _INLINE:
        return _INLINE[name].format(code=quoted)
    if name in _FILES:
        file, run = _FILES[name]
        return f'cd "$(mktemp -d)" && printf %s {quoted} > {file} && {run}'
    known = ", ".join(sorted([*_INLINE, *_FILES]))
    raise SandboxError(f"no language '{language}'; known are: {known}")
