# SPDX-License-Identifier: Apache-2.0
"""Snapshots and forks of local sandboxes: what they keep, over what, hostile contents, kill -9."""
import json
import os
import signal
import tarfile
import time

import leaks
import sandboxcase

# Run inside; the last word of each line it prints is compared with what a copy prints.
FILL = r"""
mkdir -p ~/d/inner; echo text > ~/d/file; ln ~/d/file ~/d/hard; ln -s /etc/shadow ~/d/link; mkfifo ~/d/fifo
truncate -s 64G ~/d/holes; printf end >> ~/d/holes; chmod 4755 ~/d/file; mkdir ~/d/closed; echo x > ~/d/closed/x
chmod 0 ~/d/closed; chmod 0 ~/d/holes; touch -d @1000000000 ~/d/inner; echo tmp > /tmp/scratch; echo no > /dev/shm/gone
touch "$(printf '%s/d/odd\n\033[31m\377' "$HOME")"; rm -f ~/.profile; rm -rf ~/.bashrc; mkdir ~/.bashrc
"""
SHOW = r"""
cd ~; ls -A1q . d; cat d/file /tmp/scratch; readlink d/link; stat -c '%n %a %h %s' d/file d/hard d/holes d/fifo; stat -c '%n %a' d/closed
stat -c %Y d/inner; test -e /dev/shm/gone || echo fresh; test -e .profile || echo removed; ls -A .bashrc; stat -c %b d/holes
"""


