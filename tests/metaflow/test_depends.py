# SPDX-License-Identifier: Apache-2.0
"""@pypi and @conda with @sandbox: solved and installed once on this machine, seen read-only by each sandbox. What solves is
a stand-in for micromamba; pip is real, and its index is this program."""
import functools
import http.server
import os
import subprocess
import threading
import urllib.request
import zipfile

import flowcase
from test_staging import program
from test_stored import SERVE

# What the index has: what the flow names, and what Metaflow adds (its modules come with the stand-in).
PACKAGES = [("standinpackage", "1.0", {"standinpackage.py": "NAME = 'from the index'\n"}), ("requests", "2.99", {})]


def write_wheel(folder, name, version, files):
    os.makedirs(folder)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(os.path.join(folder, f"{name}-{version}-py3-none-any.whl"), "w") as wheel:
        for path, text in {
                **files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": ""}.items():
            wheel.writestr(path, text)


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Depends(flowcase.FlowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, version, files in PACKAGES:
            write_wheel(os.path.join(cls.base, "index/simple", name), name, version, files)
        cls.server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", 0), functools.partial(Handler, directory=os.path.join(cls.base, "index")))
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        config = os.path.join(cls.base, "pip.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[global]\nindex-url = http://127.0.0.1:{cls.server.server_port}/simple\n")
        cls.root = os.path.join(cls.base, "mamba")
        os.mkdir(cls.root)
        keep = {name: text for name, text in cls.env.items() if not name.startswith("PIP_")}
        cls.env = {**keep, "PIP_CONFIG_FILE": config, "STANDIN_ROOT": cls.root, "STANDIN_PYTHON": flowcase.PYTHON,
                   "METAFLOW_SANDBOX_MICROMAMBA_PATH": os.path.join(os.path.dirname(__file__), "standin.py")}

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()
        super().tearDownClass()

    def check(self, kind, origin, **env):
        made = os.path.join(self.root, "made")
        if os.path.exists(made):
            os.remove(made)
        self.flow("depends.py", "--environment", kind, "run", env=env)
        found = self.client('out = Flow("Depends").latest_run.data.all')
        with open(made, encoding="utf-8") as file:
            made = file.read().split()
        self.assertEqual([[origin, made[0], "OSError"]] * 2, found)
        self.assertEqual(1, len(made), made)

    def test_an_environment_is_made_once_and_shared_read_only(self):
        self.check("pypi", "from the index")

    def test_one_of_conda_too_and_by_the_command(self):
        self.check("conda", "from the channel", METAFLOW_SANDBOX_STEP_COMMAND="1")

    def test_elsewhere_micromamba_is_staged_and_any_platform_is_fine(self):
        """A launcher that tells how it was started shows what would go there."""
        server = subprocess.Popen([flowcase.PYTHON, "-c", SERVE], env=self.env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(lambda: (server.communicate(), server.wait()))
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        urllib.request.urlopen(urllib.request.Request(url + "/bucket", method="PUT")).close()
        platform = "linux-64" if os.uname().machine == "aarch64" else "linux-aarch64"
        cached = os.path.join(self.base, "cached", platform, "micromamba")
        os.makedirs(os.path.dirname(cached))
        with open(cached, "wb") as file:
            file.write(program(platform))
        launcher = os.path.join(self.base, "launcher")
        with open(launcher, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\nfor word; do case $word in */.bin/micromamba) echo "TO $word"; cmp "$last" "$CACHED" && '
                       'echo SAME; esac; last=$before; before=$word; done; exit 202\n')
        os.chmod(launcher, 0o755)
        output = self.flow("depends.py", "--environment", "conda", "run", status=None, env={
            "METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/mf",
            "METAFLOW_S3_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "k",
            "AWS_DEFAULT_REGION": "us-east-1", "METAFLOW_SANDBOX_BACKEND": "e2b", "E2B_API_KEY": "x", "CACHED": cached,
            "METAFLOW_SANDBOX_TARGET_PLATFORM": platform, "METAFLOW_SANDBOX_LAUNCHER": launcher,
            "METAFLOW_SANDBOX_MICROMAMBA_CACHE_DIR": os.path.dirname(os.path.dirname(cached))})
        self.assertIn("TO /tmp/metaflow/.bin/micromamba", output)
        self.assertIn("SAME", output)


if __name__ == "__main__":
    flowcase.main()
