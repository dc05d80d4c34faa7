# SPDX-License-Identifier: Apache-2.0
"""The probe in real sandboxes: as first command, in a living sandbox, on a terminal; as user and root."""
import ctypes
import os
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import box  # noqa: E402
from lines import Report  # noqa: E402

# What a check may be unable to try, and why.
MAY_SKIP = {
    "2 securebits": "root of a sandbox has capabilities of its own",
    "3 set-user-ID program": "root has nothing to become; some images have no such program",
    "4 trace the parent": "the parent is a program, as on a terminal",
    "11 remount writable": "nothing is read-only",
    "30 terminal session": "only on a terminal",
}


# Pausing is the library's; there is no command for it.
LIBRARY = os.path.join(os.environ["BUILD"], "src", "libsandboxes.so")
PAUSE = """
import ctypes, sys
library, box, what = sys.argv[1:]
lib, err = ctypes.CDLL(library), ctypes.create_string_buffer(16384)
client, sandbox = ctypes.c_void_p(), ctypes.c_void_p()
code = lib.sbx_client_open(None, ctypes.byref(client), err)
code = code or lib.sbx_sandbox_get(client, None, box.encode(), None, ctypes.byref(sandbox), err)
code = code or getattr(lib, "sbx_sandbox_" + what)(sandbox, None, err)
print(err.raw.replace(b"\\0", b" ").decode(errors="replace").split("  ")[0] if code else "")
sys.exit(-code)
"""
UNSUPPORTED = 11


class World:
    """Things of the host that must stay out of reach."""

    def __enter__(self):
        self.victim = subprocess.Popen(["sleep", "1000"])
        self.shm = f"hostile-{os.getpid()}"
        with open(f"/dev/shm/{self.shm}", "wb") as file:
            file.write(b"secret")
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.key = 0x48000000 | os.getpid()
        self.shm_id = self.libc.shmget(self.key, 4096, 0o1600)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(f"\0{self.shm}")
        self.listener.listen()
        self.listener.setblocking(False)
        return self

    def __exit__(self, *unused):
        self.victim.kill()
        self.victim.wait()
        os.unlink(f"/dev/shm/{self.shm}")
        self.libc.shmctl(self.shm_id, 0, None)
        self.listener.close()

    def options(self):
        return ["--inside", f"--victim={self.victim.pid}", f"--shm={self.shm}",
                f"--ipc-key={self.key}", f"--socket={self.shm}"]

    def forget_connections(self):
        while self.connected():
            pass

    def connected(self):
        try:
            self.listener.accept()[0].close()
            return True
        except BlockingIOError:
            return False

    def unharmed(self):
        if any(os.path.lexists(os.path.join(d, "hostile")) for d in ("/", "/usr", "/etc", "/bin", "/root")):
            return False
        return not self.connected() and self.victim.poll() is None


class Escape(box.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = World().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__()
        super().tearDownClass()

    def verify(self, output, skips=()):
        report = Report(output)
        self.assertTrue(report.complete, output[-3000:])
        self.assertGreater(len(report.checks), 150)
        self.assertEqual({}, report.open)
        self.assertEqual(set(), set(report.skipped) - set(MAY_SKIP) - set(skips))
        self.assertTrue(self.world.unharmed(), "a process or socket of the host was reached")

    def probe(self, *more):
        return [box.INSIDE, *self.world.options(), *more]

    def first(self, *options, words=()):
        return box.text(self.call("run", *options, *box.MOUNT, "--", *self.probe(*words)))

    def test_first_command(self):
        self.verify(self.first("--network", "none"))

    def test_first_command_with_internet(self):
        self.verify(self.first("--network", "internet"))

    def test_first_command_on_the_hosts_network(self):
        # Abstract sockets belong to the network namespace: only Landlock (Linux 6.12) parts them then.
        skips = () if landlock_abi() >= 6 else ("37 abstract socket of the host",)
        report = Report(self.first("--network", "host"))
        self.assertTrue(report.complete)
        self.world.forget_connections()
        expected = {} if not skips else {k: v for k, v in report.open.items() if k.startswith("37")}
        self.assertEqual(expected, report.open)

    def test_first_command_as_root(self):
        self.verify(self.first("--network", "none", "--user", "root", words=["--root"]))

    def test_living_sandbox(self):
        with self.box("--network", "none", *box.MOUNT) as living:
            self.verify(box.text(living.exec(*self.probe())))
            self.assertTrue(living.alive())

    def test_living_sandbox_as_root(self):
        with self.box("--network", "none", "--user", "root", *box.MOUNT) as living:
            self.verify(box.text(living.exec(*self.probe("--root"), user="root")))
            self.assertTrue(living.alive())

    def test_after_pause(self):
        with self.box("--network", "none", *box.MOUNT) as living:
            for what in ("pause", "resume"):
                done = subprocess.run([sys.executable, "-c", PAUSE, LIBRARY, living.id, what], env=self.env,
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
                                      check=False)
                if done.returncode == UNSUPPORTED:
                    self.skipTest("this machine can't pause sandboxes")
                self.assertEqual(0, done.returncode, box.text(done))
            self.verify(box.text(living.exec(*self.probe())))

    def test_terminal(self):
        with self.box("--network", "none", *box.MOUNT) as living:
            _, output = living.terminal(*self.probe("--terminal"))
            self.verify(output)

    def test_terminal_as_root(self):
        with self.box("--network", "none", "--user", "root", *box.MOUNT) as living:
            _, output = living.terminal(*self.probe("--terminal", "--root"), user="root")
            self.verify(output)

    def test_shell_on_a_terminal(self):
        with self.box("--network", "none", *box.MOUNT) as living:
            _, output = living.terminal("/bin/sh", "-c", " ".join(self.probe("--terminal")) + "; true")
            self.verify(output)


def landlock_abi():
    return ctypes.CDLL(None).syscall(444, None, 0, 1)


if __name__ == "__main__":
    box.main()
