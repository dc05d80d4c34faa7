# SPDX-License-Identifier: Apache-2.0
"""Every public method of Daytona's Python client, blocking and asynchronous, against one server."""
import importlib
import inspect
import io
import pkgutil
import shutil
import unittest

import servecase

servecase.require("daytona")

import daytona  # noqa: E402
from daytona.common.pty import PtySize  # noqa: E402
from daytona.handle.async_pty_handle import AsyncPtyHandle  # noqa: E402
from daytona.handle.pty_handle import PtyHandle  # noqa: E402

from everymethod import EveryCase, Ticks  # noqa: E402

OUT = {
    **{name: "its routes are not served" for name in (
        "LspServer", "ComputerUse", "Mouse", "Keyboard", "Screenshot", "Display", "RecordingService",
        "Accessibility", "VolumeService", "SecretService", "WarmPoolService",
        "ObjectStorage", "Sandbox.computer_use", "Sandbox.create_lsp_server")},
    **{"Sandbox." + name: "nobody logs in by ssh" for name in (
        "create_ssh_access", "revoke_ssh_access", "validate_ssh_access")},
    **{"Sandbox." + name: "its route is not served" for name in (
        "resize", "wait_for_resize_complete", "recover", "update_secrets")},
    "SnapshotService.process_image_context": "images are not built",
    "Process.get_entrypoint_logs_async": "a sandbox has no command of its own",
}


def classes_of(package):
    for found in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        module = importlib.import_module(found.name)
        for name, cls in vars(module).items():
            if inspect.isclass(cls) and cls.__module__ == found.name and not name.startswith("_"):
                yield cls


ticks = Ticks()
for form_name in ("daytona._sync", "daytona._async"):
    ticks.watch(*classes_of(importlib.import_module(form_name)))
ticks.watch(PtyHandle, AsyncPtyHandle)


