# SPDX-License-Identifier: Apache-2.0
"""Manager, pools, retry, circuit breaker, paths, types: with providers written in Python, as users
write them, and with the one in memory."""
import asyncio
import os
import subprocess
import sys
import time
import unittest
from unittest import mock

import pycase
from pycase import PyCase

import sandboxes  # noqa: E402
from sandboxes import (  # noqa: E402
    BaseSandbox,
    CircuitBreaker,
    ExecutionResult,
    Manager,
    PoolConfig,
    PoolStrategy,
    ProviderError,
    RetryConfig,
    RetryHandler,
    Sandbox,
    SandboxAuthenticationError,
    SandboxConfig,
    SandboxError,
    SandboxManager,
    SandboxNotFoundError,
    SandboxPool,
    SandboxProvider,
    SandboxQuotaError,
    SandboxState,
    SandboxStateError,
    SandboxTimeoutError,
    sync,
    with_retry,
)
from sandboxes import retry, security  # noqa: E402
from sandboxes.pool import ConnectionPool  # noqa: E402
from sandboxes.providers import NativeProvider, get_provider, list_available_providers  # noqa: E402


class Mine(SandboxProvider):
    """A provider as a user writes it; a service in memory behind it."""

    def __init__(self, name="mine", delay=0.0, error=None, **config):
        super().__init__(**config)
        self._name, self.delay, self.error = name, delay, error
        self.boxes, self.ended, self.made = {}, [], 0

    @property
    def name(self):
        return self._name

    async def create_sandbox(self, config):
        await asyncio.sleep(self.delay)
        if self.error:
            raise self.error
        self.made += 1
        box = BaseSandbox(f"{self._name}-{self.made}", self._name, SandboxState.RUNNING, dict(config.labels or {}))
        self.boxes[box.id] = box
        return box

    async def get_sandbox(self, sandbox_id):
        return self.boxes.get(sandbox_id)

    async def list_sandboxes(self, labels=None):
        return [box for box in self.boxes.values() if (labels or {}).items() <= box.labels.items()]

    async def execute_command(self, sandbox_id, command, timeout=None, env_vars=None):
        if sandbox_id not in self.boxes:
            raise SandboxNotFoundError(sandbox_id)
        if command == "fail":
            return ExecutionResult(1, "", "failed\n")
        return ExecutionResult(0, f"{command} {env_vars}\n", "")

    async def destroy_sandbox(self, sandbox_id):
        self.ended.append(sandbox_id)
        return self.boxes.pop(sandbox_id, None) is not None


class Failing(Mine):
    """Fails as often as it is told to."""

    def __init__(self, error, times=1000):
        super().__init__()
        self.failure, self.times, self.asked = error, times, 0

    def _fail(self):
        self.asked += 1
        if self.asked <= self.times:
            raise self.failure

    async def create_sandbox(self, config):
        await asyncio.sleep(0)
        self._fail()
        return await super().create_sandbox(config)

    async def list_sandboxes(self, labels=None):
        self._fail()
        return await super().list_sandboxes(labels)

    async def execute_command(self, sandbox_id, command, timeout=None, env_vars=None):
        self._fail()
        return await super().execute_command(sandbox_id, command, timeout, env_vars)

    async def destroy_sandbox(self, sandbox_id):
        self._fail()
        return await super().destroy_sandbox(sandbox_id)


