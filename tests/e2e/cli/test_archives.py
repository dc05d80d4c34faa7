# SPDX-License-Identifier: Apache-2.0
"""sandboxes cp with a tar archive on standard input or output, hostile ones too."""
import io
import os
import tarfile

import sandboxcase


class Archives(sandboxcase.SandboxCase):
    def setUp(self):
        super().setUp()
        self.env["SANDBOXES_PROVIDER"] = "local"
        self.name = self.create("--network", "none")

    def file(self, name, data):
        path = os.path.join(self.work, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    @staticmethod
    def archive(*entries):
        """A tar archive of (name, kind, link or contents)."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, kind, what in entries:
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = kind, 0o4755
                entry.linkname = what if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
                data = what.encode() if kind == tarfile.REGTYPE else b""
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        return out.getvalue()

    def put_archive(self, data, target):
        source = self.file("in.tar", data)
        with open(source, "rb") as stream:
            return self.sandboxes("cp", "-", f"{self.name}:{target}", stdin=stream, check=False)

    def get_archive(self, path):
        with open(os.path.join(self.work, "out.tar"), "wb") as stream:
            self.sandboxes("cp", f"{self.name}:{path}", "-", stdout=stream)
        with tarfile.open(stream.name) as tar:
            return {entry.name: (entry, tar.extractfile(entry).read() if entry.isreg() else None)
                    for entry in tar}

    def test_archives_both_ways(self):
        long = "n" * 200
        self.assertEqual(0, self.put_archive(self.archive(
            ("a", tarfile.REGTYPE, "first"), ("d", tarfile.DIRTYPE, ""), (f"d/{long}", tarfile.REGTYPE, "long"),
            ("link", tarfile.SYMTYPE, "/etc/" + long), ("hard", tarfile.LNKTYPE, "a"),
            ("line\nbreak \udcff", tarfile.REGTYPE, "odd")), "new/dir")[0])
        self.assertEqual(0, self.put_archive(self.archive(("b", tarfile.REGTYPE, "joins")), "new/dir/")[0])
        found = self.get_archive("new/dir")
        self.assertEqual({"dir", "dir/a", "dir/b", "dir/d", f"dir/d/{long}", "dir/link", "dir/hard",
                          "dir/line\nbreak \udcff"}, set(found))
        self.assertEqual([b"first", b"long", b"first"],
                         [found[name][1] for name in ("dir/a", f"dir/d/{long}", "dir/hard")])
        self.assertEqual("/etc/" + long, found["dir/link"][0].linkname)
        self.assertEqual({0}, {entry.mode & 0o7000 for entry, _ in found.values()})
        self.assertEqual({"a"}, set(self.get_archive("/home/user/new/dir/a")))

    def test_hostile_archives_in(self):
        outside = self.file("outside", b"of the host")
        for entries in ([("../escaped", tarfile.REGTYPE, "x")], [(outside, tarfile.LNKTYPE, outside)],
                        [("dev", tarfile.CHRTYPE, "")], [("l", tarfile.LNKTYPE, "../../outside")],
                        [("l", tarfile.SYMTYPE, self.work), ("l/outside", tarfile.REGTYPE, "x")],
                        [("twice", tarfile.REGTYPE, "1"), ("twice", tarfile.REGTYPE, "2")]):
            status, _, err = self.put_archive(self.archive(*entries), "in")
            self.assert_clean_failure(status, err)
        for data in (b"", b"no archive at all", self.archive(("cut", tarfile.REGTYPE, "x" * 9999))[:1024]):
            status, _, err = self.put_archive(data, "in")
            self.assert_clean_failure(status, err)
        # A link is a link, whatever it leads to, here or there.
        link = self.archive(("link", tarfile.SYMTYPE, outside))
        self.assertEqual(0, self.put_archive(link, "in")[0])
        self.assertEqual(outside, self.sandboxes("exec", self.name, "readlink in/link")[1].strip())
        for target in ("", "/", "in/.."):
            self.assert_clean_failure(*self.put_archive(link, target)[::2])
        self.assertEqual(b"of the host", open(outside, "rb").read())
        self.assertFalse(os.path.exists(os.path.join(self.work, "escaped")))

    def test_hostile_trees_out_as_archives(self):
        self.sandboxes("exec", self.name, "--", "sh", "-c",
                       "mkdir -p t/d && cd t && echo x >f && chmod 6777 f && mkfifo fifo && ln -s / root && "
                       "ln -s loop loop && cd d && ln -s ../../../../../../etc/shadow up && touch -- -rf")
        found = self.get_archive("t")
        self.assertEqual({"t", "t/d", "t/f", "t/root", "t/loop", "t/d/up", "t/d/-rf"}, set(found))
        self.assertEqual(0, found["t/f"][0].mode & 0o7000)
        self.assertTrue(all(found[f"t/{name}"][0].issym() for name in ("root", "loop", "d/up")))
        with self.start("cp", f"{self.name}:/usr/share/doc", "-") as copy:  # nobody reads
            copy.stdout.close()
            copy.stderr.read()
        self.assertIn(copy.returncode, (141, -13))


if __name__ == "__main__":
    sandboxcase.main()
