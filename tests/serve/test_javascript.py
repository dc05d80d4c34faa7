# SPDX-License-Identifier: Apache-2.0
"""The official JavaScript clients, where npm has fetched them (./dev does)."""
import os
import shutil
import subprocess
import sys
import unittest

import servecase

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.path.join(HERE, "../../tools/deps/node/node_modules")


def require():
    servecase.require()
    if not shutil.which("node") or not os.path.exists(os.path.join(MODULES, "e2b")):
        print("1..0 # SKIP the JavaScript clients are not there; ./dev installs them where npm is")
        sys.exit(servecase.SKIP)


def drive(case, **env):
    done = subprocess.run(["node", os.path.join(HERE, "clients.mjs")], stdin=subprocess.DEVNULL,
                          env={**os.environ, "NODE_MODULES": MODULES, **env}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    case.assertEqual((0, "done"), (done.returncode, done.stdout.decode().strip()[-4:]),
                     done.stdout.decode())


class JavaScript(servecase.ServeCase):
    def test_e2b(self):
        drive(self, E2B_API_KEY=self.key, E2B_API_URL=self.server.url, E2B_SANDBOX_URL=self.server.url)

    def test_daytona(self):
        drive(self, DAYTONA_API_KEY=self.key, DAYTONA_API_URL=self.server.url + "/api")


if __name__ == "__main__":
    require()
    unittest.main()