class Types(PyCase):
    def test_names_at_the_top(self):
        for name in sandboxes.__all__:
            self.assertIsNotNone(getattr(sandboxes, name))
        with open(os.path.join(pycase.TREE, "VERSION"), encoding="utf-8") as file:
            self.assertEqual(file.read().strip(), sandboxes.__version__)
        self.assertIs(sandboxes.Manager, sandboxes.SandboxManager)
        with self.assertRaises(AttributeError):
            sandboxes.nothing

    def test_nothing_is_loaded_before_it_is_used(self):
        code = ("import sys; import sandboxes; from sandboxes import SandboxConfig, SandboxError; "
                "print(sorted(m for m in sys.modules if m in ('asyncio', 'logging', 'click') "
                "or m.startswith('sandboxes.')))")
        with self.python(code.replace("import sandboxes;", "import sandboxes;", 1)) as process:
            out, err = process.communicate()
        self.assertEqual("['sandboxes.base', 'sandboxes.exceptions']\n",
                         out.replace("'asyncio', ", "").replace("'logging', ", ""), err)

    def test_config(self):
        config = SandboxConfig("i", "python", 1, 2, 3, {"a": "b"}, {"l": "m"}, {}, [], "/w")
        self.assertEqual(("i", 3, "/w"), (config.image, config.timeout_seconds, config.working_dir))
        self.assertEqual(120, SandboxConfig().timeout_seconds)
        self.assertIsNot(SandboxConfig().labels, SandboxConfig().labels)
        copy = config.model_copy({"image": "j"})
        copy.labels["x"] = "y"
        self.assertEqual(("j", {"l": "m"}), (copy.image, config.labels))
        with self.assertRaises(TypeError):
            config.model_copy(update={"nonsense": 1})
        self.assertEqual(SandboxConfig(), SandboxConfig())

    def test_results(self):
        self.assertTrue(ExecutionResult(0, "", "").success)
        self.assertFalse(ExecutionResult(0, "", "", timed_out=True).success)
        self.assertFalse(ExecutionResult(1, "", "").success)

    def test_abstract_providers_cannot_be_made(self):
        with self.assertRaises(TypeError):
            SandboxProvider()

    def test_defaults_of_the_base_class(self):
        async def main():
            mine = Mine()
            box = await mine.get_or_create_sandbox(SandboxConfig(labels={"a": "b"}))
            self.assertIs(box, await mine.get_or_create_sandbox(SandboxConfig(labels={"a": "b"})))
            results = await mine.execute_commands(box.id, ["one", "fail", "two"])
            self.assertEqual([0, 1], [one.exit_code for one in results])
            self.assertEqual(3, len(await mine.execute_commands(box.id, ["one", "fail", "two"], False)))
            self.assertEqual(["x None\n"], [chunk async for chunk in mine.stream_execution(box.id, "x")])
            with self.assertRaisesRegex(NotImplementedError, "mine"):
                await mine.upload_file(box.id, "a", "b")
            self.assertTrue(await mine.health_check())
            self.assertEqual({"a": 1}, Mine(a=1).config)

        self.run_async(main())

    def test_names_of_providers(self):
        self.assertEqual({"daytona", "e2b", "modal", "cloudflare", "hopx", "vercel", "sprites", "local"},
                         set(list_available_providers()))
        self.assertIsNone(get_provider("nothing"))
        for name in ("modal", "cloudflare", "hopx", "vercel", "sprites"):
            kind = get_provider(name)
            with self.subTest(name), self.assertRaisesRegex(ProviderError, rf"'{name}'.*{name[:4].upper()}\w+"):
                kind(base_url="http://127.0.0.1:1") if name == "cloudflare" else kind()


