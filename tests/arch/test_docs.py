# SPDX-License-Identifier: Apache-2.0
"""What the documents say exists: error codes have rows, named files and links are there."""
import glob
import os
import re
import unittest

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))


def read(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return file.read()


def documents():
    return sorted(os.path.relpath(p, TREE) for pattern in ("*.md", "docs/*.md")
                  for p in glob.glob(os.path.join(TREE, pattern)))


class Docs(unittest.TestCase):
    def test_every_error_has_a_row(self):
        codes = re.findall(r"^\s+SBX_ERR_(\w+) = -", read("include/sandboxes/error.h"), re.MULTILINE)
        rows = re.findall(r"^\| `(\w+)` \|", read("docs/errors.md"), re.MULTILINE)
        self.assertEqual(codes, rows)

    def test_links_lead_somewhere(self):
        for document in documents():
            folder = os.path.dirname(os.path.join(TREE, document))
            for target in re.findall(r"\]\(([^)#:]+)\)", read(document)):
                self.assertTrue(os.path.exists(os.path.join(folder, target)), f"{document}: {target}")

    def test_named_source_files_exist(self):
        if not os.path.exists(os.path.join(TREE, "src/engine/conn.h")):
            self.skipTest("the engine is not there yet")
        for document in documents():
            for name in re.findall(r"`((?:src|tests|tools|include|bench|docs|engine|jail|core|cli|wire|base)"
                                   r"/[\w./-]+\.(?:c|h|py|md|txt|def))`", read(document)):
                if "NAME" in name or "FILE" in name:
                    continue
                there = any(os.path.exists(os.path.join(TREE, p, name)) for p in ("", "src"))
                self.assertTrue(there, f"{document} names {name}")

    def test_every_example_is_built(self):
        text = read("examples/meson.build")
        for path in glob.glob(os.path.join(TREE, "examples/*.c")):
            self.assertIn(f"'{os.path.basename(path)[:-2]}'", text)


if __name__ == "__main__":
    unittest.main()