class Snapshots(sandboxcase.SandboxCase):
    def setUp(self):
        super().setUp()
        self.env["SANDBOXES_PROVIDER"] = "local"
        self.store = os.path.join(self.cache, "sandboxes/images")

        self.sandboxes("image", "list")  # which makes the store

    def tearDown(self):
        self.sandboxes("destroy", "--all", "--yes", check=False)
        self.sandboxes("image", "prune", "--all")
        left = [name for part in ("deltas", "trees", "layers", "records") for name in os.listdir(f"{self.store}/{part}")]
        super().tearDown()
        self.assertEqual([], left)

    def inside(self, name, line):
        return self.sandboxes("exec", name, line)[1]

    def run_on(self, image, line):
        return self.sandboxes("run", "--image", image, "--network", "none", "--", "sh", "-c", line)[1]

    def test_what_is_kept(self):
        first = self.create("--network", "none")
        self.inside(first, FILL)
        want = self.inside(first, SHOW.replace("test -e /dev/shm/gone || echo fresh", "echo fresh"))
        self.assertEqual("kept\n", self.sandboxes("snapshot", first, "kept")[1])
        copy = self.sandboxes("fork", first, "--label", "copy=1", "-e", "X=y", "--ttl", "5m")[1].strip()
        self.assertEqual(want, self.run_on("kept", SHOW))
        self.assertEqual(want, self.inside(copy, SHOW))
        self.assertEqual("y\n", self.inside(copy, "echo $X"))
        self.assertEqual([{"copy": "1"}, {}], [one["labels"] for one in sorted(
            self.listed(), key=lambda one: one["id"] != copy)])
        # Again, unchanged, it is the same; and one of one made from it is only what is new.
        self.sandboxes("snapshot", first, "same:v2")
        self.inside(copy, "chmod 700 ~/d/closed; rm -r ~/d/closed; rmdir ~/.bashrc; echo more > ~/d/more")
        self.sandboxes("snapshot", copy, "top")
        found = {i["name"]: i for i in json.loads(self.sandboxes("image", "list", "--json")[1])}
        self.assertEqual(found["kept:latest"]["digest"], found["same:v2"]["digest"])
        self.assertLess(found["top:latest"]["size"], 16)
        self.assertEqual("more\ntext\ntmp\n", self.run_on(
            "top", "cat ~/d/more ~/d/hard /tmp/scratch; test -e ~/d/closed || test -e ~/.bashrc || exit 0; echo wrong"))
        self.sandboxes("image", "rm", "kept", "same:v2")
        self.assertIn("text", self.run_on("top", "cat ~/d/file"))

    def test_files_of_a_fork_end_with_it(self):
        first = self.create("--network", "none")
        copies = [self.sandboxes("fork", first)[1].strip() for _ in range(2)]
        self.sandboxes("snapshot", copies[0], "named")
        self.assertEqual(3, len(os.listdir(f"{self.store}/deltas")))
        above = self.create("--network", "none", "--image", "named")
        self.sandboxes("destroy", above)
        self.assertEqual(3, len(os.listdir(f"{self.store}/deltas")))
        self.sandboxes("destroy", *copies)
        self.assertEqual(1, len(os.listdir(f"{self.store}/deltas")))

    def test_files_of_a_fork_end_with_its_time(self):
        first = self.create("--network", "none")
        deltas = f"{self.store}/deltas"
        self.sandboxes("fork", first, "--ttl", "300ms")
        before = set(leaks.descendants())
        self.sandboxes("fork", first)
        self.assertEqual(2, len(os.listdir(deltas)))
        self.wait_for(lambda: len(os.listdir(deltas)) == 1, "the first fork's files to go")
        # Of one that is not ended but lost, with the next look.
        for pid in set(leaks.descendants()) - before:
            os.kill(pid, signal.SIGKILL)
        self.wait_for(lambda: len(self.listed()) == 1, "the second fork's end")
        self.assertEqual([], os.listdir(deltas))

    def rootfs(self):
        """A root with a static program in it, which is the shell and all else: that of this machine's busybox."""
        root = os.path.join(self.work, "root")
        os.makedirs(f"{root}/bin")
        os.makedirs(f"{root}/data")
        with open("/bin/busybox", "rb") as source, open(f"{root}/bin/busybox", "wb") as target:
            target.write(source.read())
        os.chmod(f"{root}/bin/busybox", 0o755)
        for name in ("sh", "cat", "rm", "ls", "mkdir"):
            os.symlink("busybox", f"{root}/bin/{name}")
        for name in ("old", "base"):
            with open(f"{root}/data/{name}", "w", encoding="ascii") as file:
                file.write(name)
        os.chmod(f"{root}/data", 0o777)
        return root

    def test_over_each_kind_of_image(self):
        if not os.path.exists("/bin/busybox"):
            self.skipTest("no busybox")
        root = self.rootfs()
        archive = os.path.join(self.work, "root.tar")
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".")
        self.sandboxes("image", "build-from-dir", root, "built")
        for number, image in enumerate((root, archive, "built")):
            first = self.create("--image", image, "--network", "none", "--user", "root")
            self.inside(first, "rm /data/old; echo new > /data/new")
            self.sandboxes("snapshot", first, f"on{number}")
            self.sandboxes("destroy", first)
            second = self.create("--image", f"on{number}", "--network", "none")
            self.inside(second, "rm /data/new; mkdir /data/new; echo top > /data/new/top")
            self.sandboxes("snapshot", second, f"two{number}")
            self.sandboxes("destroy", second)
        self.sandboxes("image", "rm", "built", "on0", "on1", "on2")
        self.sandboxes("image", "prune")
        os.unlink(archive)
        for number in range(3):
            found = self.run_on(f"two{number}", "ls /data /data/new; cat /data/base /data/new/top")
            self.assertEqual("/data:\nbase\nnew\n\n/data/new:\ntop\nbasetop\n", found)

    def test_what_is_refused_leaves_nothing(self):
        first = self.create("--network", "none")
        self.inside(first, "cd /tmp; i=0; while [ $i -lt 300 ]; do mkdir d && cd d; i=$((i + 1)); done")
        for words in (("snapshot", first, "deep"), ("fork", first), ("snapshot", first, "host"),
                      ("snapshot", first, "../up"), ("snapshot", "sb-none", "x"), ("fork", "sb-none")):
            status, _, err = self.sandboxes(*words, check=False)
            self.assert_clean_failure(status, err)
        self.assertEqual([], os.listdir(f"{self.store}/deltas"))
        self.assertEqual(1, len(self.listed()))
        self.assertEqual("alive\n", self.inside(first, "echo alive"))

    def test_killed_at_any_moment(self):
        first = self.create("--network", "none", "--disk", "64m")
        self.inside(first, "head -c 20000000 /dev/urandom > /tmp/data; i=0; "
                    "while [ $i -lt 300 ]; do echo $i > /tmp/f$i; i=$((i + 1)); done; sha256sum /tmp/data > /tmp/sum")
        for number in range(8):
            process = self.start("snapshot", first, "cut")
            time.sleep(0.012 * number)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            self.assertEqual("goes on\n", self.inside(first, "echo goes on"))
            if os.listdir(f"{self.store}/records"):  # then it is whole
                self.assertIn("OK", self.run_on("cut", "sha256sum -c /tmp/sum && test -e /tmp/f299"))
                self.sandboxes("image", "rm", "cut")
        self.sandboxes("snapshot", first, "whole")
        self.assertEqual(1, len(os.listdir(f"{self.store}/deltas")), "what killed ones left is gone")


if __name__ == "__main__":
    sandboxcase.require_command()
    sandboxcase.main()