class Managers(PyCase):
    def test_providers_in_order_and_the_default(self):
        a, b = Mine("a"), Mine("b")
        manager = Manager(providers=[a, b])
        self.assertEqual((["a", "b"], "a"), (list(manager.providers), manager.default_provider))
        self.assertEqual("b", Manager(providers=[a, b], default_provider="b").default_provider)
        self.assertIs(b, manager.get_provider("b"))
        with self.assertRaisesRegex(ProviderError, "not registered"):
            manager.get_provider("c")
        with self.assertRaisesRegex(ProviderError, "No provider specified and no default provider set"):
            SandboxManager().get_provider()
        manager.register_provider("c", Mine, {"name": "c"})
        self.assertEqual("c", manager.get_provider("c").name)
        with self.assertRaisesRegex(ProviderError, "Failed to register provider 'd'"):
            manager.register_provider("d", SandboxProvider)

    def test_failover_tries_in_order_and_tells_of_all(self):
        async def main():
            broken = Mine("broken", error=SandboxQuotaError("full"))
            refused = Mine("refused", error=SandboxAuthenticationError("no key"))
            manager = Manager(providers=[broken, refused, Mine("good")])
            box = await manager.create_sandbox(SandboxConfig(), fallback=True)
            self.assertEqual("good", box.provider)
            box = await manager.create_sandbox(SandboxConfig(), "broken", ["good"])
            self.assertEqual("good", box.provider)
            with self.assertRaises(SandboxQuotaError) as caught:
                await manager.create_sandbox(SandboxConfig())
            self.assertIsInstance(caught.exception, ProviderError)
            with self.assertRaisesRegex(SandboxAuthenticationError, "broken: full; refused: no key") as caught:
                await manager.create_sandbox(SandboxConfig(), "broken", ["refused"])
            self.assertEqual("Failed to create sandbox with any provider: broken: full; refused: no key",
                             str(caught.exception))
            self.assertIs(refused.error, caught.exception.__cause__)
            self.assertEqual({"broken", "refused"}, set(caught.exception.failures))

        self.run_async(main())

    def test_the_error_is_the_most_telling_one(self):
        async def main():
            errors = {"a": ProviderError("down"), "b": SandboxAuthenticationError("no key"),
                      "c": NotImplementedError("never")}
            manager = Manager(providers=[Mine(name, error=error) for name, error in errors.items()])
            with self.assertRaisesRegex(SandboxAuthenticationError, "a: down; b: no key; c: never") as caught:
                await manager.create_sandbox(SandboxConfig(), fallback=True)
            self.assertIs(errors["b"], caught.exception.__cause__)
            self.assertEqual(errors, caught.exception.failures)

        self.run_async(main())

    def test_what_surely_did_nothing_is_repeated(self):
        refused = ProviderError("refused")
        refused.__cause__ = ConnectionRefusedError(111, "refused")
        busy = SandboxQuotaError("too many")
        busy.retry_after = 0.03
        lost = SandboxTimeoutError("no answer")
        for error, attempts in ((refused, 3), (busy, 3), (lost, 1), (SandboxAuthenticationError("x"), 1),
                                (ValueError("a bug"), 1)):
            with self.subTest(error):
                mine = Failing(error)
                retry_config = RetryConfig(max_retries=2, initial_delay=0.001, jitter=False)
                manager, begin = Manager(providers=[mine], retry=retry_config), time.monotonic()
                with self.assertRaises(SandboxError):
                    self.run_async(manager.create_sandbox(SandboxConfig()))
                self.assertEqual(attempts, mine.asked)
                if error is busy:  # the service's wish is the least
                    self.assertGreaterEqual(time.monotonic() - begin, 0.06)

    def test_no_attempt_begins_after_the_budget(self):
        busy = SandboxQuotaError("too many")
        busy.retry_after = 60
        for budget in (0.001, 59.9):
            mine = Failing(busy)
            manager = Manager(providers=[mine], retry=RetryConfig(budget=budget))
            with self.subTest(budget), self.assertRaises(SandboxQuotaError):
                self.run_async(manager.create_sandbox(SandboxConfig()))  # without the wait
            self.assertEqual(1, mine.asked)
        mine = Failing(ProviderError("down"))
        mine.failure.__cause__ = ConnectionRefusedError(111, "refused")
        manager = Manager(providers=[mine], retry=RetryConfig(initial_delay=0.001, budget=3600))
        with self.assertRaises(ProviderError):
            self.run_async(manager.create_sandbox(SandboxConfig()))
        self.assertEqual(4, mine.asked)

    def test_calls_are_repeated_by_their_kind(self):
        async def main():
            mine = Failing(SandboxTimeoutError("no answer"), times=1)
            manager = Manager(providers=[mine], retry=RetryConfig(initial_delay=0.001))
            self.assertEqual([], await manager.list_sandboxes("mine"))
            mine.asked = 0
            self.assertTrue(await manager.destroy_sandbox("gone with the first attempt"))
            mine.asked = 0
            with self.assertRaises(SandboxTimeoutError):
                await manager.execute_command("x", "not twice")

        self.run_async(main())

    def test_a_provider_that_keeps_failing_is_left_alone(self):
        async def main():
            bad, good = Failing(ProviderError("down"), times=2), Mine("good")
            manager = Manager(providers=[bad, good], circuit_breaker=CircuitBreaker(2, recovery_timeout=0.05))
            for _ in range(4):
                self.assertEqual("good", (await manager.create_sandbox(SandboxConfig(), fallback=True)).provider)
            self.assertEqual((2, "open"), (bad.asked, manager.breaker_state("mine")))
            with self.assertRaisesRegex(ProviderError, "circuit breaker of mine is open"):
                await manager.create_sandbox(SandboxConfig())
            await asyncio.sleep(0.06)
            self.assertEqual("half_open", manager.breaker_state())
            task = asyncio.ensure_future(manager.create_sandbox(SandboxConfig()))
            await asyncio.sleep(0)
            task.cancel()  # says nothing about the provider
            await asyncio.gather(task, return_exceptions=True)
            self.assertEqual("mine", (await manager.create_sandbox(SandboxConfig())).provider)
            self.assertEqual("closed", manager.breaker_state())

        self.run_async(main())

    def test_execute_with_fallback(self):
        async def main():
            good = Mine("good")
            manager = Manager(providers=[Mine("broken", error=ProviderError("down")), good])
            result = await manager.execute_with_fallback("line", SandboxConfig(labels={"reliability": "high"}))
            self.assertEqual("line None\n", result.stdout)
            self.assertEqual({}, good.boxes)
            self.assertFalse((await manager.execute_with_fallback("fail")).success)
            with self.assertRaisesRegex(ProviderError, "Failed to execute with any provider: broken: down"):
                await Manager(providers=[Mine("broken", error=ProviderError("down"))]).execute_with_fallback("x")

        self.run_async(main())

    def test_secrets_are_masked(self):
        async def main():
            manager = Manager(providers=[Mine()])
            box = await manager.create_sandbox(SandboxConfig())
            env = {"API_KEY": "abcdefgh", "PLAIN": "plain"}
            result = await manager.execute_command(box.id, "x", env_vars=env)
            self.assertIn("ab****gh", result.stdout)
            self.assertIn("plain", result.stdout)
            result = await manager.execute_command(box.id, "x", env_vars=env, mask_secrets=False)
            self.assertIn("abcdefgh", result.stdout)

        self.run_async(main())

    def test_listing_health_and_cleaning(self):
        async def main():
            mine = Mine()
            manager = Manager(providers=[mine, Mine("other")])
            box = await manager.get_or_create_sandbox(SandboxConfig(labels={"a": "b"}))
            self.assertEqual([box], await manager.list_sandboxes(labels={"a": "b"}))
            self.assertEqual({"mine": True, "other": True}, await manager.health_check())
            self.assertEqual(0, await manager.cleanup_sandboxes())
            self.assertEqual(1, await manager.cleanup_sandboxes(exclude_running=False))
            self.assertFalse(await manager.destroy_sandbox(box.id))

        self.run_async(main())


