# SPDX-License-Identifier: Apache-2.0
"""Base of tests that run real flows: the extension and the launcher of this tree, a directory of their own."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import leaks
import sandboxcase

TREE, BUILD = sandboxcase.TREE, sandboxcase.BUILD
FLOWS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "flows")
LAUNCHER = os.path.join(BUILD, "src/metaflow/sandboxes-step")
CANARY = "canary-b7a1"  # part of values that must not get into a sandbox


def find_python():
    """An interpreter that has Metaflow: METAFLOW_TEST_PYTHON, or the one that ./dev makes."""
    for path in (os.environ.get("METAFLOW_TEST_PYTHON"), os.path.join(TREE, ".venv/bin/python")):
        if path and os.access(path, os.X_OK) and subprocess.run([path, "-c", "import metaflow"], check=False, cwd="/",
                                   stdin=subprocess.DEVNULL, capture_output=True).returncode == 0:
            return path
    return None


def main():
    global PYTHON  # noqa: PLW0603
    sandboxcase.require_command()
    PYTHON = find_python()
    if not PYTHON:
        print("1..0 # SKIP no interpreter with Metaflow: ./dev test installs one into .venv")
        sys.exit(sandboxcase.SKIP)
    unittest.main()


PYTHON = None


class FlowCase(unittest.TestCase):
    """One directory, home and datastore a class, so that a run can be looked at by many tests."""
    MORE = {}  # variables of a class

    @classmethod
    def setUpClass(cls):
        leaks.adopt_orphans()
        cls.base = tempfile.mkdtemp(prefix="mf-")
        cls.work, cls.home = os.path.join(cls.base, "work"), os.path.join(cls.base, "home")
        for name in ("work", "home", "run", "cache", "tmp"):
            os.mkdir(os.path.join(cls.base, name), 0o700)
        keep = {k: v for k, v in os.environ.items()
                if not k.startswith(("METAFLOW_", "AWS_", "PYTHON", "XDG_", "SANDBOXES_"))}
        cls.env = {**keep, "HOME": cls.home, "METAFLOW_USER": "tester",
                   "METAFLOW_CLIENT_CACHE_PATH": os.path.join(cls.base, "client"), "NO_COLOR": "1",
                   "XDG_RUNTIME_DIR": os.path.join(cls.base, "run"),
                   "XDG_CACHE_HOME": os.path.join(cls.base, "cache"),
                   "TMPDIR": os.path.join(cls.base, "tmp"),
                   "PYTHONPATH": os.path.join(TREE, "python"), "PYTHONDONTWRITEBYTECODE": "1",
                   "METAFLOW_SANDBOX_LAUNCHER": LAUNCHER, "MY_SECRET": CANARY,
                   "AWS_SECRET_ACCESS_KEY": CANARY + "-aws", "E2B_API_KEY": CANARY + "-e2b"}
        cls.env.pop("E2B_API_KEY")
        cls.env.update(cls.MORE)
        cls.watch = leaks.Watch([os.path.join(cls.base, "run", "sandboxes")])

    @classmethod
    def tearDownClass(cls):
        left = [line for line in cls.watch.leftovers(5.0)
                if not os.path.basename(line.split(" ", 1)[1]).startswith((".", "lock"))]
        if left:
            leaks.kill_descendants()
        shutil.rmtree(cls.base, ignore_errors=True)
        assert not left, f"left behind: {left}"

    @classmethod
    def lay_out(cls):
        """The flows, once: another may be reading them."""
        if not os.path.exists(os.path.join(cls.work, "readme.py")):
            shutil.copytree(FLOWS, cls.work, dirs_exist_ok=True)

    @classmethod
    def start(cls, flow, *arguments, env=None, **options):
        cls.lay_out()
        return subprocess.Popen([PYTHON, flow, "--no-pylint", *arguments], cwd=cls.work,
                                env={**cls.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)

    @classmethod
    def flow(cls, flow, *arguments, status=0, env=None, timeout=120):
        """Runs it to its end; what it printed."""
        process = cls.start(flow, *arguments, env=env)
        output = process.communicate(timeout=timeout)[0]
        assert process.returncode == status or (status is None and process.returncode), output
        return output

    @classmethod
    def client(cls, code, env=None):
        """What this code, which has Metaflow's client, puts into `out`."""
        script = ("import json\nfrom metaflow import *\nnamespace(None)\n" + code +
                  "\nprint('OUT' + json.dumps(out))")
        done = subprocess.run([PYTHON, "-c", script], cwd=cls.work, env={**cls.env, **(env or {})}, text=True, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1].removeprefix("OUT"))

    def stages(self):
        """What is left of tasks' writable parts of the datastore."""
        path = os.path.join(self.work, ".metaflow/.sandbox")
        return os.listdir(path) if os.path.isdir(path) else []
