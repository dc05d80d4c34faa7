# SPDX-License-Identifier: Apache-2.0
"""Which variables go into a sandbox, by where the datastore is; what of them is another inside."""
import json
import os
import socket
import subprocess

import flowcase

SCRIPT = """
import json, os, sys
from metaflow_extensions.sandbox.plugins import environment
found = environment.of_step("local", sys.argv[1], sys.argv[1] != "local", "flow.py")
found.update(json.loads(sys.argv[2]))
files = list(environment.credential_files(found))
print(json.dumps([found, environment.endpoints(found), files]))
"""
KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "token",
        "AWS_DEFAULT_REGION": "auto", "AZURE_STORAGE_KEY": "azure", "AZURE_STORAGE_CONNECTION_STRING": "string"}
R2 = "https://account.r2.cloudflarestorage.com"
# What every step has.
ALWAYS = {"METAFLOW_SANDBOX_WORKLOAD", "METAFLOW_SANDBOX_BACKEND", "METAFLOW_USER", "METAFLOW_DEFAULT_DATASTORE",
          "METAFLOW_DEFAULT_METADATA", "METAFLOW_FLOW_FILENAME"}


class Variables(flowcase.FlowCase):
    def found(self, store, own=None, **env):
        """Variables, rules and files."""
        base = {k: v for k, v in self.env.items() if not k.startswith("AWS_")}
        done = subprocess.run([flowcase.PYTHON, "-c", "import metaflow\n" + SCRIPT, store, json.dumps(own or {})], cwd=self.work,
                              env={**base, **KEYS, "DAYTONA_API_KEY": "d", "METAFLOW_SERVICE_AUTH_KEY": "s", **env},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True)
        return json.loads(done.stdout)

    def file(self, name):
        path = os.path.join(self.base, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("{}")
        return path

    def test_nothing_of_a_cloud_for_the_local_datastore(self):
        values, rules, files = self.found("local", GOOGLE_APPLICATION_CREDENTIALS=self.file("key"))
        self.assertEqual((ALWAYS, [], []), (set(values), rules, files))

    def test_a_store_of_s3_that_is_not_r2_gets_the_token(self):
        for url in ("https://s3.example.org", "https://cloudflarestorage.com.example.org"):
            values, rules, _ = self.found("s3", METAFLOW_S3_ENDPOINT_URL=url,
                                          METAFLOW_DATASTORE_SYSROOT_S3="s3://bucket/mf")
            self.assertEqual(ALWAYS | set(KEYS) | {"METAFLOW_S3_ENDPOINT_URL", "METAFLOW_DATASTORE_SYSROOT_S3"}, set(values))

    def test_r2_gets_no_token_and_fewer_workers(self):
        values = self.found("s3", METAFLOW_S3_ENDPOINT_URL=R2)[0]
        self.assertNotIn("AWS_SESSION_TOKEN", values)
        self.assertEqual(("8", R2, "auto"), tuple(values[name] for name in (
            "METAFLOW_S3_WORKER_COUNT", "METAFLOW_S3_ENDPOINT_URL", "AWS_DEFAULT_REGION")))

    def test_r2_as_the_variables_say(self):
        values = self.found("s3", METAFLOW_S3_ENDPOINT_URL=R2, METAFLOW_SANDBOX_R2_WORKER_COUNT="3",
                            METAFLOW_SANDBOX_FORWARD_AWS_SESSION_TOKEN="1")[0]
        self.assertEqual(("token", "3"), (values["AWS_SESSION_TOKEN"], values["METAFLOW_S3_WORKER_COUNT"]))
        values = self.found("s3", METAFLOW_S3_ENDPOINT_URL=R2, METAFLOW_S3_WORKER_COUNT="5")[0]
        self.assertEqual("5", values["METAFLOW_S3_WORKER_COUNT"])

    def test_keys_of_google_are_files_that_go_along(self):
        key, login = self.file("key.json"), self.file("application_default_credentials.json")
        values, _, files = self.found("gs", METAFLOW_DATASTORE_SYSROOT_GS="gs://bucket/mf",
                                      GOOGLE_APPLICATION_CREDENTIALS=key, CLOUDSDK_CONFIG=self.base)
        self.assertEqual("gs://bucket/mf", values["METAFLOW_DATASTORE_SYSROOT_GS"])
        self.assertEqual([[key, values["GOOGLE_APPLICATION_CREDENTIALS"]],
                          [login, values["CLOUDSDK_CONFIG"] + "/application_default_credentials.json"]], files)
        self.assertNotIn(self.base, values["GOOGLE_APPLICATION_CREDENTIALS"] + values["CLOUDSDK_CONFIG"])

    def test_servers_of_this_machine_have_another_address_inside(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
        for store, env, own, name in (
                ("azure", {"METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}/account",
                           "METAFLOW_DATASTORE_SYSROOT_AZURE": "bucket/mf"}, {},
                 "METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT"),
                ("gs", {}, {"STORAGE_EMULATOR_HOST": f"http://localhost:{port}"}, "STORAGE_EMULATOR_HOST")):
            values, rules, _ = self.found(store, own, **env)
            self.assertEqual([f"10.0.2.2:{port}"], rules)
            self.assertTrue(values[name].startswith(f"http://10.0.2.2:{port}"), values[name])
            self.assertEqual("bucket/mf" if store == "azure" else None, values.get("METAFLOW_DATASTORE_SYSROOT_AZURE"))

    def test_variables_that_no_one_named_stay_here(self):
        for store in ("s3", "gs", "azure"):
            values = self.found(store, STORAGE_EMULATOR_HOST="http://127.0.0.1:1")[0]
            self.assertEqual(ALWAYS | set(KEYS), set(values), store)


if __name__ == "__main__":
    flowcase.main()
