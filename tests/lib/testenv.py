# SPDX-License-Identifier: Apache-2.0
"""Goes on in the interpreter of .venv, where ./dev puts what only tests need. The environment's VENV names
another folder of the tree, such as that of older clients."""
import os
import sys

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


def enter():
    """Does not return if there is one and this is not it."""
    folder = os.path.join(TREE, os.environ.get("VENV", ".venv"))
    python = os.path.join(folder, "bin/python3")
    if os.path.realpath(sys.prefix) != os.path.realpath(folder) and os.access(python, os.X_OK):
        os.execv(python, [python, *sys.argv])
