# SPDX-License-Identifier: Apache-2.0
"""The launcher: which program it is, and the command that starts a step with it.

Layer: launcher. May import exceptions.
"""
import os
import sys

from .exceptions import SandboxException

NAME = "sandboxes-step"


def find(environ=os.environ):
    """METAFLOW_SANDBOX_LAUNCHER; beside the `sandboxes` package; where it is installed; PATH."""
    named = environ.get("METAFLOW_SANDBOX_LAUNCHER")
    if named:
        return named
    for folder in _folders(environ):
        path = os.path.join(folder, NAME)
        if os.access(path, os.X_OK):
            return path
    raise SandboxException(
        f"The launcher '{NAME}' is not installed. Install it with 'pip install sandboxes[metaflow]', or set "
        "METAFLOW_SANDBOX_LAUNCHER to its path")


def _folders(environ):
    if environ.get("SANDBOXES_LIBEXEC"):
        yield environ["SANDBOXES_LIBEXEC"]
    for entry in sys.path:
        yield os.path.join(entry, "sandboxes", "libexec")
        yield os.path.join(entry, "sandboxes")
    for prefix in (sys.prefix, os.path.expanduser("~/.local"), "/usr/local", "/usr"):
        yield os.path.join(prefix, "libexec", "sandboxes")
        yield os.path.join(prefix, "lib", "sandboxes")


class Entrypoint:
    """Metaflow's `cli_args.entrypoint` with the launcher in front.

    Other decorators put an interpreter of theirs in place of the first element, before or after us
    (@conda, @pypi): that element stays the interpreter, and the launcher stays in front of it. Options are
    asked for only when the command line is made, when all of them have spoken.
    """

    def __init__(self, words, options):
        self._words = list(words)
        self._options = options  # called with the words; yields the command from the launcher on

    def __getitem__(self, index):
        return self._words[index]

    def __setitem__(self, index, value):
        self._words[index] = value

    def __len__(self):
        return len(self._words)

    def __iter__(self):
        return iter(self._options(self._words))
