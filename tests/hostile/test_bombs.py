# SPDX-License-Identifier: Apache-2.0
"""Programs that use up what they can, for a bounded time: the host keeps its own."""
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import box  # noqa: E402

MIB = 1 << 20
SMALL = ("--network", "none", "--memory", "96m", "--disk", "32m", "--pids", "64", *box.MOUNT)

# Held without a cgroup too. What many forks leave behind counts as memory until the kernel has tidied
# up, so there is none of a small limit here.
PLAIN = ("--network", "none", "--disk", "32m", *box.MOUNT)

def bomb(kind):
    return [box.INSIDE, f"--bomb={kind}"]


def free_bytes(path):
    info = os.statvfs(path)
    return info.f_bavail * info.f_frsize


def free_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))


class Bombs(box.Case):
    def need_cgroup(self):
        """As an ordinary user only with delegated groups."""
        if self.call("run", *SMALL, "--", "true").returncode:
            self.skipTest("this machine gives us no cgroup to limit memory with")

    def ends(self, kind, seconds=20, options=SMALL):
        """The bomb's end: by itself or by a limit, never by our patience; then all is as before."""
        before = free_memory()
        begin = time.monotonic()
        with self.box(*options) as living:
            done = living.exec(*bomb(kind), timeout=seconds + 20, limit=f"{seconds}s")
            spent = time.monotonic() - begin
            # The sandbox can still be ended, which __exit__ does.
        self.assertLess(spent, seconds + 10)
        self.assertTrue(self.comes_back(before - 2048 * MIB))
        return done

    @staticmethod
    def comes_back(memory, patience=30):
        """Whether so much is free, or will be: others are at work here too, and take some for a while."""
        end = time.monotonic() + patience
        while free_memory() < memory and time.monotonic() < end:
            time.sleep(0.2)
        return free_memory() >= memory

    def test_memory(self):
        self.need_cgroup()
        # Each kind counts: what a process maps, what lies in tmpfs, and what the kernel holds for it.
        for kind in ("anonymous", "memfd", "sysv", "tables"):
            with self.subTest(kind):
                done = self.ends(kind)
                self.assertIn(done.returncode, (137, 0), box.text(done))

    def test_out_of_memory_is_said(self):
        self.need_cgroup()
        done = self.call("run", *SMALL, "--", *bomb("anonymous"))
        self.assertEqual(137, done.returncode)
        self.assertIn(b"memory", done.stderr)

    def test_kernel_memory(self):
        self.need_cgroup()
        for kind in ("pipes", "sockets", "files"):
            with self.subTest(kind):
                done = self.ends(kind)
                self.assertIn(done.returncode, (0, 137, 124), box.text(done))

    def test_memory_of_connections(self):
        """Version 1 of cgroups counts it apart."""
        self.need_cgroup()
        done = self.ends("connections")
        self.assertIn(done.returncode, (0, 137), box.text(done))
        if done.returncode == 0:
            self.assertLess(int(re.search(r"stopped at (\d+)", done.stdout.decode())[1]), 96)

    def test_disk(self):
        for kind in ("disk", "home", "shm", "inodes"):
            with self.subTest(kind):
                host = free_bytes("/tmp")
                done = self.ends(kind, options=PLAIN)
                self.assertIn(done.returncode, (0, 137), box.text(done))
                if done.returncode == 0:
                    self.assertRegex(done.stdout.decode(), "stopped at .*(ENOSPC|EDQUOT|ENOMEM)")
                self.assertGreater(free_bytes("/tmp"), host - 64 * MIB)

    def test_deep_tree_is_removed(self):
        begin = time.monotonic()
        with self.box("--network", "none", *box.MOUNT) as living:
            living.exec(*bomb("deep"), timeout=120, limit="90s")
            begin = time.monotonic()
        self.assertLess(time.monotonic() - begin, 10)

    def test_processes(self):
        done = self.ends("processes", options=PLAIN)
        self.assertIn("stopped", done.stdout.decode())
        self.assertIn("EAGAIN", done.stdout.decode())

    def test_fork_bomb(self):
        done = self.ends("forks", seconds=4, options=PLAIN)
        self.assertEqual(124, done.returncode)

    def test_orphans_are_reaped(self):
        done = self.ends("orphans", seconds=60, options=PLAIN)
        self.assertEqual(0, done.returncode, box.text(done))

    def test_processor_is_shared(self):
        """A hog with a quarter of a core gets a quarter, whatever number of processes it has."""
        self.need_cgroup()
        with self.box(*SMALL, "--cpu", "0.25") as living:
            begin = time.monotonic()
            done = living.exec("/bin/sh", "-c",
                               f"timeout 4 {box.INSIDE} --bomb=cpu; cat /proc/1/nothing; times")
            spent = time.monotonic() - begin
            metrics = self.call("stats", "--json", living.id, check=True).stdout
        self.assertTrue(done.stdout)
        self.assertLess(cpu_seconds(metrics), 0.25 * spent + 1.0)

    def test_nobody_ignores_the_end(self):
        with self.box(*PLAIN) as living:
            process = living.start(*bomb("stubborn"))
            self.assertIn(b"ready", process.stdout.readline())
            begin = time.monotonic()
            self.call("destroy", living.id, check=True)
            self.assertLess(time.monotonic() - begin, 5)
            process.wait(timeout=10)
            process.stdout.close()


