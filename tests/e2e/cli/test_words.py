# SPDX-License-Identifier: Apache-2.0
"""The command without any sandbox: help, mistakes, completion, manual pages."""
import json
import os
import re
import shutil
import subprocess
import unittest

from sandboxcase import COMMAND

USAGE = 2


def run(*arguments, data="", env=None, **options):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "XDG_CONFIG_HOME": "/nonexistent",
                   **(env or {})}
    return subprocess.run([COMMAND, *arguments], input=data, capture_output=True, text=True,
                          check=False, env=environment, timeout=20, **options)


def command_names():
    out = run("help").stdout
    return re.findall(r"^  ([a-z]+) {2,}\S", out.split("Commands:")[1].split("First steps")[0], re.M)


class Help(unittest.TestCase):
    def test_every_command_explains_itself(self):
        names = command_names()
        self.assertGreater(len(names), 15)
        for name in names:
            with self.subTest(name):
                by_option, by_command = run(name, "--help"), run("help", name)
                self.assertEqual(0, by_option.returncode, by_option.stderr)
                self.assertEqual(by_option.stdout, by_command.stdout)
                self.assertIn(f"Usage: sandboxes {name}", by_option.stdout)
                self.assertEqual("", by_option.stderr)

    def test_no_line_is_wider_than_the_terminal(self):
        for name in command_names():
            usage = True
            for line in run(name, "-h").stdout.splitlines():
                if not usage and not line.startswith("  sandboxes") and "|" not in line:
                    self.assertLessEqual(len(line), 80, line)
                usage = False

    def test_overview(self):
        self.assertEqual(run("--help").stdout, run("help").stdout)
        alone = run()
        self.assertEqual(USAGE, alone.returncode)
        self.assertEqual("", alone.stdout)
        self.assertEqual(run("help").stdout, alone.stderr)

    def test_version(self):
        for words in (["version"], ["--version"], ["run", "--version"]):
            self.assertRegex(run(*words).stdout, r"^sandboxes \d+\.\d+\.\d+\n$")
        self.assertIn("version", json.loads(run("version", "--json").stdout))


class Mistakes(unittest.TestCase):
    def assert_usage(self, words, message, remedy=""):
        with self.subTest(words):
            result = run(*words)
            self.assertEqual(USAGE, result.returncode, result.stderr)
            self.assertEqual("", result.stdout)
            self.assertRegex(result.stderr, r"\Asandboxes: error: .+\n  try: .+\n\Z")
            self.assertIn(message, result.stderr)
            self.assertIn(remedy, result.stderr)

    def test_mistakes_name_themselves_and_the_remedy(self):
        for words, message, remedy in (
            (["rnu"], "unknown command 'rnu'", "sandboxes run"),
            (["xyzzy"], "unknown command", "sandboxes help"),
            (["help", "xyzzy"], "unknown command", "sandboxes help"),
            (["--bogus", "run"], "unknown option '--bogus'", "sandboxes help"),
            (["run", "--timout", "3", "x"], "unknown option '--timout'", "--timeout"),
            (["run", "-Z", "x"], "unknown option '-Z'", "--"),
            (["run", "-t"], "-t needs a value", "-t TIME"),
            (["run", "-t", "soon", "x"], "'soon' is not a duration", "5m"),
            (["run", "--memory", "much", "x"], "is not a size", "512m"),
            (["run", "--network", "wifi", "x"], "'wifi'", "none, internet, allow, host"),
            (["run", "--network", "allow", "x"], "what is allowed", "--allow"),
            (["run", "--network", "none", "--allow", "h", "x"], "exclude each other", "--allow"),
            (["run", "-l", "novalue", "x"], "NAME=VALUE", "NAME=VALUE"),
            (["run", "--mount", "/etc", "x"], "--mount", "/TARGET"),
            (["run", "--mount", "/nonexistent:/x", "x"], "/nonexistent", "exists"),
            (["run", "--publish", "70000", "x"], "--publish", "PORT"),
            (["run", "--file", "/nonexistent.py"], "/nonexistent.py", "read it"),
            (["run", "--file", "/etc/passwd", "x"], "exclude each other", "'--'"),
            (["run", "--lang", "pythn"], "unknown language 'pythn'", "python"),
            (["run", "--reuse", "x"], "--reuse needs a label", "-l"),
            (["run", "--env-file", "/nonexistent", "x"], "/nonexistent", ""),
            (["exec", "sb-a"], "needs more arguments", "--help"),
            (["exec", "--", "sb-a", "ls"], "before '--'", "SANDBOX --"),
            (["inspect", "a", "b"], "fewer arguments", "--help"),
            (["destroy"], "no sandbox is named", "--all"),
            (["destroy", "--all", "sb-a"], "exclude each other", ""),
            (["cp", "a", "b"], "has to be in a sandbox", "SANDBOX:PATH"),
            (["cp", "sb-a:x", "sb-b:y"], "has to be in a sandbox", ""),
            (["cp", "./sb-a:x", "b"], "has to be in a sandbox", ""),
            (["expose", "sb-a", "x"], "'x'", "PORT"),
            (["completion", "tcsh"], "tcsh", "bash, zsh or fish"),
        ):
            self.assert_usage(words, message, remedy)

    def test_fields_of_the_library_have_the_command_s_names(self):
        for words, message in (
            (["--hostname", "a b", "true"], "error: --hostname must have"),
            (["-l", "a=" + "x" * 300, "true"], "error: --label value of label 'a' must have"),
            (["-p", "xyzzy", "true"], "error: --provider: there is no provider 'xyzzy'"),
            (["--", ""], "error: the program's name is empty"),
            (["--cwd", "spec", "true"], "error: --cwd must be an absolute path, not 'spec'"),
        ):
            with self.subTest(words):
                self.assertIn(message, run("run", *words).stderr)

    def test_with_json_a_program_can_read_them(self):
        result = run("run", "--json", "-T", "x")
        self.assertEqual(USAGE, result.returncode)
        error = json.loads(result.stdout)["error"]
        self.assertEqual("INVALID", error["code"])
        self.assertIn("exclude each other", error["message"])
        self.assertIn("exclude each other", result.stderr)

    def test_settings_are_checked_and_named(self):
        result = run("run", "x", env={"SANDBOXES_TIMEOUT": "soon"})
        self.assertEqual(USAGE, result.returncode)
        self.assertIn("SANDBOXES_TIMEOUT: 'soon'", result.stderr)

    def test_hostile_words_cannot_steer_the_terminal(self):
        result = run("\x1b[31mred\u202e")
        self.assertNotIn("\x1b", result.stderr)
        self.assertIn("\\x1b[31mred\\u{202e}", result.stderr)

    def test_closed_standard_streams(self):
        result = subprocess.run(f"exec {COMMAND} version <&- >&- 2>&-", shell=True, check=False)
        self.assertEqual(125, result.returncode)

    def test_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            result = subprocess.run([COMMAND, "help"], stdout=full, stderr=subprocess.PIPE,
                                    check=False)
        self.assertEqual(125, result.returncode)
        self.assertIn(b"No space left", result.stderr)


