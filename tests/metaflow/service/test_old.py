# SPDX-License-Identifier: Apache-2.0
"""The service, the extension and its launcher with a Metaflow of two years ago, which pip gets for them."""
import os
import subprocess
import sys
import tempfile

import servicecase

VERSION = "2.12.30"
HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ("service/test_client.py", "test_flows.py", "test_hostile.py", "test_ends.py", "test_metadata.py", "test_variables.py",
            "test_staging.py")


def main():
    with tempfile.TemporaryDirectory(prefix="mfs-old-") as folder:
        pip = os.path.join(folder, "bin/pip")
        for command in ([sys.executable, "-m", "venv", folder], [pip, "install", "--quiet", f"metaflow=={VERSION}"]):
            if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
                servicecase.skip(f"metaflow {VERSION} cannot be installed")
        env = {**os.environ, "METAFLOW_TEST_PYTHON": os.path.join(folder, "bin/python")}
        statuses = [subprocess.run([sys.executable, os.path.join(HERE, "..", name), "-v"], env=env, check=False).returncode
                    for name in PROGRAMS]
        return next((status for status in statuses if status not in (0, servicecase.SKIP)), 0)


if __name__ == "__main__":
    sys.exit(main())