class Time(box.Case):
    def test_timeout_takes_everything_along(self):
        with self.box("--network", "none", *box.MOUNT) as living:
            begin = time.monotonic()
            done = living.exec(*bomb("stubborn"), limit="1s", timeout=30)
            self.assertEqual(124, done.returncode)
            self.assertLess(time.monotonic() - begin, 6)
            left = living.exec("/bin/sh", "-c", "cat /proc/[0-9]*/comm").stdout.decode().split()
            self.assertNotIn("probe", left)

    def test_stopped_first_process_is_no_end(self):
        # A program that stops itself as if traced has not ended.
        done = self.call("run", "--network", "none", "-t", "1s", *box.MOUNT, "--", *bomb("stubborn"))
        self.assertEqual(124, done.returncode)

    def test_end_does_not_wait_for_the_background(self):
        begin = time.monotonic()
        done = self.call("run", "--network", "none", "--", "/bin/sh", "-c", "sleep 100 & echo done")
        self.assertEqual(b"done\n", done.stdout)
        self.assertLess(time.monotonic() - begin, 20)

    def test_a_program_that_stops_all_others(self):
        """It may catch commands on their way; limits of time and the end hold nevertheless."""
        with self.box("--network", "none", *box.MOUNT) as living:
            stopper = living.start(*bomb("stopper"))
            self.assertIn(b"ready", stopper.stdout.readline())
            for _ in range(6):
                done = living.exec("/bin/true", limit="1s", timeout=20)
                self.assertIn(done.returncode, (0, 124, 125), box.text(done))
            begin = time.monotonic()
            self.call("destroy", living.id, check=True)
            self.assertLess(time.monotonic() - begin, 5)
            stopper.wait(timeout=10)
            stopper.stdout.close()

    def test_signals_to_process_1(self):
        for user in ("user", "root"):
            with self.subTest(user), self.box("--network", "none", "--user", user, *box.MOUNT) as living:
                living.exec(*bomb("init"), timeout=20)
                # It lives on, or has ended and says so.
                state = self.call("list", "--json").stdout.decode()
                self.assertTrue(living.alive() or living.id not in state or "stopped" in state)


def cpu_seconds(metrics):
    value = json.loads(metrics)
    value = value[0] if isinstance(value, list) else value
    return value["cpu_usec"] / 1e6


class Flood(box.Case):
    """Output without end: the reader decides how much is kept, and memory stays bounded."""

    def flood(self, script, seconds=4):
        return self.start("run", "--network", "none", "-t", f"{seconds}s", "--", "/bin/sh", "-c",
                          script, stderr=subprocess.DEVNULL)

    def peak(self, process):
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

    def test_nobody_reads(self):
        process = self.flood("yes")
        time.sleep(2)
        self.assertLess(self.peak(process), 64 * MIB)
        process.stdout.close()
        process.wait(timeout=30)

    def test_reader_is_gone(self):
        process = self.flood("yes", seconds=60)
        process.stdout.read(1000)
        process.stdout.close()
        process.wait(timeout=20)  # as `yes | head` ends

    def test_one_line_of_100_megabytes(self):
        process = self.flood("head -c 100000000 /dev/zero | tr '\\0' x", seconds=60)
        size = 0
        while data := process.stdout.read(1 << 20):
            size += len(data)
        self.assertEqual(100000000, size)
        self.assertEqual(0, process.wait(timeout=30))
        process.stdout.close()

    def test_single_bytes(self):
        process = self.flood("i=0; while [ $i -lt 20000 ]; do printf x; i=$((i+1)); done", seconds=60)
        self.assertEqual(b"x" * 20000, process.stdout.read())
        process.stdout.close()
        process.wait(timeout=30)


class Arguments(box.Case):
    def test_large_and_odd_words(self):
        big = "x" * 100000
        done = self.call("run", "--network", "none", "--", "/bin/sh", "-c", "printf %s \"$1\" | wc -c", "sh", big)
        self.assertEqual(b"100000\n", done.stdout)
        done = self.call("run", "--network", "none", "-e", "ODD=a\nb\x1b[31m'\"`$(id)", "--",
                       "/bin/sh", "-c", "printf %s \"$ODD\"")
        self.assertEqual(b"a\nb\x1b[31m'\"`$(id)", done.stdout)

    def test_too_large_is_an_error(self):
        words = ["x" * 120000] * 14
        done = self.call("run", "--network", "none", "--", "true", *words)
        self.assertIn(done.returncode, (125, 126, 2, 0))
        self.assertLess(len(done.stderr), 5000)

    def test_exit_statuses(self):
        def status(*words):
            return self.call("run", "--network", "none", "--", *words).returncode
        self.assertEqual(127, status("/no/such/program"))
        self.assertEqual(126, status("/etc/passwd"))
        self.assertEqual(137, status("/bin/sh", "-c", "kill -9 $$"))
        self.assertEqual(143, status("/bin/sh", "-c", "kill -15 $$"))
        self.assertEqual(42, status("/bin/sh", "-c", "exit 42"))


if __name__ == "__main__":
    box.main()
