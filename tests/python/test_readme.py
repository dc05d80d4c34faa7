# SPDX-License-Identifier: Apache-2.0
"""What was promised to users of the package, as they write it: against local sandboxes, and with
stand-ins where a service would be. promise.txt says which test shows which promise."""
import asyncio
import contextlib
import io
import logging
import os
import re
import unittest
from unittest import mock

import pycase
from pycase import LIMITS_MEMORY, PyCase

pycase.require_local()
import sandboxes  # noqa: E402
from sandboxes import (  # noqa: E402
    Manager,
    ProviderError,
    Sandbox,
    SandboxConfig,
    SandboxError,
    run,
    run_many,
)
from sandboxes.pool import ConnectionPool  # noqa: E402
from sandboxes.providers import E2BProvider, LocalProvider, NativeProvider  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))


class Broken(NativeProvider):
    """Stands for a service that is down."""

    def __init__(self, name):
        super().__init__("fake", create_failures=1000)
        self._label = name

    @property
    def name(self):
        return self._label


class Example(PyCase):
    def printed(self, main):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.run_async(main())
        return out.getvalue()


class QuickStart(Example):
    def test_one_line(self):
        async def main():
            result = await run("echo 'Hello from sandbox!'")
            print(result.stdout)

        self.assertEqual("Hello from sandbox!\n\n", self.printed(main))

    def test_several_commands_in_one_sandbox(self):
        async def main():
            results = await run_many(["echo made > file", "cat file"])
            for result in results:
                print(result.stdout)

        self.assertEqual("\nmade\n\n", self.printed(main))

    def test_a_session(self):
        data = self.file("data.csv", "a,b\n1,2\n")

        async def main():
            async with Sandbox.create() as sandbox:
                await sandbox.execute("pip install --no-index numpy pandas")  # may fail: no matter
                await sandbox.upload(data, "/tmp/data.csv")
                await sandbox.write_file("analyze.py", "print(open('/tmp/data.csv').read())\n"
                                                       "open('/tmp/results.csv', 'w').write('done')")
                result = await sandbox.execute("python3 analyze.py")
                print(result.stdout)
                await sandbox.download("/tmp/results.csv", os.path.join(self.work, "results.csv"))

        self.assertEqual("a,b\n1,2\n\n\n", self.printed(main))
        with open(os.path.join(self.work, "results.csv"), encoding="utf-8") as file:
            self.assertEqual("done", file.read())

    def test_streaming(self):
        async def main():
            async with Sandbox.create() as sandbox:
                async for chunk in sandbox.stream("for i in 1 2 3; do echo epoch $i; sleep 0.05; done"):
                    print(chunk, end="", flush=True)

        self.assertEqual("epoch 1\nepoch 2\nepoch 3\n", self.printed(main))

    def test_reuse(self):
        async def main():
            sandbox1 = await Sandbox.get_or_create(labels={"project": "ml-training", "gpu": "true"})
            sandbox2 = await Sandbox.get_or_create(labels={"project": "ml-training", "gpu": "true"})
            assert sandbox1.id == sandbox2.id
            await sandbox1.destroy()

        self.printed(main)

    def test_failover(self):
        manager = Sandbox._ensure_manager()
        manager.add_provider(Broken("e2b"))
        manager.add_provider(Broken("modal"))

        async def main():
            sandbox = await Sandbox.create(provider="e2b", fallback=["modal", "cloudflare", "local"])
            print(f"Using: {sandbox._provider_name}")
            await sandbox.destroy()
            with self.assertRaisesRegex(ProviderError, "e2b: .*modal: .*cloudflare: "):
                await Sandbox.create(provider="e2b", fallback=["modal", "cloudflare"])
            print((await run("echo chosen", provider="local")).stdout)
            try:
                sandbox = await Sandbox.create(provider="e2b")
            except ProviderError:
                sandbox = await Sandbox.create(provider="local")
            await sandbox.destroy()

        self.assertEqual("Using: local\nchosen\n\n", self.printed(main))


