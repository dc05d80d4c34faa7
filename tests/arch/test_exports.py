# SPDX-License-Identifier: Apache-2.0
"""The shared library exports what the public headers declare, and nothing else."""
import glob
import os
import re
import shutil
import subprocess
import unittest

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BUILD = os.environ.get("BUILD") or os.path.join(TREE, "build")


def declared():
    names = set()
    for path in glob.glob(os.path.join(TREE, "include/sandboxes/*.h")):
        with open(path, encoding="utf-8") as file:
            for statement in re.findall(r"^SBX_API\s[^;]*;", file.read(), re.MULTILINE):
                names.add(re.search(r"(sbx_\w+)\s*(\(|\[|;)", statement).group(1))
    return names


def exported(library):
    text = subprocess.run(["nm", "-D", "--defined-only", library], stdout=subprocess.PIPE,
                          check=True).stdout.decode()
    names = {line.split()[-1].split("@")[0] for line in text.splitlines()}
    return {name for name in names if not re.fullmatch(r"SANDBOXES_\d+", name)}


class Exports(unittest.TestCase):
    def setUp(self):
        found = [p for p in glob.glob(os.path.join(BUILD, "src", "libsandboxes.so*"))
                 if not p.endswith(".p") and os.path.isfile(p)]
        if not found or not shutil.which("nm"):
            self.skipTest("no shared library in this build")
        self.library = found[0]

    def test_names_match_the_headers(self):
        self.assertEqual(declared(), exported(self.library))

    def test_has_a_soname(self):
        text = subprocess.run(["readelf", "-d", self.library], stdout=subprocess.PIPE,
                              check=True).stdout.decode()
        self.assertRegex(text, r"SONAME.*\[libsandboxes\.so\.\d+\]")

    def test_cloud_libraries_are_not_linked(self):
        text = subprocess.run(["readelf", "-d", self.library], stdout=subprocess.PIPE,
                              check=True).stdout.decode()
        needed = re.findall(r"NEEDED.*\[(.*)\]", text)
        self.assertEqual([], [n for n in needed if re.match(r"lib(curl|ssl|crypto|nghttp2)", n)])


if __name__ == "__main__":
    unittest.main()