class HighLevel(PyCase):
    """Sandbox over a provider of the user's."""

    def setUp(self):
        super().setUp()
        self.mine = Mine()
        Sandbox._manager = Manager(providers=[self.mine])
        Sandbox._auto_configured = True

    def test_everything_goes_to_the_provider(self):
        async def main():
            async with Sandbox.create(labels={"a": "b"}) as box:
                self.assertEqual("mine", box._provider_name)
                self.assertEqual("x None\n", (await box.execute("x")).stdout)
                self.assertEqual(["y None\n"], [chunk async for chunk in box.stream("y")])
                self.assertEqual(box.id, (await Sandbox.get_or_create(labels={"a": "b"})).id)
                with self.assertRaises(NotImplementedError):
                    await box.read_file("x")
                with self.assertRaises(NotImplementedError):
                    await box.execute("x", stdin="y")
            self.assertEqual([box.id], self.mine.ended)
            self.assertEqual("x None\n", (await sandboxes.run("x")).stdout)
            self.assertEqual(2, len(await sandboxes.run_many(["x", "fail", "y"])))
            self.assertEqual({}, self.mine.boxes)

        self.run_async(main())

    def test_without_await_on_a_loop_in_the_background(self):
        with sync.Sandbox.create() as box:
            self.assertEqual("x None\n", box.execute("x").stdout)
            self.assertEqual(["y None\n"], list(box.stream("y")))
        self.assertEqual({}, self.mine.boxes)


class Detection(PyCase):
    def providers(self, **env):
        pycase.forget_providers()
        with mock.patch.dict(os.environ, env):
            os.environ.pop("SANDBOXES_PROVIDER")
            manager = Sandbox._ensure_manager()
        return list(manager.providers), manager.default_provider

    def test_without_credentials_everything_is_local(self):
        self.assertEqual((["local"], "local"), self.providers())

    def test_the_first_with_credentials_is_the_default(self):
        names, default = self.providers(E2B_API_KEY="e2b_" + "0" * 40)
        if "e2b" not in names:
            self.skipTest("this build has no e2b")
        self.assertEqual((["e2b", "local"], "e2b"), (names, default))

    def test_named_in_the_environment(self):
        manager = Sandbox._ensure_manager()
        self.assertEqual("fake", manager.default_provider)

    def test_configure(self):
        Sandbox.configure(default_provider="local")
        self.assertEqual("local", Sandbox._manager.default_provider)
        with self.assertRaises(ProviderError):
            Sandbox.configure(cloudflare_config={"base_url": "https://worker.example", "api_token": "x"})
        with self.assertRaises(ProviderError):
            Sandbox.configure(default_provider="nothing")
        Sandbox.configure(e2b_api_key="e2b_" + "0" * 40, default_provider="e2b")
        self.assertEqual("e2b", Sandbox._manager.default_provider)


