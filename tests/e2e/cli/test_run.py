# SPDX-License-Identifier: Apache-2.0
"""sandboxes run with any provider (PROVIDER): streams, exit statuses, signals, terminal, JSON, settings."""
import base64
import json
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import sandboxcase
from sandboxcase import COMMAND

PROVIDER = os.environ.get("PROVIDER", "fake")
# A real shell may lose an interrupt just before it forks; the fake one has no exec and never forks.
HOLDS = "echo begun; sleep 30" if PROVIDER == "fake" else "echo begun; exec sleep 30"
NOISE = bytes(range(256)) * 41  # every byte, and not a multiple of anything


class RunCase(sandboxcase.SandboxCase):
    def setUp(self):
        super().setUp()
        self.env["SANDBOXES_PROVIDER"] = PROVIDER

    def run_raw(self, *arguments, data=None, timeout=60, stdin=subprocess.DEVNULL):
        """(status, stdout, stderr) as bytes of `sandboxes run ARGUMENTS`."""
        with self.start("run", *arguments, stdin=stdin if data is None else subprocess.PIPE) as process:
            out, err = process.communicate(data, timeout)
        return process.returncode, out, err

    def assert_run(self, expected, *arguments, status=0, **options):
        got = self.run_raw(*arguments, **options)
        self.assertEqual((status, expected), got[:2], got[2])
        return got[2].decode()

    def file(self, name, data):
        path = os.path.join(self.work, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def config(self, text):
        folder = os.path.join(self.env["XDG_CONFIG_HOME"], "sandboxes")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(os.path.join(folder, "config.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(file.name, 0o600)


class Commands(RunCase):
    def test_a_line_is_for_the_shell(self):
        self.assertEqual("", self.assert_run(b"hello world\n", "echo hello   world"))
        self.assert_run(b"a;b\n", "echo 'a;b'")
        self.assert_run(b"x\n", "false; echo x", "--provider", PROVIDER)

    def test_words_are_passed_as_they_are(self):
        for word in (b"a  b", b"*", b"$HOME", b"", b"'\"", b"\xff\xfe"):
            self.assert_run(word, "--", "printf", "%s", os.fsdecode(word))
        self.assert_run(b"-v", "printf", "%s", "-v")

    def test_stdout_and_stderr_stay_apart(self):
        got = self.run_raw("echo out; echo err >&2")
        self.assertEqual((0, b"out\n", b"err\n"), got)

    def test_exit_statuses(self):
        for line, status in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143),
                             ("kill -KILL $$", 137), ("no-such-program-here", 127)):
            with self.subTest(line):
                self.assertEqual(status, self.run_raw(line)[0])

    def test_programs_that_cannot_run(self):
        status, out, err = self.run_raw("--", "no-such-program-here", "x")
        self.assertEqual((127, b""), (status, out))
        self.assertRegex(err.decode(), r"\Asandboxes: error: .*no-such-program-here.*\n  try: .+\n\Z")
        status, out, err = self.run_raw("--", "/tmp")
        self.assertEqual((126, b""), (status, out), err)

    def test_environment(self):
        lines = self.file("vars", b"# comment\nB=from file\nA=file\n")
        self.env["FROM_HERE"] = "it's here"
        self.assert_run(b"1|from file|it's here|\n", "--env-file", lines, "-e", "A=1", "-e", "FROM_HERE",
                        "-e", "NOT_THERE", 'echo "$A|$B|$FROM_HERE|"')

    def test_timeout(self):
        began = time.monotonic()
        status, out, err = self.run_raw("-t", "0.3", "echo first; sleep 20; echo no")
        self.assertEqual((124, b"first\n"), (status, out))
        self.assertIn(b"-t", err)
        self.assertLess(time.monotonic() - began, 15)

    def test_failure_of_ours(self):
        status, _, err = self.run_raw("-p", "nowhere", "true")
        self.assert_clean_failure(status, err.decode())

    def test_kept_sandboxes_are_named(self):
        self.assertRegex(self.assert_run(b"x\n", "--keep", "echo x"),
                         r"\Asandboxes: (sb-\w+) kept; destroy it with: sandboxes destroy \1\n\Z")
        self.assertEqual("", self.assert_run(b"x\n", "--keep", "-q", "echo x"))


class Streams(RunCase):
    def test_input_is_carried_byte_for_byte(self):
        data = NOISE * 100
        self.assert_run(data, "cat", data=data)
        self.assert_run(b"", "cat", data=b"")
        self.assert_run(b"", "cat")

    def test_input_that_nobody_reads(self):
        self.assert_run(b"done\n", "echo done", data=NOISE * 100)

    def test_output_arrives_as_it_comes(self):
        with self.start("run", "cat", stdin=subprocess.PIPE) as process:
            for word in (b"one\n", b"two\n"):
                process.stdin.write(word)
                process.stdin.flush()
                self.assertTrue(select.select([process.stdout], [], [], 20)[0])
                self.assertEqual(word, os.read(process.stdout.fileno(), 100))
            process.communicate(timeout=20)
        self.assertEqual(0, process.returncode)

    def test_nobody_reads_the_output(self):
        with self.start("run", "cat", stdin=subprocess.PIPE) as process:
            process.stdin.write(b"first\n")
            process.stdin.flush()
            self.assertEqual(b"first\n", os.read(process.stdout.fileno(), 100))
            process.stdout.close()
            process.stdin.write(b"second\n")
            process.stdin.flush()
            self.assertEqual(141, process.wait(20))
            self.assertEqual(b"", process.stderr.read())
            process.stdin.close()

    def test_full_output(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            with self.start("run", "echo x", stdout=full) as process:
                err = process.communicate(timeout=20)[1].decode()
        self.assert_clean_failure(process.returncode, err)
        self.assertIn("No space left", err)

    def test_closed_input(self):
        done = subprocess.run(f"exec {COMMAND} run cat <&-", shell=True, env=self.env, timeout=20,
                              stdout=subprocess.PIPE, check=False)
        self.assertEqual((0, b""), (done.returncode, done.stdout))


class Programs(RunCase):
    text = b"""printf '%s\\n' 'it'\"'\"'s' 
echo "quoted \\\\"
# \xff\xfe not UTF-8, and a line that ends other people's quoting:
EOF
echo "$A"
"""

    def test_text_with_any_bytes(self):
        text = self.text.replace(b"\nEOF\n", b"\n# EOF\n")
        expected = b"it's\nquoted \\\nlast\n"
        self.assert_run(expected, "--lang", "sh", "-e", "A=last", data=text)
        self.assert_run(expected, "--lang", "sh", "--file", self.file("it's a program", text),
                        "-e", "A=last")
        self.assert_run(b"from stdin\n", data=b"echo from stdin")
        self.assert_run(b"dash\n", "--file", "-", data=b"echo dash")
        self.assert_run(b"direct\n", "--lang", "sh", "echo direct")

    def test_program_from_a_file_has_our_input(self):
        self.assert_run(b"input", "--lang", "sh", "--file", self.file("x", b"cat"), data=b"input")

    def test_arguments_of_a_program(self):
        if PROVIDER == "fake":
            self.skipTest("its shell has no $1")
        self.assert_run(b"a b|c|-v\n", "--lang", "sh", "--", "a b", "c", "-v", data=b'echo "$1|$2|$3"')

    def test_program_keeps_its_name_where_it_can(self):
        path = self.file("my script", b"#!/bin/sh\necho ok\n")
        self.assert_run(b"ok\n", "--file", path)

    def test_a_language_that_is_not_there(self):
        path = self.file("main.rb" if PROVIDER == "fake" else "main.rb", b"puts 1")
        if PROVIDER == "local" and any(os.access(os.path.join(d, "ruby"), os.X_OK)
                                       for d in ("/usr/bin", "/usr/local/bin")):
            self.skipTest("ruby is here")
        status, out, err = self.run_raw("--file", path)
        self.assertEqual((127, b""), (status, out), err)
        self.assertRegex(err.decode(), r"ruby is not in the sandbox \(image '.+'\)\n  try: .*ruby")

    def test_a_shell_script_of_a_hundred_megabytes(self):
        with tempfile.NamedTemporaryFile(dir=self.work) as file:
            file.write(b"echo begin\nexit 0\n" + b"#" * 99 + b"\n")
            line = b"#" * 127 + b"\n"
            for _ in range(100):
                file.write(line * 8192)
            file.flush()
            self.assert_run(b"begin\n", "--lang", "sh", "--file", file.name)

    def test_deps_without_any_say_so(self):
        err = self.assert_run(b"x\n", "--lang", "sh", "--deps", data=b"echo x")
        self.assertIn("--deps", err)


class Json(RunCase):
    def result(self, *arguments, status=0, **options):
        got = self.run_raw("--json", *arguments, **options)
        self.assertEqual(status, got[0], got[2])
        return json.loads(got[1])

    def test_shape(self):
        result = self.result("echo out; echo 'er\"r' >&2; exit 3", status=3)
        self.assertEqual(3, result["exit_code"])
        self.assertEqual("out\n", result["stdout"])
        self.assertEqual('er"r\n', result["stderr"])
        self.assertEqual(PROVIDER, result["sandbox"]["provider"])
        self.assertFalse(result["sandbox"]["kept"])
        self.assertIsNone(result["error"])
        self.assertFalse(result["timed_out"] or result["truncated"] or result["out_of_memory"])
        self.assertEqual({"create", "prepare", "command", "destroy", "total"},
                         set(result["timings_us"]))

    def test_bytes_that_are_not_text(self):
        result = self.result("cat", data=NOISE)
        self.assertEqual(NOISE, base64.b64decode(result["stdout_base64"]))
        self.assertNotIn("stdout", result)

    def test_failures(self):
        result = self.result("-p", "nowhere", "true", status=125)
        self.assertEqual(125, result["exit_code"])
        self.assertIn("nowhere", result["error"]["message"])
        self.assertTrue(result["error"]["remedy"])
        self.assertIsNone(result["sandbox"])
        result = self.result("--", "no-such-program-here", status=127)
        self.assertEqual("EXEC", result["error"]["code"])
        result = self.result("-t", "0.2", "sleep 20", status=124)
        self.assertTrue(result["timed_out"])


class Settings(RunCase):
    def test_flags_then_environment_then_file(self):
        self.config('[run]\ntimeout = "0.2"\n')
        self.assertEqual(124, self.run_raw("sleep 20")[0])
        self.env["SANDBOXES_TIMEOUT"] = "30"
        self.assert_run(b"x\n", "sleep 0.4; echo x")
        self.assertEqual(124, self.run_raw("-t", "0.2", "sleep 20")[0])

    def test_mistakes_in_the_file_name_the_line(self):
        self.config('[run]\n\ntimeout = "soon"\n')
        status, _, err = self.run_raw("true")
        self.assertEqual(2, status)
        self.assertIn(b"config.toml:3: timeout: 'soon'", err)

    def test_provider_of_the_file(self):
        del self.env["SANDBOXES_PROVIDER"]
        self.config(f'provider = "{PROVIDER}"\n')
        self.assert_run(b"x\n", "echo x")


class Signals(RunCase):
    def begin(self, *arguments):
        """A command that has begun and then sleeps."""
        process = self.start("run", *arguments)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.assertEqual(b"begun\n", process.stdout.readline())
        return process

    def test_signals_reach_the_command(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number):
                process = self.begin(HOLDS)
                process.send_signal(number)
                self.assertEqual(128 + number, process.wait(20))
                self.assertEqual(b"", process.stderr.read())

    def test_the_second_interrupt_kills(self):
        if PROVIDER == "fake":
            self.skipTest("its shell has no trap")
        process = self.begin("trap '' INT; echo begun; sleep 30 & wait; wait; sleep 30")
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        self.assertEqual(130, process.wait(20))

    def test_interrupt_while_the_sandbox_is_made(self):
        self.config('[provider.fake]\ncreate_delay_ms = 20000\n')
        if PROVIDER != "fake":
            self.skipTest("too quick to be met")
        process = self.start("run", "true")
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        self.assertEqual((130, b""), (process.returncode, err))


class Terminal(RunCase):
    """On a pty that this test holds the other end of."""

    def begin(self, *arguments, rows=31, cols=97, quiet=True, **variables):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        termios.tcsetwinsize(slave, (rows, cols))
        before = termios.tcgetattr(slave)
        self.env.update({"TERM": "xterm", **variables})
        process = self.start("run", *(["-q"] if quiet else []), *arguments, stdin=slave, stdout=slave, stderr=slave,
                             start_new_session=True)
        return master, slave, before, process

    def read_until(self, master, wanted, patience=20):
        data, end = b"", time.monotonic() + patience
        while wanted not in data:
            self.assertTrue(select.select([master], [], [], max(0, end - time.monotonic()))[0], data)
            data += os.read(master, 4096)
        return data

    def finish(self, slave, before, process, status):
        self.assertEqual(status, process.wait(20))
        self.assertEqual(before, termios.tcgetattr(slave), "the terminal is not as it was")
        os.close(slave)

    def test_the_terminal_is_passed_through_and_restored(self):
        master, slave, before, process = self.begin("-T", "stty size; cat; exit 5")
        self.read_until(master, b"31 97")
        self.assertNotEqual(before, termios.tcgetattr(slave), "not in raw mode")
        os.write(master, b"typed\r")
        self.read_until(master, b"typed\r\ntyped\r\n")
        os.write(master, b"\x04")
        self.finish(slave, before, process, 5)

    def test_control_c_is_the_commands(self):
        master, slave, before, process = self.begin("-T", HOLDS)
        self.read_until(master, b"begun")
        os.write(master, b"\x03")
        self.finish(slave, before, process, 130)

    def test_control_c_without_a_terminal_inside(self):
        master, slave, before, process = self.begin(HOLDS)
        self.read_until(master, b"begun")
        process.send_signal(signal.SIGINT)
        self.finish(slave, before, process, 130)

    def test_restored_when_killed_by_a_signal(self):
        master, slave, before, process = self.begin("-T", HOLDS)
        self.read_until(master, b"begun")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        self.finish(slave, before, process, 143)

    @unittest.skipUnless(PROVIDER == "fake", "needs a slow provider")
    def test_progress_shows_on_a_terminal_and_goes(self):
        self.config("[provider.fake]\ncreate_delay_ms = 700\n")
        master, slave, before, process = self.begin("--no-keep", "echo done", quiet=False)
        data = self.read_until(master, b"done")
        self.assertRegex(data, rb"\A(\r. making a sandbox)+\r\x1b\[Kdone")
        self.finish(slave, before, process, 0)
        master, slave, before, process = self.begin("echo done")
        self.assertTrue(self.read_until(master, b"done").startswith(b"done"))
        self.finish(slave, before, process, 0)
        self.assertEqual("", self.assert_run(b"done\n", "echo done"))

    def test_colour_only_where_it_is_wanted(self):
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            self.env.pop("NO_COLOR", None)
            master, slave, _, process = self.begin("-p", "nowhere", "x", **variables)
            data = self.read_until(master, b"try:")
            self.assertEqual(coloured, b"\x1b[1;31merror:" in data, data)
            self.assertEqual(125, process.wait(20))
            os.close(slave)

    def test_the_size_follows(self):
        if PROVIDER == "fake":
            self.skipTest("its shell has no trap")
        master, slave, before, process = self.begin(
            "-T", "trap 'stty size; exit 0' WINCH; echo begun; while :; do sleep 0.1; done")
        self.read_until(master, b"begun")
        termios.tcsetwinsize(slave, (40, 120))
        process.send_signal(signal.SIGWINCH)
        self.read_until(master, b"40 120")
        self.finish(slave, before, process, 0)


class Test(RunCase):
    def test_round_trip(self):
        status, out, err = self.sandboxes("test", "-p", PROVIDER, check=False)
        self.assertEqual(0, status, err)
        self.assertRegex(out, rf"\A{PROVIDER} +ok .*create .* ms .*destroy .* ms\n\Z")
        found = json.loads(self.sandboxes("test", "-p", PROVIDER, "--json")[1])
        self.assertTrue(found[0]["ok"])

    def test_failures_are_told(self):
        self.assertEqual(125, self.sandboxes("test", "-p", "nowhere", check=False)[0])
        if PROVIDER == "fake":
            self.config("[provider.fake]\ncreate_failures = 1\n")
            status, out, _ = self.sandboxes("test", "-p", "fake", check=False)
            self.assertEqual(1, status)
            self.assertRegex(out, r"(?s)FAILED.*try: ")

    def test_providers(self):
        found = {p["name"]: p for p in json.loads(self.sandboxes("providers", "--json")[1])}
        self.assertTrue(found[PROVIDER]["capabilities"]["files"])
        out = self.sandboxes("providers")[1]
        self.assertIn(PROVIDER, out)
        self.assertRegex(out, r"files +Y")
        self.assertNotRegex(self.sandboxes("providers", "--no-capabilities")[1], r"files +Y")

class Orchestration(RunCase):
    def test_fallback_takes_the_next_provider(self):
        self.env.pop("E2B_API_KEY", None)
        self.assert_run(b"x\n", "-p", "e2b", "--fallback", f"modal,{PROVIDER}", "echo x")

    def test_all_failures_are_told(self):
        self.env.pop("E2B_API_KEY", None)
        status, out, err = self.run_raw("-p", "e2b", "--fallback", "modal", "echo x")
        self.assertEqual((125, b""), (status, out))
        self.assertIn(b"all 2 providers failed: e2b: ", err)
        self.assertIn(b"; modal: provider 'modal' is not part of this version", err)
        self.assertIn(b"try: set E2B_API_KEY", err)

    def test_a_misspelt_provider_is_an_error_at_once(self):
        status, _, err = self.run_raw("--fallback", "nowhere", "echo x")
        self.assertEqual(125, status)
        self.assertIn(b"there is no provider 'nowhere'", err)

    @unittest.skipUnless(PROVIDER == "fake", "needs a failing provider")
    def test_retries(self):
        self.config('[provider.fake]\ncreate_failures = 2\ncreate_error = "QUOTA"\nretry_after_ms = 10\n')
        self.assertEqual(125, self.run_raw("echo x")[0])
        self.assertEqual(125, self.run_raw("--retries", "1", "echo x")[0])
        self.assert_run(b"x\n", "--retries", "2", "echo x")
        self.config("[provider.fake]\ncreate_failures = 1\n")  # perhaps done: not repeated
        self.assertEqual(125, self.run_raw("--retries", "2", "echo x")[0])

    def test_pool_runs_each_word(self):
        status, out, err = self.run_raw("--pool", "3", "sleep 0.2; echo 1", "echo 2", "echo 3 >&2; exit 5", "exit 6")
        self.assertEqual((5, b"1\n2\n", b"3\n"), (status, out, err))

    def test_pool_runs_each_line_in_a_sandbox_of_its_own(self):
        lines = b"".join(b"cat /tmp/mark; echo %d > /tmp/mark; cat /tmp/mark\n" % i for i in range(12))
        status, out, _ = self.run_raw("--pool", "2", data=lines)
        self.assertEqual((0, b"".join(b"%d\n" % i for i in range(12))), (status, out))

    def test_pool_takes_commands_alone(self):
        for option in ("--json", "--tty", "--keep"):
            self.assertEqual(2, self.run_raw("--pool", "2", option, "echo x")[0])
        self.assertEqual(2, self.run_raw("--reuse", "-l", "a=b", "--fallback", PROVIDER, "echo x")[0])
        self.assertEqual(125, self.run_raw("--pool", "2")[0])


if __name__ == "__main__":
    if PROVIDER == "local":
        sandboxcase.require_command()
    unittest.main(argv=sys.argv, verbosity=2)
