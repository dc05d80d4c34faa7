# SPDX-License-Identifier: Apache-2.0
"""Sandboxes of this machine with the S3 datastore, against moto's server on this machine's loopback, which
sandboxes reach at another address."""
import socket
import subprocess
import sys
import urllib.request

import flowcase
import sandboxcase

KEY = flowcase.CANARY + "-needed"
SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
FACTS = """
run = Flow("Stored").latest_run
tasks = sorted(run["each"], key=lambda task: task.index)
out = dict(successful=run.successful, total=run.data.total, server=run.data.server, neighbour=run.data.neighbour,
           before=run.data.before, seen=run.data.seen, stdout=[task.stdout for task in tasks],
           stderr=[task.stderr for task in tasks], facts=tasks[0].metadata_dict, end=run["end"].task.stdout)
"""


class Stored(flowcase.FlowCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = subprocess.Popen([flowcase.PYTHON, "-c", SERVE], env=cls.env, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = cls.server.stdout.readline().strip()
        cls.url = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(urllib.request.Request(cls.url + "/bucket", method="PUT")).close()
        cls.env.update({"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/mf",
                        "METAFLOW_S3_ENDPOINT_URL": cls.url, "AWS_ACCESS_KEY_ID": KEY,
                        "AWS_SECRET_ACCESS_KEY": KEY, "AWS_DEFAULT_REGION": "us-east-1"})
        other = cls.listener()
        cls.output = cls.flow("stored.py", "run", "--other", str(other.getsockname()[1]))
        cls.facts = cls.client(FACTS)

    @classmethod
    def listener(cls):
        other = socket.create_server(("127.0.0.1", 0))
        cls.addClassCleanup(other.close)
        return other

    @classmethod
    def tearDownClass(cls):
        cls.server.stdin.close()
        cls.server.wait(20)
        cls.server.stdout.close()
        super().tearDownClass()

    def check(self, **wanted):
        self.assertEqual(wanted, {name: self.facts[name] for name in wanted})

    def test_artifacts_go_through_the_server(self):
        self.check(successful=True, total=33, before=[1, 2])
        self.assertEqual([], self.stages())
        self.assertEqual("s3", self.facts["facts"]["ds-type"])

    def test_logs_are_kept_once_and_apart(self):
        self.check(stdout=["out of 1\n", "out of 2\n"], stderr=["err of 1\n", "err of 2\n"],
                   end="total is 33\n")

    def test_only_the_server_is_reached(self):
        self.check(server="reached")
        self.assertNotEqual("reached", self.facts["neighbour"])

    def test_what_the_datastore_needs_is_inside_and_no_more(self):
        self.assertEqual({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION",
                          "METAFLOW_S3_ENDPOINT_URL", "METAFLOW_DATASTORE_SYSROOT_S3"},
                         {name for name in self.facts["seen"] if "S3" in name or name.startswith("AWS")})
        self.assertNotIn("MY_SECRET", self.facts["seen"])


if __name__ == "__main__":
    if subprocess.run([flowcase.find_python() or "false", "-c", "import boto3, moto.server"], check=False,
                      stdin=subprocess.DEVNULL, capture_output=True).returncode:
        print("1..0 # SKIP no moto: ./dev test installs it into .venv")
        sys.exit(sandboxcase.SKIP)
    flowcase.main()
