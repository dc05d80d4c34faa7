# SPDX-License-Identifier: Apache-2.0
"""Sandboxes as the hostile tests use them: through the command, as whoever runs the tests."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import sandboxcase  # noqa: E402

PROBE = os.environ["PROBE"]
INSIDE = "/opt/probe"  # where the probe is seen in a sandbox
MOUNT = ("--mount", f"{PROBE}:{INSIDE}")


def is_root():
    return os.geteuid() == 0


def text(done):
    return (done.stdout + done.stderr).decode(errors="replace")


class Case(sandboxcase.SandboxCase):
    """Calls of the command yield bytes: hostile output need not be text."""

    def words(self, *arguments):
        return [sandboxcase.COMMAND, *map(str, arguments)]

    def call(self, *arguments, timeout=60, stdin=b"", env=None, check=False):
        """One call; its end must come within the timeout whatever runs inside."""
        done = subprocess.run(self.words(*arguments), input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout, check=False, cwd=self.tmp,
                              env={**self.env, **(env or {})})
        if check:
            self.assertEqual(0, done.returncode, f"{arguments}: {text(done)[-3000:]}")
        return done

    def on_terminal(self, *arguments, timeout=60):
        """One call on a terminal of its own; (status, output as text)."""
        child, master = pty.fork()
        if child == 0:
            try:
                os.execve(sandboxcase.COMMAND, self.words(*arguments), {**self.env, "TERM": "xterm"})
            finally:
                os._exit(127)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        output = read_all(master, time.monotonic() + timeout)
        os.close(master)
        if os.waitpid(child, os.WNOHANG)[0] == 0:
            time.sleep(0.5)
            status = os.waitpid(child, os.WNOHANG)
            if status[0] == 0:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return None, output
        return 0, output

    def box(self, *options):
        return Box(self, options)

    def directory(self, name):
        """A directory of the host's, open to everybody, gone with the test."""
        path = os.path.join(self.work, name)
        os.mkdir(path)
        os.chmod(path, 0o755)
        return path


def read_all(master, end):
    output = b""
    try:
        while time.monotonic() < end:
            if select.select([master], [], [], 0.2)[0]:
                data = os.read(master, 65536)
                if not data:
                    break
                output += data
    except OSError:  # EIO: the other side is closed
        pass
    return output.decode(errors="replace")


class Box:
    """A sandbox that lives until the end of the with statement."""

    def __init__(self, case, options):
        self.case = case
        self.options = options
        self.id = None

    def __enter__(self):
        done = self.case.call("create", *self.options, "--ttl", "10m", check=True)
        self.id = done.stdout.decode().split()[-1]
        return self

    def __exit__(self, *unused):
        self.case.call("destroy", self.id, timeout=30)

    def exec(self, *words, user=None, timeout=60, stdin=b"", check=False, limit=None):
        options = ["--user", user] if user else []
        options += ["--timeout", limit] if limit else []
        return self.case.call("exec", *options, self.id, "--", *words, timeout=timeout, stdin=stdin,
                              check=check)

    def start(self, *words):
        return subprocess.Popen(self.case.words("exec", self.id, "--", *words), env=self.case.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def terminal(self, *words, user=None, timeout=60):
        options = ["--user", user] if user else []
        return self.case.on_terminal("exec", "-it", *options, self.id, "--", *words, timeout=timeout)

    def alive(self):
        return self.exec("true", timeout=20).returncode == 0


main = sandboxcase.main
