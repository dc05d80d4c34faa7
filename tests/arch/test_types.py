# SPDX-License-Identifier: Apache-2.0
"""The Python package's types, by each checker that is installed."""
import glob
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
TOOLS = glob.glob(os.path.join(TREE, ".venv/lib/python*/site-packages"))
sys.path.extend(TOOLS)


def installed(name):
    return importlib.util.find_spec(name) is not None


class Types(unittest.TestCase):
    def check(self, *words):
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(TOOLS)}
        with tempfile.TemporaryDirectory() as cache:
            env["MYPY_CACHE_DIR"] = cache
            done = subprocess.run([sys.executable, "-m", *words], cwd=TREE, env=env, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(0, done.returncode, done.stdout)

    @unittest.skipUnless(installed("mypy") and installed("click"), "needs mypy and click")
    def test_mypy(self):
        self.check("mypy", "--config-file", "pyproject.toml", "python/sandboxes")

    @unittest.skipUnless(installed("pyright"), "needs pyright")
    @unittest.skipUnless(shutil.which("node"), "pyright needs node")  # or it would fetch one
    def test_pyright(self):
        self.check("pyright", "-p", "pyproject.toml")


if __name__ == "__main__":
    unittest.main()
