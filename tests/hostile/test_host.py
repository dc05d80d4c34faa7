# SPDX-License-Identifier: Apache-2.0
"""What only the host can see: rights that a mount could give, what output shows, what stays."""
import ctypes
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import box  # noqa: E402

SH = "/bin/sh"


class Rights(box.Case):
    def test_mounted_programs_give_none(self):
        """A set-user-ID program and one with file capabilities, on a directory of the user's."""
        here = self.directory("here")
        program = os.path.join(here, "rights")
        with open(box.PROBE, "rb") as source, open(program, "wb") as target:
            target.write(source.read())
        os.chmod(program, 0o6755)
        if box.is_root():  # cap_net_raw, cap_sys_admin: permitted and effective
            value = struct.pack("<IIIII", 0x02000001, 1 << 13 | 1 << 21, 0, 0, 0)
            os.setxattr(program, "security.capability", value)
        for mode in ("", ":rw"):
            done = self.call("run", "--network", "none", "--mount", f"{here}:/opt/rights{mode}", "--",
                           "/opt/rights/rights", "--rights", check=True)
            euid, capabilities = re.match(rb"euid (\d+) capabilities (\w+)", done.stdout).groups()
            self.assertNotEqual(b"0", euid)
            self.assertEqual(0, int(capabilities, 16))

    def test_files_of_others_stay_closed(self):
        here = self.directory("here")
        closed = os.path.join(here, "closed")
        with open(closed, "wb") as file:
            file.write(b"x")
        os.chmod(closed, 0o400)
        done = self.call("run", "--network", "none", "--mount", f"{here}:/opt/here", "--", SH, "-c",
                       "echo bad >/opt/here/closed; echo bad >/opt/here/new; ls /opt/here")
        self.assertNotIn(b"new", done.stdout)
        with open(closed, "rb") as file:
            self.assertEqual(b"x", file.read())

    def test_the_users_of_the_host_are_not_seen(self):
        done = self.call("run", "--network", "none", "--", SH, "-c",
                       "cat /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*_key /root/.bashrc; ls /root /home; "
                       "cat /etc/passwd")
        self.assertNotIn(b"root:$", done.stdout)
        self.assertNotIn(b"PRIVATE KEY", done.stdout)
        names = set(re.findall(r"^[\w.-]+", box.text(done), re.MULTILINE)) - {"user"}
        self.assertEqual(set(), names & set(os.listdir("/home")))

    def test_the_environment_of_the_host_is_not_seen(self):
        done = self.call("run", "--network", "none", "--", SH, "-c", "env; cat /proc/*/environ",
                       env={"HOSTILE_SECRET": "dont-tell"})
        self.assertNotIn(b"dont-tell", done.stdout)

    def test_the_machines_name_is_not_told(self):
        done = self.call("run", "--network", "none", "--", SH, "-c", "cat /etc/machine-id; hostname; uname -n",
                       check=False)
        for path in ("/etc/machine-id", "/etc/hostname"):
            try:
                with open(path, "rb") as file:
                    known = file.read().strip()
            except OSError:
                continue
            if len(known) > 4:
                self.assertNotIn(known, done.stdout.split())


class Account(box.Case):
    """What the kernel counts for the account that makes sandboxes: 128 inotify instances, say."""
    LIBC = ctypes.CDLL(None, use_errno=True)

    def instances(self):
        """How many this account could still make."""
        found = []
        while (fd := self.LIBC.inotify_init1(os.O_CLOEXEC)) >= 0 and len(found) < 1000:
            found.append(fd)
        for fd in found:
            os.close(fd)
        return len(found)

    def most_instances(self):
        """Other programs of the account have some for a moment."""
        return max(self.instances() for _ in range(5))

    def queue_works(self):
        name = f"/hostile-{os.getpid()}".encode()
        queue = self.LIBC.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, None)
        if queue >= 0:
            os.close(queue)
            self.LIBC.mq_unlink(name)
        return queue >= 0

    def test_sandboxes_need_none(self):
        before = self.instances()
        with self.box("--network", "none"), self.box("--network", "none"):
            self.assertGreaterEqual(self.most_instances(), before)

    def test_one_sandbox_leaves_some(self):
        before = self.instances()
        with self.box("--network", "none", *box.MOUNT) as living:
            process = living.start(box.INSIDE, "--bomb=account")
            try:
                self.assertIn(b"ready", process.stdout.readline())
                left = self.most_instances()
                self.assertGreaterEqual(left, before if box.is_root() else before - 32)
                if box.is_root():  # whose sandboxes are accounts of their own
                    self.assertTrue(self.queue_works())
            finally:
                process.kill()
                process.wait()
                process.stdout.close()