class Configuration(Example):
    def test_what_was_detected(self):
        Sandbox._ensure_manager()
        self.assertEqual(["local"], list(Sandbox._manager.providers.keys()))
        self.assertEqual("local", Sandbox._manager.default_provider)

    def test_health(self):
        async def main():
            Sandbox._ensure_manager()
            for name, provider in Sandbox._manager.providers.items():
                print(f"{name}: {await provider.health_check()}")

        self.assertEqual("local: True\n", self.printed(main))

    def test_debugging(self):
        with self.assertLogs("sandboxes", logging.DEBUG) as logs, mock.patch.dict(os.environ, MODAL_TOKEN_ID="x"):
            Sandbox._ensure_manager()
        self.assertIn("MODAL_TOKEN_ID", "\n".join(logs.output))

    def test_direct_providers(self):
        with mock.patch.dict(os.environ, E2B_API_KEY="e2b_" + "0" * 40):
            self.assertEqual("e2b", E2BProvider().name)
        self.assertEqual("e2b", E2BProvider(api_key="e2b_" + "0" * 40).name)

    def test_without_a_key_the_setting_is_named(self):
        with self.assertRaisesRegex(SandboxError, "E2B_API_KEY"):
            self.run_async(E2BProvider().create_sandbox(SandboxConfig()))

    def test_images_are_passed_on(self):
        async def main():
            with self.assertRaisesRegex(SandboxError, "no-such-image"):
                await LocalProvider().create_sandbox(SandboxConfig(image="./no-such-image"))
            async with Sandbox.create(image="host") as sandbox:
                await sandbox.refresh()
                print(sandbox.metadata["image"])

        self.assertEqual("host\n", self.printed(main))


class Advanced(Example):
    def test_manager_with_fallback(self):
        async def main():
            manager = Manager(providers=[Broken("e2b"), Broken("modal"), LocalProvider()], default_provider="e2b")
            sandbox = await manager.create_sandbox(SandboxConfig(labels={"task": "test"}), fallback=True)
            print(sandbox.provider)
            await manager.destroy_sandbox(sandbox.id, sandbox.provider)

        self.assertEqual("local\n", self.printed(main))

    def test_reuse_by_another_process(self):
        async def main():
            provider = LocalProvider()
            sandbox = await provider.get_or_create_sandbox(SandboxConfig(labels={"project": "ml-training"}))
            code = ("import asyncio; from sandboxes.providers import LocalProvider\n"
                    "async def main():\n"
                    "    found = await LocalProvider().find_sandbox({'project': 'ml-training'})\n"
                    "    print(found.id, (await LocalProvider().execute_command(found.id, 'echo x')).stdout)\n"
                    "asyncio.run(main())")
            with self.python(code) as process:
                out, err = process.communicate(timeout=60)
            self.assertEqual((f"{sandbox.id} x\n\n", ""), (out, err))
            async for chunk in provider.stream_execution(sandbox.id, "echo streamed"):
                print(chunk, end="")
            await provider.destroy_sandbox(sandbox.id)

        self.assertEqual("streamed\n", self.printed(main))

    def test_connection_pool(self):
        async def main():
            pool = ConnectionPool(provider=LocalProvider(), max_connections=10, max_idle_time=300, ttl=3600)
            conn = await pool.get_or_create(SandboxConfig(labels={"pool": "ml"}))
            await pool.release(conn)
            again = await pool.get_or_create(SandboxConfig(labels={"pool": "ml"}))
            assert again.id == conn.id
            await pool.close()

        self.printed(main)

    def test_names_of_the_reference(self):
        for name in ("Sandbox", "SandboxConfig", "ExecutionResult", "Manager", "SandboxProvider", "ConnectionPool",
                     "RetryPolicy", "CircuitBreaker"):
            self.assertTrue(hasattr(sandboxes, name), name)

    def test_fallback_of_commands(self):
        async def main():
            manager = Manager(providers=[Broken("e2b"), Broken("modal"), LocalProvider()])
            result = await manager.execute_with_fallback("echo ran", SandboxConfig(labels={"reliability": "high"}))
            print(result.stdout)

        self.assertEqual("ran\n\n", self.printed(main))

    def test_training_with_a_provider_alone(self):
        async def main():
            provider = LocalProvider()
            sandbox = await provider.create_sandbox(SandboxConfig(
                labels={"task": "ml-training"}, timeout_seconds=3600,
                provider_config={"memory": 1024} if LIMITS_MEMORY else {}))
            result = await provider.execute_command(sandbox.id, "echo trained --epochs 10")
            await provider.destroy_sandbox(sandbox.id)
            print(result.stdout)
            with self.assertRaises(SandboxError):  # never dropped in silence
                await provider.create_sandbox(SandboxConfig(provider_config={"gpu": "T4"}))

        self.assertEqual("trained --epochs 10\n\n", self.printed(main))


