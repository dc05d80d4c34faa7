# SPDX-License-Identifier: Apache-2.0
"""Every public method of E2B's Python client, blocking and asynchronous, against one server."""
import shutil
import unittest

import servecase

servecase.require("e2b")

import e2b  # noqa: E402
from e2b.sandbox_async import git as async_git  # noqa: E402
from e2b.sandbox_async.commands import command as async_command, pty as async_pty  # noqa: E402
from e2b.sandbox_async.filesystem import filesystem as async_filesystem  # noqa: E402
from e2b.sandbox_sync import git  # noqa: E402
from e2b.sandbox_sync.commands import command, pty  # noqa: E402
from e2b.sandbox_sync.filesystem import filesystem  # noqa: E402

from everymethod import EveryCase, Ticks  # noqa: E402

OUT = {
    "Sandbox.beta_pause": "the older name of pause",
    "Sandbox.get_mcp_token": "servers of that protocol are in E2B's own templates",
    "Sandbox.get_mcp_url": "as get_mcp_token",
}
ticks = Ticks()
ticks.watch(e2b.Sandbox, e2b.AsyncSandbox, command.Commands, async_command.Commands, pty.Pty, async_pty.Pty,
            filesystem.Filesystem, async_filesystem.Filesystem, e2b.CommandHandle, e2b.AsyncCommandHandle,
            e2b.WatchHandle, e2b.AsyncWatchHandle, e2b.SandboxPaginator, e2b.AsyncSandboxPaginator,
            git.Git, async_git.Git)
ticks.watch(*(getattr(e2b, name) for name in ("SnapshotPaginator", "AsyncSnapshotPaginator", "AsyncCommandInputHandle")
              if hasattr(e2b, name)))  # clients of before lack some


