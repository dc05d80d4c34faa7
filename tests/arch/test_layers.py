# SPDX-License-Identifier: Apache-2.0
"""Includes point down the layers, never up, and never in a circle."""
import os
import re
import unittest

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
SRC = os.path.join(TREE, "src")

# Folder: folders that it may include besides itself. ARCHITECTURE.md says why.
BELOW = {
    "base": set(),
    "wire": {"base"},
    "net": {"base"},
    "httpd": {"base"},
    "core": {"base", "wire", "net"},
    "engine": {"base", "wire", "core"},
    "jail": {"base", "wire"},
    "agent": {"base", "wire"},
    "netstack": {"base", "wire"},
    "vmm": {"base", "wire"},
    "provider": {"base", "wire", "net", "core", "engine"},
    "serve": {"base", "wire", "net", "httpd", "core"},
    "registry": {"base", "net", "core", "engine"},
    "metaflow": {"base", "net", "httpd", "core", "engine"},
    "cli": {"base", "wire", "net", "core", "engine", "provider", "serve", "registry"},
}
# The one place that knows every provider: the const table of registration.
EXCEPTIONS = {("core/registry.c", "provider"): "registers the providers"}


def sources():
    for folder, _, files in os.walk(SRC):
        for name in sorted(files):
            if name.endswith((".c", ".h")):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, SRC), path


def includes(path):
    with open(path, encoding="utf-8") as file:
        return re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read(), re.MULTILINE)


class Layers(unittest.TestCase):
    def test_every_folder_has_its_place(self):
        self.assertEqual(set(), {name.split("/")[0] for name, _ in sources()} - set(BELOW))

    def test_includes_point_down(self):
        wrong = []
        for name, path in sources():
            own = name.split("/")[0]
            for included in includes(path):
                folder = included.split("/")[0] if "/" in included else own
                if folder not in BELOW or folder == own or folder in BELOW[own]:
                    continue
                if (name, folder) not in EXCEPTIONS:
                    wrong.append(f"{name} includes {included}")
        self.assertEqual([], wrong)

    def test_providers_do_not_know_each_other(self):
        wrong = []
        for name, path in sources():
            for included in includes(path):
                if name.startswith("provider/") and included.startswith("provider/"):
                    # provider/NAME.c, provider/NAME_part.c or provider/NAME/part.c
                    own, other = (re.split(r"[/._]", n)[1] for n in (name, included))
                    if other not in (own, "cloud"):  # what services have in common
                        wrong.append(f"{name} includes {included}")
        self.assertEqual([], wrong)

    def test_headers_include_in_no_circle(self):
        graph = {name: [i for i in includes(path)] for name, path in sources() if name.endswith(".h")}
        done, on_way = set(), []

        def visit(name):
            if name in on_way:
                self.fail("circle: " + " > ".join(on_way[on_way.index(name):] + [name]))
            if name in done or name not in graph:
                return
            on_way.append(name)
            for included in graph[name]:
                visit(included)
            on_way.pop()
            done.add(name)

        for name in graph:
            visit(name)

    def test_files_name_their_licence_first(self):
        wrong = []
        for name, path in sources():
            with open(path, encoding="utf-8") as file:
                if "SPDX-License-Identifier: Apache-2.0" not in file.readline():
                    wrong.append(name)
        self.assertEqual([], wrong)


if __name__ == "__main__":
    unittest.main()
