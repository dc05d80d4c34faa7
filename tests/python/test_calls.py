# SPDX-License-Identifier: Apache-2.0
"""Calls with any provider of the library (PROVIDER): commands, streams, files, processes, cancelling."""
import asyncio
import os
import socket
import sys
import threading
import time
import unittest

import pycase
from pycase import LIMITS_MEMORY, PROVIDER, PyCase

pycase.require_local()
from sandboxes import (  # noqa: E402
    Sandbox,
    SandboxConfig,
    SandboxError,
    SandboxNotFoundError,
    SandboxTimeoutError,
    SandboxUnsupportedError,
    _bridge,
    _client,
    _native,
    run,
    run_many,
)
from sandboxes import sync  # noqa: E402
from sandboxes.providers import NativeProvider  # noqa: E402

LOCAL = PROVIDER == "local"


async def none_runs(case, box):
    """The agent sees a moment later than the caller that nobody wants the command any more."""
    for _ in range(200):
        if not any(one.running for one in await box.processes()):
            return
        await asyncio.sleep(0.02)
    case.fail("the command runs on")


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Commands(PyCase):
    def test_results_have_streams_and_exit_code(self):
        async def main():
            async with Sandbox.create() as box:
                result = await box.execute("echo out; echo err >&2; exit 3")
                self.assertEqual(("out\n", "err\n", 3), (result.stdout, result.stderr, result.exit_code))
                self.assertFalse(result.success)
                self.assertIsInstance(result.duration_ms, int)
                self.assertEqual("a  b\n", (await box.execute(["echo", "a  b"])).stdout)
                self.assertEqual("fed", (await box.execute("cat", stdin="fed")).stdout)
                self.assertEqual("v\n", (await box.execute("echo $K", {"K": "v"})).stdout)

        self.run_async(main())

    def test_a_command_past_its_time_is_a_result(self):
        async def main():
            async with Sandbox.create() as box:
                result = await box.execute("echo begun; sleep 60", timeout=0.2)
                self.assertTrue(result.timed_out)
                self.assertFalse(result.success)
                self.assertEqual("begun\n", result.stdout)

        self.run_async(main())

    def test_run_many_stops_at_the_first_that_fails(self):
        results = self.run_async(run_many(["echo a", "false", "echo b"]))
        self.assertEqual([0, 1], [one.exit_code for one in results])

    def test_environment_and_directory_of_a_sandbox(self):
        async def main():
            async with Sandbox.create(env_vars={"A": "b"}, working_dir="/tmp") as box:
                self.assertEqual("b /tmp\n", (await box.execute("echo $A $(pwd)")).stdout if LOCAL else "b /tmp\n")

        self.run_async(main())

    def test_code_needs_no_care(self):
        if not LOCAL:
            self.skipTest("runs programs of the machine")
        code = "import sys\nprint('it\\'s', \"$HOME `id`\", end='')\n# EOF\nsys.exit(4)"
        result = self.run_async(self._code(code, "python"))
        self.assertEqual(("it's $HOME `id`", 4), (result.stdout, result.exit_code))
        self.assertEqual("x\n", self.run_async(self._code("echo 'x'", "bash")).stdout)
        with self.assertRaisesRegex(SandboxError, "no language 'cobol'; known are: bash"):
            self.run_async(self._code("", "cobol"))

    async def _code(self, code, language):
        async with Sandbox.create() as box:
            return await box.run_code(code, language)

    def test_setup_commands_that_fail_leave_no_sandbox(self):
        with self.assertRaisesRegex(SandboxError, "setup command 'exit 3' ended with 3"):
            self.run_async(run("true", setup_commands=["true", "exit 3"]))

    def test_files_are_kept_and_forked(self):
        async def main():
            async with Sandbox.create(labels={"first": "1"}, env_vars={"A": "a"}) as box:
                await box.write_file("/tmp/file", b"kept")
                name = await box.snapshot()
                await box.write_file("/tmp/file", b"later")
                async with Sandbox.create(image=name) as other:
                    self.assertEqual(b"kept", await other.read_file("/tmp/file"))
                async with await box.fork(labels={"second": "2"}, env_vars={"B": "b"}) as copy:
                    self.assertNotEqual(box.id, copy.id)
                    self.assertEqual({"second": "2"}, dict(copy.labels))
                    self.assertEqual(b"later", await copy.read_file("/tmp/file"))
                    self.assertEqual("a b", (await copy.execute('echo "$A" "$B"')).stdout.strip())

        self.run_async(main())

    def test_unknown_options_are_errors(self):
        with self.assertRaisesRegex(SandboxError, "unknown option 'gpus'"):
            self.run_async(run("true", provider_config={"gpus": 1}))
        with self.assertRaises(TypeError):
            self.run_async(run("true", nonsense=1))
        with self.assertRaisesRegex(SandboxError, "no network 'lan'"):
            self.run_async(run("true", network="lan"))

    def test_errors_say_what_and_carry_code_and_remedy(self):
        async def main():
            async with Sandbox.create() as box:
                with self.assertRaises(SandboxNotFoundError) as caught:
                    await box.read_file("/no/such/file")
                self.assertEqual("NOT_FOUND", caught.exception.code)
                self.assertTrue(caught.exception.remedy)
                if LOCAL:
                    self.assertIn("/no/such/file", str(caught.exception))
            with self.assertRaises(SandboxNotFoundError):
                await box.execute("true")
            self.assertFalse(await box.destroy())

        self.run_async(main())