class Languages(Example):
    """The examples as they are; a compiler that is not on this machine is stood for by a script."""

    def test_code_in_single_quotes(self):
        async def execute_code(code, language):
            async with Sandbox.create() as sandbox:
                if language == "python":
                    result = await sandbox.execute(f"python3 -c '{code}'")
                else:
                    raise ValueError(f"Unsupported language: {language}")
                return result.stdout if result.success else result.stderr

        self.assertEqual("42\n", self.run_async(execute_code("print(6 * 7)", "python")))
        self.assertIn("NameError", self.run_async(execute_code("print(x)", "python")))
        with self.assertRaises(ValueError):
            self.run_async(execute_code("", "cobol"))

    def test_a_program_in_a_heredoc(self):
        go = 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfmt.Printf("Area: %.2f\\n", 78.54)\n}\n'

        async def main():
            async with Sandbox.create() as sandbox:
                result = await sandbox.execute(f"\ncat > /tmp/main.go << 'EOF'\n{go}\nEOF\ncat /tmp/main.go\n")
                self.assertEqual(go + "\n", result.stdout)

        self.run_async(main())

    def test_typescript_in_quotes_reaches_npx(self):
        async def main():
            async with Sandbox.create() as sandbox:
                await sandbox.write_file("bin/npx", "#!/bin/sh\ncat $3\n", mode=0o755)
                code = "\nconst greeting: string = \"Hello from TypeScript!\";\nconsole.log(`${greeting}`);\n"
                result = await sandbox.execute(
                    f"PATH=$HOME/bin:$PATH; echo '{code}' > /tmp/app.ts && npx -y /tmp/app.ts /tmp/app.ts")
                self.assertIn("Hello from TypeScript!", result.stdout)

        self.run_async(main())


class Uses(Example):
    def test_an_agent_that_executes_code(self):
        async def execute_agent_code(code, language="python3"):
            async with Sandbox.create() as sandbox:
                if "import" in code:
                    await sandbox.execute("pip install --no-index requests numpy")
                result = await sandbox.execute(f"{language} -c '{code}'")
                return f"Error: {result.stderr}" if result.exit_code != 0 else result.stdout

        self.assertEqual("3\n", self.run_async(execute_agent_code("import math; print(math.floor(3.9))")))
        self.assertIn("Error: ", self.run_async(execute_agent_code("boom")))

    def test_a_pipeline(self):
        script = self.file("process.py", "open('/tmp/results.csv', 'w').write('r'); print('step')")

        async def main():
            async with Sandbox.create(labels={"task": "data-pipeline"}) as sandbox:
                await sandbox.execute_many(["echo a > data.csv", "test -s data.csv"])
                await sandbox.upload(script, "/tmp/process.py")
                async for output in sandbox.stream("python3 /tmp/process.py"):
                    print(output, end="")
                await sandbox.download("/tmp/results.csv", os.path.join(self.work, "results.csv"))

        self.assertEqual("step\n", self.printed(main))
        self.assertTrue(os.path.exists(os.path.join(self.work, "results.csv")))

    def test_solutions_against_cases(self):
        solution = self.file("solution.py", "print(int(input()) * 2)")

        async def main():
            async with Sandbox.create() as sandbox:
                await sandbox.upload(solution, "/tmp/solution.py")
                await sandbox.write_file("/tmp/one", "21\n")
                result = await sandbox.execute("python3 /tmp/solution.py < /tmp/one")
                print(result.stdout.strip() == "42")

        self.assertEqual("True\n", self.printed(main))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Table(unittest.TestCase):
    """promise.txt: lines of the promise, what they say, the test that shows it or what it waits for."""

    def rows(self):
        with open(os.path.join(HERE, "promise.txt"), encoding="utf-8") as file:
            for line in file:
                if line.strip() and not line.startswith("#"):
                    lines, what, shown = (part.strip() for part in line.split("|"))
                    yield [int(number) for number in lines.split("-")], what, shown

    def test_every_test_that_is_named_is_there(self):
        for lines, what, shown in self.rows():
            for name in re.findall(r"(\w+\.py):(\w+)\.(\w+)", shown):
                places = (HERE, os.path.join(HERE, "../e2e/cli"))
                text = "".join(read(path) for folder in places
                               if os.path.exists(path := os.path.join(folder, name[0])))
                found = re.search(rf"(?m)^class {name[1]}[(:]", text)
                body = text[found.start():].split("\nclass ")[0] if found else ""
                self.assertIn(f"def {name[2]}(", body, (lines, what))
            self.assertTrue(re.search(r"\.py:|waits: \w|no promise", shown), (lines, what))

    def test_every_block_is_in_the_table(self):
        path = os.environ.get("PROMISE")
        if not path:
            self.skipTest("PROMISE names no text")
        covered = {number for lines, _, _ in self.rows() for number in range(lines[0], lines[-1] + 1)}
        with open(path, encoding="utf-8") as file:
            text = file.read().splitlines()
        inside, missing = False, []
        for number, line in enumerate(text, 1):
            fence = line.startswith("```")
            sentence = bool(line.strip()) and not line.startswith("#")
            if (inside or sentence) and not fence and line.strip() and number not in covered:
                missing.append((number, line))
            inside ^= fence
        self.assertEqual([], missing)


if __name__ == "__main__":
    pycase.main()
