# SPDX-License-Identifier: Apache-2.0
"""A server with a key for the tests of a class, and nothing left behind."""
import atexit
import functools
import glob
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import leaks  # noqa: E402
import testenv  # noqa: E402
from sandboxcase import BUILD, COMMAND, SKIP, require_command  # noqa: E402

SERVE = os.path.join(BUILD, "src/serve/sandboxes-serve")


def require(*modules):
    """Skips the program without the server or the clients."""
    if not os.access(SERVE, os.X_OK):
        print("1..0 # SKIP sandboxes-serve is not built")
        sys.exit(SKIP)
    if modules:
        testenv.enter()
    for name in modules:
        try:
            __import__(name)
        except ImportError as error:
            print(f"1..0 # SKIP {error}; ./dev installs it")
            sys.exit(SKIP)
    require_command()


@functools.cache
def cache():
    """One for all servers of this program: the view of this machine takes a second to make."""
    path = tempfile.mkdtemp(prefix="sbx-cache-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Server:
    """One running server with directories of its own."""

    def __init__(self, base, *options):
        self.base = base
        self.options = options
        self.state = os.path.join(base, "serve")
        self.run_dir = os.path.join(base, "run")
        os.makedirs(self.run_dir, mode=0o700, exist_ok=True)
        self.env = {**os.environ, "XDG_RUNTIME_DIR": self.run_dir, "NO_COLOR": "1",
                    "XDG_CACHE_HOME": cache(), "TMPDIR": base,
                    "XDG_CONFIG_HOME": os.path.join(base, "config")}
        self.log = os.path.join(base, "access.log")
        self.process = None
        self.port = None

    def command(self, *arguments, check=True):
        done = subprocess.run([COMMAND, *arguments], env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if check and done.returncode:
            raise AssertionError(done.stderr.decode(errors="replace"))
        return done

    def key(self, name="test"):
        return self.command("serve", "--state", self.state, "key", "create", name).stdout.decode().strip()

    def start(self):
        port = [] if "--port" in self.options else ["--port", str(self.port or 0)]
        self.process = subprocess.Popen(
            [COMMAND, "serve", "--state", self.state, *port, "--access-log", self.log, *self.options],
            env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        if not line.startswith("listening on "):
            raise AssertionError(self.process.communicate()[1].decode(errors="replace"))
        self.port = int(line.strip().rsplit(":", 1)[1])
        return self

    def stop(self, patience=20):
        if not self.process:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        status, self.process = self.process.returncode, None
        return status

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method, path, body=None, headers=None, raw=False):
        """Status, headers and body (JSON unless raw) of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body).encode()
                headers = {"Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if not raw and data and "json" in (answer.headers["Content-Type"] or ""):
            data = json.loads(data)
        return answer.status, answer.headers, data


# What an ordinary user's machine may lack: subordinate ids, cgroups of their own.
LACKS = ("only one user id is mapped", "no cgroup freezer")


def parent_of(*arguments):
    """The process that runs a command in a sandbox; the command is told by its arguments."""
    wanted = b"".join(text.encode() + b"\0" for text in arguments)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for directory in glob.glob("/proc/[0-9]*"):
            try:
                with open(directory + "/cmdline", "rb") as file:
                    found = file.read() == wanted
                if found:
                    with open(directory + "/stat", encoding="utf-8") as file:
                        return int(file.read().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
        time.sleep(0.02)
    raise AssertionError("the command does not run")


class ServeCase(unittest.TestCase):
    options = ()

    def run(self, result=None):
        test = getattr(self, self._testMethodName)

        def tolerant():
            try:
                test()
            except Exception as error:
                lacking = next((text for text in LACKS if text in str(error)), None)
                if os.geteuid() == 0 or not lacking:
                    raise
                self.skipTest(f"this machine: {lacking}")

        setattr(self, self._testMethodName, tolerant)
        return super().run(result)

    @classmethod
    def setUpClass(cls):
        leaks.adopt_orphans()
        cls.base = tempfile.mkdtemp(prefix="sbx-serve-")
        cls.watch = leaks.Watch([os.path.join(cls.base, "run", "sandboxes")])
        cls.server = Server(cls.base, *cls.options)
        cls.key = cls.server.key()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        cls.server.command("destroy", "--all", "--yes", check=False)
        left = [line for line in cls.watch.leftovers(5.0)
                if not os.path.basename(line.split(" ", 1)[1]).startswith((".", "lock"))]
        if left:
            leaks.kill_descendants()
        shutil.rmtree(cls.base, ignore_errors=True)
        if status or left:
            raise AssertionError(f"the server ended with {status}, left behind: {left}")

    def wait_for(self, condition, patience=10.0):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.02)
        return bool(condition())
