# SPDX-License-Identifier: Apache-2.0
"""docs/serve-routes.md says of each route what the server says, and each that clients have is there."""
import glob
import os
import re
import subprocess
import sys
import unittest

import servecase

servecase.require()

TREE = os.environ["TREE"]
# For other programs than clients of sandboxes: administrators, runners, the services' own web pages.
OTHERS = re.compile("/(admin|api-keys|audit|docker-registry|jobs|organizations?|runners?|users|webhooks|preview)(/|$)"
                    "|/sandbox/for-runner|/(state|organization|region-quota)$|/telemetry/(logs|traces)|default-templates"
                    "|/(ancestors|forks|parent|build-logs|build-logs-url|deactivate)$|/health/ready|paginated|^/init$")


def printed():
    done = subprocess.run([servecase.SERVE, "routes"], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        api, method, path, state = line.split(" ", 3)
        yield api, method, path, state


def fits(pattern, path):
    expression = re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(pattern)).replace(r"\*", ".+")
    return re.fullmatch(expression, path)


class Routes(unittest.TestCase):
    def test_the_table_is_true(self):
        with open(os.path.join(TREE, "docs/serve-routes.md"), encoding="utf-8") as file:
            rows = re.findall(r"^\| `(\S+) (\S+)` \| (works|no) \| (.*) \|$", file.read(), re.M)
        told = {(method, path): (state, "" if state == "works" else note) for method, path, state, note in rows}
        real = {(method, path): ("works", "") if state == "served" else ("no", state)
                for _, method, path, state in printed()}
        self.assertEqual(told, real)

    def check(self, apis, prefix, calls):
        rows = [(method, path) for api, method, path, _ in printed() if api in apis]
        missing = [f"{method} {path}" for method, path in sorted(calls) if not OTHERS.search(path)
                   and not any(own in ("*", method) and fits(pattern, prefix + path) for own, pattern in rows)]
        self.assertEqual(missing, [])
        self.assertGreater(len(calls), 20)

    def sources(self, pattern):
        found = [path for base in sys.path for path in glob.glob(os.path.join(base, pattern))]
        if not found:
            self.skipTest("the client is not installed; ./dev installs it")
        for path in found:
            with open(path, encoding="utf-8") as file:
                yield file.read()

    def test_what_e2b_calls(self):
        calls = set()
        for text in self.sources("e2b/api/client/api/*/*.py"):
            method, path = re.search(r'"method": "(\w+)"', text), re.search(r'"(/[^"]+)"', text)
            if method and path:
                calls.add((method[1].upper(), path[1]))
        self.check(("e2b",), "", calls)

    def test_what_daytona_calls(self):
        for package, apis, prefix in (("daytona_api_client", ("daytona",), "/api"),
                                      ("daytona_toolbox_api_client", ("toolbox",), "/toolbox/{sandbox}")):
            calls = set()
            for text in self.sources(package + "/api/*.py"):
                calls.update(re.findall(r"method='(\w+)',\s*resource_path='([^']+)'", text))
            self.check(apis, prefix, calls)


if __name__ == "__main__":
    unittest.main(verbosity=2)
