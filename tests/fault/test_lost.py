# SPDX-License-Identifier: Apache-2.0
"""Parts of a sandbox that die, stop or vanish under it, from outside; and callers that do."""
import os
import signal
import subprocess
import time
import unittest

import leaks
import sandboxcase
from sandboxcase import SandboxCase


class Lost(SandboxCase):
    def box(self, *arguments):
        """A living sandbox: (id, pid of its monitor, pid of its first process)."""
        before = set(leaks.descendants())
        name = self.create("--network", "none", *arguments)
        new = {pid for pid in leaks.descendants() if pid not in before}
        monitor = next(pid for pid in new if self.comm(pid).startswith("sandboxes-mon"))
        agent = next(pid for pid in new if self.parent(pid) == monitor and self.is_init(pid))
        return name, monitor, agent

    @staticmethod
    def comm(pid):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip()

    @staticmethod
    def status_line(pid, field):
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next(line.split()[1:] for line in file if line.startswith(field + ":"))

    def parent(self, pid):
        return int(self.status_line(pid, "PPid")[0])

    def is_init(self, pid):
        return self.status_line(pid, "NSpid")[-1] == "1"

    def assert_gone(self, name):
        self.wait_for(lambda: name not in [box["id"] for box in self.listed()], f"{name} gone")
        self.assertEqual([], self.leftovers())

    def test_agent_killed(self):
        name, _, agent = self.box()
        os.kill(agent, signal.SIGKILL)
        status, _, err = self.sandboxes("exec", name, "true", check=False, timeout=10)
        self.assert_clean_failure(status, err)
        self.assert_gone(name)

    def test_agent_killed_while_a_command_runs(self):
        name, _, agent = self.box()
        running = self.start("exec", name, "sleep", "100")
        self.wait_for(lambda: self.children_of(agent), "the command runs")
        os.kill(agent, signal.SIGKILL)
        _, err = running.communicate(timeout=10)
        self.assert_clean_failure(running.returncode, err.decode())
        self.assert_gone(name)

    @staticmethod
    def children_of(pid):
        return [p for p, text in leaks.descendants(pid).items() if p != pid]

    def test_monitor_killed(self):
        name, monitor, _ = self.box()
        os.kill(monitor, signal.SIGKILL)
        self.assert_gone(name)

    def test_monitor_and_agent_killed(self):
        name, monitor, agent = self.box()
        os.kill(monitor, signal.SIGKILL)
        os.kill(agent, signal.SIGKILL)
        self.assert_gone(name)

    def test_agent_stopped(self):
        name, _, agent = self.box()
        os.kill(agent, signal.SIGSTOP)
        began = time.monotonic()
        status, _, _ = self.sandboxes("exec", "--timeout", "1", name, "true", check=False, timeout=20)
        self.assertIn(status, (124, 125))
        self.assertLess(time.monotonic() - began, 15)
        self.sandboxes("destroy", name, timeout=20)
        self.assert_gone(name)

    def test_agent_stopped_without_any_time_limit(self):
        name, _, agent = self.box()
        running = self.start("exec", name, "--", "sh", "-c", "echo up; sleep 100")
        self.assertEqual(b"up\n", running.stdout.readline())
        os.kill(agent, signal.SIGSTOP)
        copy = self.start("cp", f"{name}:/etc/hosts", self.work)
        for caller in (running, copy):
            _, err = caller.communicate(timeout=20)
            self.assert_clean_failure(caller.returncode, err.decode())
            self.assertIn(f"kill -CONT {agent}", err.decode())
        os.kill(agent, signal.SIGCONT)
        self.sandboxes("exec", name, "true")

    def test_file_worker_stopped(self):
        """A program inside stops whatever it may signal, so also the helper that serves a copy."""
        name, _, agent = self.box()
        before = set(self.children_of(agent))
        self.sandboxes("exec", name, "--", "truncate", "-s", "1G", "large")
        copy = self.start("cp", f"{name}:large", self.work)
        self.wait_for(lambda: set(self.children_of(agent)) - before, "the worker runs")
        os.kill(copy.pid, signal.SIGSTOP)  # or it might be done too soon
        self.sandboxes("exec", name, "--", "sh", "-c", "kill -STOP -1")
        os.kill(copy.pid, signal.SIGCONT)
        _, err = copy.communicate(timeout=20)
        self.assert_clean_failure(copy.returncode, err.decode())

    def test_monitor_stopped(self):
        name, monitor, _ = self.box()
        os.kill(monitor, signal.SIGSTOP)
        self.assertEqual([name], [box["id"] for box in self.listed()])
        self.sandboxes("exec", name, "true")
        os.kill(monitor, signal.SIGCONT)
        self.sandboxes("destroy", name)
        self.assert_gone(name)

    def test_caller_killed(self):
        for moment in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1):
            running = self.start("run", "--network", "none", "--", "sleep", "100")
            time.sleep(moment)
            running.kill()
            running.communicate()
            self.sandboxes("list")  # what was only begun is swept by whoever looks
            self.assertEqual([], self.leftovers(), f"killed after {moment} s")

    def test_caller_signalled(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # exec: dash loses a signal that comes while it forks.
            running = self.start("run", "--network", "none", "--", "sh", "-c", "echo up; exec sleep 100")
            self.assertEqual(b"up\n", running.stdout.readline())
            running.send_signal(number)
            running.communicate(timeout=20)
            self.assertEqual(128 + number, running.returncode)
            self.assertEqual([], self.leftovers(), f"signal {number}")

    def test_reader_of_output_goes_away(self):
        running = self.start("run", "--network", "none", "--", "sh", "-c", "while :; do echo y; done")
        self.assertEqual(b"y\n", running.stdout.readline())
        running.stdout.close()
        running.stderr.close()
        running.wait(timeout=20)
        self.assertIn(running.returncode, (-signal.SIGPIPE, 128 + signal.SIGPIPE))
        self.assertEqual([], self.leftovers())

    def test_directory_removed_under_it(self):
        name, _, _ = self.box()
        subprocess.run(["rm", "-rf", os.path.join(self.state, name)], check=False)
        self.sandboxes("list")
        self.sandboxes("destroy", name, check=False)
        self.assertEqual([], self.listed())

    def test_time_to_live_without_anybody(self):
        name, _, _ = self.box("--ttl", "1s")
        self.assert_gone(name)


if __name__ == "__main__":
    sandboxcase.require_command()
    unittest.main(verbosity=2)
