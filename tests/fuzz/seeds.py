# SPDX-License-Identifier: Apache-2.0
"""Writes the binary seeds of corpus/wire, corpus/frame, corpus/unpack and corpus/packed: one of each kind.

usage: python3 tests/fuzz/seeds.py    (after a change of a message; then look at git diff --stat)
"""
import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def u32(*values):
    return b"".join(struct.pack("<I", value & 0xFFFFFFFF) for value in values)


def u64(*values):
    return b"".join(struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF) for value in values)


def text(value):
    data = value.encode() + b"\0"
    return u32(len(data)) + data


def texts(*values):
    return u32(len(values)) + b"".join(text(value) for value in values)


def pairs(*values):
    return u32(len(values)) + b"".join(text(name) + text(value) for name, value in values)


def frame(kind, channel, payload):
    return u32(len(payload), kind, channel) + payload


SPEC = (u32(1) + b"".join(text(t) for t in ("sb-1", "host", "user", "", "sandbox", "/a", "/n"))
        + u64(1 << 28, 1 << 30) + u32(1000, 256, 1024, 0, 2, 0) + u64(1700000000000, -1)
        + pairs(("/", "/upper")) + pairs(("A", "1")) + pairs(("k", "v")) + pairs(("/mnt", "r/tmp"))
        + texts("example.com:443") + texts("80:0"))

# The first byte chooses the reader, in the order of the table `readers` of fuzz_wire.c.
WIRE = {
    "config": b"\0" + text("user") + text("") + pairs(("A", "1")),
    "exec": b"\1" + u32(2, 24, 80) + u64(1000) + text("/tmp") + text("root") + text("")
            + texts("echo", "a b") + pairs(("B", "")),
    "shell": b"\1" + u32(0, 0, 0) + u64(0) + text("") + text("") + text("echo") + texts() + pairs(),
    "spec": b"\2" + SPEC,
    "entry": b"\3" + text("a/b") + text("") + u64(5, 1700000000000) + u32(1, 0o644, 1000, 1000),
    "link": b"\3" + text("l") + text("../x") + u64(4, 0) + u32(3, 0o777, 0, 0),
    "usage": b"\4" + u64(1, 2, 3, 4) + u32(5),
    "state": b"\4" + u32(2) + u64(1700000000000) + u32(1, 80, 40000),
    "failed": b"\5" + u32(-13, 2) + text("cannot run 'x'") + text("look"),
    "frames": b"\6\7" + frame(33, 0, u32(7)) + frame(34, 0, u32(1) + b"out") + frame(35, 0, b""),
}
FRAME = {
    "two": b"\0" + frame(1, 0, b"hello") + frame(2, 7, b""),
    "oversize": b"\5" + frame(1, 0, b"x") + u32(0x100001, 1, 0),
    "open": b"\2" + frame(1, 0, b"payload")[:-2],
}


def tar(form, *members):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        for name, kind, more in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = more if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            member.size = len(more) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(more.encode()) if member.size else None)
    return data.getvalue()[:4096]  # without most of the zeros at the end


UNPACK = {
    "plain": tar(tarfile.USTAR_FORMAT, ("bin", tarfile.DIRTYPE, ""), ("bin/sh", tarfile.REGTYPE, "#!"),
                 ("sh", tarfile.SYMTYPE, "bin/sh"), ("hard", tarfile.LNKTYPE, "bin/sh")),
    "through": tar(tarfile.GNU_FORMAT, ("l", tarfile.SYMTYPE, ".."), ("l/x", tarfile.REGTYPE, "x")),
    "device": tar(tarfile.GNU_FORMAT, ("dev/null", tarfile.CHRTYPE, ""), ("p", tarfile.FIFOTYPE, "")),
    "pax": tar(tarfile.PAX_FORMAT, ("\u00e9" * 60 + "/a", tarfile.REGTYPE, "x")),
    "long": tar(tarfile.GNU_FORMAT, ("d/" * 80 + "a", tarfile.REGTYPE, "x")),
}

PACKED = {
    "gzip": gzip.compress(UNPACK["plain"], mtime=0),
    "bzip2": bz2.compress(UNPACK["plain"]),
    "xz": lzma.compress(UNPACK["plain"]),
    "twice": gzip.compress(gzip.compress(UNPACK["long"], mtime=0), mtime=0),
    "after": gzip.compress(UNPACK["pax"] + bytes(1024), mtime=0) + b"what follows",
    "zeros": gzip.compress(bytes(1 << 20), mtime=0),
}


def main():
    for folder, seeds in (("wire", WIRE), ("frame", FRAME), ("unpack", UNPACK),
                          ("packed", PACKED)):
        os.makedirs(os.path.join(CORPUS, folder), exist_ok=True)
        for name, data in seeds.items():
            with open(os.path.join(CORPUS, folder, name), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
