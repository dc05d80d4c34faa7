# SPDX-License-Identifier: Apache-2.0
"""@pypi with @sandbox: solved and installed once on this machine, seen read-only by each sandbox. What solves is
a stand-in for micromamba; pip is real, and its index is this program."""
import functools
import http.server
import os
import threading
import zipfile

import flowcase

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

    def test_an_environment_is_made_once_and_shared_read_only(self):
        self.flow("depends.py", "--environment", "pypi", "run")
        found = self.client('out = Flow("Depends").latest_run.data.all')
        with open(os.path.join(self.root, "made"), encoding="utf-8") as file:
            made = file.read().split()
        self.assertEqual([["from the index", made[0], "OSError"]] * 2, found)
        self.assertEqual(1, len(made), made)


if __name__ == "__main__":
    flowcase.main()
