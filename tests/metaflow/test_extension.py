# SPDX-License-Identifier: Apache-2.0
"""What the extension promises without a sandbox: messages with remedies, layers, lazy imports."""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import flowcase

PLUGINS = os.path.join(flowcase.TREE, "python/metaflow_extensions/sandbox/plugins")
KEYS = {"E2B_API_KEY": "", "DAYTONA_API_KEY": ""}
COMMAND = ["sandbox", "step", "start", "--run-id", "1", "--task-id", "1"]
S3 = {"METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_DATASTORE_SYSROOT_S3": "s3://bucket/mf"}

# decorators, arguments, environment: what the message must say, cause and remedy
REFUSED = [
    ("sandbox(backend='nope')", [], {}, ["Unknown sandbox backend 'nope'", "Available backends: local",
                                         "adding-a-backend"]),
    ("sandbox", [], {"METAFLOW_SANDBOX_BACKEND": "nope"}, ["Unknown sandbox backend 'nope'"]),
    ("e2b", [], KEYS, ["@e2b requires a remote datastore", "METAFLOW_DEFAULT_DATASTORE=s3"]),
    ("sandbox", [], {**KEYS, "METAFLOW_SANDBOX_BACKEND": "daytona"},
     ["@daytona requires a remote datastore", "docs.metaflow.org"]),
    ("sandbox(cpu=0)", [], {}, ["cpu=0 is not a number of at least 0.001", "Write @sandbox(cpu=...) with one"]),
    ("sandbox(cpu='many')", [], {}, ["cpu='many'"]),
    ("sandbox(memory=1.5)", [], {}, ["memory=1.5 is not a whole number"]),
    ("sandbox(timeout=0)", [], {}, ["timeout=0"]),
    ("sandbox(env='A=B')", [], {}, ["env='A=B' is not a dictionary"]),
    ("sandbox(env={'A=': 'x'})", [], {}, ["can't be a variable's name"]),
    ("sandbox(size=3)", [], {}, ["size", "memory"]),
    ("daytona(backend='e2b')", [], KEYS, ["@daytona can't have backend='e2b'", "Write @sandbox(backend=...) instead"]),
    ("parallel;sandbox", [], {}, ["@parallel", "Remove @parallel or @sandbox"]),
    ("e2b;sandbox", [], {}, ["has both @", "Keep one of them"]),
    ("sandbox", [], {"METAFLOW_SANDBOX_MAX_INFRA_RETRIES": "lots"}, ["MAX_INFRA_RETRIES='lots'", "Set it"]),
    ("sandbox", [], {"METAFLOW_SANDBOX_UPLOADS": "[{"}, ["METAFLOW_SANDBOX_UPLOADS is not understood", "Set it to"]),
    ("sandbox", [], {"METAFLOW_SANDBOX_UPLOADS": '[{"local": "/no/file", "remote": "/tmp/x"}]'}, ["no/file', which is no file. Correct its path, or unset"]),
    ("sandbox", [], {"METAFLOW_SANDBOX_UPLOADS": '[{"local": "refused.py", "remote": "x"}]'}, ["begin with /"]),
    ("e2b", [], {**S3, **KEYS}, ["needs an API key", "Set E2B_API_KEY", "e2b.dev"]),
    ("daytona", [], {**S3, **KEYS}, ["needs an API key", "Set DAYTONA_API_KEY", "app.daytona.io"]),
    ("sandbox;conda", ["--environment", "conda", "run"], {"METAFLOW_SANDBOX_TARGET_PLATFORM": "osx-64"},
     ["has its environment solved for osx-64. Unset the variable"]),
    ("sandbox", [], {"METAFLOW_SANDBOX_LAUNCHER": "", "PATH": "/usr/bin:/bin", "SANDBOXES_LIBEXEC": ""},
     ["launcher 'sandboxes-step' is not installed. Install it with 'pip install"]),
    ("sandbox", ["argo-workflows", "create", "--only-json"], S3, ["argo-workflows can't run steps"]),
    ("sandbox", ["step-functions", "create", "--only-json"], S3, ["step-functions can't run steps"]),
    ("sandbox", ["airflow", "create", "dag.py"], S3, ["airflow can't run steps"]),
    ("sandbox(image='/no/such/image')", [], {}, ["/no/such/image", "try:"]),
    ("sandbox(gpu='A100')", [], {}, ["gpu", "try:"]),
    ("sandbox", [*COMMAND, "--memory", "lots"], {}, ["memory='lots' is not a whole number"]),
    ("sandbox", [*COMMAND, "--memories", "1"], {}, ["no such option: --memories"]),
    ("retry", COMMAND, {}, ["has no @sandbox above it. Write one there, or before 'sandbox step': --with sandbox"]),
    ("sandbox", [*COMMAND, "--env-var", "NOT_SET"], {}, ["--env-var NOT_SET: there is no such variable here. Write"]),
    ("sandbox", [*COMMAND, "{}", "0" * 40, "url"], {}, ["is not in the datastore. Correct its SHA, or write none"]),
    ("sandbox", [*COMMAND, "--code-package-local-path", "/no/package"], {}, ["can't be read (No such file"]),
]


