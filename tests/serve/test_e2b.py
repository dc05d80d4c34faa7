# SPDX-License-Identifier: Apache-2.0
"""The official E2B client drives the server: each public call that an execution client makes."""
import asyncio
import io
import os
import shutil
import socket
import time
import unittest
import urllib.error
import urllib.request

import servecase

servecase.require("e2b")

import e2b  # noqa: E402
from e2b import AsyncSandbox, Sandbox  # noqa: E402


class E2bCase(servecase.ServeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.point = {"api_key": cls.key, "api_url": cls.server.url, "sandbox_url": cls.server.url}
        cls.box = Sandbox.create(timeout=300, metadata={"kind": "shared", "odd key": "a&b=c"},
                                 envs={"FROM_CREATE": "yes"}, **cls.point)

    @classmethod
    def tearDownClass(cls):
        try:
            cls.box.kill()
        finally:
            super().tearDownClass()


class Life(E2bCase):
    def test_create_and_info(self):
        info = self.box.get_info()
        self.assertEqual(info.sandbox_id, self.box.sandbox_id)
        self.assertEqual(info.metadata, {"kind": "shared", "odd key": "a&b=c"})
        self.assertEqual(info.template_id, "base")
        self.assertEqual(info.state, e2b.SandboxState.RUNNING)
        left = (info.end_at - info.started_at).total_seconds()
        self.assertAlmostEqual(left, 300, delta=1)

    def test_unknown_template(self):
        with self.assertRaisesRegex(e2b.SandboxException, "template 'no-such' not found"):
            Sandbox.create(template="no-such", **self.point)

    def test_list_by_metadata_and_pages(self):
        boxes = [Sandbox.create(timeout=60, metadata={"page": "x", "n": str(i)}, **self.point)
                 for i in range(3)]
        try:
            query = e2b.SandboxQuery(metadata={"page": "x"})
            pages = Sandbox.list(query=query, limit=2, **self.point)
            first = pages.next_items()
            self.assertTrue(pages.has_next)
            second = pages.next_items()
            self.assertFalse(pages.has_next)
            self.assertEqual([b.sandbox_id for b in boxes][::-1],
                             [i.sandbox_id for i in first + second])
            odd = Sandbox.list(query=e2b.SandboxQuery(metadata={"odd key": "a&b=c"}), **self.point)
            self.assertEqual([self.box.sandbox_id], [i.sandbox_id for i in odd.next_items()])
            none = Sandbox.list(query=e2b.SandboxQuery(metadata={"page": "y"}), **self.point)
            self.assertEqual([], none.next_items())
        finally:
            for box in boxes:
                self.assertTrue(box.kill())

    def test_connect_from_elsewhere(self):
        self.box.files.write("/tmp/seen", "by both")
        other = Sandbox.connect(self.box.sandbox_id, timeout=200, **self.point)
        self.assertEqual(other.files.read("/tmp/seen"), "by both")
        self.assertGreater((other.get_info().end_at - self.box.get_info().started_at).total_seconds(),
                           290)  # never shortened
        with self.assertRaises(e2b.NotFoundException):
            Sandbox.connect("sb-doesnotexist", **self.point)

    def test_timeout_ends_it_and_says_so(self):
        box = Sandbox.create(timeout=60, **self.point)
        handle = box.commands.run("sleep 60", background=True)
        box.set_timeout(1)
        with self.assertRaisesRegex(e2b.SandboxException, "reached its timeout"):
            handle.wait()
        self.assertTrue(self.wait_for(lambda: not box.is_running(), 15))
        with self.assertRaisesRegex(e2b.SandboxException, "reached its timeout"):
            box.commands.run("true")
        self.assertFalse(box.kill())

    def test_kill_twice(self):
        box = Sandbox.create(timeout=60, **self.point)
        self.assertTrue(box.is_running())
        self.assertTrue(box.kill())
        self.assertFalse(box.kill())
        self.assertFalse(Sandbox.kill(box.sandbox_id, **self.point))
        self.assertFalse(box.is_running())

    def test_pause_and_resume(self):
        box = Sandbox.create(timeout=60, **self.point)
        try:
            box.files.write("/tmp/kept", "still here")
            box.pause()
            self.assertEqual(box.get_info().state, e2b.SandboxState.PAUSED)
            with self.assertRaises(e2b.SandboxException):
                box.commands.run("true")
            self.assertEqual(box.connect(timeout=60).files.read("/tmp/kept"), "still here")
            self.assertEqual(box.get_info().state, e2b.SandboxState.RUNNING)
        finally:
            box.kill()

    def test_metrics(self):
        metrics = self.box.get_metrics()
        self.assertEqual(len(metrics), 1)
        if os.geteuid() == 0:  # others may have no cgroup to measure with
            self.assertGreater(metrics[0].mem_total, 0)

    def test_a_wrong_key(self):
        with self.assertRaises(e2b.AuthenticationException):
            Sandbox.list(**{**self.point, "api_key": "e2b_" + "0" * 40}).next_items()

    def test_the_code_interpreter_s_sandbox(self):
        try:
            from e2b_code_interpreter import Sandbox as Interpreter
        except ImportError as error:
            self.skipTest(str(error))
        box = Interpreter.create(timeout=60, **self.point)
        try:
            self.assertEqual(box.commands.run("echo here").stdout, "here\n")
        finally:
            box.kill()

    def test_no_internet(self):
        box = Sandbox.create(timeout=60, allow_internet_access=False, **self.point)
        try:
            links = box.commands.run("cat /proc/net/dev").stdout
            self.assertNotIn("eth0", links)
            self.assertFalse(box.get_info().allow_internet_access)
        finally:
            box.kill()


class Commands(E2bCase):
    def test_output_and_exit(self):
        result = self.box.commands.run("echo out; echo err >&2")
        self.assertEqual((result.stdout, result.stderr, result.exit_code), ("out\n", "err\n", 0))
        with self.assertRaises(e2b.CommandExitException) as caught:
            self.box.commands.run("echo before; exit 7")
        self.assertEqual((caught.exception.exit_code, caught.exception.stdout), (7, "before\n"))

    def test_streams_as_it_comes(self):
        seen = []
        self.box.commands.run("echo 1; sleep 0.3; echo 2",
                              on_stdout=lambda text: seen.append((text, time.monotonic())))
        self.assertEqual("".join(text for text, _ in seen), "1\n2\n")
        self.assertGreater(seen[-1][1] - seen[0][1], 0.2)

    def test_environment_directory_user(self):
        result = self.box.commands.run("echo $FROM_CREATE $HERE $PWD $USER $E2B_SANDBOX",
                                       envs={"HERE": "too"}, cwd="/tmp")
        self.assertEqual(result.stdout, "yes too /tmp user true\n")
        self.assertEqual(self.box.commands.run("id -u", user="root").stdout, "0\n")
        with self.assertRaises(e2b.AuthenticationException):
            self.box.commands.run("id", user="nobody-here")
        with self.assertRaisesRegex(e2b.InvalidArgumentException, "cwd '/no/dir' does not exist"):
            self.box.commands.run("id", cwd="/no/dir")

    def test_large_binary_output(self):
        result = self.box.commands.run("head -c 3000000 /dev/zero | tr '\\0' x", timeout=60)
        self.assertEqual(len(result.stdout), 3000000)
        self.assertEqual(self.box.commands.run("printf '\\303\\244%.0s' $(seq 20000)").stdout,
                         "ä" * 20000)

    def test_timeout(self):
        started = time.monotonic()
        with self.assertRaises(e2b.TimeoutException):
            self.box.commands.run("sleep 30 & sleep 30", timeout=1)
        self.assertLess(time.monotonic() - started, 10)
        self.assertEqual(self.box.commands.run("pgrep -c sleep || true").stdout, "0\n")

    def test_background_stdin_list_kill(self):
        handle = self.box.commands.run("cat", background=True, stdin=True)
        self.box.commands.send_stdin(handle.pid, "to the cat\n")
        self.assertIn(handle.pid, [p.pid for p in self.box.commands.list()])
        self.box.commands.close_stdin(handle.pid)
        self.assertEqual(handle.wait().stdout, "to the cat\n")
        handle = self.box.commands.run("sleep 100", background=True)
        self.assertTrue(handle.kill())
        with self.assertRaises(e2b.CommandExitException) as caught:
            handle.wait()
        self.assertEqual(caught.exception.exit_code, -1)
        self.assertFalse(self.box.commands.kill(handle.pid))
        self.assertFalse(self.box.commands.kill(99999))

    def test_stream_input(self):
        if not hasattr(self.box.commands, "stream_input"):
            self.skipTest("this client has no stream_input")
        handle = self.box.commands.run("cat", background=True, stdin=True)
        self.box.commands.stream_input(handle.pid, ["a", b"b", "c\n"])
        self.box.commands.close_stdin(handle.pid)
        self.assertEqual(handle.wait().stdout, "abc\n")

    def test_disconnect_then_connect(self):
        handle = self.box.commands.run("sleep 1; echo late", background=True)
        handle.disconnect()
        again = self.box.commands.connect(handle.pid)
        self.assertEqual(again.wait().stdout, "late\n")

    def test_lost_with_its_sandbox(self):
        box = Sandbox.create(timeout=60, **self.point)
        handle = box.commands.run("sleep 60", background=True)
        box.kill()
        with self.assertRaisesRegex(e2b.SandboxException, "was killed by request"):
            handle.wait()

    def test_lost_as_it_crashes(self):
        box = Sandbox.create(timeout=60, **self.point)
        handle = box.commands.run("exec sleep 6178", background=True)
        os.kill(servecase.parent_of("sleep", "6178"), 9)
        with self.assertRaisesRegex(e2b.SandboxException, "it crashed"):
            handle.wait()
        with self.assertRaisesRegex(e2b.SandboxException, "it crashed"):
            box.commands.run("true")

    def test_killed_by_itself(self):
        with self.assertRaises(e2b.CommandExitException) as caught:
            self.box.commands.run("kill -9 $$")
        self.assertEqual(caught.exception.exit_code, -1)

    def test_terminal(self):
        out = []
        handle = self.box.pty.create(e2b.PtySize(rows=30, cols=90), timeout=30)
        self.box.pty.send_stdin(handle.pid, b"stty size; tty; exit 3\n")
        with self.assertRaises(e2b.CommandExitException) as caught:
            handle.wait(on_pty=lambda data: out.append(bytes(data)))
        self.assertEqual(caught.exception.exit_code, 3)
        self.assertIn(b"30 90", b"".join(out))
        handle = self.box.pty.create(e2b.PtySize(rows=30, cols=90), timeout=30)
        self.box.pty.resize(handle.pid, e2b.PtySize(rows=40, cols=100))
        self.assertTrue(self.box.pty.kill(handle.pid))


class Files(E2bCase):
    def test_write_read(self):
        info = self.box.files.write("deep/down/a.txt", "text ä")
        self.assertEqual(info.path, "/home/user/deep/down/a.txt")
        self.assertEqual(self.box.files.read("deep/down/a.txt"), "text ä")
        self.box.files.write("/tmp/b.bin", bytes(range(256)))
        self.assertEqual(bytes(self.box.files.read("/tmp/b.bin", format="bytes")), bytes(range(256)))
        self.assertEqual(b"".join(self.box.files.read("/tmp/b.bin", format="stream")),
                         bytes(range(256)))
        self.box.files.write("/tmp/empty", "")
        self.assertEqual(self.box.files.read("/tmp/empty"), "")
        self.box.files.write("/tmp/b.bin", "shorter")
        self.assertEqual(self.box.files.read("/tmp/b.bin"), "shorter")

    def test_many_and_large(self):
        large = os.urandom(9 * 1024 * 1024)
        infos = self.box.files.write_files([
            {"path": "/tmp/many/1", "data": "one"}, {"path": "/tmp/many/2", "data": b"two"},
            {"path": "/tmp/many/large", "data": large}])
        self.assertEqual([i.name for i in infos], ["1", "2", "large"])
        self.assertEqual(bytes(self.box.files.read("/tmp/many/large", format="bytes")), large)
        self.box.files.write("/tmp/stream", io.BytesIO(large))
        self.assertEqual(self.box.commands.run("cmp /tmp/stream /tmp/many/large && echo same").stdout,
                         "same\n")
        self.box.files.write("/tmp/packed", "x" * 100000, gzip=True)
        self.assertEqual(self.box.files.read("/tmp/packed", gzip=True), "x" * 100000)

    def test_list_info_exists(self):
        self.box.files.make_dir("/tmp/tree/inner")
        self.box.files.write("/tmp/tree/f", "12345")
        self.box.commands.run("ln -s f /tmp/tree/link; ln -s inner /tmp/tree/dirlink; chmod 640 /tmp/tree/f")
        names = {entry.name: entry for entry in self.box.files.list("/tmp/tree")}
        self.assertEqual(sorted(names), ["dirlink", "f", "inner", "link"])
        self.assertEqual(names["f"].size, 5)
        self.assertEqual(names["f"].permissions, "-rw-r-----")
        self.assertEqual(names["f"].owner, "user")
        self.assertEqual(names["inner"].type, e2b.FileType.DIR)
        self.assertEqual(names["link"].symlink_target, "f")
        self.assertEqual(names["dirlink"].type, e2b.FileType.DIR)
        deep = [entry.path for entry in self.box.files.list("/tmp", depth=2)]
        self.assertIn("/tmp/tree/inner", deep)
        self.assertTrue(self.box.files.exists("/tmp/tree/f"))
        self.assertFalse(self.box.files.exists("/tmp/tree/g"))
        self.assertEqual(self.box.files.get_info("/tmp/tree/f").path, "/tmp/tree/f")
        with self.assertRaises(e2b.NotFoundException):
            self.box.files.list("/tmp/no-such")

    def test_directories_rename_remove(self):
        self.assertTrue(self.box.files.make_dir("/tmp/made/deep"))
        self.assertFalse(self.box.files.make_dir("/tmp/made/deep"))
        self.box.files.write("/tmp/made/old", "o")
        self.assertEqual(self.box.files.rename("/tmp/made/old", "/tmp/made/new").path, "/tmp/made/new")
        self.assertFalse(self.box.files.exists("/tmp/made/old"))
        self.box.files.remove("/tmp/made")
        self.assertFalse(self.box.files.exists("/tmp/made"))
        with self.assertRaises(e2b.NotFoundException):
            self.box.files.rename("/tmp/nothing", "/tmp/more")
        with self.assertRaises(e2b.NotFoundException):
            self.box.files.read("/tmp/nothing")

    def test_another_user(self):
        self.box.files.write("/root/secret", "r", user="root")
        self.assertEqual(self.box.files.read("/root/secret", user="root"), "r")
        with self.assertRaises(e2b.SandboxException):
            self.box.files.read("/root/secret")

    def test_watch(self):
        self.box.files.make_dir("/tmp/watched")
        handle = self.box.files.watch_dir("/tmp/watched")
        self.box.files.write("/tmp/watched/new", "1")
        events = []
        self.assertTrue(self.wait_for(lambda: events.extend(handle.get_new_events()) or events))
        self.assertIn("new", [event.name for event in events])
        handle.stop()
        with self.assertRaises(e2b.NotFoundException):
            self.box.files.watch_dir("/tmp/not-there")

    def test_signed_urls(self):
        self.box.files.write("/tmp/signed file", "by url")
        url = self.box.download_url("/tmp/signed file", use_signature_expiration=60)
        ask = urllib.request.Request(url, headers={"E2b-Sandbox-Id": self.box.sandbox_id})
        with urllib.request.urlopen(ask, timeout=10) as answer:
            self.assertEqual(answer.read(), b"by url")
        for bad in (url.replace("signature=v1_", "signature=v1_x"), url.replace("signed", "other"),
                    self.box.download_url("/tmp/signed file", use_signature_expiration=-10)):
            ask = urllib.request.Request(bad, headers={"E2b-Sandbox-Id": self.box.sandbox_id})
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(ask, timeout=10)
            self.assertEqual(caught.exception.code, 401)


class Debug(servecase.ServeCase):
    """E2B_DEBUG: no key, one sandbox, a port that the client knows."""
    options = ("--debug-sandbox", "--port", "49983")

    @classmethod
    def setUpClass(cls):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", 49983))
            except OSError as error:
                raise unittest.SkipTest(f"port 49983: {error}")
        super().setUpClass()

    def test_without_a_key(self):
        box = Sandbox.create(debug=True)
        box.files.write("/tmp/seen", "by the next one")
        again = Sandbox.connect("debug_sandbox_id", debug=True)
        self.assertEqual(again.commands.run("cat /tmp/seen").stdout, "by the next one")
        self.assertEqual(self.server.ask("GET", "/v2/sandboxes")[0], 401)

    def test_asynchronous(self):
        async def story():
            box = await AsyncSandbox.create(debug=True)
            await box.files.write("/tmp/seen", "in debug mode")
            return (await box.commands.run("cat /tmp/seen")).stdout
        self.assertEqual(asyncio.run(story()), "in debug mode")

    def test_javascript(self):
        import test_javascript
        if not shutil.which("node") or not os.path.exists(os.path.join(test_javascript.MODULES, "e2b")):
            self.skipTest("the JavaScript clients are not there")
        test_javascript.drive(self, E2B_DEBUG="true")


class Asynchronous(E2bCase):
    def test_the_code_interpreter_s_sandbox(self):
        try:
            from e2b_code_interpreter import AsyncSandbox as Interpreter
        except ImportError as error:
            self.skipTest(str(error))

        async def story():
            box = await Interpreter.create(timeout=60, **self.point)
            try:
                await box.files.write("/tmp/a", "here")
                return (await box.commands.run("cat /tmp/a")).stdout
            finally:
                await box.kill()
        self.assertEqual(asyncio.run(story()), "here")

    def test_all_at_once(self):
        async def one(number):
            box = await AsyncSandbox.create(timeout=60, **self.point)
            try:
                await box.files.write("n", str(number))
                result = await box.commands.run("cat n; echo $$ > /dev/null")
                self.assertTrue((await box.get_info()).sandbox_id)
                return result.stdout
            finally:
                await box.kill()

        async def all_of_them():
            return await asyncio.gather(*[one(i) for i in range(5)])

        self.assertEqual(asyncio.run(all_of_them()), [str(i) for i in range(5)])

    def test_watch_stream(self):
        async def watch():
            box = await AsyncSandbox.connect(self.box.sandbox_id, **self.point)
            seen = []
            await box.files.make_dir("/tmp/awatch")
            handle = await box.files.watch_dir("/tmp/awatch", on_event=seen.append)
            await box.files.write("/tmp/awatch/file", "x")
            for _ in range(200):
                if seen:
                    break
                await asyncio.sleep(0.05)
            await handle.stop()
            return [event.name for event in seen]

        self.assertIn("file", asyncio.run(watch()))


class Snapshots(E2bCase):
    def create(self, **more):
        box = Sandbox.create(timeout=60, **more, **self.point)
        self.addCleanup(box.kill)
        return box

    def test_snapshots_are_templates(self):
        box = self.create(envs={"KEPT": "no"})
        box.files.write("kept", "as it was")
        taken = box.create_snapshot("my-snapshot")
        self.assertEqual((taken.snapshot_id, taken.names), ("my-snapshot", ["my-snapshot"]))
        box.files.write("kept", "changed")
        other = box.create_snapshot()
        pages = Sandbox.list_snapshots(limit=1, **self.point)
        listed = [item.snapshot_id for _ in range(2) for item in pages.next_items()]
        self.assertEqual((listed, pages.has_next), (["my-snapshot", other.snapshot_id], False))
        again = self.create(template=taken.snapshot_id)
        self.assertEqual(again.files.read("kept"), "as it was")
        self.assertEqual(again.get_info().template_id, "my-snapshot")
        for name in listed:
            self.assertTrue(Sandbox.delete_snapshot(name, **self.point))
            self.assertFalse(Sandbox.delete_snapshot(name, **self.point))
        self.assertEqual(again.files.read("kept"), "as it was")
        with self.assertRaises(e2b.SandboxException):
            self.create(template=taken.snapshot_id)
        with self.assertRaises(e2b.SandboxException):
            box.create_snapshot("../x")

    def test_forks(self):
        box = self.create(envs={"KEPT": "yes"}, metadata={"a": "b"})
        box.files.write("kept", "here")
        forks = box.fork(timeout=60, count=2)
        for fork in forks:
            self.addCleanup(fork.kill)
            self.assertEqual(fork.files.read("kept"), "here")
            self.assertEqual(fork.commands.run("echo $KEPT").stdout, "yes\n")
            self.assertEqual(fork.get_info().metadata, {"a": "b"})
        forks[0].files.write("kept", "there")
        self.assertEqual((forks[1].files.read("kept"), box.files.read("kept")), ("here", "here"))


if __name__ == "__main__":
    unittest.main()