class Pools(PyCase):
    def test_reuse_needs_everything_to_fit(self):
        async def main():
            mine, pool = Mine(), SandboxPool(PoolConfig(max_total=5))
            first = await pool.acquire(mine, SandboxConfig(labels={"a": "1", "b": "2"}))
            await pool.release(first.id)
            for other in (SandboxConfig(image="x"), SandboxConfig(memory_mb=5), SandboxConfig(labels={"a": "2"}),
                          SandboxConfig(env_vars={"x": "y"})):
                self.assertNotEqual(first.id, (await pool.acquire(mine, other)).id)
            self.assertNotEqual("mine", (await pool.acquire(Mine("else"), SandboxConfig())).provider)
            pool2 = SandboxPool()
            first = await pool2.acquire(mine, SandboxConfig(labels={"a": "1", "b": "2"}))
            await pool2.release(first.id)
            self.assertEqual(first.id, (await pool2.acquire(mine, SandboxConfig(labels={"a": "1"}))).id)
            self.assertEqual([first], await pool2.find_by_labels({"b": "2"}))
            self.assertEqual([], await pool2.find_by_labels({}))
            await pool.stop()
            await pool2.stop()
            self.assertEqual({}, mine.boxes)

        self.run_async(main())

    def test_never_two_users_of_one(self):
        async def main():
            mine, users = Mine(delay=0.001), set()
            pool = SandboxPool(PoolConfig(max_total=4, max_idle=4))

            async def use():
                for _ in range(20):
                    box = await pool.acquire(mine, SandboxConfig())
                    self.assertNotIn(box.id, users)
                    users.add(box.id)
                    await asyncio.sleep(0)
                    users.remove(box.id)
                    await pool.release(box.id)

            await asyncio.gather(*(use() for _ in range(20)))
            self.assertLessEqual(mine.made, 4)
            await pool.stop()

        self.run_async(main())

    def test_creations_run_beside_each_other(self):
        async def main():
            pool = SandboxPool(PoolConfig(max_total=10))
            begin = time.monotonic()
            await asyncio.gather(*(pool.acquire(Mine(delay=0.1), SandboxConfig()) for _ in range(10)))
            self.assertLess(time.monotonic() - begin, 0.5)  # one after the other it were 1.0
            await pool.stop()

        self.run_async(main())

    def test_limits(self):
        async def main():
            mine = Mine()
            with self.assertRaisesRegex(SandboxQuotaError, "Pool limit reached: 0"):
                await SandboxPool(PoolConfig(max_total=0)).acquire(mine, SandboxConfig())
            pool = SandboxPool(PoolConfig(max_total=1, acquire_timeout=0.05))
            box = await pool.acquire(mine, SandboxConfig())
            with self.assertRaisesRegex(SandboxQuotaError, "Pool limit reached: 1"):
                await pool.acquire(mine, SandboxConfig())
            self.assertEqual(1, pool.get_stats()["timeouts"])
            waiting = asyncio.ensure_future(pool.acquire(mine, SandboxConfig(image="other"), timeout=10))
            await asyncio.sleep(0)
            await pool.release(box.id)
            self.assertNotEqual(box.id, (await waiting).id)  # the idle one had to go
            self.assertIn(box.id, mine.ended)
            await pool.release("unknown")
            await pool.stop()

        self.run_async(main())

    def test_a_failed_or_cancelled_creation_gives_its_place_back(self):
        async def main():
            pool = SandboxPool(PoolConfig(max_total=1))
            with self.assertRaises(ProviderError):
                await pool.acquire(Mine(error=ProviderError("down")), SandboxConfig())
            task = asyncio.ensure_future(pool.acquire(Mine(delay=10), SandboxConfig()))
            await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await pool.acquire(Mine(), SandboxConfig(), timeout=1)
            self.assertEqual(2, pool.get_stats()["errors"])
            await pool.stop()

        self.run_async(main())

    def test_who_came_first_is_served_first(self):
        async def main():
            mine, served = Mine(), []
            pool = SandboxPool(PoolConfig(max_total=1))
            box = await pool.acquire(mine, SandboxConfig())

            async def use(number):
                mine_now = await pool.acquire(mine, SandboxConfig())
                served.append(number)
                await asyncio.sleep(0)
                await pool.release(mine_now.id)

            users = [asyncio.ensure_future(use(number)) for number in range(8)]
            await asyncio.sleep(0)
            await pool.release(box.id)
            users.append(asyncio.ensure_future(use(8)))
            await asyncio.gather(*users)
            self.assertEqual(list(range(9)), served)
            self.assertEqual(1, mine.made)
            await pool.stop()

        self.run_async(main())

    def test_a_place_is_never_lost(self):
        """Users cancelled wherever they are, hooks and providers that fail: all places come back."""
        class Slow(Mine):
            async def is_alive(self, sandbox_id):
                await asyncio.sleep(0)
                return sandbox_id in self.boxes

            async def set_timeout(self, sandbox_id, seconds):
                await asyncio.sleep(0)
                if self.made % 7 == 0:
                    raise ProviderError("down")

            async def destroy_sandbox(self, sandbox_id):
                await asyncio.sleep(0)
                return await super().destroy_sandbox(sandbox_id)

        async def main():
            mine, holders = Slow(), set()
            pool = SandboxPool(PoolConfig(max_total=3, max_idle=2))

            async def use(number):
                try:
                    box = await pool.acquire(mine, SandboxConfig(image=str(number % 3)), timeout=20)
                except ProviderError:
                    return
                self.assertNotIn(box.id, holders)
                holders.add(box.id)
                try:
                    await asyncio.sleep(0)
                finally:
                    holders.remove(box.id)
                    await asyncio.shield(asyncio.ensure_future(pool.release(box.id)))

            users = [asyncio.ensure_future(use(number)) for number in range(60)]
            for number, user in enumerate(users):
                if number % 3 == 0:
                    await asyncio.sleep(0)
                    user.cancel()
                self.assertLessEqual(len(mine.boxes), 3)
            await asyncio.gather(*users, return_exceptions=True)
            while pool._ends:
                await asyncio.sleep(0)
            self.assertEqual((0, 0, 0), (len(pool._busy_sandboxes), pool._creating, len(pool._waiting)))
            boxes = await asyncio.gather(*(self._again(pool, mine) for _ in range(3)))
            self.assertEqual(3, len({box.id for box in boxes}))
            await pool.stop()
            self.assertEqual({}, mine.boxes)

        self.run_async(main())

    async def _again(self, pool, provider):
        while True:
            try:
                return await pool.acquire(provider, SandboxConfig(), timeout=5)
            except ProviderError:
                pass

    def test_stopping_tells_those_who_wait(self):
        async def main():
            mine, pool = Mine(delay=0.01), SandboxPool(PoolConfig(max_total=2))
            await pool.acquire(mine, SandboxConfig())
            users = [asyncio.ensure_future(pool.acquire(mine, SandboxConfig())) for _ in range(2)]
            await asyncio.sleep(0)
            await pool.stop()
            for user in users:  # one waits, for one a sandbox is being made
                with self.assertRaisesRegex(SandboxStateError, "stopped"):
                    await user
            self.assertEqual({}, mine.boxes)

        self.run_async(main())

    def test_another_account_is_another_provider(self):
        async def main():
            async with SandboxPool() as pool:
                box = await pool.acquire(Mine(key="one"), SandboxConfig())
                await pool.release(box.id)
                await pool.acquire(Mine(key="two"), SandboxConfig())
                self.assertEqual((2, 0), (pool.get_stats()["created"], pool.get_stats()["reused"]))

        self.run_async(main())

    def test_times_and_hooks(self):
        async def main():
            told = []

            async def created(box):
                told.append(("created", box.id))

            def broken(box):
                raise ValueError("of the user's")

            mine = Mine()
            pool = SandboxPool(PoolConfig(on_create=created, on_reuse=broken, on_destroy=lambda b: told.append("end")))
            box = await pool.acquire(mine, SandboxConfig())
            await pool.release(box.id)
            await pool.acquire(mine, SandboxConfig())
            self.assertEqual([("created", box.id)], told)
            pool.config.sandbox_ttl = 0.0
            self.assertEqual(1, await pool.cleanup_expired())
            pool.config.sandbox_ttl = 100.0
            box = await pool.acquire(mine, SandboxConfig())
            await pool.release(box.id)
            pool.config.idle_timeout = 0.0
            self.assertEqual(1, await pool.cleanup_expired())
            box = await pool.acquire(mine, SandboxConfig())
            await pool.destroy(box.id)
            self.assertEqual("end", told[-1])
            self.assertTrue((await pool.health_check())["healthy"])
            await pool.stop()

        self.run_async(main())

    def test_prewarmed(self):
        async def main():
            for strategy in (PoolStrategy.EAGER, PoolStrategy.HYBRID, PoolStrategy.LAZY):
                mine = Mine()
                pool = SandboxPool(PoolConfig(min_idle=3, strategy=strategy))
                await pool.start(mine, SandboxConfig())
                await asyncio.sleep(0.02)
                self.assertEqual(0 if strategy is PoolStrategy.LAZY else 3, pool.get_stats()["idle"], strategy)
                await pool.stop()
                self.assertEqual({}, mine.boxes)

        self.run_async(main())

    def test_dead_sandboxes_are_not_handed_out(self):
        async def main():
            provider = NativeProvider("fake")
            async with SandboxPool() as pool:
                box = await pool.acquire(provider, SandboxConfig())
                await pool.release(box.id)
                await provider.destroy_sandbox(box.id)
                other = await pool.acquire(provider, SandboxConfig())
                self.assertNotEqual(box.id, other.id)
                self.assertTrue(await provider.is_alive(other.id))

        self.run_async(main())

    def test_connections(self):
        async def main():
            mine = Mine()
            async with ConnectionPool(provider=mine, max_connections=2, max_idle_time=300, ttl=3600) as pool:
                one = await pool.get_or_create(SandboxConfig(labels={"pool": "ml"}))
                two = await pool.get_or_create(SandboxConfig(labels={"pool": "ml"}))
                self.assertNotEqual(one.id, two.id)
                with self.assertRaisesRegex(SandboxQuotaError, "Connection pool limit reached: 2"):
                    await pool.get_or_create(SandboxConfig())
                self.assertTrue(await pool.release(one))
                self.assertEqual(one.id, (await pool.get_or_create(SandboxConfig(labels={"pool": "ml"}))).id)
                self.assertEqual({"total_created": 2, "total_connections": 2, "idle_connections": 0,
                                  "active_connections": 2}, pool.get_metrics())
            self.assertEqual({}, mine.boxes)

        self.run_async(main())


