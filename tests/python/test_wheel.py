# SPDX-License-Identifier: Apache-2.0
"""The wheel: built, installed into an empty environment, used, uninstalled; nothing stays."""
import glob
import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

import pycase

pycase.require_local()

# What a wheel may need of the machine: the C library and, for its helpers, these two.
LIBRARIES = {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libslirp.so.0", "libarchive.so.13",
             "libcurl.so.4", "libmicrohttpd.so.12", "libsqlite3.so.0", "libjansson.so.4", "libz.so.1", "libm.so.6", "libpthread.so.0", "libdl.so.2"}


# Loads the module of the services too.
SERVICE = """
from sandboxes.sync import _on_loop
from sandboxes import ProviderError, providers
try:
    _on_loop(providers.E2BProvider(api_key="e2b_" + 40 * "0", api_url="http://127.0.0.1:1").list_sandboxes())
except ProviderError as error:
    assert "127.0.0.1" in str(error), error
"""


def call(*arguments, **options):
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.returncode}\n{done.stdout}")
    return done.stdout


def tree(folder):
    return {os.path.relpath(os.path.join(place, name), folder) for place, _, names in os.walk(folder)
            for name in names if not name.endswith(".pyc")}


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(dir=pycase.BASE)
        cls.builder = os.path.join(cls.folder, "builder")
        oldest = min(pycase.pythons(), key=lambda path: int(call(path, "-c", "import sys; print(sys.version_info[1])")))
        call(oldest, "-m", "venv", cls.builder)
        try:
            call(os.path.join(cls.builder, "bin/pip"), "install", "-q", "build")
        except AssertionError as error:
            raise unittest.SkipTest("no package index here: " + str(error)[-200:]) from None
        source = os.path.join(cls.folder, "source")
        call("git", "clone", "-q", pycase.TREE, source)
        call(os.path.join(cls.builder, "bin/python"), "-m", "build", "-o", cls.folder, source)
        (cls.wheel,) = glob.glob(os.path.join(cls.folder, "*.whl"))
        (cls.sdist,) = glob.glob(os.path.join(cls.folder, "*.tar.gz"))

    def test_install_use_uninstall(self):
        for python in pycase.pythons():
            with self.subTest(python), tempfile.TemporaryDirectory(dir=self.folder) as folder:
                call(python, "-m", "venv", folder)
                before, pip = tree(folder), os.path.join(folder, "bin/pip")
                call(pip, "install", "-q", "--no-index", self.wheel)
                env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SANDBOXES_LIBEXEC")}
                self.assertEqual("hi\n", call(os.path.join(folder, "bin/sandboxes"), "run", "echo hi", env=env))
                self.assertEqual(pycase.SHORT_SAYS, call(os.path.join(folder, "bin/python"), "-W", "error", "-c",
                                                         pycase.SHORT + SERVICE, env=env))
                call(pip, "uninstall", "-q", "-y", "sandboxes")
                self.assertEqual(set(), tree(folder) - before)

    def test_one_wheel_for_all_versions(self):
        self.assertRegex(os.path.basename(self.wheel), r"^sandboxes-[\d.]+-cp3\d+-abi3-linux_\w+\.whl$")
        with open(os.path.join(pycase.TREE, "VERSION"), encoding="utf-8") as file:
            self.assertIn(f"sandboxes-{file.read().strip()}-", self.wheel)
        with zipfile.ZipFile(self.wheel) as wheel:
            names = wheel.namelist()
            metadata = wheel.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        for part in ("py.typed", "_native.abi3.so", "scripts/sandboxes", "sandboxes-agent", "sandboxes-jail",
                     "sandboxes-netstack", "sandboxes-unpack", "sandboxes-keep"):
            self.assertTrue(any(name.endswith(part) for name in names), part)
        self.assertNotRegex(metadata, r"(?m)^Requires-Dist: (?!.*extra ==)")
        self.assertIn("Provides-Extra: metaflow", metadata)

    def test_it_needs_only_what_is_said(self):
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, zipfile.ZipFile(self.wheel) as wheel:
            wheel.extractall(folder)
            for name in tree(folder):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    if file.read(4) != b"\x7fELF":
                        continue
                needed = {line.split("[")[1].rstrip("]\n") for line in call("readelf", "-d", path).splitlines()
                          if "(NEEDED)" in line}
                self.assertEqual(set(), needed - LIBRARIES, name)
                if name.endswith("_native.abi3.so"):
                    self.assertLessEqual(needed, {"libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"})

    def test_the_source_distribution_has_what_building_needs(self):
        with tarfile.open(self.sdist) as sdist:
            names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
        for name in ("VERSION", "meson.build", "pyproject.toml", "src/core/client.c", "python/native/module.c"):
            self.assertIn(name, names)


if __name__ == "__main__":
    pycase.main()