class Refused(flowcase.FlowCase):
    def test_what_is_refused_is_said_with_a_remedy(self):
        def run(row):
            decorators, arguments, env, _ = row
            return self.flow("refused.py", *(arguments or ["run"]), status=None,
                             env={**env, "DECORATE": decorators})
        self.lay_out()
        with ThreadPoolExecutor(3) as pool:
            outputs = list(pool.map(run, REFUSED))
        for (decorators, arguments, env, wanted), output in zip(REFUSED, outputs):
            with self.subTest(decorators=decorators, arguments=arguments, env=env):
                for text in wanted:
                    self.assertIn(text, output)
                self.assertNotIn("ran\n", output)

    def test_deployers_are_refused(self):
        code = ("try:\n    Deployer('refused.py', pylint=False).argo_workflows().create()\n    out = 'created'\n"
                "except Exception as error:\n    out = str(error)")
        self.lay_out()
        self.assertNotEqual("created", self.client(code, env={**S3, "DECORATE": "sandbox"}))

    def test_spin_is_refused(self):
        self.flow("refused.py", "run", env={"DECORATE": "retry"})
        output = self.flow("refused.py", "spin", "start", status=None, env={"DECORATE": "sandbox"})
        self.assertIn("Spinning steps with @sandbox decorator is not supported", output)

    def test_a_step_started_by_hand_does_not_run_outside(self):
        self.flow("readme.py", "run")
        start = self.client('out = Flow("Demo").latest_run["start"].task.pathspec').split("/")
        output = self.flow("readme.py", "step", "remote", "--run-id", start[1], "--task-id", "77",
                           "--input-paths", "/".join(start[1:]), status=None)
        self.assertIn("started outside of a sandbox", output)

    def test_configuration_errors_are_not_tried_again(self):
        output = self.flow("refused.py", "run", status=None,
                           env={"DECORATE": "sandbox(image='/no/such/image');retry(times=3)"})
        self.assertEqual(1, output.count("Task is starting"), output)

    def test_errors_of_the_command_are_not_tried_again(self):
        output = self.flow("refused.py", "run", status=None, env={
            "DECORATE": "sandbox;retry(times=3)", "METAFLOW_SANDBOX_STEP_COMMAND": "1",
            "METAFLOW_SANDBOX_LAUNCHER": "/no/launcher"})
        self.assertEqual(1, output.count("Task is starting"), output)
        self.assertEqual(1, output.count("The launcher '/no/launcher' can't be started (No such file"), output)


class Structure(flowcase.FlowCase):
    # module: what it may import of this extension
    LAYERS = {
        "__init__": set(), "exceptions": set(), "backends": {"exceptions"}, "settings": {"exceptions"},
        "program": {"exceptions"}, "host_view": set(), "code": set(), "environment": {"settings"},
        "elsewhere": {"exceptions"}, "journal": set(), "replay": set(), "staged_storage": set(), "late_service": set(),
        "micromamba": {"exceptions", "settings"},
        "sandbox_decorator": {"backends", "settings", "environment", "host_view", "code", "elsewhere", "program", "replay", "micromamba",
                              "exceptions"},
        "sandbox_cli": {"code", "exceptions", "sandbox_decorator"},
    }

    def sources(self):
        for name in sorted(os.listdir(PLUGINS)):
            if name.endswith(".py"):
                with open(os.path.join(PLUGINS, name), encoding="utf-8") as file:
                    yield name[:-3], file.read()

    def test_imports_point_down(self):
        for name, text in self.sources():
            found = set(re.findall(r"(?m)^\s*from \.(\w+) import", text))
            for names in re.findall(r"(?m)^\s*from \. import (.*)", text):
                found |= set(re.split(r",\s*", names))
            self.assertIn(name, self.LAYERS, "a new module needs its place here")
            self.assertLessEqual(found, self.LAYERS[name], name)

    def test_each_file_says_its_layer(self):
        for name, text in self.sources():
            self.assertRegex(text, r"Layer: ", name)

    def test_interpreter_of_other_decorators_stays_behind_the_launcher(self):
        code = ("from metaflow_extensions.sandbox.plugins.program import Entrypoint\n"
                "entry = Entrypoint(['python', 'flow.py'], lambda words: ['launcher', '--', *words])\n"
                "entry[0] = '/conda/bin/python'\n"
                "assert len(entry) == 2 and entry[0] == '/conda/bin/python'\n"
                "assert list(entry) == ['launcher', '--', '/conda/bin/python', 'flow.py'], list(entry)")
        subprocess.run([flowcase.PYTHON, "-c", "import metaflow\n" + code], env=self.env, cwd=self.work,
                       stdin=subprocess.DEVNULL, check=True)

    def test_importing_metaflow_imports_no_provider(self):
        code = ("import sys; from metaflow import sandbox, boxlite, daytona, e2b; "
                "print([m for m in sys.modules if m.split('.')[0] in ('sandboxes', 'daytona', 'e2b')])")
        done = subprocess.run([flowcase.PYTHON, "-c", code], env=self.env, cwd=self.work, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=True)
        self.assertEqual("[]", done.stdout.strip())

    def test_in_a_sandbox_the_service_is_imported_when_it_is_used(self):
        code = ("import sys\nout = ['requests' in sys.modules]\n"
                "for name in ('service@http://127.0.0.1:1', 'http://127.0.0.1:1'):\n"
                "    try:\n        metadata(name)\n    except ValueError as error:\n        out.append(str(error))\n"
                "from metaflow.plugins import METADATA_PROVIDERS\n"
                "service, = [one for one in METADATA_PROVIDERS if one.TYPE == 'service']\n"
                "out += ['requests' in sys.modules, service.get_object.__func__.__qualname__]")
        text = "Metaflow service [http://127.0.0.1:1] unreachable."
        self.assertEqual([False, text, text, True, "MetadataProvider.get_object"],
                         self.client(code, env={"METAFLOW_SANDBOX_WORKLOAD": "1", "METAFLOW_SERVICE_RETRY_COUNT": "0"}))


if __name__ == "__main__":
    flowcase.main()
