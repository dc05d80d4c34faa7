# SPDX-License-Identifier: Apache-2.0
"""The official Daytona client drives the server: each public call that an execution client makes."""
import asyncio
import base64
import concurrent.futures
import http.client
import json
import os
import time
import unittest

import servecase

servecase.require("daytona")

from daytona import (AsyncDaytona, CreateSandboxFromSnapshotParams, Daytona, DaytonaConfig,  # noqa: E402
                     DaytonaError, FileUpload, Sandbox, SessionExecuteRequest)
from daytona.common.pty import PtySize  # noqa: E402


class DaytonaCase(servecase.ServeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = DaytonaConfig(api_key=cls.key, api_url=cls.server.url + "/api")
        cls.daytona = Daytona(cls.config)
        cls.box = cls.daytona.create(CreateSandboxFromSnapshotParams(
            name="shared", labels={"kind": "shared"}, env_vars={"FROM_CREATE": "yes"}))

    @classmethod
    def tearDownClass(cls):
        try:
            cls.box.delete()
        finally:
            super().tearDownClass()

    def status_of(self, call, *arguments, **options):
        with self.assertRaises(DaytonaError) as caught:
            call(*arguments, **options)
        return getattr(caught.exception, "status_code", None)


class Life(DaytonaCase):
    def test_get_by_id_and_name(self):
        for name in (self.box.id, "shared"):
            again = self.daytona.get(name)
            self.assertEqual((again.id, again.labels["kind"], str(again.state.value)),
                             (self.box.id, "shared", "started"))
        self.assertEqual(self.status_of(self.daytona.get, "no-such"), 404)

    def test_refusals(self):
        self.assertEqual(409, self.status_of(self.daytona.create,
                                             CreateSandboxFromSnapshotParams(name="shared")))
        self.assertEqual(400, self.status_of(self.daytona.create,
                                             CreateSandboxFromSnapshotParams(snapshot="no-such")))
        wrong = Daytona(DaytonaConfig(api_key="wrong", api_url=self.server.url + "/api"))
        self.assertEqual(401, self.status_of(wrong.get, self.box.id))

    def test_list(self):
        ids = [item.id for item in self.daytona.list()]
        self.assertIn(self.box.id, ids)

    @unittest.skipUnless(hasattr(Sandbox, "create_snapshot"), "this client has no snapshots")
    def test_snapshots_and_forks(self):
        box = self.daytona.create(CreateSandboxFromSnapshotParams(env_vars={"KEPT": "yes"}))
        self.addCleanup(box.delete)
        box.fs.upload_file(b"as it was", "kept")
        box.create_snapshot("daytona-one")
        self.assertEqual(self.status_of(box.create_snapshot, "daytona-one"), 409)
        box.fs.upload_file(b"changed", "kept")
        self.assertIn("daytona-one", [item.name for item in self.daytona.snapshot.list().items])
        again = self.daytona.create(CreateSandboxFromSnapshotParams(snapshot="daytona-one"))
        self.addCleanup(again.delete)
        self.assertEqual(again.fs.download_file("kept"), b"as it was")
        self.daytona.snapshot.delete(self.daytona.snapshot.get("daytona-one"))
        self.assertEqual(self.status_of(self.daytona.snapshot.get, "daytona-one"), 404)
        fork = box.fork(name="forked")
        self.addCleanup(fork.delete)
        self.assertEqual((fork.name, fork.fs.download_file("kept")), ("forked", b"changed"))
        self.assertEqual(fork.process.exec("echo $KEPT").result, "yes\n")

    def test_pause_and_metrics(self):
        box = self.daytona.create()
        self.addCleanup(box.delete)
        box.process.exec("sleep 600 >/dev/null 2>&1 & echo $! > running")
        box.pause()
        self.assertEqual(str(box.state.value), "paused")
        self.assertEqual(self.status_of(box.process.exec, "true"), 400)
        box.start()
        self.assertEqual(box.process.exec("kill -0 $(cat running)").exit_code, 0)
        if not hasattr(box, "get_metrics"):
            self.skipTest("this client has no metrics")
        used = box.get_metrics()[-1]
        self.assertGreater(used.mem_used, 0)
        self.assertGreaterEqual(used.cpu_count, 1)

    def test_labels_and_intervals(self):
        box = self.daytona.create(CreateSandboxFromSnapshotParams(labels={"a": "1"}))
        try:
            self.assertEqual(box.set_labels({"b": "2"})["b"], "2")
            box.set_autostop_interval(30)
            box.set_auto_archive_interval(60)
            box.set_auto_delete_interval(-1)
            again = self.daytona.get(box.id)
            self.assertEqual((again.labels["b"], again.auto_stop_interval), ("2", 30))
        finally:
            box.delete()
        self.assertEqual(self.status_of(self.daytona.get, box.id), 404)

    def test_stop_and_start(self):
        box = self.daytona.create(CreateSandboxFromSnapshotParams())
        try:
            box.fs.upload_file(b"kept", "kept")
            box.process.create_session("s")
            box.stop()
            self.assertEqual(box.state.value, "stopped")
            self.assertEqual(self.status_of(box.process.exec, "true"), 400)
            box.start()
            self.assertEqual(box.fs.download_file("kept"), b"kept")
            self.assertEqual(box.process.list_sessions(), [])
        finally:
            box.delete()

    def test_preview_reaches_a_port(self):
        import urllib.request
        self.box.process.create_session("web")
        self.box.process.execute_session_command("web", SessionExecuteRequest(
            command="mkdir -p /tmp/web && cd /tmp/web && echo seen > f && python3 -m http.server 8765",
            run_async=True))
        link = self.box.get_preview_link(8765)

        def reached():
            try:
                with urllib.request.urlopen(f"{link.url}/f?DAYTONA_SANDBOX_AUTH_KEY={link.token}", timeout=5) as answer:
                    return answer.read() == b"seen\n"
            except OSError:
                return False
        self.assertTrue(self.wait_for(reached, 20))
        self.box.process.delete_session("web")


class Processes(DaytonaCase):
    def test_exec(self):
        result = self.box.process.exec("echo out; echo err >&2; echo $FROM_CREATE $HERE; pwd; exit 3",
                                       cwd="/tmp", env={"HERE": "too"})
        self.assertEqual((result.exit_code, result.result), (3, "out\nerr\nyes too\n/tmp\n"))
        self.assertEqual(self.status_of(self.box.process.exec, "sleep 20", timeout=1), 408)
        self.assertEqual(self.box.process.exec("true", cwd="/no/dir").exit_code, -1)
        self.assertEqual(self.box.process.exec("kill -9 $$").exit_code, -1)

    def ask_program(self, timeout=30, **body):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=timeout)
        try:
            connection.request("POST", f"/toolbox/{self.box.id}/process/execute", json.dumps(body),
                               {"Authorization": "Bearer " + self.key, "Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def test_program_as_it_is(self):
        """What our own client uses: streams apart and exact, no shell between."""
        status, told = self.ask_program(program=["sh", "-c", "printf 'o\\0\\377'; echo $FROM_CREATE$A >&2; kill -9 $$"],
                                        variables=["A", "b"])
        self.assertEqual((200, 137, 9), (status, told["program"]["exitCode"], told["program"]["signal"]), told)
        self.assertEqual((b"o\0\xff", b"yesb\n"),
                         tuple(base64.b64decode(told["program"][name]) for name in ("stdout", "stderr")))
        status, told = self.ask_program(program=["yes"], timeoutMs=300, outputLimit=5, clean=True)
        self.assertEqual((base64.b64encode(b"y\ny\ny").decode(), True, True),
                         tuple(told["program"][name] for name in ("stdout", "timedOut", "truncated")))
        status, told = self.ask_program(program=["no-such-program"])
        self.assertEqual(2, told["program"]["failed"]["errno"])
        for wrong in ({"program": []}, {"program": [7]}, {"program": ["a\0b"]}, {"program": ["true"], "variables": ["A"]},
                      {"program": ["true"], "outputLimit": -1}):
            self.assertEqual(400, self.ask_program(**wrong)[0], wrong)

    def test_program_is_followed(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        script = "echo 1; echo 2 >&2; read line; echo $FROM_CREATE; exit 3"
        try:
            connection.request("POST", f"/toolbox/{self.box.id}/process/execute",
                               json.dumps({"program": ["sh", "-c", script], "follow": True}),
                               {"Authorization": "Bearer " + self.key})
            reply = connection.getresponse()
            self.assertEqual("application/vnd.sandboxes.output", reply.headers["Content-Type"])
            told = {1: b"", 2: b"", 3: b""}
            while head := reply.read(5):
                told[head[0]] += reply.read(int.from_bytes(head[1:], "big"))
        finally:
            connection.close()
        self.assertEqual((b"1\nyes\n", b"2\n", 3), (told[1], told[2], json.loads(told[3])["exitCode"]))
        status, told = self.ask_program(program=["no-such-program"], follow=True)
        self.assertEqual((200, 2), (status, told["program"]["failed"]["errno"]))

    def test_program_ends_with_its_client(self):
        with self.assertRaises(OSError):
            self.ask_program(timeout=1, program=["sh", "-c", "echo $$ > /tmp/program; exec sleep 1000"])
        self.assertTrue(self.wait_for(lambda: self.box.process.exec("! kill -0 $(cat /tmp/program)").exit_code == 0, 10))

    def test_code(self):
        self.assertEqual(self.box.process.code_run("print(6 * 7)").result, "42\n")
        self.assertNotEqual(self.box.process.code_run("raise SystemExit(2)").exit_code, 0)

    def test_session_keeps_its_state(self):
        process = self.box.process
        process.create_session("state")
        self.assertEqual(self.status_of(process.create_session, "state"), 409)
        first = process.execute_session_command("state", SessionExecuteRequest(
            command="cd /tmp; export KEPT='a b'; echo out; echo err >&2"))
        self.assertEqual((first.exit_code, first.stdout, first.stderr), (0, "out\n", "err\n"))
        second = process.execute_session_command("state", SessionExecuteRequest(
            command="pwd; echo \"$KEPT\"; false"))
        self.assertEqual((second.exit_code, second.stdout), (1, "/tmp\na b\n"))
        self.assertEqual([c.exit_code for c in process.get_session("state").commands], [0, 1])
        self.assertEqual(process.get_session_command("state", second.cmd_id).exit_code, 1)
        process.delete_session("state")
        self.assertEqual(self.status_of(process.get_session, "state"), 404)

    def test_session_redirected_for_good(self):
        process = self.box.process
        process.create_session("redirects")
        run = lambda text: process.execute_session_command("redirects", SessionExecuteRequest(command=text))
        self.assertEqual(run("exec 3>&1 4>&2 >/tmp/redirected 2>&1").exit_code, 0)
        self.assertEqual(run("echo into the file; false").exit_code, 1)
        self.assertEqual(run("exec >&3 2>&4; cat /tmp/redirected").stdout, "into the file\n")
        self.assertEqual(run("ls /proc/self/fd | grep -c '^[89]$'").stdout, "0\n")
        process.delete_session("redirects")

    def test_session_keeps_long_output(self):
        process = self.box.process
        process.create_session("long")
        done = process.execute_session_command("long", SessionExecuteRequest(
            command="head -c 20000000 /dev/zero | tr '\\0' x; echo e >&2; exit 3"))
        self.assertEqual((done.exit_code, len(done.stdout), set(done.stdout), done.stderr),
                         (3, 20000000, {"x"}, "e\n"))
        size = 0

        def count(piece):
            nonlocal size
            size += len(piece)
        asyncio.run(process.get_session_command_logs_async("long", done.cmd_id, count, count))
        self.assertEqual(size, 20000002)
        process.delete_session("long")

    def test_session_log_in_pieces(self):
        """Prefixes and characters that are cut by the pieces a log is read in."""
        process = self.box.process
        process.create_session("pieces")
        text = "for i in $(seq 30000); do echo äöü€$i; done"
        done = process.execute_session_command("pieces", SessionExecuteRequest(
            command=f"{text}; {{ {text}; }} >&2; echo end"))
        wanted = "".join(f"äöü€{i + 1}\n" for i in range(30000))
        self.assertEqual((done.stdout, done.stderr), (wanted + "end\n", wanted))
        status, _, log = self.server.ask(
            "GET", f"/toolbox/{self.box.id}/process/session/pieces/command/{done.cmd_id}/logs",
            headers={"Authorization": f"Bearer {self.key}"}, raw=True)
        self.assertEqual((status, sorted(log.decode().splitlines())),
                         (200, sorted((wanted * 2 + "end\n").splitlines())))
        process.delete_session("pieces")

    def test_session_survives_exit(self):
        process = self.box.process
        process.create_session("exits")
        run = lambda text: process.execute_session_command("exits", SessionExecuteRequest(command=text))
        self.assertEqual(run("echo bye; exit 5").exit_code, 5)
        self.assertEqual(run("echo again").stdout, "again\n")
        self.assertEqual(run("echo 'unclosed").exit_code != 0, True)
        self.assertEqual(run("echo still").stdout, "still\n")
        process.delete_session("exits")

    # What runs, in each way that commands can run, when the sandbox ends.
    def lose(self, end):
        box = self.daytona.create()
        box.process.create_session("lost")
        started = box.process.execute_session_command("lost", SessionExecuteRequest(
            command="sleep 6179", run_async=True))
        terminal = box.process.create_pty_session(id="lost")
        shown = []
        with concurrent.futures.ThreadPoolExecutor(3) as crew:
            whole = crew.submit(box.process.exec, "exec sleep 6180", timeout=60)
            logs = crew.submit(asyncio.run, box.process.get_session_command_logs_async(
                "lost", started.cmd_id, lambda piece: None, shown.append))
            seen = crew.submit(terminal.wait)
            servecase.parent_of("sleep", "6179")
            servecase.parent_of("sleep", "6180")
            end(box)
            with self.assertRaises(DaytonaError) as caught:
                whole.result(20)
            logs.result(20)
            result = seen.result(20)
        self.assertNotEqual(result.exit_code, 0)
        with self.assertRaises(DaytonaError) as later:
            box.process.exec("true")
        return [str(caught.exception), "".join(shown), str(result.error), str(later.exception)]

    def test_lost_with_its_sandbox(self):
        for text in self.lose(lambda box: box.delete()):
            self.assertIn("it was deleted by request", text)

    def test_lost_as_it_crashes(self):
        for text in self.lose(lambda box: os.kill(servecase.parent_of("sleep", "6180"), 9)):
            self.assertIn("it crashed", text)

    def test_asynchronous_command(self):
        process = self.box.process
        process.create_session("async")
        started = process.execute_session_command("async", SessionExecuteRequest(
            command="for i in 1 2 3; do echo $i; sleep 0.1; done; read line; echo got $line; echo e >&2",
            run_async=True))
        self.assertIsNone(process.get_session_command("async", started.cmd_id).exit_code)
        process.send_session_command_input("async", started.cmd_id, "input\n")
        out, err = [], []
        asyncio.run(process.get_session_command_logs_async("async", started.cmd_id, out.append,
                                                           err.append))
        self.assertEqual(("".join(out), "".join(err)), ("1\n2\n3\ngot input\n", "e\n"))
        logs = process.get_session_command_logs("async", started.cmd_id)
        self.assertEqual((logs.stdout, logs.stderr), ("1\n2\n3\ngot input\n", "e\n"))
        self.assertEqual(process.get_session_command("async", started.cmd_id).exit_code, 0)
        process.delete_session("async")

    def test_terminal(self):
        process = self.box.process
        seen = []
        handle = process.create_pty_session(id="pty", cwd="/tmp", envs={"PV": "value"},
                                            pty_size=PtySize(rows=30, cols=90))
        self.assertEqual([p.id for p in process.list_pty_sessions()], ["pty"])
        self.assertEqual(process.resize_pty_session("pty", PtySize(rows=31, cols=91)).rows, 31)
        self.assertEqual(process.get_pty_session_info("pty").cols, 91)
        handle.send_input("stty size; echo $PV; pwd; exit 4\n")
        result = handle.wait(on_data=seen.append)
        text = b"".join(seen)
        self.assertEqual(result.exit_code, 4)
        for part in (b"31 91", b"value", b"/tmp"):
            self.assertIn(part, text)
        process.create_pty_session(id="killed")
        process.kill_pty_session("killed")
        self.assertTrue(self.wait_for(lambda: not process.list_pty_sessions()))


class Files(DaytonaCase):
    def test_up_and_down(self):
        large = os.urandom(9 * 1024 * 1024)
        files = self.box.fs
        files.upload_files([FileUpload(source=large, destination="large"),
                            FileUpload(source=b"", destination="deep/empty"),
                            FileUpload(source=b"2", destination="/tmp/two")])
        self.assertEqual(files.download_file("large"), large)
        self.assertEqual(files.download_file("deep/empty"), b"")
        self.assertEqual(files.download_file("/tmp/two"), b"2")
        self.assertEqual(self.status_of(files.download_file, "none"), 404)

    def test_directories(self):
        files = self.box.fs
        files.create_folder("dir/inner", "750")
        files.upload_file(b"hello world\nsecond\n", "dir/f.txt")
        names = {f.name: f for f in files.list_files("dir")}
        self.assertEqual((names["f.txt"].size, names["inner"].is_dir, names["inner"].permissions),
                         (19, True, "0750"))
        files.set_file_permissions("dir/f.txt", mode="600")
        self.assertEqual(files.get_file_info("dir/f.txt").mode, "-rw-------")
        self.assertEqual([(m.line, m.content) for m in files.find_files("dir", "second")],
                         [(2, "second")])
        self.assertEqual(files.search_files("dir", "*.txt").files, ["/home/user/dir/f.txt"])
        self.assertTrue(files.replace_in_files(["dir/f.txt"], "world", "there")[0].success)
        self.assertEqual(files.download_file("dir/f.txt"), b"hello there\nsecond\n")
        files.move_files("dir/f.txt", "dir/g.txt")
        self.assertEqual(self.status_of(files.get_file_info, "dir/f.txt"), 404)
        self.assertEqual(self.status_of(files.delete_file, "dir"), 400)
        files.delete_file("dir", recursive=True)
        self.assertEqual(self.status_of(files.list_files, "dir"), 404)


class Asynchronous(DaytonaCase):
    def test_all_at_once(self):
        async def one(client, number):
            box = await client.create(CreateSandboxFromSnapshotParams())
            try:
                return (await box.process.exec(f"echo {number}")).result
            finally:
                await box.delete()

        async def all_of_them():
            async with AsyncDaytona(self.config) as client:
                return await asyncio.gather(*[one(client, i) for i in range(4)])

        self.assertEqual(asyncio.run(all_of_them()), [f"{i}\n" for i in range(4)])


if __name__ == "__main__":
    unittest.main()
