# SPDX-License-Identifier: Apache-2.0
"""Too little of something: file descriptors, memory, space and inodes for the state, processes."""
import os
import resource
import subprocess
import unittest

import sandboxcase
from sandboxcase import COMMAND, OUR_FAILURE, SandboxCase

RUN = ("run", "--network", "none", "--", "echo", "hello")
LOADER_FAILED = 127  # the dynamic loader itself had too little


class Limits(SandboxCase):
    def works_or_says_why(self, status, out, err, what):
        if status == 0:
            self.assertEqual("hello\n", out, what)
        elif status == LOADER_FAILED:
            self.assertIn("shared librar", err, what)
        else:
            self.assertEqual(OUR_FAILURE, status, f"{what}: {err}")
            self.assertTrue(err.strip(), f"{what}: failed without a word")
        self.assertEqual([], self.leftovers(), what)

    def run_limited(self, kind, value):
        def limit():
            resource.setrlimit(kind, (value, value))
        return self.sandboxes(*RUN, check=False, preexec_fn=limit)

    def test_few_file_descriptors(self):
        outcomes = set()
        for count in range(3, 33):
            status, out, err = self.run_limited(resource.RLIMIT_NOFILE, count)
            self.works_or_says_why(status, out, err, f"{count} descriptors")
            outcomes.add(status)
        self.assertIn(OUR_FAILURE, outcomes)

    def test_little_address_space(self):
        for mebibytes in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128):
            status, out, err = self.run_limited(resource.RLIMIT_AS, mebibytes << 20)
            self.works_or_says_why(status, out, err, f"{mebibytes} MiB of address space")

    def test_no_file_may_grow(self):
        status, out, err = self.run_limited(resource.RLIMIT_FSIZE, 0)
        self.works_or_says_why(status, out, err, "file size limit 0")

    def run_on_small_disk(self, options, fill):
        """The command with its state directory on a tmpfs of these options, filled before."""
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")
        script = ('mount -t tmpfs -o "$1" none "$2" && chmod 700 "$2" && '
                  '{ head -c 4m /dev/zero >"$2/filler" 2>/dev/null; true; } && '
                  if fill else 'mount -t tmpfs -o "$1" none "$2" && chmod 700 "$2" && ')
        script += 'shift 2; "$@"; status=$?; ls -A "$XDG_RUNTIME_DIR/sandboxes" 2>/dev/null ' \
                  '| grep -v "^[.]\\|^lock" | sed "s/^/LEFT /"; exit $status'
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", options,
             self.run_dir, COMMAND, *RUN], env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertNotIn("LEFT", out)
        self.works_or_says_why(done.returncode, out, err, f"state on tmpfs {options}")
        return done.returncode

    def test_small_disk_is_enough(self):
        self.assertEqual(0, self.run_on_small_disk("size=1m,mode=700", False))

    def test_full_disk(self):
        self.assertEqual(OUR_FAILURE, self.run_on_small_disk("size=1m,mode=700", True))

    def test_no_inodes(self):
        outcomes = {self.run_on_small_disk(f"nr_inodes={count},mode=700", False)
                    for count in range(2, 12)}
        self.assertIn(OUR_FAILURE, outcomes)

    def test_read_only_state_directory(self):
        if os.geteuid() == 0:
            self.skipTest("root may write anywhere")
        os.chmod(self.run_dir, 0o500)
        status, out, err = self.sandboxes(*RUN, check=False)
        os.chmod(self.run_dir, 0o700)
        self.works_or_says_why(status, out, err, "read-only state directory")
        self.assertEqual(OUR_FAILURE, status)


if __name__ == "__main__":
    sandboxcase.require_command()
    unittest.main(verbosity=2)
