#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a text as a string of C: embed.py OUT NAME FILE."""
import sys


def main():
    with open(sys.argv[3], "rb") as file:
        data = file.read() + b"\0"
    with open(sys.argv[1], "w", encoding="ascii") as out:
        out.write(f'#include "serve/inside.h"\n\nconst char {sys.argv[2]}[] = {{\n')
        for at in range(0, len(data), 24):
            out.write(",".join(map(str, data[at:at + 24])) + ",\n")
        out.write("};\n")


if __name__ == "__main__":
    main()
