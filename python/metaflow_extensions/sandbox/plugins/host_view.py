# SPDX-License-Identifier: Apache-2.0
"""What of this machine a step's interpreter needs to see, read-only: the virtual environment, what it is
made from, and the directories that PYTHONPATH or .pth files add. Never a home directory as a whole.

Layer: host view. May import nothing of this extension.
"""
import os
import sys

SHOWN = ("/usr", "/bin", "/lib", "/lib64", "/sbin")  # by the default image


def _covered(path, roots):
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _too_much(path):
    """A directory that holds more than code: somebody's home, or one of its parents."""
    home = os.path.realpath(os.path.expanduser("~"))
    return _covered(home, [path]) or path in ("/", "/etc", "/home", "/root", "/tmp", "/var")


def links(program):
    """The path and all that its links lead through."""
    found = [program]
    while os.path.islink(program) and len(found) < 16:
        program = os.path.join(os.path.dirname(program), os.readlink(program))
        found.append(program)
    return found


def _prefix_of(program):
    """/x for /x/bin/python."""
    folder = os.path.dirname(os.path.abspath(program))
    return os.path.dirname(folder) if os.path.basename(folder) == "bin" else folder


def prefixes(interpreter):
    """Directories that the interpreter lives from."""
    found = [_prefix_of(path) for path in links(interpreter)]
    if os.path.abspath(interpreter) == os.path.abspath(sys.executable):
        found += [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    return found


def extra_path(skip):
    """Entries of sys.path outside of the prefixes, without those below `skip`."""
    own = [os.path.realpath(path) for path in prefixes(sys.executable)]
    for entry in sys.path:
        path = os.path.abspath(entry or ".")
        if os.path.exists(path) and not _covered(os.path.realpath(path), [*own, *SHOWN]) \
                and path not in skip:
            yield path


def mounts(paths):
    """Paths to mount, parents before children, each one once and nothing that is there already."""
    found = []
    for path in sorted({os.path.abspath(path) for path in paths}):
        if os.path.exists(path) and not _covered(path, [*SHOWN, *found]) and not _too_much(path):
            found.append(path)
    return found


def root_home(directory, paths):
    """/root is closed in the image: a directory in its place that has the places to mount on.
    Returns its path, or None when nothing is mounted there."""
    below = [path for path in paths if _covered(path, ["/root"])]
    for path in below:
        place = os.path.join(directory, os.path.relpath(path, "/root"))
        os.makedirs(place if os.path.isdir(path) else os.path.dirname(place), exist_ok=True)
        if not os.path.isdir(path):
            open(place, "a").close()
    return directory if below else None