class Retries(PyCase):
    def handler(self, **config):
        return RetryHandler(RetryConfig(initial_delay=0, **config))

    def test_until_it_works(self):
        calls = []

        async def flaky():
            calls.append(1)
            if len(calls) < 3:
                raise ProviderError("down")
            return "up"

        told = []
        handler = self.handler(on_retry=lambda attempt, error: told.append((attempt, str(error))))
        self.assertEqual("up", self.run_async(handler.execute(flaky)))
        self.assertEqual([(1, "down"), (2, "down")], told)
        self.assertEqual(3, self.run_async(self.handler().execute(lambda: 3)))

    def test_what_is_not_tried_again(self):
        for error, config in ((SandboxAuthenticationError("x"), {}), (SandboxNotFoundError("x"), {}),
                              (ValueError("x"), {"retryable_errors": (ProviderError,)})):
            calls = []

            def fail(calls=calls, error=error):
                calls.append(1)
                raise error

            with self.subTest(error), self.assertRaises(type(error)):
                self.run_async(self.handler(**config).execute(fail))
            self.assertEqual(1, len(calls))

    def test_callers_decide(self):
        def count(handler):
            calls = []

            def fail():
                calls.append(1)
                raise ValueError("x")

            with self.assertRaises(ValueError):
                self.run_async(handler.execute(fail))
            return len(calls)

        self.assertEqual(4, count(self.handler(should_retry=lambda error: False)))  # falls through
        self.assertEqual(4, count(self.handler(should_retry=lambda e: True, retryable_errors=(OSError,))))
        self.assertEqual(5, count(self.handler(allow_additional_attempt=True)))
        handler = self.handler()
        handler.should_retry = lambda error, attempt: attempt < 2
        self.assertEqual(2, count(handler))
        handler.should_retry = lambda error: 1 / 0
        self.assertEqual(1, count(handler))

    def test_delays(self):
        handler = RetryHandler(RetryConfig(initial_delay=1, max_delay=5, jitter=False))
        self.assertEqual([1, 2, 4, 5, 5], [handler.calculate_delay(n) for n in range(1, 6)])
        jittered = RetryHandler(RetryConfig(initial_delay=1)).calculate_delay(1)
        self.assertTrue(1 <= jittered <= 1.25)
        self.assertEqual([1, 2, 4], [retry.ExponentialBackoff().get_delay(n) for n in range(3)])
        self.assertEqual([1, 2, 3], [retry.LinearBackoff().get_delay(n) for n in range(3)])
        for bad in ({"max_retries": -1}, {"initial_delay": -1}, {"exponential_base": 0}, {"timeout": 0}):
            with self.assertRaises(ValueError):
                RetryConfig(**bad)

    def test_the_time_of_each_attempt(self):
        with self.assertRaises(asyncio.TimeoutError):
            self.run_async(self.handler(timeout=0.01, max_retries=1).execute(asyncio.sleep, 10))

    def test_the_budget_of_all_attempts(self):
        calls = []

        async def fail():
            calls.append(1)
            raise ProviderError("down")

        with self.assertRaises(ProviderError):
            self.run_async(RetryHandler(RetryConfig(initial_delay=60, budget=29)).execute(fail))
        self.assertEqual(1, len(calls))
        with self.assertRaisesRegex(ValueError, "budget"):
            RetryConfig(budget=0)

    def test_decorated(self):
        calls = []

        @with_retry(max_retries=2, initial_delay=0)
        async def named():
            """Its text."""
            calls.append(1)
            raise ProviderError("down")

        with self.assertRaises(ProviderError):
            self.run_async(named())
        self.assertEqual((3, "named", "Its text."), (len(calls), named.__name__, named.__doc__))

    def test_helpers(self):
        async def main():
            with self.assertRaisesRegex(SandboxTimeoutError, "too slow"):
                await retry.with_timeout(asyncio.sleep(10), 0.01, "too slow")
            limiter, begin = retry.RateLimiter(2, 0.1), time.monotonic()
            for _ in range(5):
                async with limiter:
                    pass
            self.assertGreaterEqual(time.monotonic() - begin, 0.19)

        self.run_async(main())
        errors = retry.ErrorAggregator(2)
        for error in (ValueError(), KeyError(), KeyError()):
            errors.record_error(error)
        self.assertEqual({"total_errors": 2, "error_types": {"KeyError": 2}}, errors.get_summary())