class EveryMethod(EveryCase, servecase.ServeCase):
    ticks, out = ticks, OUT

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.point = {"api_key": cls.key, "api_url": cls.server.url, "sandbox_url": cls.server.url}

    async def tell(self, form, story):
        form.Sandbox = e2b.Sandbox if form.blocking else e2b.AsyncSandbox
        box = await form.do(form.Sandbox.create(timeout=300, metadata={"blocking": str(form.blocking)},
                                                **self.point))
        try:
            await story(form, box)
        finally:
            await form.do(box.kill())

    def test_life(self):
        async def story(form, box):
            do, point, one = form.do, self.point, box.sandbox_id
            query = e2b.SandboxQuery(metadata={"blocking": str(form.blocking)})
            pages = form.Sandbox.list(query=query, **point)
            self.assertEqual([one], [info.sandbox_id for info in await do(pages.next_items())])
            self.assertFalse(pages.has_next or pages.next_token)
            if hasattr(box, "update_network"):
                await do(box.update_network({}))
            same = await do(form.Sandbox.connect(one, **point))
            self.assertEqual(one, (await do(same.connect(timeout=300))).sandbox_id)
            self.assertTrue(await do(same.is_running()))
            for ask in (box.get_info(), form.Sandbox.get_info(one, **point)):
                self.assertEqual(one, (await do(ask)).sandbox_id)
            for ask in (box.get_metrics(), form.Sandbox.get_metrics(one, **point)):
                self.assertEqual(1, len(await do(ask)))
            await do(box.set_timeout(200))
            await do(form.Sandbox.set_timeout(one, 100, **point))
            left = await do(box.get_info())
            self.assertLess((left.end_at - left.started_at).total_seconds(), 130)
            other = await do(form.Sandbox.create(timeout=60, **point))
            self.assertTrue(await do(form.Sandbox.kill(other.sandbox_id, **point)))
            self.assertFalse(await do(other.is_running()))
        self.both(story)

    def test_addresses(self):
        async def story(form, box):
            self.assertEqual(self.server.url, box.envd_api_url)
            self.assertIn(box.sandbox_id, box.get_host(8080))
            self.assertEqual(self.key, box.connection_config.api_key)
            self.assertIn("path=", box.download_url("/tmp/a"))
            self.assertIn("/files", box.upload_url("/tmp/a"))
            for name in ("envd_direct_url", "sandbox_domain", "traffic_access_token"):
                getattr(box, name, None)  # newer clients have them
        self.both(story)

    def test_pause(self):
        async def story(form, box):
            do = form.do
            await do(box.pause())
            self.assertEqual(e2b.SandboxState.PAUSED, (await do(box.get_info())).state)
            await do(box.connect(timeout=60))
            await do(form.Sandbox.pause(box.sandbox_id, **self.point))
            await do(form.Sandbox.connect(box.sandbox_id, **self.point))
            self.assertEqual("on\n", (await do(box.commands.run("echo on"))).stdout)
        self.both(story)

    def test_snapshots(self):
        async def story(form, box):
            do, point = form.do, self.point
            if not hasattr(box, "create_snapshot"):
                return
            await do(box.files.write("/home/user/kept", "kept"))
            taken = await do(box.create_snapshot("every"))
            pages = form.Sandbox.list_snapshots(**point)
            self.assertEqual([taken.snapshot_id], [item.snapshot_id for item in await do(pages.next_items())])
            self.assertFalse(pages.has_next or pages.next_token)
            await do(box.list_snapshots().next_items())
            if hasattr(box, "fork"):
                for fork in await do(box.fork(timeout=60)):
                    self.assertEqual("kept", await do(fork.files.read("/home/user/kept")))
                    self.assertTrue(await do(fork.kill()))
            self.assertTrue(await do(form.Sandbox.delete_snapshot(taken.snapshot_id, **point)))
        self.both(story)

    def test_commands(self):
        async def story(form, box):
            do, commands = form.do, box.commands
            seen = []
            self.assertEqual("1\n", (await do(commands.run("echo 1", on_stdout=seen.append))).stdout)
            self.assertEqual("1\n", "".join(seen))
            cat = await do(commands.run("cat", background=True, stdin=True))
            self.assertIn(cat.pid, [process.pid for process in await do(commands.list())])
            await do(commands.send_stdin(cat.pid, "a"))
            await self.stream(form, commands, cat.pid, ["b", "c"])
            same = await do(commands.connect(cat.pid))
            await do(same.disconnect())
            await do(commands.close_stdin(cat.pid))
            self.assertEqual(0, (await do(cat.wait())).exit_code)
            if hasattr(cat, "send_stdin"):
                cat = await do(commands.run("cat", background=True, stdin=True))
                await do(cat.send_stdin("by handle"))
                await do(cat.close_stdin())
                self.assertEqual("by handle", (await do(cat.wait())).stdout)
            sleep = await do(commands.run("sleep 100", background=True))
            self.assertTrue(await do(sleep.kill()))
            with self.assertRaises(e2b.CommandExitException):
                await do(sleep.wait())
            self.assertFalse(await do(commands.kill(sleep.pid)))
            if not form.blocking:
                self.assertEqual(("", ""), (sleep.stdout, sleep.stderr))
                self.assertEqual((-1, "signal: killed"), (sleep.exit_code, sleep.error))
        self.both(story)

    async def stream(self, form, where, pid, pieces):
        """The blocking form takes the pieces, the other one gives a handle for them."""
        if not hasattr(where, "stream_input"):  # clients of before have none
            for piece in pieces:
                await form.do(where.send_stdin(pid, piece))
        elif form.blocking:
            where.stream_input(pid, pieces)
        else:
            handle = where.stream_input(pid)
            for piece in pieces:
                await handle.send(piece)
            await handle.close()

    def test_terminals(self):
        async def story(form, box):
            do, out = form.do, []
            size = e2b.PtySize(rows=30, cols=90)
            more = {} if form.blocking else {"on_data": out.append}
            handle = await do(box.pty.create(size, timeout=30, **more))
            await do(box.pty.resize(handle.pid, e2b.PtySize(rows=31, cols=91)))
            await do(box.pty.send_stdin(handle.pid, b"stty "))
            await self.stream(form, box.pty, handle.pid, [b"size; exit\n"])
            await do(handle.wait(on_pty=out.append) if form.blocking else handle.wait())
            self.assertIn(b"31 91", b"".join(bytes(piece) for piece in out))
            handle = await do(box.pty.create(size, timeout=30, **more))
            if hasattr(box.pty, "connect"):
                same = await do(box.pty.connect(handle.pid, **more))
                await do(same.disconnect())
            self.assertTrue(await do(box.pty.kill(handle.pid)))
        self.both(story)

    def test_files(self):
        async def story(form, box):
            do, files = form.do, box.files
            self.assertEqual("/tmp/d/a", (await do(files.write("/tmp/d/a", "text"))).path)
            self.assertEqual("text", await do(files.read("/tmp/d/a")))
            pieces = await form.list(files.read("/tmp/d/a", format="stream"))
            self.assertEqual(b"text", b"".join(pieces))
            await do(files.write_files([{"path": "/tmp/d/b", "data": b"1"}, {"path": "/tmp/d/c", "data": "2"}]))
            self.assertEqual(["a", "b", "c"], sorted(entry.name for entry in await do(files.list("/tmp/d"))))
            self.assertTrue(await do(files.make_dir("/tmp/d/e")))
            self.assertTrue(await do(files.exists("/tmp/d/e")))
            self.assertEqual("/tmp/d/f", (await do(files.rename("/tmp/d/a", "/tmp/d/f"))).path)
            self.assertEqual(4, (await do(files.get_info("/tmp/d/f"))).size)
            await do(files.remove("/tmp/d/f"))
            self.assertFalse(await do(files.exists("/tmp/d/f")))
        self.both(story)

    def test_watch(self):
        async def story(form, box):
            do, seen = form.do, []
            await do(box.files.make_dir("/tmp/w"))
            more = {} if form.blocking else {"on_event": seen.append}
            handle = await do(box.files.watch_dir("/tmp/w", **more))
            await do(box.files.write("/tmp/w/new", "1"))
            await form.until(lambda: seen.extend(handle.get_new_events() if form.blocking else []) or seen)
            self.assertEqual("new", seen[0].name)
            await do(handle.stop())
        self.both(story)

    @unittest.skipUnless(shutil.which("git"), "without git")
    def test_git(self):
        async def story(form, box):
            if not hasattr(box, "git"):
                return
            do, own = form.do, box.git
            at, bare = "/tmp/repository", "/tmp/bare"
            await do(own.configure_user("Name", "name@example.org"))
            await do(own.set_config("core.pager", "cat"))
            self.assertEqual("cat", await do(own.get_config("core.pager")))
            await do(own.init(bare, bare=True))
            await do(own.init(at, initial_branch="main"))
            await do(box.files.write(at + "/file", "1"))
            await do(own.add(at))
            await do(own.commit(at, "first"))
            await do(own.remote_add(at, "origin", bare))
            self.assertEqual(bare, await do(own.remote_get(at, "origin")))
            await do(own.push(at, "origin", "main"))
            await do(own.pull(at, "origin", "main"))
            await do(own.clone(bare, "/tmp/clone", branch="main"))
            await do(own.create_branch(at, "other"))
            await do(own.checkout_branch(at, "main"))
            self.assertEqual(["main", "other"], sorted((await do(own.branches(at))).branches))
            await do(own.delete_branch(at, "other", force=True))
            await do(box.files.write(at + "/file", "2"))
            await do(own.restore(at, ["file"]))
            await do(own.reset(at, mode="hard"))
            self.assertTrue((await do(own.status(at))).is_clean)
            await do(own.dangerously_authenticate("user", "password"))
        self.both(story)


if __name__ == "__main__":
    unittest.main()
