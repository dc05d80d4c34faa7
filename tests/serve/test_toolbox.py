# SPDX-License-Identifier: Apache-2.0
"""Daytona's toolbox beyond commands and files, by the official client: git, code, ports."""
import asyncio
import unittest

import servecase

servecase.require("daytona")

from daytona import (AsyncDaytona, CreateSandboxFromSnapshotParams, Daytona,  # noqa: E402
                     DaytonaConfig, DaytonaError)
from daytona.common.errors import DaytonaTimeoutError  # noqa: E402


class ToolboxCase(servecase.ServeCase):
    options = ("--warm", "0")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.config = DaytonaConfig(api_key=cls.key, api_url=cls.server.url + "/api")
        cls.box = Daytona(cls.config).create(CreateSandboxFromSnapshotParams(env_vars={"KEPT": "yes"}))

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

    def run_code(self, *arguments, **options):
        return self.box.code_interpreter.run_code(*arguments, **options)


class Git(ToolboxCase):
    def test_a_day_with_a_repository(self):
        git, fs = self.box.git, self.box.fs
        git.init("work/one", initial_branch="main")
        git.configure_user("Ann Author", "ann@example.com", scope="local", path="work/one")
        self.assertEqual(git.get_config("user.name", scope="local", path="work/one"), "Ann Author")
        self.assertIsNone(git.get_config("user.nothing", scope="local", path="work/one"))
        fs.upload_file(b"one\n", "work/one/a b")
        status = git.status("work/one")
        self.assertEqual((status.current_branch, [(f.name, f.worktree.value) for f in status.file_status]),
                         ("main", [("a b", "Untracked")]))
        git.add("work/one", ["a b"])
        self.assertEqual(git.status("work/one").file_status[0].staging.value, "Added")
        first = git.commit("work/one", "first -- it's \"quoted\"", "Bob", "bob@example.com").sha
        git.create_branch("work/one", "side")
        fs.upload_file(b"two\n", "work/one/a b")
        git.add("work/one", ["."])
        git.commit("work/one", "second", "Bob", "bob@example.com")
        self.assertEqual(sorted(git.branches("work/one").branches), ["main", "side"])
        self.assertEqual(git.branches("work/one").current, "side")
        self.assertEqual(self.status_of(git.commit, "work/one", "third", "Bob", "b@c"), 409)
        git.checkout_branch("work/one", "main")
        self.assertEqual(fs.download_file("work/one/a b"), b"one\n")
        git.delete_branch("work/one", "side")
        fs.upload_file(b"three\n", "work/one/a b")
        git.restore("work/one", ["a b"], worktree=True)
        fs.upload_file(b"three\n", "work/one/a b")
        git.reset("work/one", mode="hard")
        self.assertEqual(fs.download_file("work/one/a b"), b"one\n")
        git.clone("/home/user/work/one", "work/two", branch="main")
        git.clone("/home/user/work/one", "work/three", commit_id=first)
        self.assertTrue(git.status("work/three").detached)
        self.assertEqual([(r.name, r.url) for r in git.remotes("work/two").remotes],
                         [("origin", "/home/user/work/one")])
        git.remote_add("work/two", "other", "/home/user/work/three", overwrite=True)
        self.assertEqual(self.status_of(git.remote_add, "work/two", "other", "/x"), 409)
        git.init("work/bare", bare=True)
        git.remote_add("work/two", "bare", "/home/user/work/bare")
        git.push("work/two", remote="bare", set_upstream=True)
        self.assertEqual(git.status("work/two").upstream, "bare/main")
        git.pull("work/two", remote="bare", branch="main")
        self.assertEqual(self.box.process.exec("git -C work/bare log --format=%an:%s").result,
                         "Bob:first -- it's \"quoted\"\n")

    def test_refusals(self):
        git = self.box.git
        self.assertEqual(self.status_of(git.status, "nowhere"), 404)
        self.assertEqual(self.status_of(git.clone, "--upload-pack=x", "here"), 400)
        self.assertEqual(self.status_of(git.clone, "/home/user/nothing", "here"), 404)
        self.assertEqual(self.status_of(git.create_branch, "nowhere", "--orphan"), 400)

    def test_history(self):
        self.box.process.exec("git init -q h && cd h && git -c user.name=N -c user.email=e@f "
                              "commit -q --allow-empty -m 'line one\n\nline two'")
        status, _, history = self.server.ask(
            "GET", f"/toolbox/{self.box.id}/git/history?path=h",
            headers={"Authorization": "Bearer " + self.key})
        self.assertEqual((status, [(c["author"], c["email"], c["message"]) for c in history]),
                         (200, [("N", "e@f", "line one\n\nline two\n")]))

    def test_passwords_are_no_arguments(self):
        git = self.box.git
        git.dangerously_authenticate("ann", "s3cret", host="git.example.com")
        self.assertEqual(self.box.process.exec("cat .git-credentials").result,
                         "https://ann:s3cret@git.example.com\n")


