# SPDX-License-Identifier: Apache-2.0
"""Which micromamba goes into sandboxes elsewhere: staged, cached or downloaded, as the variables say. The server that
it is downloaded from is this program."""
import bz2
import http.server
import io
import json
import os
import struct
import subprocess
import tarfile
import threading

import flowcase

SCRIPT = """
import json, sys
import metaflow
from metaflow_extensions.sandbox.plugins import micromamba
from metaflow_extensions.sandbox.plugins.exceptions import SandboxException
for line in sys.stdin:
    url, platform, env = json.loads(line)
    micromamba.URL = url + "/{platform}/latest"
    try:
        print(json.dumps(micromamba.staged(platform, env)), flush=True)
    except SandboxException as error:
        print(json.dumps({"error": str(error)}), flush=True)
"""
MACHINES = {"linux-64": 62, "linux-aarch64": 183}


def program(platform):
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, MACHINES[platform]) + platform.encode()


def archive(contents):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("bin/micromamba")
        info.size = len(contents)
        tar.addfile(info, io.BytesIO(contents))
    return bz2.compress(out.getvalue())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        platform = self.path.split("/")[1]
        self.server.asked.append(platform)
        body = archive(self.server.contents or program(platform))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Staging(flowcase.FlowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.process = subprocess.Popen([flowcase.PYTHON, "-c", SCRIPT], text=True, cwd=cls.work,
                                       env={**cls.env, "no_proxy": "*"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @classmethod
    def tearDownClass(cls):
        cls.process.communicate()
        super().tearDownClass()

    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.asked, self.server.contents = [], None
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(lambda: (self.server.shutdown(), thread.join(), self.server.server_close()))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.cache = os.path.join(self.base, self.id())

    def staged(self, platform="linux-64", **env):
        """Without a directory of programs: the machine may have a micromamba."""
        env = {"METAFLOW_SANDBOX_MICROMAMBA_CACHE_DIR": self.cache, "PATH": "/nowhere", **env}
        self.process.stdin.write(json.dumps([self.url, platform, env]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def file(self, name, contents):
        path = os.path.join(self.base, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(contents)
        os.chmod(path, 0o755)
        return path

    def test_it_is_downloaded_once_for_each_platform(self):
        for platform in ("linux-aarch64", "linux-64"):
            path = self.staged(platform)
            self.assertEqual(os.path.join(self.cache, platform, "micromamba"), path)
            with open(path, "rb") as file:
                self.assertEqual(program(platform), file.read())
            self.assertTrue(os.access(path, os.X_OK))
        self.assertEqual(os.path.join(self.cache, "linux-64", "micromamba"), self.staged())
        self.assertEqual(["linux-aarch64", "linux-64"], self.server.asked)

    def test_the_cache_is_in_the_users_own(self):
        found = self.staged(METAFLOW_SANDBOX_MICROMAMBA_CACHE_DIR="")
        self.assertEqual(os.path.join(self.home, ".cache/metaflow-sandbox/micromamba/linux-64/micromamba"), found)

    def test_a_named_one_is_used_if_it_runs_there(self):
        path = self.file("named", program("linux-64"))
        self.assertEqual(path, self.staged(METAFLOW_SANDBOX_MICROMAMBA_PATH=path))
        self.assertEqual([], self.server.asked)
        self.assertNotEqual(path, self.staged("linux-aarch64", METAFLOW_SANDBOX_MICROMAMBA_PATH=path))

    def test_one_of_the_path_is_used(self):
        path = self.file("bin/micromamba", program("linux-64"))
        self.assertEqual(path, self.staged(PATH=os.path.dirname(path)))
        self.assertEqual([], self.server.asked)

    def test_what_is_off_is_not_done(self):
        self.assertIsNone(self.staged(METAFLOW_SANDBOX_STAGE_MICROMAMBA="0"))
        self.assertIsNone(self.staged(METAFLOW_SANDBOX_AUTO_DOWNLOAD_MICROMAMBA="0"))
        self.assertEqual([], self.server.asked)

    def test_what_was_asked_for_and_is_not_there_is_said_with_a_remedy(self):
        self.server.contents = b"no program at all, and long enough"
        self.assertIsNone(self.staged())
        for env in ({}, {"METAFLOW_SANDBOX_AUTO_DOWNLOAD_MICROMAMBA": "0"}):
            message = self.staged(METAFLOW_SANDBOX_STAGE_MICROMAMBA="1", **env)["error"]
            self.assertIn("no micromamba for linux-64", message)
            self.assertIn("METAFLOW_SANDBOX_MICROMAMBA_PATH", message)
        self.assertFalse(os.path.exists(os.path.join(self.cache, "linux-64", "micromamba")))


if __name__ == "__main__":
    flowcase.main()
