# SPDX-License-Identifier: Apache-2.0
"""Each public header compiles alone, as strict C11 and as C++, without a warning."""
import os
import shutil
import subprocess
import unittest

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
INCLUDE = os.path.join(TREE, "include")
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wundef"]
COMPILERS = {
    "gcc": ["-std=c11", "-x", "c", "-Wshadow", "-Wstrict-prototypes"],
    "clang": ["-std=c11", "-x", "c", "-Wshadow", "-Wstrict-prototypes"],
    "musl-gcc": ["-std=c11", "-x", "c"],
    "g++": ["-std=c++11", "-x", "c++"],
    "clang++": ["-std=c++11", "-x", "c++"],
}


def headers():
    folder = os.path.join(INCLUDE, "sandboxes")
    return sorted(name for name in os.listdir(folder) if name.endswith(".h"))


class Headers(unittest.TestCase):
    def compile_alone(self, compiler):
        if not shutil.which(compiler):
            self.skipTest(f"no {compiler}")
        for name in headers():
            done = subprocess.run(
                [compiler, *COMPILERS[compiler], *WARNINGS, "-I", INCLUDE, "-fsyntax-only", "-"],
                input=f"#include <sandboxes/{name}>\nextern int used;\n".encode(), stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, check=False)
            self.assertEqual(0, done.returncode, f"{name}: {done.stdout.decode()}")

    def test_gcc(self):
        self.compile_alone("gcc")

    def test_clang(self):
        self.compile_alone("clang")

    def test_musl(self):
        self.compile_alone("musl-gcc")

    def test_gxx(self):
        self.compile_alone("g++")

    def test_clangxx(self):
        self.compile_alone("clang++")

    def test_all_are_installed(self):
        with open(os.path.join(INCLUDE, "meson.build"), encoding="utf-8") as file:
            text = file.read()
        self.assertEqual([], [n for n in headers() if f"'sandboxes/{n}'" not in text])


if __name__ == "__main__":
    unittest.main()