class Completion(unittest.TestCase):
    def complete(self, *words):
        result = run("__complete", "--", *words)
        self.assertEqual((0, ""), (result.returncode, result.stderr))
        return [line.split("\t")[0] for line in result.stdout.splitlines()]

    def test_candidates(self):
        self.assertEqual(["run"], self.complete("ru"))
        self.assertEqual(command_names(), self.complete(""))
        self.assertIn("--network", self.complete("run", "--n"))
        self.assertEqual(["--no-reuse"], self.complete("run", "--no-r"))
        self.assertEqual(["none", "internet", "allow", "host"], self.complete("run", "--network", ""))
        self.assertEqual(["--network=host"], self.complete("run", "--network=h"))
        self.assertEqual(["host"], self.complete("run", "--network", "=", "h"))
        self.assertEqual([":files"], self.complete("run", "--file", ""))
        self.assertEqual([":files"], self.complete("run", "--", "--n"))
        self.assertEqual(["bash", "zsh", "fish"], self.complete("completion", ""))
        self.assertEqual(["destroy"], self.complete("help", "des"))
        self.assertEqual([], self.complete("nonsense", "--bogus="))

    def test_words_after_words(self):
        self.assertEqual(["pull", "list", "inspect", "rm", "prune", "import", "build-from-dir"],
                         self.complete("image", ""))
        self.assertEqual(["prune"], self.complete("image", "pr"))
        self.assertEqual([":files"], self.complete("image", "import", ""))
        self.assertEqual([], self.complete("image", "pull", ""))
        self.assertEqual(["key", "routes"], self.complete("serve", "--port", "1", ""))
        self.assertEqual(["create", "list", "revoke"], self.complete("serve", "key", ""))
        self.assertEqual([], self.complete("serve", "key", "create", ""))
        self.assertEqual([], self.complete("serve", "a", "b", "c", ""))

    def test_scripts_parse(self):
        for shell in ("bash", "zsh", "fish"):
            script = run("completion", shell).stdout
            self.assertIn("__complete", script)
            if shutil.which(shell):
                check = subprocess.run([shell, "-n"], input=script, text=True, check=False,
                                       capture_output=True)
                self.assertEqual((0, ""), (check.returncode, check.stderr))

    @unittest.skipUnless(shutil.which("bash"), "bash")
    def test_bash_completes(self):
        script = f"""
        source <({COMMAND} completion bash)
        COMP_WORDS=({COMMAND} run --netw); COMP_CWORD=2
        _sandboxes; printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual("--network\n", out.stdout)


class Manual(unittest.TestCase):
    @unittest.skipUnless(shutil.which("mandoc"), "mandoc")
    def test_pages_are_well_formed(self):
        for name in ("", *command_names()):
            page = run("__man", *([name] if name else [])).stdout
            lint = subprocess.run(["mandoc", "-T", "lint"], input=page, text=True, check=False,
                                  capture_output=True)
            wrong = [line for line in (lint.stdout + lint.stderr).splitlines()
                     if "referenced manual not found" not in line]
            self.assertEqual([], wrong, name)

    def test_every_command_has_a_page(self):
        with open(os.path.join(os.environ["TREE"], "docs/man/meson.build"), encoding="utf-8") as file:
            listed = re.search(r"man_commands = \[(.*?)\]", file.read(), re.S).group(1)
        self.assertEqual(command_names(), re.findall(r"'(\w+)'", listed))


if __name__ == "__main__":
    unittest.main(verbosity=2)
