# SPDX-License-Identifier: Apache-2.0
"""Copying files in and out while the program inside lies about them."""
import io
import os
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import box  # noqa: E402

SECRET = b"the host's secret"
SH = "/bin/sh"


class Files(box.Case):
    def setUp(self):
        super().setUp()
        self.living = self.box("--network", "none", "--disk", "64m", *box.MOUNT).__enter__()
        self.here = self.directory("here")
        self.secret = self.path("secret", SECRET)
        # Without copies that work, those that must not prove nothing.
        done = self.copy(self.secret, self.at("/home/user/plain"))
        self.assertEqual(0, done.returncode, box.text(done))

    def path(self, name, content=None):
        path = os.path.join(self.here, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content)
        return path

    def inside(self, script, check=True):
        return self.living.exec(SH, "-c", script, check=check)

    def copy(self, source, target, timeout=30):
        return self.call("cp", source, target, timeout=timeout)

    def at(self, path):
        return f"{self.living.id}:{path}"

    def untouched(self):
        with open(self.secret, "rb") as file:
            self.assertEqual(SECRET, file.read())

    def test_upload_through_links(self):
        mine = self.path("mine", b"harmless")
        self.inside(f"mkdir -p ~/w; ln -s {self.here} ~/w/dir; ln -s {self.secret} ~/w/file; "
                    f"ln -s /proc/1/root{self.secret} ~/w/proc; ln -s ../../../../../../../..{self.secret} ~/w/up")
        for name in ("dir/secret", "file", "proc", "up"):
            with self.subTest(name):
                self.copy(mine, self.at(f"/home/user/w/{name}"))
                self.untouched()
        self.assertEqual({"secret", "mine"}, set(os.listdir(self.here)))

    def test_download_through_links(self):
        self.inside(f"mkdir -p ~/w; ln -s {self.here} ~/w/dir; ln -s {self.secret} ~/w/file; "
                    f"ln -s /proc/1/root{self.secret} ~/w/proc; ln -s /proc/1/environ ~/w/environ")
        for name in ("dir/secret", "file", "proc", "environ"):
            with self.subTest(name):
                target = self.path("got")
                self.copy(self.at(f"/home/user/w/{name}"), target)
                if os.path.exists(target):
                    with open(target, "rb") as file:
                        self.assertNotIn(SECRET, file.read())
                    os.unlink(target)

    def test_links_that_flip(self):
        """A link that is a directory at every other moment, while files go both ways."""
        mine = self.path("mine", b"harmless")
        flip = (f"mkdir -p ~/w/real; cd ~/w; echo inside >real/secret; i=0; while [ $i -lt 3000 ]; do "
                f"ln -sfn {self.here} flip; rm -f flip; mkdir flip 2>/dev/null; rmdir flip 2>/dev/null; "
                f"i=$((i+1)); done")
        flipping = self.living.start(SH, "-c", flip)
        for _ in range(25):
            self.copy(mine, self.at("/home/user/w/flip/secret"))
            self.untouched()
            target = self.path("got")
            self.copy(self.at("/home/user/w/flip/secret"), target)
            if os.path.exists(target):
                with open(target, "rb") as file:
                    self.assertNotIn(SECRET, file.read())
                os.unlink(target)
        flipping.kill()
        flipping.wait()
        flipping.stdout.close()
        self.untouched()

    def test_trees_with_links_out(self):
        """A tree that comes out holds its links as links, and nothing is written through them."""
        self.inside(f"mkdir -p ~/t/a; ln -s {self.here} ~/t/a/out; ln -s {self.secret} ~/t/a/file; "
                    "ln -s ../../../.. ~/t/a/up; echo x >~/t/a/plain")
        target = self.path("tree")
        self.copy(self.at("/home/user/t"), target)
        self.untouched()
        for folder, _, names in os.walk(target):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    with open(path, "rb") as file:
                        self.assertNotIn(SECRET, file.read())
        # A second copy over it meets the links that the first has made.
        self.inside("rm ~/t/a/out ~/t/a/file; mkdir ~/t/a/out; echo bad >~/t/a/out/secret; echo bad >~/t/a/file")
        self.copy(self.at("/home/user/t"), target)
        self.untouched()

    def test_sources_that_are_no_files(self):
        self.inside("cd ~; mkfifo pipe; ln -s /dev/zero zero; ln -s /dev/full full; ln -s /proc/kmsg kmsg; "
                    "ln -s /proc/self/mem mem; ln -s loop loop; ln -s /dev/stdin stdin; ln -s /dev/tty tty")
        for name in ("pipe", "zero", "full", "kmsg", "mem", "loop", "stdin", "tty", "missing"):
            with self.subTest(name):
                target = self.path("got")
                try:
                    done = self.copy(self.at(f"/home/user/{name}"), target, timeout=15)
                    self.assertNotEqual(0, done.returncode, name)
                except subprocess.TimeoutExpired:
                    self.fail(f"{name}: hangs")
                self.assertLess(os.path.getsize(target) if os.path.exists(target) else 0, 64 << 20)
                if os.path.exists(target):
                    os.unlink(target)

    def test_targets_that_are_no_files(self):
        """They are replaced by the file, or refused; never written to, and nothing waits for a reader."""
        mine = self.path("mine", b"harmless" * 100)
        self.inside("cd ~; mkfifo pipe; ln -s /dev/full full; ln -s loop loop")
        for name in ("pipe", "full", "loop"):
            with self.subTest(name):
                if self.copy(mine, self.at(f"/home/user/{name}"), timeout=15).returncode == 0:
                    self.inside(f"test -f ~/{name} && test ! -L ~/{name}")

    def test_targets_out_of_the_users_reach(self):
        mine = self.path("mine", b"harmless" * 100)
        paths = ["/proc/sys/kernel/hostname", "/proc/self/mem", "/proc/x", "/dev/null/x", "/nowhere/x/y"]
        if box.is_root():  # else the user may have the only id there is, and owns the writable layer
            paths += ["/etc/passwd", "/usr/bin/env", "/root/x"]
        for path in paths:
            with self.subTest(path):
                done = self.copy(mine, self.at(path), timeout=15)
                made = path == "/nowhere/x/y" and not box.is_root()
                self.assertEqual(made, done.returncode == 0, box.text(done))

    def test_full_disk_is_an_error(self):
        big = self.path("big")
        with open(big, "wb") as file:
            for _ in range(96):
                file.write(os.urandom(1 << 20))
        done = self.copy(big, self.at("/home/user/big"), timeout=60)
        self.assertNotEqual(0, done.returncode)
        self.inside("rm -f ~/big; echo still works >~/small")

    def test_special_bits_stay_inside(self):
        self.inside("cp /bin/true ~/s; chmod 6755 ~/s; mkdir ~/d; cp /bin/true ~/d/s; chmod 6755 ~/d/s")
        self.copy(self.at("/home/user/s"), self.path("s"))
        self.copy(self.at("/home/user/d"), self.path("d"))
        for name in ("s", "d/s"):
            path = self.path(name)
            if os.path.exists(path):
                self.assertEqual(0, os.stat(path).st_mode & 0o6000, name)

    def test_odd_names(self):
        odd = ["a b", "new\nline", "tab\t", "\x1b[31mred", "quote'\"`$(id)", "-rf", "back\\slash", "x" * 255,
               "\udcff\udcfe"]
        for name in odd:
            with self.subTest(ascii(name)):
                source = self.path("dir-of-one")
                os.makedirs(source, exist_ok=True)
                with open(os.path.join(os.fsencode(source), os.fsencode(name)), "wb") as file:
                    file.write(b"odd")
                self.assertEqual(0, self.copy(source, self.at("/home/user/odd")).returncode)
                target = self.path("back")
                done = self.copy(self.at("/home/user/odd"), target)
                self.assertEqual(0, done.returncode, box.text(done))
                self.assertIn(os.fsencode(name), os.listdir(os.fsencode(target)))
                subprocess.run(["rm", "-rf", source, target], check=True)
                self.inside("rm -rf ~/odd")


