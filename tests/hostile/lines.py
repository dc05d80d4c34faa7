# SPDX-License-Identifier: Apache-2.0
"""Reads what the probe prints: one line a check, `ok|OPEN|skip ROW NAME: detail`, and a last one."""
import re

LINE = re.compile(r"^(ok|OPEN|skip) (\d+) (.*?): (.*)$")


class Report:
    def __init__(self, text):
        self.text = text
        self.complete = False
        self.checks = []  # (word, row, name, detail)
        for line in text.replace("\r", "").splitlines():
            match = LINE.match(line)
            if match:
                self.checks.append((match[1], int(match[2]), match[3], match[4]))
            elif line.startswith("end "):
                self.complete = True

    def named(self, word):
        return {f"{row} {name}": detail for kind, row, name, detail in self.checks if kind == word}

    @property
    def open(self):
        return self.named("OPEN")

    @property
    def skipped(self):
        return self.named("skip")
