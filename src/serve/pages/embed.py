#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes files as a table of C: embed.py OUT FILE..."""
import os
import sys

TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
         ".txt": "text/plain; charset=utf-8"}


def served_name(path):
    """LICENSE of a package becomes PACKAGE-license.txt; source maps are not there, so not named."""
    base = os.path.basename(path)
    return os.path.basename(os.path.dirname(path)) + "-license.txt" if base == "LICENSE" else base


def contents(path):
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"//# sourceMappingURL="))


def main():
    rows = []
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write('#include "serve/pages.h"\n\n')
        for number, path in enumerate(sys.argv[2:]):
            data = contents(path)
            name = served_name(path)
            kind = TYPES[os.path.splitext(name)[1]]
            out.write(f"static const unsigned char page_{number}[] = {{\n")
            for at in range(0, len(data), 24):
                out.write(",".join(map(str, data[at:at + 24])) + ",\n")
            out.write("};\n")
            rows.append(f'    {{"{name}", "{kind}", page_{number}, sizeof(page_{number})}},\n')
        out.write("const struct page pages[] = {\n" + "".join(rows) + "    {0},\n};\n")


if __name__ == "__main__":
    main()