class Images(box.Case):
    """A hostile archive as image: what it unpacks stays where it is unpacked."""

    def setUp(self):
        super().setUp()
        self.here = self.directory("here")
        os.mkdir(os.path.join(self.here, "victim"))
        self.victim = os.path.join(self.here, "victim", "file")
        with open(self.victim, "wb") as file:
            file.write(SECRET)

    def image(self, *members):
        path = os.path.join(self.here, "image.tar")
        with tarfile.open(path, "w") as archive:
            archive.add(box.PROBE, "bin/probe", recursive=False)
            for name, kind, extra in members:
                entry = tarfile.TarInfo(name)
                entry.type = kind
                entry.mode = 0o755
                data = None
                if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                    entry.linkname = extra
                elif kind == tarfile.REGTYPE:
                    data = io.BytesIO(extra)
                    entry.size = len(extra)
                elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
                    entry.devmajor, entry.devminor = extra
                archive.addfile(entry, data)
        return path

    def unpack(self, *members):
        done = self.call("run", "--network", "none", "--image", self.image(*members), "--",
                       "/bin/probe", "--rights", timeout=60)
        with open(self.victim, "rb") as file:
            self.assertEqual(SECRET, file.read(), "a file of the host was written")
        self.assertEqual(["file"], os.listdir(os.path.dirname(self.victim)))
        return done

    def test_a_plain_one_works(self):
        done = self.unpack()
        self.assertIn(b"euid", done.stdout, box.text(done))

    def test_names_that_climb(self):
        up = "../" * 30
        for name in (f"{up}{self.victim[1:]}", self.victim, f"bin/{up}{self.victim[1:]}",
                     f"./bin/../{up}{self.victim[1:]}"):
            with self.subTest(name):
                self.unpack((name, tarfile.REGTYPE, b"overwritten"))

    def test_writing_through_links(self):
        folder = os.path.dirname(self.victim)
        up = "../" * 30 + folder[1:]
        for target in (folder, up):
            with self.subTest(target):
                self.unpack(("door", tarfile.SYMTYPE, target), ("door/file", tarfile.REGTYPE, b"overwritten"),
                            ("door/new", tarfile.REGTYPE, b"made"))
        self.unpack(("file", tarfile.SYMTYPE, self.victim), ("file", tarfile.REGTYPE, b"overwritten"))

    def test_hard_links_out(self):
        for target in (self.victim, "../" * 30 + self.victim[1:]):
            with self.subTest(target):
                done = self.unpack(("hard", tarfile.LNKTYPE, target), ("hard", tarfile.REGTYPE, b"overwritten"))
                self.assertNotIn(SECRET, done.stdout)
                self.assertEqual(1, os.stat(self.victim).st_nlink)

    def test_devices(self):
        image = self.image(("dev-null", tarfile.CHRTYPE, (1, 3)), ("dev-disk", tarfile.BLKTYPE, (254, 0)),
                           ("dev/kmsg", tarfile.CHRTYPE, (1, 11)))
        done = self.call("run", "--network", "none", "--image", image, "--", "/bin/probe", "--inside",
                       "--only=31", timeout=60)
        if b"end " in done.stdout:
            self.assertNotIn(b"OPEN", done.stdout)

    def test_a_bomb_meets_a_limit(self):
        """Much more than the archive's own size: refused, or unpacked sparsely, but not stored."""
        path = os.path.join(self.here, "bomb.tar")
        with tarfile.open(path, "w") as archive:
            archive.add(box.PROBE, "bin/probe", recursive=False)
            entry = tarfile.TarInfo("big")
            entry.type = tarfile.REGTYPE
            entry.size = 0
            entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                                 "GNU.sparse.name": "big", "GNU.sparse.realsize": str(1 << 50)}
            archive.addfile(entry)
        free = os.statvfs(self.here).f_bavail
        self.call("run", "--network", "none", "--image", path, "--", "/bin/probe", "--rights", timeout=60)
        self.assertGreater(os.statvfs(self.here).f_bavail, free - 100000)


if __name__ == "__main__":
    box.main()