class Breakers(PyCase):
    def test_opens_half_opens_closes(self):
        async def main():
            breaker = CircuitBreaker(failure_threshold=2, recovery_timeout=0.05)

            def fail():
                raise ValueError("x")

            for _ in range(2):
                with self.assertRaises(ValueError):
                    await breaker.call(fail)
            self.assertEqual("open", breaker.state)
            with self.assertRaisesRegex(ProviderError, "Circuit breaker is open.*Circuit breaker is OPEN"):
                await breaker.call(fail)
            await asyncio.sleep(0.06)
            self.assertTrue(breaker.is_half_open())
            with self.assertRaises(ValueError):
                await breaker.call(fail)
            self.assertTrue(breaker.is_open())
            await asyncio.sleep(0.06)
            probe = asyncio.ensure_future(breaker.call(asyncio.sleep, 0.05, "ok"))
            await asyncio.sleep(0)
            with self.assertRaisesRegex(ProviderError, "HALF_OPEN"):
                await breaker.call(fail)
            self.assertEqual("ok", await probe)
            self.assertEqual(("closed", 0), (breaker.state, breaker.failure_count))

        self.run_async(main())

    def test_a_retry_waits_for_it(self):
        calls = []

        def flaky():
            calls.append(1)
            if len(calls) < 3:
                raise ProviderError("down")
            return "up"

        breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=0.02)
        handler = RetryHandler(RetryConfig(initial_delay=0, circuit_breaker=breaker))
        self.assertEqual("up", self.run_async(handler.execute(flaky)))

    def test_bad_numbers(self):
        for bad in ({"failure_threshold": 0}, {"success_threshold": 0}, {"half_open_requests": 0}):
            with self.assertRaises(ValueError):
                CircuitBreaker(**bad)


