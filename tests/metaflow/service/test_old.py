# SPDX-License-Identifier: Apache-2.0
"""The tests of test_client.py with a Metaflow of two years ago, which pip gets for them."""
import os
import subprocess
import sys
import tempfile

import servicecase

VERSION = "2.12.30"


def main():
    with tempfile.TemporaryDirectory(prefix="mfs-old-") as folder:
        pip = os.path.join(folder, "bin/pip")
        for command in ([sys.executable, "-m", "venv", folder], [pip, "install", "--quiet", f"metaflow=={VERSION}"]):
            if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
                servicecase.skip(f"metaflow {VERSION} cannot be installed")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "test_client.py")
        env = {**os.environ, "METAFLOW_TEST_PYTHON": os.path.join(folder, "bin/python")}
        return subprocess.run([sys.executable, script, "-v"], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
