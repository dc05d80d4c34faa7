# SPDX-License-Identifier: Apache-2.0
"""The form of the sources: functions that fit on a screen or two, nothing put off for later."""
import os
import re
import unittest

TREE = os.environ.get("TREE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
FOLDERS = ("src", "include", "tests", "bench", "examples", "tools", "python")
LONGEST_FUNCTION = 70
LONGEST_FILE = 800
# Spelled in two parts: this file is read too.
PUT_OFF = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|HA" + r"CK)\b")


def sources(endings):
    for folder in FOLDERS:
        for place, _, names in os.walk(os.path.join(TREE, folder)):
            for name in sorted(names):
                if name.endswith(endings):
                    path = os.path.join(place, name)
                    yield os.path.relpath(path, TREE), path


def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def functions(path):
    """(first line, lines) of each function: its braces alone are at the beginning of a line."""
    start = None
    for number, line in enumerate(lines(path), 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start, number - start - 1
            start = None


class Form(unittest.TestCase):
    def test_functions_are_short(self):
        long = [f"{name}:{start} has {size} lines" for name, path in sources((".c", ".h"))
                for start, size in functions(path) if size > LONGEST_FUNCTION]
        self.assertEqual([], long)

    def test_files_have_one_purpose(self):
        long = [f"{name} has {len(lines(path))} lines" for name, path in sources((".c", ".h"))
                if name.startswith(("src", "include")) and len(lines(path)) > LONGEST_FILE]
        self.assertEqual([], long)

    def test_nothing_is_put_off(self):
        found = [f"{name}:{number}" for name, path in sources((".c", ".h", ".py", ".sh", ".build"))
                 for number, line in enumerate(lines(path), 1) if PUT_OFF.search(line)]
        self.assertEqual([], found)


if __name__ == "__main__":
    unittest.main()