class Paths(PyCase):
    def test_refused(self):
        inside = self.file("file", "x")
        folder = os.path.join(self.work, "folder")
        os.mkdir(folder)
        os.symlink("/etc/passwd", os.path.join(self.work, "link"))
        local = security.validate_local_path
        for call, text in ((lambda: local(""), "Empty path"), (lambda: local("a/../b"), "Path traversal detected"),
                           (lambda: local("/no/such", must_exist=True), "Path does not exist"),
                           (lambda: local("/etc/passwd", [self.work]), "Path outside allowed directories"),
                           (lambda: local(os.path.join(self.work, "link"), [self.work]), "outside allowed"),
                           (lambda: security.validate_upload_path(folder), "not a file"),
                           (lambda: security.validate_download_path("/no/such/x"), "parent directory does not exist"),
                           (lambda: security.validate_download_path(inside + "/x"), "not a directory")):
            with self.subTest(text), self.assertRaisesRegex(SandboxError, text):
                call()

    def test_allowed(self):
        inside = self.file("file", "x")
        self.assertEqual(os.path.realpath(inside), str(security.validate_upload_path(inside, [self.work])))
        self.assertEqual("new", security.validate_download_path(os.path.join(self.work, "new")).name)


class Click(PyCase):
    def test_the_command_as_a_group(self):
        try:
            from click.testing import CliRunner
        except ImportError:
            self.skipTest("needs click")
        from sandboxes import cli

        with mock.patch.dict(os.environ, {"SANDBOXES_COMMAND": pycase.COMMAND}):
            result = CliRunner().invoke(cli.cli, ["run", "echo hi; exit 3"])
        self.assertEqual(("hi\n", 3), (result.output, result.exit_code))
        self.assertIn("doctor", CliRunner().invoke(cli.cli, ["--help"]).output)
        with self.assertRaises(SystemExit):
            cli.get_provider("nothing")

    def test_says_what_it_needs(self):
        with mock.patch.dict(sys.modules, {"click": None}):
            sys.modules.pop("sandboxes.cli", None)
            with self.assertRaisesRegex(ImportError, "pip install click"):
                __import__("sandboxes.cli")


if __name__ == "__main__":
    pycase.main()