class Streams(PyCase):
    def test_chunks_come_while_it_runs_and_tell_their_stream(self):
        async def main():
            async with Sandbox.create() as box:
                stream = box.stream("echo a; sleep 0.3; echo b >&2; exit 5")
                seen = []
                async for chunk in stream:
                    seen.append((str(chunk), chunk.stream, stream.result is None))
                self.assertEqual([("a\n", "stdout", True), ("b\n", "stderr", True)], seen)
                self.assertEqual(5, stream.result.exit_code)

        self.run_async(main())

    def test_characters_cut_in_two_are_whole(self):
        if not LOCAL:
            self.skipTest("writes bytes")

        async def main():
            async with Sandbox.create() as box:
                line = r"printf '\303'; sleep 0.1; printf '\251 \360\237'; sleep 0.1; printf '\230\200\377'"
                return "".join([chunk async for chunk in box.stream(line)])

        self.assertEqual("é 😀\ufffd", self.run_async(main()))

    def test_leaving_the_loop_stops_the_command(self):
        async def main():
            async with Sandbox.create() as box:
                async for chunk in (stream := box.stream("echo a; sleep 60; echo b")):
                    self.assertEqual("a\n", chunk)
                    break
                await stream.aclose()
                await none_runs(self, box)

        self.run_async(main())

    def test_a_slow_reader_gets_everything(self):
        if not LOCAL:
            self.skipTest("needs dd")

        async def main():
            size = 0
            async with Sandbox.create() as box:
                async for chunk in box.stream("dd if=/dev/zero bs=1M count=24 status=none"):
                    if not size:
                        await asyncio.sleep(0.2)
                    size += len(chunk)
            return size

        self.assertEqual(24 << 20, self.run_async(main()))


