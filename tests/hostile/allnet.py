# SPDX-License-Identifier: Apache-2.0
"""A network of one's own to try addresses in: no packet leaves this machine.

The calling process moves into a network namespace that plays the host; a child plays the internet
behind it, answers on every address there is, and writes down who was asked for. Listeners on the host's
own addresses write down the same. Works as root and as an ordinary user.
"""
import ctypes
import multiprocessing
import os
import select
import socket
import struct
import subprocess

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PORT = 8080
HOST_PUBLIC = "203.0.113.2"  # the host's address towards the internet
HOST_PRIVATE = "192.168.77.1"
PUBLIC = "93.184.216.34"
PUBLIC6 = "2606:2800:220:1::1"
NAMES = {  # what the internet's name server says
    "good.example": PUBLIC,
    "metadata.example": "169.254.169.254",
    "home.example": "127.0.0.1",
    "lan.example": "192.168.1.10",
    "host.example": HOST_PUBLIC,
}
_libc = ctypes.CDLL(None, use_errno=True)


def _unshare(flags):
    if _libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _user_namespace(flags, inside, outside_uid, outside_gid):
    _unshare(CLONE_NEWUSER | flags)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inside[0]} {outside_uid} 1")
    _write("/proc/self/gid_map", f"{inside[1]} {outside_gid} 1")


def _ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _answer(query):
    """A name server's answer to a question for an address."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("ascii", "replace").lower())
        at += 1 + query[at]
    question, kind = query[12:at + 5], struct.unpack(">H", query[at + 1:at + 3])[0]
    address = NAMES.get(".".join(labels))
    answers = b""
    if address and kind == 1:
        answers = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(address)
    flags = 0x8180 if address else 0x8183
    return (query[:2] + struct.pack(">HHHHH", flags, 1, 1 if answers else 0, 0, 0) + question + answers)


def _listeners():
    """Stream and datagram sockets for both families, on every address of this namespace."""
    found = []
    for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind, port in ((socket.SOCK_STREAM, PORT), (socket.SOCK_DGRAM, PORT), (socket.SOCK_DGRAM, 53),
                           (socket.SOCK_STREAM, 80)):
            sock = socket.socket(family, kind)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                if kind == socket.SOCK_DGRAM:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            elif kind == socket.SOCK_DGRAM:
                sock.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
            sock.bind((any_address, port))
            if kind == socket.SOCK_STREAM:
                sock.listen(64)
            found.append(sock)
    return found


def _asked_address(ancillary):
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == 8:
            return socket.inet_ntoa(data[8:12])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return socket.inet_ntop(socket.AF_INET6, data[:16])
    return "?"


def _serve(where, log):
    sockets = _listeners()
    while True:
        for sock in select.select(sockets, [], [])[0]:
            if sock.type == socket.SOCK_STREAM:
                peer, _ = sock.accept()
                log.put((where, "tcp", peer.getsockname()[0], sock.getsockname()[1]))
                try:
                    peer.sendall(b"!")
                except OSError:
                    pass
                peer.close()
                continue
            data, ancillary, _, sender = sock.recvmsg(2048, 256)
            address, port = _asked_address(ancillary), sock.getsockname()[1]
            reply = _answer(data) if port == 53 and len(data) > 16 else b"!"
            if port != 53:
                log.put((where, "udp", address, port))
            # Answer from the address that was asked.
            if sock.family == socket.AF_INET:
                packed = struct.pack("=I4s4s", 0, socket.inet_aton(address), b"\0" * 4)
                sock.sendmsg([reply], [(socket.IPPROTO_IP, 8, packed)], 0, sender)
            else:
                sock.sendto(reply, sender)


def _play(where, log, ready, own_namespace):
    if own_namespace:
        _unshare(CLONE_NEWNET)
    ready.send(os.getpid())
    ready.recv()
    if own_namespace:
        _ip("link", "set", "lo", "up")
        _ip("addr", "add", "203.0.113.1/24", "dev", "inet")
        _ip("addr", "add", "2001:db8:77::1/64", "dev", "inet", "nodad")
        _ip("link", "set", "inet", "up")
        _ip("route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "main")
        _ip("-6", "route", "add", "local", "::/0", "dev", "lo", "table", "main")
    ready.send(True)
    ready.recv()
    _serve(where, log)


class Lab:
    """Call once, early: the process stays in its new namespaces."""

    def __init__(self):
        uid, gid = os.getuid(), os.getgid()
        if uid == 0:
            _unshare(CLONE_NEWNET)
        else:
            _user_namespace(CLONE_NEWNET, (0, 0), uid, gid)
        self.log = multiprocessing.SimpleQueue()
        self.players = []
        self._internet = self._start("internet", True)
        _ip("link", "set", "lo", "up")
        _ip("link", "add", "uplink", "type", "veth", "peer", "name", "inet", "netns",
            str(self._internet[1]))
        _ip("addr", "add", HOST_PUBLIC + "/24", "dev", "uplink")
        _ip("addr", "add", "2001:db8:77::2/64", "dev", "uplink", "nodad")
        _ip("addr", "add", HOST_PRIVATE + "/24", "dev", "lo")
        _ip("addr", "add", "169.254.169.253/32", "dev", "lo")
        _ip("link", "set", "uplink", "up")
        _ip("route", "add", "default", "via", "203.0.113.1")
        _ip("-6", "route", "add", "default", "via", "2001:db8:77::1")
        self._internet[0].send(True)
        self._internet[0].recv()
        self._internet[0].send(True)
        host = self._start("host", False)
        host[0].send(True)
        host[0].recv()
        host[0].send(True)
        if uid != 0:  # and become again who we were, without rights over this network
            _user_namespace(0, (uid, gid), 0, 0)

    def _start(self, where, own_namespace):
        ours, theirs = multiprocessing.Pipe()
        player = multiprocessing.Process(target=_play, args=(where, self.log, theirs, own_namespace),
                                         daemon=True)
        player.start()
        self.players.append(player)
        return ours, ours.recv()

    def asked(self):
        """What was asked for since the last call: (where, protocol, address, port)."""
        found = []
        while not self.log.empty():
            found.append(self.log.get())
        return found

    def close(self):
        for player in self.players:
            player.kill()
            player.join()
