# SPDX-License-Identifier: Apache-2.0
"""The command with the local engine: sandboxes that stay, files, background commands, real languages."""
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import time
import unittest

import sandboxcase
from sandboxcase import COMMAND

NOISE = bytes(range(256)) * 41


class LocalCase(sandboxcase.SandboxCase):
    def setUp(self):
        super().setUp()
        self.env["SANDBOXES_PROVIDER"] = "local"
        self.env["SANDBOXES_NETWORK"] = "none"

    def raw(self, *arguments, data=None, timeout=120, **options):
        """(status, stdout, stderr) as bytes."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        with self.start(*arguments, **options) as process:
            try:
                out, err = process.communicate(data, timeout)
            finally:
                if process.poll() is None:
                    process.kill()
        return process.returncode, out, err

    def assert_out(self, expected, *arguments, status=0, **options):
        got = self.raw(*arguments, **options)
        self.assertEqual((status, expected), got[:2], got[2])
        return got[2].decode()

    def file(self, name, data):
        path = os.path.join(self.work, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return path

    def ids(self, *arguments):
        return self.sandboxes("list", "-q", *arguments)[1].split()

    def on_terminal(self, *arguments, columns=80):
        """(our end, the other end, process) of the command on a terminal of its own."""
        ours, other = pty.openpty()
        self.addCleanup(os.close, ours)
        termios.tcsetwinsize(other, (24, columns))
        process = self.start(*arguments, stdin=other, stdout=other, stderr=other,
                             start_new_session=True)
        self.addCleanup(os.close, other)
        return ours, other, process

    def read_until(self, ours, wanted, patience=20):
        data, end = b"", time.monotonic() + patience
        while not re.search(wanted, data):
            ready = select.select([ours], [], [], max(0, end - time.monotonic()))[0]
            self.assertTrue(ready, f"waited in vain for {wanted!r} in {data!r}")
            data += os.read(ours, 65536)
        return data


class Living(LocalCase):
    def test_from_creation_to_end(self):
        name = self.create("-l", "project=a b", "-l", "env=prod", "--ttl", "1h")
        self.assertRegex(name, r"\Asb-[a-z0-5]{12}\Z")
        (found,) = json.loads(self.sandboxes("list", "--json")[1])
        self.assertEqual((name, "local", "running"), (found["id"], found["provider"], found["state"]))
        self.assertEqual({"project": "a b", "env": "prod"}, found["labels"])
        self.assertGreater(found["expires_ms"], found["created_ms"])
        self.assertEqual(found, json.loads(self.sandboxes("inspect", name)[1]))
        self.assertEqual(found, json.loads(self.sandboxes("inspect", name[:8])[1]))
        for label, expected in (("env=prod", [name]), ("env=test", []), ("project=a b", [name])):
            self.assertEqual(expected, self.ids("-l", label))
        self.sandboxes("destroy", name)
        self.assertEqual([], self.ids())
        status, _, err = self.sandboxes("destroy", name, check=False)
        self.assert_clean_failure(status, err)

    def test_names_without_a_sandbox(self):
        for words in (["exec", "sb-nosuchthing0", "true"], ["inspect", "sb-nosuchthing0"],
                      ["shell", "sb-nosuchthing0"], ["cp", "sb-nosuchthing0:/etc/passwd", "x"],
                      ["logs", "sb-nosuchthing0"], ["top", "sb-nosuchthing0"],
                      ["stats", "sb-nosuchthing0"], ["expose", "sb-nosuchthing0", "80"]):
            with self.subTest(words):
                status, _, err = self.sandboxes(*words, check=False)
                self.assert_clean_failure(status, err)
                self.assertIn("sb-nosuchthing0", err)

    def test_an_ambiguous_beginning(self):
        names = {self.create(), self.create()}
        status, _, err = self.sandboxes("exec", "sb-", "true", check=False)
        self.assert_clean_failure(status, err)
        self.assertEqual(names, set(self.ids()))

    def test_tables_fit_the_terminal_and_ids_are_whole(self):
        name = self.create("-l", "project=" + "x" * 200)
        ours, _, process = self.on_terminal("list", columns=70)
        self.assertEqual(0, process.wait(20))
        lines = self.read_until(ours, rb"\.\.\.").decode().splitlines()
        self.assertTrue(all(len(line) <= 70 for line in lines), lines)
        self.assertIn(name, lines[1])
        self.assertIn("x" * 200, self.sandboxes("list")[1])

    def test_several_go_at_once(self):
        first, second, third = (self.create("-l", f"n={i % 2}") for i in range(3))
        self.sandboxes("rm", first, second)
        self.assertEqual([third], self.ids())
        self.create("-l", "n=1")
        self.sandboxes("destroy", "-l", "n=0")
        self.assertEqual(1, len(self.ids()))

    def test_all_go_only_after_asking(self):
        self.create()
        status, _, err = self.sandboxes("destroy", "--all", check=False)
        self.assertEqual(2, status)
        self.assertIn("--yes", err)
        self.assertEqual(1, len(self.ids()))
        for answer, left in (b"\r", 1), (b"n\r", 1), (b"y\r", 0):
            ours, _, process = self.on_terminal("destroy", "--all")
            self.read_until(ours, rb"destroy 1 sandbox\?")
            os.write(ours, answer)
            self.assertEqual(left, process.wait(20))
            self.assertEqual(left, len(self.ids()))

    def test_completion_offers_ids(self):
        name = self.create()
        out = self.sandboxes("__complete", "--", "exec", "sb-")[1]
        self.assertEqual(name, out.split("\t")[0])
        self.assertIn(f"{name}:\t", self.sandboxes("__complete", "--", "cp", "")[1])


class Reuse(LocalCase):
    def test_the_same_sandbox_again(self):
        for expected in (b"1\n", b"2\n", b"3\n"):
            self.assert_out(expected, "run", "--reuse", "-l", "p=x", "echo >> n; wc -l < n")
        self.assertEqual(1, len(self.ids("-l", "p=x")))
        self.assert_out(b"0\n", "run", "-l", "p=x", "ls | wc -l")
        self.assertEqual(1, len(self.ids()))

    def test_programs_do_not_pile_up(self):
        for _ in range(2):
            self.assert_out(b"x\n", "run", "--reuse", "-l", "p=x", "--lang", "sh", data=b"echo x")
        (name,) = self.ids()
        self.assert_out(b"", "exec", name, "ls -A /tmp")

    def test_kept(self):
        err = self.assert_out(b"", "run", "--keep", "-e", "A=kept", "touch here")
        name = re.search(r"(sb-\w+) kept", err).group(1)
        self.assertEqual([name], self.ids())
        self.assert_out(b"here kept\n", "exec", name, "echo $(ls) $A")

    def test_gone_when_not_kept(self):
        self.assert_out(b"x\n", "run", "echo x")
        self.assertEqual(1, self.raw("run", "exit 1")[0])
        self.assertEqual(127, self.raw("run", "--", "no-such-program")[0])
        self.assertEqual([], self.ids())


class Exec(LocalCase):
    def setUp(self):
        super().setUp()
        self.name = self.create()

    def test_lines_words_and_statuses(self):
        self.assert_out(b"a b\n", "exec", self.name, "echo a   b")
        self.assert_out(b"[a  b][*]", "exec", self.name, "--", "printf", "[%s]", "a  b", "*")
        self.assert_out(b"x -l\n", "exec", self.name, "echo", "x", "-l")
        self.assertEqual(7, self.raw("exec", self.name, "exit 7")[0])
        self.assertEqual(143, self.raw("exec", self.name, "kill -TERM $$")[0])
        self.assertEqual(127, self.raw("exec", self.name, "--", "no-such-program")[0])
        self.assertEqual(126, self.raw("exec", self.name, "--", "/etc")[0])
        self.assertEqual(124, self.raw("exec", self.name, "--timeout", "0.2", "sleep 20")[0])

    def test_place_and_environment(self):
        self.assert_out(b"/tmp 1\n", "exec", "-w", "/tmp", "-e", "A=1", self.name, "echo $PWD $A")
        if os.geteuid() == 0: # an ordinary user asks for root when the sandbox is made
            self.assert_out(b"0\n", "exec", "-u", "root", self.name, "id -u")

    @unittest.skipUnless(os.geteuid() == 0, "an ordinary user asks for root when the sandbox is made")
    def test_what_root_changes_is_seen(self):
        line = "exec", self.name, "id -G; grep ^CapBnd /proc/self/status"
        none = b"CapBnd:\t0000000000000000\n"
        self.assert_out(b"1000\n" + none, *line)
        self.assert_out(none, "exec", "-u", "root", self.name,
                        "touch /tmp/f; chown 1000 /tmp/f; grep ^CapBnd /proc/self/status;"
                        "(until [ -e /tmp/go ]; do sleep 0.05; done; echo extra:x:4242:user >>/etc/group;"
                        "touch /tmp/done) </dev/null >/dev/null 2>&1 &")
        self.assert_out(b"1000\n" + none, *line)
        self.assert_out(b"", "exec", self.name,
                        "touch /tmp/go; until [ -e /tmp/done ]; do sleep 0.05; done")
        self.assert_out(b"1000 4242\n" + none, *line)

    def test_streams(self):
        data = NOISE * 200
        self.assert_out(data, "exec", self.name, "cat", data=data)
        status, out, err = self.raw("exec", self.name, "echo out; echo err >&2")
        self.assertEqual((0, b"out\n", b"err\n"), (status, out, err))

    def test_json(self):
        result = json.loads(self.raw("exec", "--json", self.name, "echo out; exit 3")[1])
        self.assertEqual((3, "out\n", None), (result["exit_code"], result["stdout"], result["error"]))

    def test_terminal(self):
        ours, other, process = self.on_terminal("exec", "-it", self.name, "stty size; cat", columns=91)
        self.read_until(ours, rb"24 91")
        os.write(ours, b"typed\r")
        self.read_until(ours, rb"typed\r\ntyped\r\n")
        os.write(ours, b"\x03")
        self.assertEqual(130, process.wait(20))
        self.assertTrue(termios.tcgetattr(other)[3] & termios.ECHO)

    def test_shell(self):
        ours, _, process = self.on_terminal("shell", self.name)
        self.read_until(ours, rb"[$#] ")
        os.write(ours, b"echo it-is-$((40 + 2)); exit 9\r")
        self.read_until(ours, rb"it-is-42")
        self.assertEqual(9, process.wait(20))
        self.assert_out(b"5\n", "shell", self.name, data=b"echo $((2+3))\n")

    def test_background(self):
        pid = self.sandboxes("exec", "-d", self.name, "echo one; sleep 1; echo two; exit 4")[1].strip()
        self.assertRegex(pid, r"\A\d+\Z")
        self.assertEqual((b"one\n"), self.raw("logs", self.name, pid)[1])
        (found,) = [p for p in json.loads(self.sandboxes("top", "--json", self.name)[1])
                    if p["pid"] == int(pid)]
        self.assertTrue(found["background"])
        self.assertIn("echo one", found["command"])
        self.assertIn(pid, self.sandboxes("top", self.name)[1])
        self.assertEqual((4, b"one\ntwo\n"), self.raw("logs", "-f", self.name)[:2])
        self.assertEqual((0, b"one\ntwo\n"), self.raw("logs", self.name, pid)[:2])

    def test_stats(self):
        self.assert_out(b"", "exec", self.name, "head -c 1000000 /dev/zero > big")
        found = json.loads(self.sandboxes("stats", "--json", self.name)[1])
        self.assertEqual(self.name, found["id"])
        self.assertGreaterEqual(found["disk_bytes"], 1000000)
        out = self.sandboxes("stats")[1].splitlines()
        self.assertEqual(2, len(out))
        self.assertIn(self.name, out[1])


class Shell(LocalCase):
    def test_in_a_sandbox_of_its_own(self):
        ours, _, process = self.on_terminal("run", "-T")
        self.read_until(ours, rb"[$#] ")
        os.write(ours, b"echo it-is-$((40 + 2)); exit 9\r")
        self.read_until(ours, rb"it-is-42")
        self.assertEqual(9, process.wait(20))
        self.assertEqual([], self.ids())


class Ports(LocalCase):
    def test_expose(self):
        self.env["SANDBOXES_NETWORK"] = "internet"
        name = self.create()
        self.sandboxes("exec", "-d", name, "cd /tmp; echo served > x; python3 -m http.server 8000")
        url = self.sandboxes("expose", name, "8000")[1].strip()
        host, port = url.rsplit(":", 1)
        self.assertEqual("127.0.0.1", host)

        def served():
            try:
                with socket.create_connection((host, int(port)), 5) as connection:
                    connection.sendall(b"GET /x HTTP/1.0\r\n\r\n")
                    return connection.makefile("rb").read().endswith(b"served\n")
            except OSError:
                return False
        self.wait_for(served, "the page")
        self.assertIn(f"{url} -> 8000", self.sandboxes("expose", name)[1])


class Copy(LocalCase):
    def setUp(self):
        super().setUp()
        self.name = self.create()

    def test_files_both_ways(self):
        source = self.file("it's a file", NOISE)
        self.sandboxes("cp", source, f"{self.name}:/tmp/there")
        self.assert_out(NOISE, "exec", self.name, "cat /tmp/there")
        self.sandboxes("cp", source, f"{self.name}:")
        self.assert_out(NOISE, "exec", self.name, "cat \"it's a file\"")
        back = os.path.join(self.work, "back")
        self.sandboxes("cp", f"{self.name}:/tmp/there", back)
        with open(back, "rb") as file:
            self.assertEqual(NOISE, file.read())

    def test_directories_both_ways(self):
        self.file("tree/a/b", "deep")
        self.file("tree/c", "c")
        os.symlink("c", os.path.join(self.work, "tree/link"))
        self.sandboxes("cp", os.path.join(self.work, "tree"), f"{self.name}:/tmp/")
        self.assert_out(b"deep c\n", "exec", self.name, "cd /tmp/tree; echo $(cat a/b) $(readlink link)")
        self.sandboxes("cp", f"{self.name}:/tmp/tree", os.path.join(self.work, "again"))
        with open(os.path.join(self.work, "again/a/b"), encoding="utf-8") as file:
            self.assertEqual("deep", file.read())
        self.assertEqual("c", os.readlink(os.path.join(self.work, "again/link")))

    def test_what_is_not_there(self):
        for words in ((f"{self.name}:/nowhere", "x"), ("./nowhere", f"{self.name}:x")):
            status, _, err = self.sandboxes("cp", *words, check=False)
            self.assert_clean_failure(status, err)
            self.assertIn("nowhere", err)


def has(*programs):
    return all(any(os.access(os.path.join(d, p), os.X_OK) for d in ("/usr/bin", "/usr/local/bin", "/bin"))
               for p in programs)


class Languages(LocalCase):
    """Real programs, as the image `host` has them; each says its own name and reads an argument."""

    programs = {
        "python": ("main.py", "import sys; print('it\\'s', \"python\", sys.argv[1])", "python3"),
        "node": ("main.js", "console.log(\"it's\", 'node', process.argv[2])", "node"),
        "bash": ("main.sh", "[[ x == x ]] && echo \"it's\" 'bash' $1", "bash"),
        "sh": ("main", "echo \"it's\" 'sh' $1", "sh"),
        "go": ("main.go", 'package main\nimport ("fmt"; "os")\nfunc main() { fmt.Println("it\'s", "go", '
               'os.Args[1]) }\n', "go"),
        "rust": ("main.rs", 'fn main() { println!("it\'s rust {}", std::env::args().nth(1).unwrap()); }',
                 "rustc"),
        "ruby": ("main.rb", "puts \"it's ruby #{ARGV[0]}\"", "ruby"),
        "java": ("Main.java", 'public class Main { public static void main(String[] a) '
                 '{ System.out.println("it\'s java " + a[0]); } }', "java"),
    }

    def test_each_language(self):
        for language, (name, text, tool) in self.programs.items():
            with self.subTest(language):
                expected = f"it's {language} x\n".encode()
                path = self.file(f"{language}/{name}", text)
                words = ["--file", path] if "." in name else ["--lang", language, "--file", path]
                if self.raw("run", f"command -v {tool}")[0] != 0:
                    status, out, err = self.raw("run", *words, "--", "x")
                    self.assertEqual((127, b""), (status, out), err)
                    self.assertIn(tool, err.decode())
                    continue
                self.assert_out(expected, "run", *words, "--", "x", timeout=300)
                self.assert_out(expected, "run", "--lang", language, "--", "x", data=text.encode(),
                                timeout=300)

    def test_compilers_speak_for_themselves(self):
        if not has("go"):
            self.skipTest("go")
        status, out, err = self.raw("run", "--lang", "go", data=b"package main\nfunc main() { x }\n")
        self.assertNotIn(status, (0, 125))
        self.assertEqual(b"", out)
        self.assertIn(b"undefined: x", err)

    def test_programs_with_a_first_line(self):
        path = self.file("prog", "#!/bin/cat\nthe text itself\n")
        self.assert_out(b"#!/bin/cat\nthe text itself\n", "run", "--file", path)
        path = self.file("nosuch", "#!/no/such/thing\n")
        self.assertEqual(127, self.raw("run", "--file", path)[0])

    def test_readme(self):
        """The examples of the README that need neither cloud nor network."""
        self.assert_out(b"4950\n", "run", "python3 -c 'print(sum(range(100)))'")
        self.assert_out(b"42\n", "run", "--", "python3", "-c", "print(42)")
        self.assertIn(b"Python 3", self.raw("run", "python3 --version", "--provider", "local")[1])
        script = self.file("script.py", "import os; print(os.environ['API_KEY'], os.environ['DEBUG'])")
        self.assert_out(b"secret 1\n", "run", "--file", script, "-e", "API_KEY=secret", "-e", "DEBUG=1")
        self.assert_out(b"secret 1\n", "run", "-f", script, "-p", "local", "-e", "API_KEY=secret", "-e",
                        "DEBUG=1", "-t", "600", "-l", "project=myapp", "--reuse")
        if has("node"):
            self.assert_out(b"Hello!\n", "run", "--lang", "node", data=b'console.log("Hello!")')

    @unittest.skipUnless(has("go"), "go")
    def test_go_modules(self):
        self.file("mod/go.mod", "module example.com/x\n\ngo 1.20\n")
        path = self.file("mod/main.go", 'package main\nimport "fmt"\nfunc main() { fmt.Println("mod") }\n')
        self.assert_out(b"mod\n", "run", "--file", path, "--deps", timeout=300)

    def test_dependencies_that_cannot_be_had(self):
        self.file("bad/requirements.txt", "no-such-distribution-of-anyone==0\n")
        path = self.file("bad/main.py", "print(1)")
        status, out, err = self.raw("run", "--file", path, "--deps", "-t", "60")
        self.assertEqual((125, b""), (status, out), err)
        self.assertIn(b"installing dependencies failed", err)


class Volume(LocalCase):
    def test_a_hundred_megabytes_out(self):
        reader = self.start("run", "head -c 104857600 /dev/zero", stderr=subprocess.DEVNULL)
        total = 0
        while chunk := reader.stdout.read(1 << 20):
            total += len(chunk)
        self.assertEqual((0, 104857600), (reader.wait(), total))
        reader.stdout.close()

    def test_a_hundred_megabytes_in(self):
        with open(os.path.join(self.work, "big"), "wb") as file:
            file.truncate(104857600)
        with open(file.name, "rb") as data:
            self.assert_out(b"104857600\n", "run", "wc -c", stdin=data)

    def test_a_program_of_a_hundred_megabytes(self):
        # An ordinary user may have no cgroup to limit memory with.
        memory = ["--memory", "2g"] if os.geteuid() == 0 else []
        line = b"#" * 127 + b"\n"
        path = self.file("big.py", b"print('begin')\n" + line * 819200 + b"print('end')\n")
        self.assert_out(b"begin\nend\n", "run", "--file", path, *memory)


class Interrupted(LocalCase):
    def test_at_any_moment(self):
        """Interrupts in every stage: the exit status tells it and nothing stays (tearDown looks)."""
        for step in range(24):
            # Without a shell: dash can lose an interrupt while it forks.
            process = self.start("run", "--", "sleep", "20")
            time.sleep(step * 0.0004)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            # -2: before the handlers were there.
            self.assertIn(process.returncode, (130, -signal.SIGINT), step)
        self.assertEqual([], self.ids())

    def test_on_a_terminal_everybody_hears_it(self):
        """Those whom the command has just started, too: it is no failure of theirs."""
        for step in range(24):
            process = self.start("run", "--", "sleep", "20", start_new_session=True)
            time.sleep(step * 0.0001)
            os.killpg(process.pid, signal.SIGINT)
            _, err = process.communicate(timeout=20)
            self.assertIn(process.returncode, (130, -signal.SIGINT), step)
            self.assertEqual(b"", err)
        self.assertEqual([], self.ids())

    def test_killed(self):
        process = self.start("run", "echo begun; sleep 30")
        self.assertEqual(b"begun\n", process.stdout.readline())
        process.kill()
        process.communicate(timeout=10)
        self.wait_for(lambda: not self.ids(), "the sandbox is gone")

    def test_a_command_whose_sandbox_goes(self):
        box = self.create()
        process = self.start("exec", box, "echo begun; sleep 30")
        self.assertEqual(b"begun\n", process.stdout.readline())
        self.sandboxes("destroy", box)
        _, err = process.communicate(timeout=20)
        self.assertEqual(125, process.returncode)
        self.assertIn(b"closed the connection\n  try: 'sandboxes list' shows whether it lives", err)

    def test_an_insisting_user(self):
        process = self.start("run", "trap '' INT TERM; echo begun; sleep 30; sleep 30")
        self.assertEqual(b"begun\n", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        self.assertEqual(130, process.returncode)


class Pipes(LocalCase):
    def test_a_reader_that_leaves(self):
        line = f"set -o pipefail; {COMMAND} run 'yes' 2>&1 | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], env=self.env, stdout=subprocess.PIPE, timeout=30,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(b"y\n141\n", done.stdout)
        self.assertEqual([], self.ids())


@unittest.skipUnless(shutil.which("node"), "needs node")
class Promised(LocalCase):
    """Lines of the documents, typed into a shell as they stand; compilers have tests of their own."""
    FILES = {
        "script.py": "import os\nprint('it''s', 6 * 7, os.environ.get('API_KEY'), os.environ.get('DEBUG'))\n",
        "app.py": "print('app')\n",
        "script.sh": "echo 'it'\"'\"'s' \"$0\" >/dev/null; echo sh\n",
        "data.csv": "a,b\n1,2\n",
    }
    LINES = (
        ("sandboxes run \"python3 -c 'print(sum(range(100)))'\"", "4950\n"),
        ("sandboxes run --file script.py", "its 42 None None\n"),
        ("cat script.py | sandboxes run --lang python", "its 42 None None\n"),
        ("echo 'console.log(\"Hello!\")' | sandboxes run --lang node", "Hello!\n"),
        ("sandboxes run \"python3 -c 'print(42)'\"", "42\n"),
        ("sandboxes run --file script.py -e API_KEY=secret -e DEBUG=1", "its 42 secret 1\n"),
        ("sandboxes run --file script.sh -t 600", "sh\n"),
        ("sandboxes run --file app.py -l project=myapp --reuse", "app\n"),
        ("sandboxes run --file app.py -l project=myapp --reuse", "app\n"),
        ("sandboxes run --file script.py --keep", "its 42 None None\n"),
        ("sandboxes list -q -p local | wc -l", "2\n"),
        ("sandboxes list -l project=myapp --json | grep -c '\"id\"'", "1\n"),
        ("sandboxes destroy -l project=myapp", ""),
        ("sandboxes destroy --all --yes", ""),
        ("sandboxes list -q", ""),
        ("sandboxes run \"echo hello from \\$(whoami)@\\$(hostname)\"", "hello from user@sandbox\n"),
        ("sandboxes run -e DEBUG=1 -t 60 --memory 128m --network none --file app.py", "app\n"),
        ("sandboxes run --mount \"$PWD:/work\" --cwd /work -- wc -l data.csv", "2 data.csv\n"),
        ("id=$(sandboxes create -l project=demo --ttl 1h); sandboxes cp data.csv \"$id:data.csv\"; "
         "sandboxes exec \"$id\" -- wc -l data.csv; tar -c app.py | sandboxes cp - \"$id:work\"; "
         "sandboxes cp \"$id:work\" - | tar -t; sandboxes destroy \"$id\"",
         "2 data.csv\nwork/\nwork/app.py\n"),
    )

    def test_lines(self):
        for name, text in self.FILES.items():
            self.file(name, text)
        os.chmod(self.work, 0o755)  # mounted: seen by the sandbox's user
        env = {**self.env, "PATH": os.path.dirname(COMMAND) + ":" + self.env["PATH"]}
        for line, expected in self.LINES:
            if "--memory" in line and os.geteuid() != 0:
                continue  # without a cgroup of its own that is an error
            with self.subTest(line):
                done = subprocess.run(["sh", "-c", line], cwd=self.work, env=env, text=True, check=False,
                                      stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
                self.assertEqual((0, expected), (done.returncode, done.stdout), done.stderr)


if __name__ == "__main__":
    sandboxcase.main()