class Output(box.Case):
    """Escape codes reach a terminal only as a program's own output, never through our tables."""
    EVIL = "x\x1b]52;c;aGk=\x07\x1b[2J\x9b31m\r\n\u202e"

    def test_labels_are_shown_harmlessly(self):
        done = self.call("create", "--network", "none", "-l", f"evil={self.EVIL}", "--ttl", "1m")
        if done.returncode:
            self.assertNotIn(b"\x1b", done.stderr)
            return
        box_id = done.stdout.decode().split()[-1]
        try:
            for words in (["list"], ["inspect", box_id]):
                _, output = self.on_terminal(*words)
                self.assertNotIn("\x1b]52", output)
                self.assertNotIn("\x1b[2J", output)
                self.assertNotIn("\u202e", output)
        finally:
            self.call("destroy", box_id)

    def test_errors_are_shown_harmlessly(self):
        evil = self.EVIL.replace("\n", "")
        for words in (["exec", evil, "--", "true"], ["run", "--", evil], ["cp", f"{evil}:/x", "/tmp/x"]):
            _, output = self.on_terminal(*words)
            self.assertNotIn("\x1b]52", output)
            self.assertNotIn("\x1b[2J", output)

    def test_names_of_processes(self):
        with self.box("--network", "none") as living:
            living.exec(SH, "-c", f"cp /bin/sleep \"$(printf 'a\\033[2Jb')\" && ./a*b 50 &")
            for words in (["top", living.id], ["logs", living.id]):
                _, output = self.on_terminal(*words)
                self.assertNotIn("a\x1b[2J", output)


class Remains(box.Case):
    def test_nothing_outlives_its_sandbox(self):
        """Daemons, sessions of their own and orphans end with the sandbox, whoever adopts them."""
        marker = f"7{os.getpid()}"
        script = (f"setsid sleep {marker} & (sleep {marker} &) ; nohup sleep {marker} >/dev/null 2>&1 & "
                  f"trap '' TERM HUP; sleep {marker} & echo started")
        with self.box("--network", "none") as living:
            living.exec(SH, "-c", script, timeout=20)
            self.assertTrue(self.running(marker))
        end = time.monotonic() + 5
        while self.running(marker) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([], self.running(marker))

    def running(self, marker):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().split(b"\0")[:2] == [b"sleep", marker.encode()]:
                        found.append(pid)
            except OSError:
                pass
        return found

    def test_killed_caller_leaves_nothing(self):
        marker = f"8{os.getpid()}"
        process = self.start("run", "--network", "none", "--", "sleep", marker, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not self.running(marker) and time.monotonic() < end:
            time.sleep(0.02)
        self.assertTrue(self.running(marker))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        end = time.monotonic() + 10
        while self.running(marker) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual([], self.running(marker))


class Load(box.Case):
    def test_many_streams_at_once(self):
        """Requests without end from one caller: answers or errors, and the sandbox lives on."""
        with self.box("--network", "none") as living:
            processes = [living.start("sleep", "20") for _ in range(80)]
            time.sleep(2)
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
                process.stdout.close()
            end = time.monotonic() + 15
            while not living.alive() and time.monotonic() < end:
                time.sleep(0.2)
            self.assertTrue(living.alive())

    def test_randomness_differs(self):
        values = {self.call("run", "--network", "none", "--", SH, "-c",
                          "cat /proc/sys/kernel/random/uuid").stdout for _ in range(3)}
        self.assertEqual(3, len(values))

    def test_list_is_json_whatever_runs(self):
        with self.box("--network", "none", "-l", "a=\"b\\"):
            json.loads(self.call("list", "--json", check=True).stdout)


if __name__ == "__main__":
    box.main()
