# SPDX-License-Identifier: Apache-2.0
"""A small internet of network namespaces, made for a test and gone with it.

    world  --veth--  host  (this process; where sandboxes-netstack runs)
                       |   device: TAP, or a veth pair with a packet socket
                     guest (the sandbox's side)

Needs root or unprivileged user namespaces. The servers' threads use sockets that were made in a
namespace; those belong to it for good, whichever namespace a thread is in.
"""
import contextlib
import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import subprocess
import tempfile
import threading

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)

GUEST, GATEWAY, NAMESERVER = "10.0.2.15", "10.0.2.2", "10.0.2.3"
WORLD_WEB, WORLD_DNS, HOST_UPLINK = "198.51.100.20", "203.0.113.53", "203.0.113.1"
# Routed to the world, where somebody listens: what reaches them was let through.
TEMPTING = ["10.9.9.9", "100.64.0.9", "100.100.100.200", "168.63.129.16", "169.254.169.254",
            "172.16.5.5", "192.0.0.192", "192.168.55.5", "198.18.0.5"]
HOST_LAN = "192.168.77.1"
WEB_PORT, ECHO_PORT = 8080, 7777


class Skip(Exception):
    pass


def call(function, *args):
    if getattr(libc, function)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def become_ordinary_user():
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    call("prctl", 4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: our files in /proc are ours again


def enter_own_namespaces():
    """Network and mount namespaces of our own; as an ordinary user, by way of a user namespace.
    Whether it was that."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        call("unshare", CLONE_NEWNET | CLONE_NEWNS | (CLONE_NEWUSER if uid else 0))
    except OSError as error:
        raise Skip(f"no namespaces here: {error}")
    if uid:
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"0 {uid} 1")
        write("/proc/self/gid_map", f"0 {gid} 1")
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    return uid != 0


class Namespace:
    def __init__(self):
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        call("unshare", CLONE_NEWNET)
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        call("setns", before, CLONE_NEWNET)
        os.close(before)
        self.before = []

    def __enter__(self):
        self.before.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        call("setns", self.fd, CLONE_NEWNET)

    def __exit__(self, *_):
        call("setns", self.before[-1], CLONE_NEWNET)
        os.close(self.before.pop())


def ip(*lines, keep=()):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True,
                   pass_fds=keep)


# ---- names ----

def name_wire(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"


def dns_query(name, kind=1, number=0x1234):
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + name_wire(name) + struct.pack(
        ">HH", kind, 1)


def read_name(message, at):
    parts = []
    while message[at]:
        if message[at] >= 0xc0:
            parts.append(read_name(message, struct.unpack_from(">H", message, at)[0] & 0x3fff)[0])
            return ".".join(parts), at + 2
        parts.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(parts), at + 1


def dns_answer(message):
    """(rcode, or 16 more when it was cut, [address or alias])"""
    flags, questions, answers = struct.unpack_from(">HHH", message, 2)
    at, found = 12, []
    for _ in range(questions):
        at = read_name(message, at)[1] + 4
    for _ in range(answers):
        at = read_name(message, at)[1]
        kind, _, _, size = struct.unpack_from(">HHIH", message, at)
        at += 10
        found.append(socket.inet_ntoa(message[at:at + 4]) if kind == 1 else read_name(message, at)[0])
        at += size
    return (flags & 15) + (flags >> 5 & 16), found


class World:
    """Servers, and a record of whom they heard from."""

    def __init__(self):
        self.heard = []    # (address that was reached, port)
        self.asked = []    # names
        self.zone = {}     # name -> [(type, ttl, text)], aliases followed in one answer
        self.namespace = Namespace()

    def listen(self, namespace, kind, address, port, serve):
        with namespace or contextlib.nullcontext():
            server = socket.socket(socket.AF_INET, kind)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((address, port))
            if kind == socket.SOCK_STREAM:
                server.listen(512)
        threading.Thread(target=serve, args=(server,), daemon=True).start()

    def serve_tcp(self, server):
        while True:
            connection, _ = server.accept()
            self.heard.append(connection.getsockname())
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        """Echoes; counts after "sink"; pours after "pour N"."""
        with connection, contextlib.suppress(OSError):
            data = connection.recv(65536)
            if data.startswith(b"pour "):
                return self.pour(connection, int(data[5:]))
            if data.startswith(b"sink"):
                return self.sink(connection, len(data))
            while data:
                connection.sendall(data)
                data = connection.recv(65536)

    @staticmethod
    def pour(connection, left):
        block = bytes(1 << 18)
        while left > 0:
            left -= connection.send(block[:left])
        connection.shutdown(socket.SHUT_WR)

    @staticmethod
    def sink(connection, count):
        while data := connection.recv(1 << 18):
            count += len(data)
        connection.sendall(str(count).encode())

    def serve_udp(self, server):
        while True:
            data, sender = server.recvfrom(65536)
            self.heard.append((server.getsockname()[0], server.getsockname()[1]))
            server.sendto(data, sender)

    def records(self, name, kind):
        out = []
        for record_kind, ttl, value in self.zone.get(name, []):
            if record_kind == "CNAME":
                data = name_wire(value)
                out.append(name_wire(name) + struct.pack(">HHIH", 5, 1, ttl, len(data)) + data)
                out += self.records(value, kind)
            elif kind == 1:
                out.append(name_wire(name) + struct.pack(">HHIH", 1, 1, ttl, 4) +
                           socket.inet_aton(value))
        return out

    def answer(self, query):
        name, end = read_name(query, 12)
        self.asked.append(name)
        if name.startswith("broken."):
            return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end + 4] + b"\xc0"
        kind = struct.unpack_from(">H", query, end)[0]
        flags = 0x8180 | (0 if name.lower() in self.zone else 3)
        if name.startswith("cut."):
            flags |= 0x0200
        records = self.records(name.lower(), kind)
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0,
                                       0) + query[12:end + 4] + b"".join(records)

    def serve_dns(self, server):
        while True:
            query, sender = server.recvfrom(4096)
            server.sendto(self.answer(query), sender)

    def serve_dns_tcp(self, server):
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                query = connection.recv(4096)[2:]
                answer = self.answer(query)
                connection.sendall(struct.pack(">H", len(answer)) + answer)

    def start(self):
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        for address in [WORLD_WEB] + TEMPTING:
            self.listen(self.namespace, stream, address, WEB_PORT, self.serve_tcp)
            self.listen(self.namespace, datagram, address, ECHO_PORT, self.serve_udp)
        self.listen(self.namespace, datagram, WORLD_DNS, 53, self.serve_dns)
        self.listen(self.namespace, stream, WORLD_DNS, 53, self.serve_dns_tcp)
        self.listen(None, stream, "0.0.0.0", WEB_PORT, self.serve_tcp)
        self.listen(None, datagram, "0.0.0.0", ECHO_PORT, self.serve_udp)


class Lab:
    def __init__(self):
        self.ordinary = enter_own_namespaces()
        self.mounted = False
        self.world = World()
        world = self.world.namespace.fd
        ip("link set lo up", "link add up0 type veth peer name up1",
           "link add lan0 type veth peer name lan1", "link set lan0 up",
           f"address add {HOST_LAN}/24 dev lan0", f"address add {HOST_UPLINK}/24 dev up0",
           "link set up0 up", f"link set up1 netns /proc/self/fd/{world}", keep=[world])
        with self.world.namespace:
            ip("link set lo up", f"address add {WORLD_DNS}/24 dev up1", "link set up1 up",
               f"address add {WORLD_WEB}/32 dev lo",
               *[f"address add {address}/32 dev lo" for address in TEMPTING])
        ip(f"route add default via {WORLD_DNS}")
        write("/proc/sys/net/ipv4/ping_group_range", "0 0" if self.ordinary else "0 65534")
        self.set_nameserver(WORLD_DNS)
        self.world.start()

    def set_nameserver(self, *addresses):
        if self.mounted:
            call("umount2", b"/etc/resolv.conf", 2)
        with tempfile.NamedTemporaryFile("w", prefix="netlab") as file:
            file.writelines(f"nameserver {address}\n" for address in addresses)
            file.flush()
            os.chmod(file.name, 0o644)
            call("mount", file.name.encode(), b"/etc/resolv.conf", None, MS_BIND, None)
        self.mounted = True


def open_tap(namespace):
    with namespace:
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise Skip(f"/dev/net/tun: {error}")
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"eth0", 0x0002 | 0x1000))
    return fd


def disable_checksum_offload(name):
    """As the jail does: it also ends offloaded segmentation, which nobody would do for UDP."""
    value = ctypes.create_string_buffer(struct.pack("II", 0x17, 0))  # ETHTOOL_STXCSUM: off
    request = struct.pack("16sP16x", name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket.fileno(), 0x8946, request)  # SIOCETHTOOL


def open_veth(namespace):
    """The guest's end in its namespace, ours in another with nothing else, a packet socket on it."""
    outside = Namespace()
    with outside:
        ip("link add tap0 mtu 65520 type veth peer name eth0 "
           f"netns /proc/self/fd/{namespace.fd}", "link set tap0 up", keep=[namespace.fd])
        packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        packet.bind(("tap0", 3))
    with namespace:
        disable_checksum_offload("eth0")
    os.close(outside.fd)
    return packet.detach()


OPENERS = {"tap": open_tap, "veth": open_veth}


class Guest:
    """A sandbox's network namespace, and the program under test behind it."""

    def __init__(self, program, device, *arguments):
        self.namespace = Namespace()
        fd = OPENERS[device](self.namespace)
        with self.namespace:
            ip("link set lo up", "link set eth0 mtu 65520 txqueuelen 128 up", f"address add {GUEST}/24 dev eth0",
               f"route add default via {GATEWAY}")
        self.start(program, fd, arguments)

    def start(self, program, fd, arguments):
        leash, self.leash = os.pipe()
        high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 100) for each in (fd, leash)]
        self.pid = os.posix_spawn(program, [program, *arguments], os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, high[0], 3), (os.POSIX_SPAWN_DUP2, high[1], 4)])
        for each in [fd, leash] + high:
            os.close(each)

    def stop(self):
        """Cuts the leash; the exit status of the program."""
        os.close(self.leash)
        os.close(self.namespace.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def socket(self, kind, *more, family=socket.AF_INET):
        with self.namespace:
            made = socket.socket(family, kind, *more)
        made.settimeout(10)
        return made

    def connect(self, address, port):
        """A connected socket, or the name of the error."""
        made = self.socket(socket.SOCK_STREAM)
        try:
            made.connect((address, port))
            return made
        except socket.timeout:
            return "timeout"
        except OSError as error:
            made.close()
            return errno.errorcode[error.errno]

    def tcp(self, address, port=WEB_PORT, data=b"hello"):
        """What came back, or the name of the error."""
        made = self.connect(address, port)
        if isinstance(made, str):
            return made
        with made:
            try:
                made.sendall(data)
                made.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: made.recv(1 << 18), b""))
            except OSError as error:
                return errno.errorcode[error.errno]

    def udp(self, address, port=ECHO_PORT, data=b"hello"):
        with self.socket(socket.SOCK_DGRAM) as made:
            made.connect((address, port))
            try:
                made.send(data)
                return made.recv(65536)
            except socket.timeout:
                return "timeout"
            except OSError as error:
                return errno.errorcode[error.errno]

    def resolve(self, name, kind=1, message=None):
        """(rcode, [address or alias]), or None when nobody answered; asks again as resolvers do."""
        with self.socket(socket.SOCK_DGRAM) as made:
            made.connect((NAMESERVER, 53))
            for _ in range(8):
                made.send(message or dns_query(name, kind))
                if select.select([made], [], [], 1)[0]:
                    return dns_answer(made.recv(65536))
            return None
