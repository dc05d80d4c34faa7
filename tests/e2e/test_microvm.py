# SPDX-License-Identifier: Apache-2.0
"""Guests begin as copies of a saved one: each is its own, and a saved one that is damaged is made again."""
import glob
import json
import os
import signal
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
import sandboxcase  # noqa: E402

CACHE = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
KERNEL = os.environ.get("SANDBOXES_MICROVM_KERNEL") or os.path.join(CACHE, "sandboxes/kernel/vmlinux")
OWN = ("cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; echo; "
       "head -c 16 /dev/urandom | od -An -tx1; date +%s; cat /proc/self/stat | cut -d' ' -f26-28")


class Microvm(sandboxcase.SandboxCase):
    def setUp(self):
        if not os.access(KERNEL, os.R_OK):
            self.skipTest("there is no kernel for guests")
        super().setUp()
        self.env.update(SANDBOXES_MICROVM_KERNEL=KERNEL)

    def saved(self):
        return [path for path in glob.glob(os.path.join(self.cache, "sandboxes/saved-*"))
                if not path.endswith((".new", ".old"))]

    def own(self):
        """What is a guest's own: lines of OWN."""
        begin = int(time.time())
        status, out, err = self.sandboxes("run", "-v", "-p", "microvm", "--network", "none", "--", "sh", "-c", OWN,
                                          check=False)
        if "is not installed" in err:
            self.skipTest(err)
        self.assertEqual(0, status, err)
        lines = out.splitlines()
        self.assertLessEqual(begin - 1, int(lines[4]), "the clock is behind")
        self.assertLessEqual(int(lines[4]), int(time.time()) + 1, "the clock is ahead")
        return lines, err

    def test_copies_differ(self):
        first, err = self.own()
        self.assertNotIn("the guest boots", err)
        self.assertEqual(1, len(self.saved()))
        second, err = self.own()
        self.assertNotIn("the guest boots", err)
        for i in (0, 1, 3, 5):
            self.assertNotEqual(first[i], second[i])
        self.assertEqual(1, len(self.saved()))

    def test_clock(self):
        """An idle guest sleeps, and its clock has more than the steps of a timer."""
        script = ("grep LOC: /proc/interrupts; sleep 0.5; grep LOC: /proc/interrupts; "
                  "for i in 1 2 3 4; do date +%N; done")
        lines = self.sandboxes("run", "-p", "microvm", "--network", "none", "--", "sh", "-c", script)[1].splitlines()
        self.assertLess(int(lines[1].split()[1]) - int(lines[0].split()[1]), 100)
        self.assertTrue(any(int(line) % 1000000 for line in lines[2:]))

    def test_waiting(self):
        """One that nobody wants anything of yet has run a command of ours, of which nothing tells."""
        self.own()
        box = self.create("-p", "microvm", "--network", "none")
        time.sleep(0.6)
        listed = json.loads(self.sandboxes("top", "--json", box)[1])
        self.assertEqual([], listed["commands"] if isinstance(listed, dict) else listed)
        script = "echo $$; ls -d /proc/[0-9]* | wc -l"
        pid, processes = map(int, self.sandboxes("exec", box, "--", "sh", "-c", script)[1].split())
        self.assertLess(3, pid, "it has not been warmed")
        self.assertLess(processes, 5)

    def test_memory_comes_back(self):
        """What a command has used, this machine has again soon after, and the guest goes on."""
        box = self.create("-p", "microvm", "--network", "none")
        pid, = sandboxcase.descendants("qemu")

        def megabytes():
            return int(sandboxcase.status_of(pid)["RssAnon"].split()[0]) // 1024
        self.sandboxes("exec", box, "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=150M", "count=1")
        self.wait_for(lambda: megabytes() < 100, "memory that was given back", patience=20)
        self.assertEqual("well\n", self.sandboxes("exec", box, "--", "echo", "well")[1])

    def test_without_kernel(self):
        """A guest lives and ends without what new ones need."""
        box = self.create("-p", "microvm", "--network", "none")
        self.env.update(SANDBOXES_MICROVM_KERNEL="/nowhere")
        self.assertIn(box, self.sandboxes("list")[1])
        self.assertEqual("well\n", self.sandboxes("exec", box, "--", "echo", "well")[1])
        self.sandboxes("destroy", box)
        self.assertEqual(125, self.sandboxes("destroy", box, check=False)[0])

    def test_thawed(self):
        """A copy is the QEMU that was frozen; where that can't be had, one that migrates."""
        self.own()
        frozen = os.path.join(self.saved()[0], "files/frozen")
        for program in "/vm/thaw", "/usr/bin/qemu-system-x86_64":
            box = self.create("-p", "microvm", "--network", "none")
            pid, = sandboxcase.descendants("qemu")
            self.assertIn(program, os.readlink(f"/proc/{pid}/exe"))
            status = sandboxcase.status_of(pid)
            self.assertEqual("1", status["NoNewPrivs"])
            self.assertEqual("2", status.get("Seccomp_filters", "2"), "what QEMU forbids itself")
            with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
                self.assertNotRegex(maps.read(), "/vm/thaw| 00000000 .*/frozen",
                                    "at the same place in every copy")
            self.assertEqual("well\n", self.sandboxes("exec", box, "--", "echo", "well")[1])
            self.sandboxes("destroy", box)
            if os.path.exists(frozen):
                os.rename(frozen, frozen + ".away")
        os.rename(frozen + ".away", frozen)

    def test_damaged(self):
        self.own()
        frozen = os.path.join(self.saved()[0], "files/frozen")
        os.truncate(frozen, 1000)
        self.assertIn("the guest boots", self.own()[1])
        self.assertEqual([], self.saved())
        self.assertNotIn("the guest boots", self.own()[1])
        self.assertEqual(1, len(self.saved()))

    def test_makers(self):
        """One makes it, the others wait; one that was killed leaves nothing that others would use."""
        for path in self.saved():
            os.rename(path, path + ".old")
        killed = self.start("create", "-p", "microvm", "--network", "none")
        self.wait_for(lambda: glob.glob(os.path.join(self.cache, "sandboxes/saved-*.new")), "a maker")
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        makers = [self.start("run", "-v", "-p", "microvm", "--network", "none", "--", "echo", "hi") for _ in range(3)]
        for maker in makers:
            out, err = maker.communicate(timeout=60)
            self.assertEqual(b"hi\n", out, err)
            self.assertNotIn(b"the guest boots", err)
        self.assertEqual(1, len(self.saved()))


if __name__ == "__main__":
    sandboxcase.require_command()
    unittest.main(verbosity=2)
