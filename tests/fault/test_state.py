# SPDX-License-Identifier: Apache-2.0
"""A state directory that is not as we left it: rubbish is reported or swept, foreign things stay."""
import os
import subprocess
import unittest

import sandboxcase
from sandboxcase import COMMAND, SandboxCase

RUBBISH = {
    "empty": b"",
    "zeroes": bytes(4096),
    "text": b"hello, I am not a record\n",
    "long": b"\xff" * 1000000,
    "huge count": b"\x01\x00\x00\x00" + b"\xff" * 64,
}


class State(SandboxCase):
    def setUp(self):
        super().setUp()
        self.sandboxes("list")  # makes the state directory
        os.makedirs(self.state, mode=0o700, exist_ok=True)

    def put(self, *path, data=b""):
        full = os.path.join(self.state, *path)
        os.makedirs(os.path.dirname(full), mode=0o700, exist_ok=True)
        with open(full, "wb") as file:
            file.write(data)
        return full

    def still_works(self):
        self.assertEqual("hello\n", self.sandboxes("run", "--network", "none", "--", "echo", "hello")[1])

    def test_rubbish_as_record_of_a_dead_sandbox(self):
        for number, (name, data) in enumerate(RUBBISH.items()):
            with self.subTest(name):
                self.put(f"sb-rubbish0000{number}", "spec", data=data)
                self.assertEqual([], self.listed())
                self.still_works()

    def test_rubbish_as_record_of_a_living_sandbox(self):
        for name, data in RUBBISH.items():
            with self.subTest(name):
                box = self.create("--network", "none")
                for record in ("spec", "state"):
                    self.put(box, record, data=data)
                self.assertEqual([box], [b["id"] for b in self.listed()])
                self.sandboxes("destroy", box)
                self.still_works()

    def test_record_cut_anywhere(self):
        box = self.create("--network", "none", "-l", "name=cut")
        with open(os.path.join(self.state, box, "spec"), "rb") as file:
            whole = file.read()
        for size in range(0, len(whole), max(1, len(whole) // 23)):
            self.put(box, "spec", data=whole[:size])
            self.sandboxes("list")
        self.put(box, "spec", data=whole)
        self.assertEqual([box], [b["id"] for b in self.listed()])

    def test_foreign_things_are_not_deleted(self):
        file = self.put("notes.txt", data=b"mine")
        folder = os.path.join(self.state, "My Folder")
        inside = self.put("My Folder", "thesis.txt", data=b"mine too")
        elsewhere = os.path.join(self.work, "elsewhere")
        os.mkdir(elsewhere)
        with open(os.path.join(elsewhere, "treasure"), "wb") as treasure:
            treasure.write(b"mine")
        link = os.path.join(self.state, "sb-link")
        os.symlink(elsewhere, link)
        self.assertEqual([], self.listed())
        self.sandboxes("destroy", "--all", "--yes", check=False)
        self.still_works()
        for path in (file, inside, os.path.join(elsewhere, "treasure")):
            self.assertTrue(os.path.exists(path), path)
        os.unlink(file)
        os.unlink(inside)
        os.rmdir(folder)
        if os.path.islink(link):
            os.unlink(link)

    def test_link_out_of_a_dead_sandbox(self):
        """Sweeping follows no links."""
        elsewhere = os.path.join(self.work, "elsewhere")
        os.mkdir(elsewhere)
        treasure = os.path.join(elsewhere, "treasure")
        with open(treasure, "wb") as file:
            file.write(b"mine")
        os.mkdir(os.path.join(self.state, "sb-dead00000000"), 0o700)
        os.symlink(treasure, os.path.join(self.state, "sb-dead00000000", "spec"))
        self.assertEqual([], self.listed())
        self.still_works()
        self.assertTrue(os.path.exists(treasure))

    def test_directory_that_others_may_write(self):
        os.chmod(self.state, 0o777)
        status, _, err = self.sandboxes("run", "--network", "none", "--", "true", check=False)
        os.chmod(self.state, 0o700)
        if status != 0:
            self.assert_clean_failure(status, err)
        self.still_works()

    def test_state_directory_is_a_file(self):
        os.rmdir(self.state)
        with open(self.state, "wb"):
            pass
        status, _, err = self.sandboxes("run", "--network", "none", "--", "true", check=False)
        self.assert_clean_failure(status, err)
        os.unlink(self.state)

    def test_state_directory_is_a_link(self):
        os.rmdir(self.state)
        elsewhere = os.path.join(self.work, "elsewhere")
        os.mkdir(elsewhere, 0o755)
        os.symlink(elsewhere, self.state)
        status, _, err = self.sandboxes("run", "--network", "none", "--", "true", check=False)
        if status != 0:
            self.assert_clean_failure(status, err)
        os.unlink(self.state)

    def test_no_runtime_directory(self):
        """Without XDG_RUNTIME_DIR there is one under /tmp, of ours alone."""
        env = {k: v for k, v in self.env.items() if k != "XDG_RUNTIME_DIR"}
        done = subprocess.run([COMMAND, "run", "--network", "none", "--", "echo", "hello"], env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        self.assertEqual((0, b"hello\n"), (done.returncode, done.stdout))


if __name__ == "__main__":
    sandboxcase.require_command()
    unittest.main(verbosity=2)
