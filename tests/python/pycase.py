# SPDX-License-Identifier: Apache-2.0
"""Base of the package's tests: the built package, directories of its own, nothing left behind."""
import asyncio
import gc
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import warnings

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("BUILD") or os.path.join(TREE, "build")
PACKAGE = os.path.join(BUILD, "python")
COMMAND = os.path.join(BUILD, "src/cli/sandboxes")
PROVIDER = os.environ.get("PROVIDER", "local")
for place in (PACKAGE, os.path.join(TREE, "tests/lib")):
    if place not in sys.path:
        sys.path.insert(0, place)
TOOLS = glob.glob(os.path.join(TREE, ".venv/lib/python*/site-packages"))  # click
sys.path.extend(TOOLS)
LIMITS_MEMORY = PROVIDER != "local" or os.geteuid() == 0  # an ordinary user may have no cgroup to do it with
if not os.path.exists(os.path.join(PACKAGE, "sandboxes/_native.abi3.so")):
    print("1..0 # SKIP the Python package is not built")
    sys.exit(77)

import leaks  # noqa: E402

all_descendants = leaks.descendants


def descendants(root=None):
    """Without the networks that a client makes ahead: they go with the client; main() sees to it."""
    return {pid: text for pid, text in all_descendants(root).items() if "sandboxes-spare" not in text}


leaks.descendants = descendants
CREDENTIALS = ("E2B_", "MODAL_", "DAYTONA_", "CLOUDFLARE_", "HOPX_", "VERCEL_", "SPRITES_", "SANDBOXES_")
BASE = tempfile.mkdtemp(prefix="sbxpy-")
RUN_DIR = os.path.join(BASE, "run")


def set_up_environment():
    for name in list(os.environ):
        if name.startswith(CREDENTIALS):
            del os.environ[name]
    for name, folder in (("XDG_RUNTIME_DIR", "run"), ("XDG_CACHE_HOME", "cache"), ("HOME", "home"),
                         ("XDG_CONFIG_HOME", "config"), ("TMPDIR", "tmp")):
        path = os.path.join(BASE, folder)
        os.makedirs(path, mode=0o700, exist_ok=True)
        os.environ[name] = path
    tempfile.tempdir = None
    os.environ["SANDBOXES_PROVIDER"] = PROVIDER


set_up_environment()
from sandboxes import Sandbox  # noqa: E402


# Each version of Python must get this far.
SHORT = """
import asyncio, sandboxes
async def main():
    print(sandboxes.__version__ != "", (await sandboxes.run("echo hi")).stdout, end="")
    async with sandboxes.Sandbox.create(network="none") as box:
        async for chunk in box.stream("echo out; sleep 0.1; echo err >&2"):
            print(chunk.stream, chunk, end="")
    async with sandboxes.SandboxPool() as pool:
        await pool.acquire(sandboxes.Sandbox._ensure_manager().get_provider(), sandboxes.SandboxConfig())
asyncio.run(main())
"""
SHORT_SAYS = "True hi\nstdout out\nstderr err\n"


def pythons():
    """Interpreters of several versions, where the machine has them."""
    found = {os.path.realpath(sys.executable)}
    for pattern in ("/usr/bin/python3.[1-9][0-9]", "/usr/local/bin/python3.[1-9][0-9]",
                    os.path.expanduser("~root/.pyenv/versions/3.[1-9][0-9]*/bin/python")):
        found.update(os.path.realpath(path) for path in glob.glob(pattern) if os.access(path, os.X_OK))
    return sorted(found)


def require_local():
    """Ends the program as skipped where no sandbox can be made."""
    if PROVIDER == "local" and subprocess.run([COMMAND, "doctor"], stdout=subprocess.DEVNULL,
                                              stderr=subprocess.DEVNULL, check=False).returncode != 0:
        print("1..0 # SKIP no sandbox can be made on this machine")
        shutil.rmtree(BASE, ignore_errors=True)
        sys.exit(77)


def forget_providers():
    Sandbox._manager = None
    Sandbox._auto_configured = False


class PyCase(unittest.TestCase):
    """Warnings are errors, and nothing may stay: sandboxes, processes, descriptors."""

    def setUp(self):
        leaks.adopt_orphans()
        warnings.simplefilter("error")
        forget_providers()
        self.work = tempfile.mkdtemp(dir=os.path.join(BASE, "tmp"))
        self.watch = leaks.Watch([os.path.join(RUN_DIR, "sandboxes")])

    def tearDown(self):
        shutil.rmtree(self.work, ignore_errors=True)
        gc.collect()
        self.assertEqual([], self.watch.leftovers())

    def run_async(self, coroutine):
        """As asyncio.run(), and says so when something was left to the loop's end."""
        unheard = []

        async def main():
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
            return await coroutine

        result = asyncio.run(main())
        gc.collect()
        self.assertEqual([], unheard)
        return result

    def file(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def python(self, code, **options):
        """A program in an interpreter of its own."""
        env = {**os.environ, "PYTHONPATH": PACKAGE, "PYTHONWARNINGS": "error",
               "PYTHONMALLOC": "debug", **options.pop("env", {})}  # -X dev also tells of a slow machine
        python = options.pop("python", sys.executable)
        return subprocess.Popen([python, "-X", "faulthandler", "-c", code], env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def main():
    program = unittest.main(exit=False)
    left = after_clients()
    shutil.rmtree(BASE, ignore_errors=True)
    if left:
        print("left behind by closed clients:", left, file=sys.stderr)
    sys.exit(0 if program.result.wasSuccessful() and not left else 1)


def after_clients():
    """What stays when all clients are closed."""
    from sandboxes import _client

    forget_providers()
    _client._clients.clear()
    gc.collect()
    for _ in range(100):
        leaks.reap()
        left = all_descendants()
        if not left:
            return []
        time.sleep(0.05)
    return sorted(left.values())
