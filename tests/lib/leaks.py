# SPDX-License-Identifier: Apache-2.0
"""What a test run must not leave behind: processes, mounts, cgroups, directories.

Take a Watch before, ask it for leftovers() after. Only what can be ours is looked at, so that other
work on the machine does not matter. Orphans are found because adopt_orphans() makes this process the
parent of everything below it whose own parent has ended (PR_SET_CHILD_SUBREAPER, prctl(2)).
"""
import ctypes
import os
import signal
import time

PR_SET_CHILD_SUBREAPER = 36
OUR_NAMES = ("sandboxes",)


def adopt_orphans():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _stat_fields(pid):
    """(state, parent, command) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            data = file.read()
    except OSError:
        return None
    name = data[data.index(b"(") + 1 : data.rindex(b")")].decode(errors="replace")
    rest = data[data.rindex(b")") + 2 :].split()
    return rest[0].decode(), int(rest[1]), name


def descendants(root=None):
    """{pid: description} of living processes below root (this process by default)."""
    root = root or os.getpid()
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat_fields(entry)
            if fields:
                table[int(entry)] = fields
    below, found = {root}, {}
    grown = True
    while grown:
        grown = False
        for pid, (state, parent, name) in table.items():
            if parent in below and pid not in below:
                below.add(pid)
                grown = True
                if state not in "ZX":
                    found[pid] = f"process {pid} ({name}, parent {parent})"
    return found


def reap():
    """Collects ended children. Only when no subprocess of this process is still waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _ours(text, directories):
    return any(name in text for name in OUR_NAMES) or any(d in text for d in directories)


def mounts(directories=()):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return {line.split(" - ")[0].split()[4] for line in file if _ours(line, directories)}


def cgroups():
    """Our cgroups that hold no process: a living one belongs to a living sandbox. Their common parent,
    named sandboxes or sandboxes-UNIT, is kept on purpose. Those of other accounts are theirs."""
    found = set()
    for folder, _, files in os.walk("/sys/fs/cgroup"):
        name = os.path.basename(folder)
        kept = name in OUR_NAMES or (name.startswith("sandboxes-") and "-doctor-" not in name)
        if kept or not _ours(folder, ()) or "cgroup.procs" not in files:
            continue
        try:
            with open(os.path.join(folder, "cgroup.procs"), encoding="ascii") as file:
                if not file.read(1) and os.stat(folder).st_uid == os.geteuid():
                    found.add(folder)
        except OSError:
            pass
    return found


def entries(directories):
    """Everything of ours below these directories: state of sandboxes, temporary files."""
    found = set()
    for directory in directories:
        try:
            found.update(os.path.join(directory, name) for name in os.listdir(directory))
        except OSError:
            pass
    return found


class Watch:
    """directories: where state and temporary files of this run go; they should be its own."""

    def __init__(self, directories=()):
        self.directories = [os.path.abspath(d) for d in directories]
        self.before = self._state()

    def _state(self):
        found = {f"mount {m}" for m in mounts(self.directories)}
        found |= {f"cgroup {c}" for c in cgroups()}
        found |= {f"left {e}" for e in entries(self.directories)}
        found |= set(descendants().values())
        return found

    def leftovers(self, patience=5.0):
        """Sorted descriptions of what is there now and was not before; waits a little for it to go."""
        end = time.monotonic() + patience
        steady = None
        while True:
            reap()
            new = self._state() - self.before
            # A cgroup of somebody else's sandbox may be empty for a moment: it must stay to count.
            steady = new if steady is None else steady & new
            if not steady or time.monotonic() > end:
                return sorted(steady)
            time.sleep(0.05)


def kill_descendants():
    """After a failure: nothing of it shall disturb what comes next."""
    for pid in descendants():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    time.sleep(0.2)
    reap()