class Code(ToolboxCase):
    def test_variables_stay(self):
        context = self.box.code_interpreter.create_context(cwd="/tmp")
        seen = []
        run = self.run_code("import os\nx = 41\nprint(os.getcwd(), os.environ['KEPT'])\n"
                            "import sys; print('bad', file=sys.stderr)",
                            context=context, on_stdout=lambda m: seen.append(m.output))
        self.assertEqual((run.stdout, run.stderr, run.error), ("/tmp yes\n", "bad\n", None))
        self.assertEqual("".join(seen), "/tmp yes\n")
        self.assertEqual(self.run_code("print(x + 1)", context=context).stdout, "42\n")
        self.assertEqual(self.run_code("print(x)").error.name, "NameError")
        run = self.run_code("1/0", envs={"A": "b"}, context=context)
        self.assertEqual((run.error.name, run.error.value), ("ZeroDivisionError", "division by zero"))
        self.assertEqual([c.id for c in self.box.code_interpreter.list_contexts()], [context.id])
        self.box.code_interpreter.delete_context(context)
        self.assertEqual(self.box.code_interpreter.list_contexts(), [])

    def test_what_takes_too_long_is_interrupted(self):
        self.run_code("kept = 1")
        with self.assertRaises(DaytonaTimeoutError):
            self.run_code("import time\nwhile True: time.sleep(60)", timeout=1)
        self.assertEqual(self.run_code("print(kept)").stdout, "1\n")

    def test_one_that_ends_itself(self):
        run = self.run_code("import os; os._exit(3)")
        self.assertEqual((run.error.name, run.error.value),
                         ("InterpreterEnded", "the interpreter has ended: exit status 3"))
        self.assertEqual(self.run_code("import os; os.system('echo from a child')").stdout,
                         "from a child\n")

    def test_from_coroutines(self):
        async def both():
            async with AsyncDaytona(self.config) as daytona:
                box = await daytona.get(self.box.id)
                return await box.code_interpreter.run_code("print(6 * 7)")
        self.assertEqual(asyncio.run(both()).stdout, "42\n")


class Rest(ToolboxCase):
    def fetch(self, url, method="GET", body=None):
        status, _, data = self.server.ask(method, url.removeprefix(self.server.url), body, raw=True)
        return status, data

    def test_signed_addresses_of_files(self):
        self.box.fs.upload_file(b"data", "signed file")
        url = self.box.download_url("signed file")
        self.assertEqual(self.fetch(url), (200, b"data"))
        self.assertEqual(self.fetch(url.replace("signed", "another"))[0], 401)
        self.assertEqual(self.fetch(url, "POST")[0], 401)
        self.assertEqual(self.fetch(url.replace("/files/download", "/files/info"))[0], 401)
        self.assertEqual(self.fetch(self.box.download_url("signed file", ttl_seconds=1)
                                    .replace("expires=1", "expires=0"))[0], 401)
        self.box.rotate_signing_key()
        self.assertEqual(self.fetch(url)[0], 401)
        self.assertEqual(self.fetch(self.box.download_url("signed file"))[0], 200)

    def test_variables_of_later_commands(self):
        self.box.update_env({"NEW": "it's new", "KEPT": "changed"})
        self.assertEqual(self.box.process.exec("echo $NEW $KEPT").result, "it's new changed\n")
        self.box.update_env({}, unset=["NEW"])
        self.assertEqual(self.box.process.exec("echo ${NEW-gone} $KEPT").result, "gone changed\n")
        self.box.update_env({"KEPT": "yes"})

    def test_life_and_intervals(self):
        self.box.set_ttl(5)
        self.box.set_ttl(0)
        self.box.set_auto_pause_interval(7)
        self.assertEqual(Daytona(self.config).get(self.box.id).auto_pause_interval, 7)
        self.box.set_auto_pause_interval(0)
        self.assertEqual(self.status_of(self.box.recover), 400)

    def test_snapshot_of_an_image(self):
        snapshots = Daytona(self.config).snapshot
        from daytona import CreateSnapshotParams, Image
        kept = snapshots.create(CreateSnapshotParams(name="from-base", image=Image.base("base")))
        self.addCleanup(snapshots.delete, kept)
        self.assertEqual((kept.name, kept.state.value), ("from-base", "active"))
        self.assertEqual(snapshots.activate(kept).name, "from-base")
        with self.assertRaises(DaytonaError):
            snapshots.create(CreateSnapshotParams(name="other", image="no/such:image"))

    def ask(self, path):
        return self.server.ask("GET", f"/toolbox/{self.box.id}{path}",
                               headers={"Authorization": "Bearer " + self.key})

    def test_ports(self):
        listen = ("import socket, time; s = socket.socket(); s.bind(('127.0.0.1', 4321)); s.listen();"
                  "print('up', flush=True)")
        self.run_code(listen)
        self.assertEqual(self.ask("/port")[2], {"ports": [4321]})
        self.assertEqual(self.ask("/port/4321/in-use")[2], {"isInUse": True})
        self.assertEqual(self.ask("/port/4322/in-use")[2], {"isInUse": False})

    def test_an_entry_point_that_is_none(self):
        self.assertEqual(self.box.process.get_entrypoint_session().commands, [])
        self.assertEqual(self.box.process.get_entrypoint_logs().stdout, "")

    def test_what_is_not_served_says_so(self):
        server = self.box.create_lsp_server("python", "work")
        self.assertEqual(self.status_of(server.start), 501)
        self.assertEqual(self.status_of(self.box.computer_use.start), 501)
        self.assertEqual(self.status_of(self.box.create_ssh_access), 501)
        self.assertEqual(self.status_of(Daytona(self.config).volume.list), 501)


if __name__ == "__main__":
    unittest.main(verbosity=2)
