# SPDX-License-Identifier: Apache-2.0
"""What was promised to those who come from metaflow-sandbox and the metadata service of the same name: every parameter,
variable and default is in the code, in the documentation and in a test, and every message has a test."""
import ast
import glob
import os
import re
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
PLUGINS = os.path.join(TREE, "python/metaflow_extensions/sandbox/plugins")

PARAMETERS = {"backend": None, "cpu": 1, "memory": 1024, "gpu": None, "image": None, "timeout": 600, "executable": None,
              "env": {}}
DECORATORS = ("sandbox", "boxlite", "daytona", "e2b")
# Variable: its default, as the documentation's table has it.
VARIABLES = {
    "METAFLOW_SANDBOX_BACKEND": "", "METAFLOW_SANDBOX_TARGET_PLATFORM": "this machine's",
    "METAFLOW_SANDBOX_STAGE_MICROMAMBA": "on", "METAFLOW_SANDBOX_AUTO_DOWNLOAD_MICROMAMBA": "on",
    "METAFLOW_SANDBOX_MICROMAMBA_PATH": "Metaflow's own",
    "METAFLOW_SANDBOX_MICROMAMBA_CACHE_DIR": "`~/.cache/metaflow-sandbox/micromamba`",
    "METAFLOW_SANDBOX_R2_WORKER_COUNT": "8", "METAFLOW_SANDBOX_UPLOADS": "",
    "METAFLOW_SANDBOX_FORWARD_AWS_SESSION_TOKEN": "off", "METAFLOW_SANDBOX_MAX_INFRA_RETRIES": "1",
    "METAFLOW_SANDBOX_DEBUG": "off", "METAFLOW_SANDBOX_STEP_COMMAND": "off",
}
# Of `sandbox step`, besides the decorator's parameters.
OPTIONS = ("env-var", "code-package-local-path", "run-id", "task-id", "input-paths", "split-index", "clone-path",
           "clone-run-id", "tag", "namespace", "retry-count", "max-user-code-retries", "ubf-context")
ARGUMENTS = ("step-name", "code-package-metadata", "code-package-sha", "code-package-url")
# Read or forwarded, and described in the text.
NAMED = ("DAYTONA_API_KEY", "E2B_API_KEY", "METAFLOW_DEFAULT_DATASTORE", "METAFLOW_DATASTORE_SYSROOT_S3",
         "METAFLOW_DATASTORE_SYSROOT_GS", "METAFLOW_DATASTORE_SYSROOT_AZURE", "METAFLOW_S3_ENDPOINT_URL",
         "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION",
         "METAFLOW_S3_WORKER_COUNT", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG",
         "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY")
SERVICE = {"METAFLOW_LOCAL_SERVICE_PORT": "0", "METAFLOW_LOCAL_SERVICE_IDLE_TIMEOUT": "300",
           "METAFLOW_LOCAL_SERVICE_DEBUG": "", "METAFLOW_SERVICE_AUTH_KEY": "none"}
SERVICE_COMMANDS = ("run", "start", "status", "url", "stop")


def text_of(*patterns):
    found = []
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(TREE, pattern))):
            if path != os.path.abspath(__file__):
                with open(path, encoding="utf-8") as file:
                    found.append(file.read())
    assert found, patterns
    return "\n".join(found)


def rows(name):
    """First two cells of the rows of a documentation table that begin with a name in code."""
    lines = re.findall(r"(?m)^\| (.*) \|$", text_of(f"docs/metaflow/{name}.md"))
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return {word: row[-1] if len(row) == 2 else row[1:]
            for row in cells for cell in row[:2] for word in re.findall(r"^`(\w+)", cell)}


def literal(node):
    """A string with `\\0` where something is filled in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
    return None


def messages():
    for path in sorted(glob.glob(os.path.join(PLUGINS, "*.py"))):
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "SandboxException":
                yield f"{os.path.basename(path)}:{node.lineno}", literal(node.args[0])


def phrases(text):
    """Three words in a row, between what is filled in."""
    for part in text.split("\0"):
        words = part.split()
        yield from zip(words, words[1:], words[2:])


def expected():
    """Phrases of all strings in the tests."""
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in ast.walk(tree):
            yield from phrases(literal(node) or "")


class Promises(unittest.TestCase):
    def test_parameters_and_their_defaults(self):
        with open(os.path.join(PLUGINS, "sandbox_decorator.py"), encoding="utf-8") as file:
            found = re.search(r"defaults = (\{.*?\n?.*?\})\n", file.read(), re.S).group(1)
        self.assertEqual(PARAMETERS, ast.literal_eval(found))
        table, tests = rows("configuration"), text_of("tests/metaflow/*.py", "tests/metaflow/flows/*.py")
        for name, default in PARAMETERS.items():
            with self.subTest(parameter=name):
                self.assertIn(name, table)
                if default not in (None, {}):
                    self.assertEqual(str(default), table[name][0])
                self.assertTrue(re.search(rf"\b{name}=", tests))

    def test_decorators(self):
        registered = text_of("python/metaflow_extensions/sandbox/plugins/__init__.py")
        for name in DECORATORS:
            self.assertIn(f'"{name}"', registered)
            self.assertIn(f"`@{name}`", text_of("docs/metaflow/configuration.md"))

    def test_options_of_the_command(self):
        found = text_of("python/metaflow_extensions/sandbox/plugins/sandbox_cli.py")
        promised = [f"--{name}" for name in (*OPTIONS, *PARAMETERS) if name != "env"]
        self.assertEqual(sorted(promised), sorted(re.findall(r'@click.option\("(--[a-z-]+)"', found)))
        self.assertEqual(list(ARGUMENTS), re.findall(r'@click.argument\("([a-z-]+)"', found))
        self.assertIn("sandbox step", text_of("docs/metaflow/configuration.md"))

    def test_variables_of_the_extension(self):
        code, tests = text_of("python/metaflow_extensions/sandbox/plugins/*.py"), text_of("tests/metaflow/*.py")
        table = rows("configuration")
        for name, default in VARIABLES.items():
            with self.subTest(variable=name):
                self.assertTrue(name in code)
                self.assertTrue(name in tests)
                self.assertEqual(default, table[name][0])

    def test_variables_that_are_forwarded_or_needed(self):
        described, tests = text_of("docs/metaflow/configuration.md"), text_of("tests/metaflow/*.py")
        for name in NAMED:
            with self.subTest(variable=name):
                self.assertTrue(name in described)
                self.assertTrue(name in tests)

    def test_variables_of_the_service(self):
        code, tests = text_of("src/metaflow/service/*.c"), text_of("tests/metaflow/service/*.py", "tests/metaflow/*.py")
        table = rows("local-service")
        for name, default in SERVICE.items():
            with self.subTest(variable=name):
                self.assertTrue(name in code)
                self.assertTrue(name in tests)
                self.assertIn(name, table)
                self.assertIn(default, str(table[name]))
        for command in SERVICE_COMMANDS:
            self.assertTrue(f'"{command}"' in tests, command)

    def test_every_message_has_a_test_and_a_remedy(self):
        told = set(expected())
        for place, message in messages():
            with self.subTest(place=place):
                self.assertIsNotNone(message, "a message is a string here")
                self.assertTrue(told & set(phrases(message)), message)
                self.assertRegex(message, r"(Set|Unset|unset|Write|Rename|Remove|Keep|Correct|Choose|Install|Run|Use) ")


if __name__ == "__main__":
    unittest.main()
