# SPDX-License-Identifier: Apache-2.0
"""What is on the disk when the power fails: the disk is a file, and a copy of it at that moment is another machine's."""
import os
import subprocess
import sys
import unittest

import sandboxcase

SIZE = 128 << 20
FILL = "i=0; while [ $i -lt 99 ]; do echo $i > ~/f$i; i=$((i + 1)); done; head -c 3000000 /dev/zero | tr '\\0' x > ~/data"
SHOW = "cat ~/f98; grep -o x ~/data | wc -l"


def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode().strip()


class Power(sandboxcase.SandboxCase):
    def mount(self, disk, name, *options):
        target = os.path.join(self.work, name)
        os.mkdir(target)
        run("mount", "-o", ",".join(("loop", *options)), disk, target)
        self.mounted.append(target)
        return target

    def tearDown(self):
        self.sandboxes("destroy", "--all", "--yes", check=False)  # which keep the disk busy
        for target in self.mounted:
            run("umount", target)
        super().tearDown()

    def setUp(self):
        super().setUp()
        self.disk, self.tries, self.mounted = os.path.join(self.work, "disk"), 0, []
        try:
            with open(self.disk, "wb") as file:
                file.truncate(SIZE)
            run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.disk)
            # Its journal is not written by a clock of its own while we look.
            self.env["XDG_CACHE_HOME"] = self.mount(self.disk, "before", "commit=3600")
        except (OSError, subprocess.CalledProcessError) as problem:
            self.skipTest(f"no disk can be made of a file here: {getattr(problem, 'output', None) or problem}")
        os.chmod(self.env["XDG_CACHE_HOME"], 0o700)

    def cut(self):
        """Environment of the machine that comes up with what the disk has now."""
        self.tries += 1
        copy = os.path.join(self.work, f"copy{self.tries}")
        run("cp", "--sparse=always", self.disk, copy)
        return {**self.env, "XDG_CACHE_HOME": self.mount(copy, f"after{self.tries}")}

    def names(self, env):
        return [line.split()[0] for line in self.sandboxes("image", "list", env=env)[1].splitlines()[1:]]

    def test_what_was_reported_is_there(self):
        first = self.create("--network", "none")
        self.sandboxes("exec", first, FILL)
        self.sandboxes("snapshot", first, "kept")
        root = os.path.join(self.work, "root")
        os.makedirs(f"{root}/bin")
        with open(f"{root}/bin/data", "wb") as file:
            file.write(b"x" * 3000000)
        env = self.cut()
        self.assertEqual(["kept:latest"], self.names(env))
        self.assertEqual("98\n3000000\n", self.sandboxes(
            "run", "--image", "kept", "--network", "none", "--", "sh", "-c", SHOW, env=env)[1])
        self.sandboxes("image", "build-from-dir", root, "built")
        env = self.cut()
        self.assertEqual(["built:latest", "kept:latest"], sorted(self.names(env)))
        # A boot of another number: what is marked as not written would be lost.
        self.assertEqual([], os.listdir(os.path.join(env["XDG_CACHE_HOME"], "sandboxes/images/fresh")))
        tree, = os.listdir(os.path.join(env["XDG_CACHE_HOME"], "sandboxes/images/trees"))
        self.assertEqual("x" * 3000000, sandboxcase.read_text(
            os.path.join(env["XDG_CACHE_HOME"], "sandboxes/images/trees", tree, "bin/data")))
        self.sandboxes("destroy", first)


if __name__ == "__main__":
    sandboxcase.require_command()
    if os.geteuid() != 0:
        print("1..0 # SKIP only root can mount a disk")
        sys.exit(sandboxcase.SKIP)
    unittest.main(verbosity=2)