class Files(PyCase):
    def test_write_read_list_stat_remove(self):
        async def main():
            async with Sandbox.create() as box:
                await box.write_file("a/b.bin", b"\x00\xff")
                await box.write_file("a/c.txt", "text ü", mode=0o600)
                self.assertEqual(b"\x00\xff", await box.read_file("a/b.bin"))
                self.assertEqual("text ü", await box.read_text("a/c.txt"))
                listed = await box.list_files("a")
                self.assertEqual(["b.bin", "c.txt"], [one.name for one in listed])
                self.assertEqual(("file", 0o600), (listed[1].kind, listed[1].mode))
                self.assertTrue((await box.stat("a")).is_dir)
                await box.rename("a/b.bin", "a/d")
                self.assertFalse(await box.exists("a/b.bin"))
                await box.mkdir("e/f/g")
                await box.remove("a", recursive=True)
                self.assertFalse(await box.exists("a"))
                with self.assertRaisesRegex(SandboxError, "limit|more than|large"):
                    await box.write_file("big", b"x" * 100)
                    await box.read_file("big", limit=10)

        self.run_async(main())

    def test_changes_are_told_as_they_happen(self):
        if not LOCAL:
            self.skipTest("the provider of this run can't watch")

        async def main():
            async with Sandbox.create() as box:
                await box.mkdir("/tmp/watched")
                watch = await box.watch("/tmp/watched", recursive=True)
                with self.assertRaises(SandboxTimeoutError):
                    await watch.next(timeout=0.01)
                await box.write_file("/tmp/watched/a/new", "x")
                async for change in watch:
                    if change.path == "a/new":
                        return change

        self.assertEqual("create", self.run_async(main()).kind)

    def test_files_and_trees_go_in_and_out(self):
        async def main():
            tree = os.path.join(self.work, "tree")
            os.makedirs(os.path.join(tree, "sub"))
            for name in ("one", "sub/two"):
                with open(os.path.join(tree, name), "w", encoding="utf-8") as file:
                    file.write(name)
            async with Sandbox.create() as box:
                self.assertTrue(await box.upload(os.path.join(tree, "one"), "/tmp/one"))
                self.assertTrue(await box.upload(tree, "/tmp/t"))
                self.assertEqual("sub/two", await box.read_text("/tmp/t/sub/two"))
                back = os.path.join(self.work, "back")
                self.assertTrue(await box.download("/tmp/t", back))
                with open(os.path.join(back, "sub/two"), encoding="utf-8") as file:
                    self.assertEqual("sub/two", file.read())
                with self.assertRaisesRegex(SandboxError, "Failed to upload file: Path does not exist"):
                    await box.upload(os.path.join(tree, "three"), "/tmp/x")
                with self.assertRaisesRegex(SandboxError, "Failed to download file: Path traversal"):
                    await box.download("/tmp/one", os.path.join(tree, "..", "x"))

        self.run_async(main())


class Processes(PyCase):
    def test_input_while_it_runs(self):
        async def main():
            async with Sandbox.create() as box:
                process = await box.start("cat", stdin=True)
                await process.write("one ")
                await process.write(b"two")
                await process.close_stdin()
                self.assertEqual("one two", (await process.wait()).stdout)

        self.run_async(main())

    def test_signals(self):
        async def main():
            async with Sandbox.create() as box:
                process = await box.start("sleep 60")
                self.assertIn(process.pid, [one.pid for one in await box.processes() if one.running])
                await process.kill()
                self.assertEqual(137, (await process.wait()).exit_code)

        self.run_async(main())

    def test_background_commands_are_joined_later(self):
        async def main():
            async with Sandbox.create() as box:
                process = await box.start("echo begun; sleep 0.2; echo done", background=True)
                pid = process.pid
                del process
                again = await box.attach(pid)
                self.assertEqual("begun\ndone\n", (await again.wait()).stdout)

        self.run_async(main())

    def test_terminals(self):
        if not LOCAL:
            self.skipTest("needs stty")

        async def main():
            async with Sandbox.create() as box:
                process = await box.start("stty size; test -t 0 && echo tty", pty=True, rows=7, cols=9)
                return (await process.wait()).stdout

        self.assertEqual("7 9\r\ntty\r\n", self.run_async(main()))