class EveryMethod(EveryCase, servecase.ServeCase):
    ticks, out = ticks, OUT

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = daytona.DaytonaConfig(api_key=cls.key, api_url=cls.server.url + "/api")

    async def tell(self, form, story):
        form.client = daytona.Daytona(self.config) if form.blocking else daytona.AsyncDaytona(self.config)
        box = await form.do(form.client.create())
        try:
            await story(form, box)
        finally:
            await form.do(form.client.delete(box))
            if not form.blocking:
                await form.client.close()

    def test_life(self):
        async def story(form, box):
            do, client = form.do, form.client
            self.assertEqual(box.id, (await do(client.get(box.id))).id)
            self.assertEqual([box.id], [item.id for item in await form.list(client.list())])
            self.assertEqual({"a": "1"}, {k: v for k, v in (await do(box.set_labels({"a": "1"}))).items() if k == "a"})
            await do(box.set_autostop_interval(30))
            await do(box.set_auto_archive_interval(60))
            await do(box.set_auto_delete_interval(-1))
            await do(box.refresh_activity())
            await do(box.refresh_data())
            self.assertEqual(30, box.auto_stop_interval)
            self.assertTrue((await do(box.get_preview_link(8080))).url.startswith("http://"))
            home = await do(box.get_user_home_dir())
            self.assertEqual(home, await do(box.get_work_dir()))
            if hasattr(box, "get_user_root_dir"):
                await do(box.get_user_root_dir())
            other = await do(client.create())
            await do(other.delete())
        self.both(story)

    def test_what_servers_of_before_lack(self):
        async def story(form, box):
            do, snapshots = form.do, form.client.snapshot
            signed = await do(box.create_signed_preview_url(8080))
            await do(box.expire_signed_preview_url(8080, signed.token))
            params = daytona.CreateSnapshotParams(name="every-image", image=daytona.Image.base("base"))
            kept = await do(snapshots.create(params))
            await do(snapshots.activate(kept))
            await do(snapshots.delete(kept))
            if not hasattr(box, "update_env"):  # nor do clients of before
                return
            await do(box.update_env({"A": "b"}))
            await do(box.set_ttl(0))
            await do(box.update_network_settings(network_block_all=False))
            await do(box.set_auto_pause_interval(0))
            await do(box.set_public(False))
            self.assertLessEqual(0, (await do(box.get_metrics_latest())).mem_used)
            for address in (box.download_url, box.upload_url):
                self.assertIn("signature=", await do(address("a")))
            await do(box.rotate_signing_key())
        self.both(story)

    def test_stop(self):
        async def story(form, box):
            do, client = form.do, form.client
            await do(client.stop(box))
            await do(client.start(box))
            await do(box.wait_for_sandbox_start())
            await do(box.stop())
            await do(box.wait_for_sandbox_stop())
            await do(box.archive())
            await do(box.start())
            self.assertEqual("on\n", (await do(box.process.exec("echo on"))).result)
        self.both(story)

    def test_pause_and_metrics(self):
        async def story(form, box):
            if not hasattr(box, "pause"):
                return
            await form.do(box.pause())
            await form.do(box.start())
            if hasattr(box, "get_metrics"):
                self.assertTrue(await form.do(box.get_metrics()))
        self.both(story)

    def test_snapshots(self):
        async def story(form, box):
            do, snapshots = form.do, form.client.snapshot
            if hasattr(box, "create_snapshot"):
                await do(box.create_snapshot("every"))
            else:
                self.server.ask("POST", f"/api/sandbox/{box.id}/snapshot", {"name": "every"},
                                {"Authorization": "Bearer " + self.key})
            self.assertIn("every", [item.name for item in (await do(snapshots.list())).items])
            await do(snapshots.delete(await do(snapshots.get("every"))))
            if hasattr(box, "fork"):
                await do((await do(box.fork())).delete())
        self.both(story)

    def test_commands(self):
        async def story(form, box):
            do, process, ask = form.do, box.process, daytona.SessionExecuteRequest
            self.assertEqual(3, (await do(process.exec("exit 3"))).exit_code)
            self.assertEqual("2\n", (await do(process.code_run("print(1 + 1)"))).result)
            await do(process.create_session("s"))
            self.assertEqual(["s"], [session.session_id for session in await do(process.list_sessions())])
            told = await do(process.execute_session_command("s", ask(command="read line; echo got $line", run_async=True)))
            await do(process.send_session_command_input("s", told.cmd_id, "it\n"))
            out = []
            await do(process.get_session_command_logs_async("s", told.cmd_id, out.append, out.append))
            self.assertEqual("got it\n", "".join(out))
            self.assertEqual(0, (await do(process.get_session_command("s", told.cmd_id))).exit_code)
            self.assertEqual("got it\n", (await do(process.get_session_command_logs("s", told.cmd_id))).stdout)
            self.assertEqual(1, len((await do(process.get_session("s"))).commands))
            await do(process.delete_session("s"))
            self.assertEqual([], (await do(process.get_entrypoint_session())).commands)
            self.assertEqual("", (await do(process.get_entrypoint_logs())).stdout)
        self.both(story)

    def test_code(self):
        async def story(form, box):
            do, code = form.do, box.code_interpreter
            context = await do(code.create_context())
            await do(code.run_code("x = 41", context=context))
            self.assertEqual("42\n", (await do(code.run_code("print(x + 1)", context=context))).stdout)
            self.assertEqual([context.id], [item.id for item in await do(code.list_contexts())])
            await do(code.delete_context(context))
        self.both(story)

    async def terminal(self, form, process, name, out):
        size = PtySize(rows=30, cols=90)
        if form.blocking:
            return process.create_pty_session(name, pty_size=size)
        return await process.create_pty_session(name, on_data=out.append, pty_size=size)

    def test_terminals(self):
        async def story(form, box):
            do, process, out = form.do, box.process, []
            handle = await self.terminal(form, process, "p", out)
            self.assertEqual("p", handle.session_id)
            await do(handle.wait_for_connection())
            self.assertTrue(handle.is_connected())
            self.assertEqual(["p"], [item.id for item in await do(process.list_pty_sessions())])
            await do(handle.resize(PtySize(rows=31, cols=91)))
            self.assertEqual(91, (await do(process.get_pty_session_info("p"))).cols)
            await do(process.resize_pty_session("p", PtySize(rows=32, cols=92)))
            await do(handle.send_input("stty size; exit 4\n"))
            await do(handle.wait(on_data=out.append) if form.blocking else handle.wait())
            self.assertEqual((4, True), (handle.exit_code, b"32 92" in b"".join(bytes(piece) for piece in out)))
            self.assertFalse(handle.error and "exit" not in handle.error)
            await do(handle.disconnect())
            handle = await self.terminal(form, process, "q", out)
            more = {} if form.blocking else {"on_data": out.append}
            same = await do(process.connect_pty_session("q", **more))
            await do(same.disconnect())
            await do(handle.kill())
            await self.terminal(form, process, "r", out)
            await do(process.kill_pty_session("r"))
        self.both(story)

    def test_files(self):
        async def story(form, box):
            do, files = form.do, box.fs
            await do(files.create_folder("/tmp/d", "755"))
            await do(files.upload_file(b"text here\n", "/tmp/d/a"))
            await do(files.upload_files([daytona.FileUpload(source=b"2", destination="/tmp/d/b")]))
            self.assertEqual(b"text here\n", await do(files.download_file("/tmp/d/a")))
            asked = [daytona.FileDownloadRequest(source="/tmp/d/b")]
            self.assertEqual([b"2"], [item.result for item in await do(files.download_files(asked))])
            if hasattr(files, "upload_file_stream"):
                await do(files.upload_file_stream(io.BytesIO(b"streamed"), "/tmp/d/c"))
            pieces = await form.list(files.download_file_stream("/tmp/d/b"))
            self.assertEqual(b"2", b"".join(pieces))
            self.assertIn("a", [item.name for item in await do(files.list_files("/tmp/d"))])
            self.assertEqual(1, len(await do(files.find_files("/tmp/d", "text"))))
            self.assertEqual(["/tmp/d/a"], (await do(files.search_files("/tmp/d", "a"))).files)
            self.assertTrue((await do(files.replace_in_files(["/tmp/d/a"], "here", "there")))[0].success)
            await do(files.set_file_permissions("/tmp/d/a", mode="600"))
            self.assertEqual("0600", (await do(files.get_file_info("/tmp/d/a"))).permissions)
            await do(files.move_files("/tmp/d/a", "/tmp/d/z"))
            await do(files.delete_file("/tmp/d/z"))
        self.both(story)

    @unittest.skipUnless(shutil.which("git"), "without git")
    def test_git(self):
        async def story(form, box):
            do, git, at, bare = form.do, box.git, "/tmp/repository", "/tmp/bare"
            if hasattr(git, "init"):
                await do(git.init(bare, bare=True))
                await do(git.init(at, initial_branch="main"))
                await do(git.configure_user("Name", "name@example.org"))
                await do(git.set_config("core.pager", "cat"))
                self.assertEqual("cat", await do(git.get_config("core.pager")))
                await do(git.remote_add(at, "origin", bare))
                self.assertEqual(bare, await do(git.remote_get(at, "origin")))
                self.assertEqual(["origin"], [item.name for item in (await do(git.remotes(at))).remotes])
                await do(git.dangerously_authenticate("user", "password"))
            else:  # clients of before have less
                await do(box.process.exec(f"git init -q --bare -b main {bare} && git init -q -b main {at} && "
                                          f"git -C {at} remote add origin {bare}"))
            await do(box.fs.upload_file(b"1", at + "/file"))
            await do(git.add(at, ["file"]))
            await do(git.commit(at, "first", "Name", "name@example.org"))
            await do(box.process.exec(f"git -C {at} push -q -u origin main"))
            await do(git.push(at))
            await do(git.pull(at))
            await do(git.clone(bare, "/tmp/clone"))
            await do(git.create_branch(at, "other"))
            await do(git.checkout_branch(at, "main"))
            self.assertEqual(["main", "other"], sorted((await do(git.branches(at))).branches))
            await do(git.delete_branch(at, "other"))
            if hasattr(git, "reset"):
                await do(box.fs.upload_file(b"2", at + "/file"))
                await do(git.restore(at, ["file"]))
                await do(git.reset(at, mode="hard"))
            self.assertEqual("main", (await do(git.status(at))).current_branch)
        self.both(story)


if __name__ == "__main__":
    unittest.main()
