# SPDX-License-Identifier: Apache-2.0
"""The providers of services from Python, as users write it: `sandboxes serve` plays the services."""
import asyncio
import errno
import os
import re
import signal
import subprocess
import time
import unittest
from unittest import mock

import pycase
from pycase import BASE, BUILD, PyCase

pycase.require_local()
from sandboxes import (  # noqa: E402
    Manager,
    ProviderError,
    RetryConfig,
    Sandbox,
    SandboxAuthenticationError,
    SandboxConfig,
    SandboxNotFoundError,
    SandboxPool,
    run,
    run_many,
    sync,
)
from sandboxes.providers import LocalProvider, get_provider  # noqa: E402

SERVE = os.path.join(BUILD, "src/serve/sandboxes-serve")
MODULE = os.path.join(BUILD, "src/sandboxes-cloud.so")
WORK = os.path.join(BASE, "service")
DIRECT = {"NO_PROXY": "*", "no_proxy": "*"}


class Service:
    """The server, its address and a key."""

    def __init__(self):
        self.env = {**os.environ, **DIRECT}
        for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "state"):
            self.env[name] = os.path.join(WORK, name)
            os.makedirs(self.env[name], mode=0o700)
        words = [SERVE, "--state", self.env["state"]]
        self.key = subprocess.run([*words, "key", "create", "test"], env=self.env, check=True, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
        self.process = subprocess.Popen([*words, "--port", "0", "--warm", "0", "-p", "local"], env=self.env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.url = re.search(r"http://127\.0\.0\.1:\d+", self.process.stdout.readline()).group()

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.process.stdout.close()


def setUpModule():
    if not os.access(SERVE, os.X_OK) or not os.path.exists(MODULE):
        raise unittest.SkipTest("built without the server or the module of services")
    global service
    service = Service()


def tearDownModule():
    if "service" in globals():
        service.close()


class Common:
    """What holds for each of them."""

    def setUp(self):
        super().setUp()
        names = {"SANDBOXES_PROVIDER": "", **DIRECT, **self.variables(service.url, service.key)}
        patch = mock.patch.dict(os.environ, names)
        patch.start()
        self.addCleanup(patch.stop)

    def kind(self):
        return get_provider(self.name)

    def test_credentials_make_it_the_default(self):
        manager = Sandbox._ensure_manager()
        self.assertEqual((self.name, [self.name, "local"]), (manager.default_provider, list(manager.providers)))
        self.assertIsInstance(manager.providers[self.name], self.kind())
        self.assertTrue(self.run_async(manager.providers[self.name].health_check()))

    def test_a_session(self):
        path = self.file("data.csv", "a,b\n")

        async def main():
            async with Sandbox.create(provider=self.name, labels={"x": "y"}) as box:
                self.assertEqual(self.name, box._provider_name)
                result = await box.execute("echo out; echo err >&2; exit 3")
                self.assertEqual(("out\n", 3), (result.stdout, result.exit_code))
                self.assertIn("err", result.stderr)
                self.assertTrue(await box.upload(path, "/tmp/data.csv"))
                await box.execute("tr a c < /tmp/data.csv > /tmp/out.csv")
                self.assertTrue(await box.download("/tmp/out.csv", os.path.join(self.work, "out.csv")))
                with open(os.path.join(self.work, "out.csv"), encoding="utf-8") as file:
                    self.assertEqual("c,b\n", file.read())
                self.assertEqual("", (await box.execute("true")).stdout)
                self.assertEqual(box.id, (await Sandbox.find({"x": "y"}, provider=self.name)).id)
                self.assertEqual([box.id], [one.id for one in await Sandbox.list({"x": "y"}, self.name)])
            with self.assertRaises(SandboxNotFoundError):
                await box.execute("true")

        self.run_async(main())

    def test_output_comes_as_it_is_made(self):
        async def main():
            async with Sandbox.create() as box:
                stream, seen = box.stream("echo a; sleep 0.5; echo b"), []
                async for chunk in stream:
                    seen.append((str(chunk), stream.result is None))
                self.assertEqual([("a\n", True), ("b\n", True)], seen)
                self.assertEqual(0, stream.result.exit_code)

        self.run_async(main())

    def test_run_and_run_many(self):
        self.assertEqual("hi\n", self.run_async(run("echo hi", provider=self.name)).stdout)
        results = self.run_async(run_many(["echo 1 > n", "cat n"]))
        self.assertEqual(["", "1\n"], [one.stdout for one in results])
        self.assertEqual("sync\n", sync.run("echo sync").stdout)

    def test_a_cancelled_command_is_stopped(self):
        async def main():
            async with Sandbox.create() as box:
                task = asyncio.ensure_future(box.execute("touch begun; sleep 60; touch ended"))
                while not await box.exists("begun"):
                    await asyncio.sleep(0.02)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                for _ in range(100):
                    if "sleep" not in (await box.execute("ps ax -o args || ps")).stdout:
                        return
                    await asyncio.sleep(0.05)
                self.fail("it runs on")

        self.run_async(main())

    def test_a_key_given_in_the_program(self):
        environment = {name: value for name, value in os.environ.items() if not name.endswith("API_KEY")}
        with mock.patch.dict(os.environ, environment, clear=True):
            provider = self.kind()(api_key=service.key)
            self.assertEqual([], self.run_async(provider.list_sandboxes()))
            with self.assertRaises(SandboxAuthenticationError) as caught:
                self.run_async(self.kind()(api_key=self.wrong).list_sandboxes())
            self.assertEqual((401, "AUTH"), (caught.exception.http_status, caught.exception.code))
            with self.assertRaisesRegex(SandboxAuthenticationError, self.kind().SETTING):
                self.run_async(self.kind()().list_sandboxes())
            Sandbox.configure(**{self.name + "_api_key": service.key}, default_provider=self.name)
            self.assertEqual("x\n", self.run_async(run("echo x")).stdout)

    def test_its_key_wins_over_that_of_the_environment(self):
        with mock.patch.dict(os.environ, self.variables(service.url, self.wrong)):
            self.assertEqual([], self.run_async(self.kind()(api_key=service.key).list_sandboxes()))

    def test_failover_to_this_machine(self):
        async def main():
            with mock.patch.dict(os.environ, self.variables(service.url, self.wrong)):
                manager = Manager(providers=[self.kind()(), LocalProvider()])
                box = await manager.create_sandbox(SandboxConfig(), fallback=True)
                self.assertEqual("local", box.provider)
                await manager.destroy_sandbox(box.id, "local")
                with self.assertRaises(SandboxAuthenticationError) as caught:
                    await manager.create_sandbox(SandboxConfig())
                self.assertEqual(401, caught.exception.http_status)
                self.assertIn(self.name, caught.exception.failures)

        self.run_async(main())

    def test_a_service_that_is_not_there_is_asked_again_and_passed_over(self):
        async def main():
            with mock.patch.dict(os.environ, self.variables("http://127.0.0.1:1", service.key)):
                begin, retry = time.monotonic(), RetryConfig(max_retries=2, initial_delay=0.05, jitter=False)
                manager = Manager(providers=[self.kind()(), LocalProvider()], retry=retry)
                with self.assertRaises(ProviderError) as caught:
                    await manager.create_sandbox(SandboxConfig())
                self.assertEqual(("UNAVAILABLE", errno.ECONNREFUSED), (caught.exception.code, caught.exception.errno))
                self.assertGreaterEqual(time.monotonic() - begin, 0.15)
                self.assertEqual("hi\n", (await manager.execute_with_fallback("echo hi")).stdout)

        self.run_async(main())

    def test_pooled(self):
        async def main():
            provider = self.kind()()
            async with SandboxPool() as pool:
                one = await pool.acquire(provider, SandboxConfig())
                await pool.release(one.id)
                self.assertEqual(one.id, (await pool.acquire(provider, SandboxConfig())).id)
            self.assertEqual([], await provider.list_sandboxes())

        self.run_async(main())


class E2B(Common, PyCase):
    name = "e2b"
    wrong = "e2b_" + "0" * 40

    @staticmethod
    def variables(url, key):
        return {"E2B_API_KEY": key, "E2B_API_URL": url, "E2B_SANDBOX_URL": url}


class Daytona(Common, PyCase):
    name = "daytona"
    wrong = "dtn_" + "0" * 64

    @staticmethod
    def variables(url, key):
        return {"DAYTONA_API_KEY": key, "DAYTONA_API_URL": url + "/api"}

    def setUp(self):
        try:
            self.kind()(api_key="x")
        except ProviderError as error:
            self.skipTest(str(error))
        super().setUp()


if __name__ == "__main__":
    pycase.main()