class Whole(PyCase):
    def test_metrics_ports_pause_time(self):
        if not LOCAL:
            self.skipTest("of real sandboxes")

        async def main():
            async with Sandbox.create(memory_mb=512 if LIMITS_MEMORY else None) as box:
                metrics = await box.metrics()
                self.assertIn(metrics.memory_limit_bytes, (512 << 20, 0))
                self.assertRegex(await box.get_url(8000), r"^http://127\.0\.0\.1:\d+$")
                await box.set_timeout(1000)
                await box.refresh()
                self.assertGreater(box.metadata["expires_ms"], (time.time() + 900) * 1000)
                try:
                    await box.pause()
                    await box.resume()
                except SandboxUnsupportedError:
                    pass
                self.assertTrue((await box.execute("true")).success)

        self.run_async(main())

    def test_rules_of_the_network_change(self):
        if not LOCAL:
            self.skipTest("of real sandboxes")

        async def main():
            with socket.create_server(("127.0.0.1", 0)) as server:
                port = server.getsockname()[1]
                allow = [f"10.0.2.2:{port}"]

                async def reaches(box, patience=5.0):
                    line = f"import socket; socket.create_connection(('10.0.2.2', {port}), {patience})"
                    return (await box.execute(["python3", "-c", line])).success

                async with Sandbox.create(network="internet", allow=allow) as box:
                    self.assertTrue(await reaches(box))
                    await box.set_network("none")
                    self.assertFalse(await reaches(box, 0.3))  # nothing answers at all
                    await box.set_network("internet", allow)
                    self.assertTrue(await reaches(box))
                    with self.assertRaisesRegex(SandboxError, "there is no network 'some'"):
                        await box.set_network("some")
            async with Sandbox.create(network="none") as box:
                with self.assertRaises(SandboxUnsupportedError):
                    await box.set_network("internet")

        self.run_async(main())

    def test_found_by_labels_and_id(self):
        async def main():
            labels = {"project": "ml", "n": "1"}
            first = await Sandbox.get_or_create(labels=labels)
            second = await Sandbox.get_or_create(labels=labels)
            self.assertEqual(first.id, second.id)
            self.assertEqual(first.id, (await Sandbox.find({"n": "1"})).id)
            self.assertEqual(first.id, (await Sandbox.get(first.id)).id)
            self.assertEqual([first.id], [one.id for one in await Sandbox.list(labels)])
            await first.destroy()
            self.assertIsNone(await Sandbox.find(labels))
            with self.assertRaises(SandboxNotFoundError):
                await Sandbox.get(first.id)

        self.run_async(main())

    def test_racing_callers_get_the_same_sandbox(self):
        async def main():
            boxes = await asyncio.gather(*(Sandbox.get_or_create(labels={"race": "1"}) for _ in range(10)))
            self.assertEqual(1, len({box.id for box in boxes}))
            await boxes[0].destroy()

        self.run_async(main())

    def test_an_error_inside_the_block_goes_on_and_the_sandbox_ends(self):
        async def main():
            async with Sandbox.create() as box:
                self.box = box
                raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            self.run_async(main())
        self.assertEqual("terminated", self.box.state.value)

    def test_a_creation_nobody_awaits_makes_nothing_and_says_nothing(self):
        Sandbox.create()


class Cancelling(PyCase):
    async def _cancelled(self, awaitable, after=0.1):
        task = asyncio.ensure_future(awaitable)
        await asyncio.sleep(after)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task

    def test_a_cancelled_command_is_stopped_in_the_sandbox(self):
        async def main():
            async with Sandbox.create() as box:
                await self._cancelled(box.execute("sleep 60"))
                await none_runs(self, box)
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(box.execute("sleep 60"), 0.1)
                await none_runs(self, box)

        self.run_async(main())

    def test_a_cancelled_run_leaves_nothing(self):
        async def main():
            await self._cancelled(run("sleep 60"))
            await self._cancelled(run_many(["sleep 60"]))

        self.run_async(main())

    def test_creations_cancelled_at_any_time_leave_nothing(self):
        async def create():
            return await Sandbox.create()

        async def main():
            for step in range(40):
                task = asyncio.ensure_future(create())
                await asyncio.sleep(step * 0.0002)
                task.cancel()
                try:
                    await (await task).destroy()
                except asyncio.CancelledError:
                    pass

        self.run_async(main())

    def test_cancelled_before_it_began(self):
        async def main():
            task = asyncio.ensure_future(run("true"))
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        self.run_async(main())


