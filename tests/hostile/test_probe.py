# SPDX-License-Identifier: Apache-2.0
"""The probe must be able to fail: where holes are known to be open, it has to find them."""
import os
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lines import Report  # noqa: E402

PROBE = os.environ["PROBE"]

# Namespaces alone refuse none of these, whoever has made them. Some depend on the kernel's settings.
OPEN_IN_BARE_NAMESPACES = {
    "10 mount tmpfs", "10 fsopen", "12 umount2 /proc", "12 chroot",
    "13 unshare CLONE_NEWUSER", "13 clone CLONE_NEWUSER", "13 clone3",
    "13 limit of user namespaces", "22 personality", "28 personality with high bits",
    "28 clone with high bits", "29 filter on every process", "30 TIOCSTI", "33 socket raw ICMP",
    "33 socket packet", "33 socket netfilter", "4 trace process 1", "54 core scheduling",
    "2 capabilities", "2 no_new_privs",
}


def works(prefix):
    return subprocess.run(prefix + ["true"], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False).returncode == 0


def run(prefix):
    done = subprocess.run(prefix + [PROBE, "--inside", "--root"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    return Report(done.stdout.decode(errors="replace"))


class ProbeFindsHoles(unittest.TestCase):
    def test_in_bare_namespaces(self):
        if not shutil.which("unshare"):
            self.skipTest("unshare is not installed (util-linux)")
        prefix = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc",
                  "--uts", "--fork", "--mount-proc"]
        if not works(prefix):
            self.skipTest("this machine allows no user namespaces")
        report = run(prefix)
        self.assertTrue(report.complete, report.text)
        self.assertEqual(set(), OPEN_IN_BARE_NAMESPACES - set(report.open))

    def test_under_bubblewrap(self):
        if not shutil.which("bwrap"):
            self.skipTest("bubblewrap is not installed")
        prefix = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev",
                  "--die-with-parent"]
        if not works(prefix):
            self.skipTest("bubblewrap does not run here")
        report = run(prefix)
        self.assertGreater(len(report.open), 40)
        if os.geteuid() == 0:  # for others the kernel locks what it has bound read-only
            self.assertIn("11 remount writable", report.open)
        # And it sees what is closed: bubblewrap makes a /dev of its own.
        self.assertNotIn("31 devices by scan", report.open)

    def test_the_list_and_the_probe_agree(self):
        prefix = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--fork",
                  "--mount-proc"]
        if not works(prefix):
            self.skipTest("this machine allows no user namespaces")
        with open(os.path.join(os.environ["TREE"], "docs/threats.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", file.read(), re.MULTILINE)
        listed = {int(row) for row, tried in rows if "probe" in tried}
        self.assertEqual(listed, {row for _, row, _, _ in run(prefix).checks})

    def test_not_outside_of_a_sandbox(self):
        done = subprocess.run([PROBE], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(2, done.returncode)
        self.assertIn(b"usage", done.stderr)


if __name__ == "__main__":
    unittest.main()
