# SPDX-License-Identifier: Apache-2.0
"""Base of end-to-end tests: the built command with directories of its own, and nothing left behind."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import leaks

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("BUILD") or os.path.join(TREE, "build")
COMMAND = os.path.join(BUILD, "src/cli/sandboxes")
OUR_FAILURE = 125
SKIP = 77


def require_command():
    """Ends the program as skipped when there is no command in this build, or it can't work here."""
    if not os.access(COMMAND, os.X_OK):
        print(f"1..0 # SKIP {COMMAND} is not built")
        sys.exit(SKIP)
    doctor = subprocess.run([COMMAND, "doctor"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, check=False)
    if doctor.returncode != 0:
        print(doctor.stdout.decode(errors="replace"))
        print("1..0 # SKIP no sandbox can be made on this machine")
        sys.exit(SKIP)


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in read_text(f"/proc/{pid}/status").splitlines() if ":\t" in line)


def descendants(program):
    """Those of the program that descend from us: monitors of sandboxes are adopted by this process."""
    parents, found = {}, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(pid)] = int(status_of(pid)["PPid"])
            if os.path.basename(read_text(f"/proc/{pid}/cmdline").split("\0")[0]) == program:
                found.append(int(pid))
        except (OSError, KeyError):
            pass  # it has ended

    def ours(pid):
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()
    return [pid for pid in found if ours(pid)]


class SandboxCase(unittest.TestCase):
    """Each test has its own state, cache (shared by its class) and temporary directory."""

    @classmethod
    def setUpClass(cls):
        leaks.adopt_orphans()
        cls.base = tempfile.mkdtemp(prefix="sbx-")
        cls.cache = os.path.join(cls.base, "cache")
        os.mkdir(cls.cache, 0o700)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.base, ignore_errors=True)

    def setUp(self):
        self.work = tempfile.mkdtemp(dir=self.base)
        self.run_dir = os.path.join(self.work, "run")
        self.tmp = os.path.join(self.work, "tmp")
        for path in (self.run_dir, self.tmp):
            os.mkdir(path, 0o700)
        self.state = os.path.join(self.run_dir, "sandboxes")
        self.env = {**os.environ, "XDG_RUNTIME_DIR": self.run_dir, "XDG_CACHE_HOME": self.cache,
                    "TMPDIR": self.tmp, "XDG_CONFIG_HOME": os.path.join(self.work, "config"),
                    "NO_COLOR": "1"}
        self.watch = leaks.Watch([self.state, self.tmp])

    def tearDown(self):
        self.sandboxes("destroy", "--all", "--yes", check=False)
        left = self.leftovers()
        if left:
            leaks.kill_descendants()
        shutil.rmtree(self.work, ignore_errors=True)
        self.assertEqual([], left, "left behind")

    def leftovers(self, patience=5.0):
        """What stayed, apart from lock files and the like that the state directory keeps on purpose."""
        return [line for line in self.watch.leftovers(patience)
                if not os.path.basename(line.split(" ", 1)[1]).startswith((".", "lock"))]

    def start(self, *arguments, **options):
        options.setdefault("env", self.env)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([COMMAND, *map(str, arguments)], cwd=self.tmp, **options)

    def sandboxes(self, *arguments, data=None, check=True, timeout=60, **options):
        """Runs the command to its end; (status, stdout, stderr) with texts decoded."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        with self.start(*arguments, **options) as process:
            try:
                out, err = process.communicate(data, timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                self.fail(f"{arguments} did not end within {timeout} s: {out!r} {err!r}")
        out, err = (text.decode(errors="replace") if text else "" for text in (out, err))
        if check:
            self.assertEqual(0, process.returncode, f"{arguments}: {out}{err}")
        return process.returncode, out, err

    def create(self, *arguments):
        """Id of a new sandbox."""
        return self.sandboxes("create", *arguments)[1].strip()

    def listed(self):
        found = json.loads(self.sandboxes("list", "--json")[1])
        return found["sandboxes"] if isinstance(found, dict) else found

    def wait_for(self, condition, what, patience=10.0):
        end = time.monotonic() + patience
        while not condition():
            self.assertLess(time.monotonic(), end, f"waited in vain for: {what}")
            time.sleep(0.01)

    def assert_clean_failure(self, status, err):
        """Our own failure: exit status 125 and a message with a next step."""
        self.assertEqual(OUR_FAILURE, status, err)
        self.assertIn("sandboxes:", err)


def main():
    require_command()
    unittest.main(verbosity=2)