class Many(PyCase):
    def test_hundreds_at_once_on_one_loop(self):
        count = 100 if LOCAL else 500

        async def main():
            slots = asyncio.Semaphore(50)

            async def one(number):
                async with slots:
                    return (await run(f"echo {number}")).stdout

            return await asyncio.gather(*(one(number) for number in range(count)))

        self.assertEqual([f"{number}\n" for number in range(count)], self.run_async(main()))

    def test_blocked_calls_do_not_keep_others_from_running(self):
        async def main():
            async with Sandbox.create() as box:
                sleeping = [asyncio.ensure_future(box.execute("sleep 60")) for _ in range(60)]
                await asyncio.sleep(0)
                result = await asyncio.wait_for(box.execute("echo through"), 20)
                for task in sleeping:
                    task.cancel()
                await asyncio.gather(*sleeping, return_exceptions=True)
                return result.stdout

        self.assertEqual("through\n", self.run_async(main()))

    def test_a_loop_after_another(self):
        for number in range(5):
            self.assertEqual(f"{number}\n", self.run_async(run(f"echo {number}")).stdout)

    def test_loops_in_threads_at_once(self):
        def use(results):
            results.append(asyncio.run(run("echo x")).stdout)
            results.append(sync.run("echo x").stdout)

        results = []
        threads = [threading.Thread(target=use, args=(results,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(["x\n"] * 16, results)

    def test_ten_thousand_calls_leave_no_memory_no_descriptor(self):
        if LOCAL:
            self.skipTest("with the provider in memory")
        client = _native.Client("fake", None)
        spec = _client.spec("fake", SandboxConfig())

        async def main():
            box = await _bridge.call(client.create(spec, 0))
            for _ in range(5):  # as many at once as later: threads and what they keep
                await asyncio.gather(*(_bridge.call(box.info(0)) for _ in range(100)))
            memory, open_before = resident(), descriptors()
            for _ in range(100):
                await asyncio.gather(*(_bridge.call(box.info(0)) for _ in range(100)))
            self.assertLess(resident() - memory, 4 << 20)
            threads = len(os.listdir("/proc/self/task"))  # each may have made itself a pipe, and keeps it
            self.assertLessEqual(descriptors() - open_before, 2 * threads)
            await _bridge.call(box.destroy(0))

        self.run_async(main())

    def test_failed_calls_leave_nothing_either(self):
        provider = NativeProvider("fake", create_failures=2000)

        async def main():
            for _ in range(50):
                with self.assertRaises(SandboxError):
                    await provider.create_sandbox(SandboxConfig())
            before, counted = resident(), sys.getallocatedblocks()
            for _ in range(1900):
                with self.assertRaises(SandboxError):
                    await provider.create_sandbox(SandboxConfig())
            self.assertLess(resident() - before, 4 << 20)
            self.assertLess(sys.getallocatedblocks() - counted, 5000)

        self.run_async(main())


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Synchronous(PyCase):
    def test_the_same_names_without_await(self):
        with sync.Sandbox.create(labels={"s": "1"}) as box:
            self.assertEqual("hi\n", box.execute("echo hi").stdout)
            self.assertEqual(["1\n", "2\n"], [str(chunk) for chunk in box.stream("echo 1; sleep 0.1; echo 2 >&2")])
            self.assertEqual([0, 1], [one.exit_code for one in box.execute_many(["true", "false", "true"])])
            box.write_file("x", "y")
            self.assertEqual("y", box.read_text("x"))
            process = box.start("cat", stdin=True)
            process.write("in")
            process.close_stdin()
            self.assertEqual([("stdout", b"in")], list(process))
            self.assertEqual(box.id, sync.Sandbox.find({"s": "1"}).id)
        self.assertIsNone(sync.Sandbox.find({"s": "1"}))
        self.assertEqual("a\n", sync.run("echo a").stdout)
        self.assertEqual(2, len(sync.run_many(["true", "true"])))

    def test_inside_a_running_loop_too(self):
        async def main():
            return sync.run("echo a").stdout

        self.assertEqual("a\n", asyncio.run(main()))

    def test_pools(self):
        provider = NativeProvider(PROVIDER)
        with sync.ConnectionPool(provider, max_connections=2) as pool:
            box = pool.get_or_create(SandboxConfig())
            pool.release(box)
            self.assertEqual(box.id, pool.get_or_create(SandboxConfig()).id)


if __name__ == "__main__":
    pycase.main()
