# SPDX-License-Identifier: Apache-2.0
"""End to end: sandboxes-netstack between a guest and a world of namespaces. As root with a TAP device
and with a veth pair; with --as-user as an ordinary user, who has only the latter.

    netstack_e2e.py PROGRAM [--as-user] [--speed] [unittest's arguments]
"""
import os
import random
import socket
import struct
import sys
import time
import unittest

import netlab
from netlab import (ECHO_PORT, GATEWAY, HOST_LAN, HOST_UPLINK, NAMESERVER, TEMPTING, WEB_PORT,
                    WORLD_DNS, WORLD_WEB, Guest)

PROGRAM = None
LAB = None
# No timeout is among them: a refusal is told at once.
REFUSED = {"EHOSTUNREACH", "ECONNREFUSED", "ENETUNREACH", "EACCES", "ECONNRESET"}
HOSTS_OWN = [HOST_LAN, HOST_UPLINK]
# 127.0.0.1 and 0.0.0.0 never leave the guest's own kernel; frames to them are made by hand below.
FORBIDDEN = TEMPTING + HOSTS_OWN + ["255.255.255.254"]


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp_packet(source, target, port, data):
    udp = struct.pack(">HHHH", 4000, port, 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + udp


class Case(unittest.TestCase):
    device = None
    arguments = ()
    guest = None

    @classmethod
    def setUpClass(cls):
        if cls.device is None:
            raise unittest.SkipTest("a base of others")
        try:
            cls.guest = Guest(PROGRAM, cls.device, *cls.arguments)
        except netlab.Skip as skip:
            raise unittest.SkipTest(str(skip))

    @classmethod
    def tearDownClass(cls):
        if cls.guest:
            assert cls.guest.stop() == 0

    def setUp(self):
        LAB.world.heard.clear()
        LAB.world.asked.clear()

    def reached(self, address):
        return [each for each in LAB.world.heard if each[0] == address]

    def assert_refused(self, address):
        self.assertIn(self.guest.tcp(address), REFUSED, address)
        self.assertIn(self.guest.udp(address), REFUSED, address)
        self.assertEqual(self.reached(address), [])

    def send_frames(self, payloads, protocol=0x0800):
        """Raw frames out of the guest's device to the gateway."""
        with self.guest.namespace:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            raw.bind(("eth0", 0))
        mac = raw.getsockname()[4]
        for payload in payloads:
            raw.send(b"\x52\x55\x0a\x00\x02\x02" + mac + struct.pack(">H", protocol) + payload)
        raw.close()


class Internet(Case):
    arguments = ("internet",)

    def test_tcp(self):
        self.assertEqual(self.guest.tcp(WORLD_WEB), b"hello")

    def test_tcp_much(self):
        data = random.Random(1).randbytes(3_000_000)
        self.assertEqual(self.guest.tcp(WORLD_WEB, data=b"sink" + data), b"3000004")
        self.assertEqual(len(self.guest.tcp(WORLD_WEB, data=b"pour 3000000")), 3_000_000)

    def test_udp(self):
        self.assertEqual(self.guest.udp(WORLD_WEB), b"hello")
        big = bytes(range(256)) * 200
        self.assertEqual(self.guest.udp(WORLD_WEB, data=big), big)

    def test_closed_port_is_refused(self):
        self.assertEqual(self.guest.tcp(WORLD_WEB, port=9), "ECONNREFUSED")

    def test_names(self):
        LAB.world.zone["a.example"] = [("A", 5, WORLD_WEB)]
        self.assertEqual(self.guest.resolve("a.example"), (0, [WORLD_WEB]))
        self.assertEqual(self.guest.resolve("none.example"), (3, []))

    def test_names_by_tcp(self):
        LAB.world.zone["a.example"] = [("A", 5, WORLD_WEB)]
        query = netlab.dns_query("a.example")
        answer = self.guest.tcp(NAMESERVER, 53, struct.pack(">H", len(query)) + query)
        self.assertEqual(netlab.dns_answer(answer[2:]), (0, [WORLD_WEB]))

    def test_names_of_the_next_server(self):
        LAB.world.zone["a.example"] = [("A", 5, WORLD_WEB)]
        try:
            LAB.set_nameserver(WORLD_WEB, WORLD_DNS)  # the first has none
            guest = Guest(PROGRAM, self.device, "internet")
            self.assertEqual(guest.resolve("a.example"), (0, [WORLD_WEB]))
            self.assertEqual(guest.stop(), 0)
            LAB.set_nameserver(WORLD_WEB)
            guest = Guest(PROGRAM, self.device, "internet")
            self.assertEqual(guest.resolve("a.example"), (2, []))
            self.assertEqual(guest.stop(), 0)
        finally:
            LAB.set_nameserver(WORLD_DNS)

    def test_a_new_address_of_the_host(self):
        LAB.world.zone["a.example"] = [("A", 5, WORLD_WEB)]
        self.assertEqual(self.guest.tcp(WORLD_WEB), b"hello")
        netlab.ip(f"address add {WORLD_WEB}/32 dev lan0")
        try:
            LAB.world.heard.clear()
            self.assert_refused(WORLD_WEB)
        finally:
            netlab.ip(f"address del {WORLD_WEB}/32 dev lan0")
        self.assertEqual(self.guest.tcp(WORLD_WEB), b"hello")

    def test_urgent_data_comes_in_line(self):
        with self.guest.connect(WORLD_WEB, WEB_PORT) as made:
            made.sendall(b"ab")
            made.send(b"c", socket.MSG_OOB)
            made.sendall(b"d")
            made.shutdown(socket.SHUT_WR)
            self.assertEqual(b"".join(iter(lambda: made.recv(10), b"")), b"abcd")

    def test_malformed_query(self):
        self.assertEqual(self.guest.resolve("", message=netlab.dns_query("a.example") + b"x"), (1, []))

    def test_forbidden(self):
        for address in FORBIDDEN:
            with self.subTest(address):
                self.assert_refused(address)

    def test_gateway_and_name_server_offer_nothing_else(self):
        for port in (22, 53, 67, 69, 80, 139, 445, WEB_PORT):
            self.assertIn(self.guest.tcp(GATEWAY, port), REFUSED)
            if port != 53:
                self.assertIn(self.guest.tcp(NAMESERVER, port), REFUSED)
        self.assertEqual(LAB.world.heard, [])

    def test_forged_frames_go_nowhere(self):
        packets = [udp_packet(netlab.GUEST, each, ECHO_PORT, b"x")
                   for each in ["127.0.0.1", "0.0.0.0", "10.0.2.99", "255.255.255.255"] + FORBIDDEN]
        packets += [udp_packet(source, WORLD_WEB, ECHO_PORT, b"x")
                    for source in ("10.0.2.16", "127.0.0.1", WORLD_DNS, "0.0.0.0")]
        fragment = bytearray(udp_packet(netlab.GUEST, WORLD_WEB, ECHO_PORT, b"x" * 8))
        fragment[6] = 0x20
        fragment[10:12] = b"\0\0"
        fragment[10:12] = struct.pack(">H", checksum(bytes(fragment[:20])))
        self.send_frames(packets + [bytes(fragment)])
        self.assertEqual(self.guest.udp(WORLD_WEB), b"hello")  # after the others
        self.assertEqual([each[0] for each in LAB.world.heard], [WORLD_WEB])

    def test_noise_does_no_harm(self):
        noise = random.Random(2)
        self.send_frames([noise.randbytes(noise.randrange(0, 1400)) for _ in range(300)])
        good, broken = udp_packet(netlab.GUEST, WORLD_WEB, ECHO_PORT, b"x" * 40), []
        for _ in range(300):
            bad = bytearray(good)
            bad[noise.randrange(len(bad))] = noise.randrange(256)
            broken.append(bytes(bad[:noise.randrange(1, len(bad) + 1)]))
        self.send_frames(broken)
        self.send_frames([noise.randbytes(60) for _ in range(50)], 0x86dd)
        self.send_frames([noise.randbytes(28) for _ in range(50)], 0x0806)
        self.assertEqual(self.guest.tcp(WORLD_WEB), b"hello")

    def test_ping(self):
        for address in (GATEWAY, WORLD_WEB):
            with self.guest.socket(socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
                echo = struct.pack(">BBHHH", 8, 0, 0, 77, 1) + b"ping"
                raw.sendto(echo[:2] + struct.pack(">H", checksum(echo)) + echo[4:], (address, 0))
                answer, sender = raw.recvfrom(1000)
                self.assertEqual((answer[20], sender[0], answer[28:]), (0, address, b"ping"))

    def test_many_connections(self):
        connections = [self.guest.connect(WORLD_WEB, WEB_PORT) for _ in range(300)]
        for each in connections:
            each.sendall(b"a")
        for each in connections:
            self.assertEqual(each.recv(1), b"a")
            each.close()

    def echo(self, sock):
        """One datagram there and back; what a burst makes a full queue lose is sent again."""
        sock.settimeout(0.5)
        for _ in range(20):
            sock.sendto(b"echo", (WORLD_WEB, ECHO_PORT))
            try:
                while sock.recv(10) != b"echo":
                    pass
                return
            except TimeoutError:
                pass
        self.fail("no answer to 20 datagrams")

    def test_udp_sockets_are_bounded(self):
        guest = Guest(PROGRAM, self.device, "internet")
        made = [guest.socket(socket.SOCK_DGRAM) for _ in range(400)]
        for each in made:
            each.sendto(b"x", (WORLD_WEB, ECHO_PORT))
        self.echo(made[0])
        if not LAB.ordinary:
            self.assertLess(len(os.listdir(f"/proc/{guest.pid}/fd")), 300)
        self.assertNotEqual(guest.resolve("none.example"), None)
        self.assertEqual(guest.tcp(WORLD_WEB), b"hello")
        for each in made:
            each.close()
        self.assertEqual(guest.stop(), 0)

    def test_confinement(self):
        status = status_of(self.guest.pid)
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(status["NoNewPrivs"], "1")
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            self.assertEqual(int(status[kind], 16), 0)
        if not LAB.ordinary:
            self.assertEqual(status["Uid"].split(), ["65534"] * 4)
            self.assertEqual(status["Groups"].split(), [])


class Allow(Case):
    arguments = ("allow", "good.example:8080", "*.wild.example", "198.18.0.0/15", HOST_LAN,
                 "203.0.113.0/24:1")

    @classmethod
    def setUpClass(cls):
        LAB.world.zone.update({
            "good.example": [("CNAME", 5, "alias.other")],
            "alias.other": [("A", 5, WORLD_WEB)],
            "a.b.wild.example": [("A", 5, WORLD_WEB)],
            "rebind.wild.example": [("A", 5, each) for each in TEMPTING + [HOST_UPLINK, "127.0.0.1"]],
            "other.example": [("A", 5, WORLD_WEB)],
            "wild.example": [("A", 5, WORLD_WEB)],
        })
        super().setUpClass()

    def fresh(self):
        """Addresses that names opened stay open for a minute: another guest for each test of that."""
        type(self).tearDownClass()
        type(self).setUpClass()

    def setUp(self):
        self.fresh()
        super().setUp()

    def test_a_name_opens_its_address_and_port(self):
        self.assertIn(self.guest.tcp(WORLD_WEB), REFUSED)
        self.assertEqual(self.guest.resolve("GOOD.example"), (0, ["alias.other", WORLD_WEB]))
        self.assertEqual(self.guest.tcp(WORLD_WEB), b"hello")
        self.assertEqual(self.guest.tcp(WORLD_WEB, port=81), "EHOSTUNREACH")
        self.assertIn(self.guest.udp(WORLD_WEB), REFUSED)

    def test_a_star_is_for_what_is_below(self):
        self.assertEqual(self.guest.resolve("wild.example")[0], 5)
        self.assertEqual(self.guest.resolve("a.b.wild.example"), (0, [WORLD_WEB]))
        self.assertEqual(self.guest.udp(WORLD_WEB), b"hello")

    def test_other_names_are_not_asked_for(self):
        for name in ("other.example", "alias.other", "notgood.example", "xgood.example",
                     "good.example.other", "wild.example"):
            self.assertEqual(self.guest.resolve(name)[0], 5, name)
        self.assertEqual(LAB.world.asked, [])
        self.assertIn(self.guest.tcp(NAMESERVER, 53), REFUSED)
        self.assertIn(self.guest.tcp(WORLD_DNS, 53), REFUSED)

    def test_answers_that_make_no_sense(self):
        self.assertEqual(self.guest.resolve("broken.wild.example"), (2, []))

    def test_a_cut_answer_is_final(self):
        LAB.world.zone["cut.wild.example"] = [("A", 5, WORLD_WEB)]
        self.assertEqual(self.guest.resolve("cut.wild.example"), (0, [WORLD_WEB]))

    def test_hints_are_left_out(self):
        self.assertEqual(self.guest.resolve("good.example", kind=65), (0, []))
        self.assertEqual(LAB.world.asked, [])

    def test_rebinding(self):
        code, addresses = self.guest.resolve("rebind.wild.example")
        self.assertEqual((code, len(addresses)), (0, len(TEMPTING) + 2))
        for address in TEMPTING + [HOST_UPLINK]:
            if address != "198.18.0.5":
                self.assert_refused(address)

    def test_numbers(self):
        self.assertEqual(self.guest.tcp("198.18.0.5"), b"hello")
        for address in HOSTS_OWN + ["10.9.9.9", WORLD_WEB]:
            self.assert_refused(address)
        self.assertEqual(self.guest.tcp(WORLD_DNS, 1), "ECONNREFUSED")


class AllowNothing(Case):
    arguments = ("allow",)

    def test_nothing(self):
        self.assertEqual(self.guest.resolve("good.example")[0], 5)
        for address in [WORLD_WEB, WORLD_DNS] + FORBIDDEN:
            self.assert_refused(address)


def run_once(arguments):
    """Exit status with the given arguments and no device."""
    pid = os.posix_spawn(PROGRAM, [PROGRAM, *arguments], os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 3, "/dev/null", os.O_RDWR, 0)])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Start(unittest.TestCase):
    def test_a_datagram_socket_is_a_device_too(self):
        ours, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        leash = os.pipe()
        pid = os.posix_spawn(PROGRAM, [PROGRAM, "internet"], os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, device.fileno(), 90), (os.POSIX_SPAWN_DUP2, leash[0], 91),
            (os.POSIX_SPAWN_DUP2, 90, 3), (os.POSIX_SPAWN_DUP2, 91, 4)])
        device.close()
        mac, guest = b"\2\0\0\0\0\7", socket.inet_aton(netlab.GUEST)
        ours.send(b"\xff" * 6 + mac + b"\x08\x06\0\1\x08\0\6\4\0\1" + mac + guest + bytes(6) +
                  socket.inet_aton(GATEWAY))
        answer = ours.recv(100)
        self.assertEqual((answer[:6], answer[12:22]), (mac, b"\x08\x06\0\1\x08\0\6\4\0\2"))
        ours.close()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        for end in leash:
            os.close(end)

    def test_usage(self):
        for arguments in ([], ["nothing"], ["internet", "x"], ["--uid"], ["--uid", "x", "internet"],
                          ["allow", "https://a"], ["allow", "::1"], ["internet"]):
            self.assertIn(run_once(arguments), (1, 2), arguments)


def speed(device):
    guest = Guest(PROGRAM, device, "internet")
    size = 1 << 29
    with guest.connect(WORLD_WEB, WEB_PORT) as out:
        began = time.monotonic()
        out.sendall(b"sink")
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            out.sendall(block)
        out.shutdown(socket.SHUT_WR)
        assert int(out.recv(100)) == size + 4
    up = size / (time.monotonic() - began) / 1e6
    with guest.connect(WORLD_WEB, WEB_PORT) as back:
        began, left = time.monotonic(), size
        back.sendall(b"pour %d" % size)
        while data := back.recv(1 << 20):
            left -= len(data)
        assert left == 0
    down = size / (time.monotonic() - began) / 1e6
    began = time.monotonic()
    for _ in range(500):
        guest.tcp(WORLD_WEB)
    connect = (time.monotonic() - began) / 500 * 1e3
    memory = status_of(guest.pid)["VmRSS"]
    guest.stop()
    print(f"{device}: up {up:.0f} MB/s, down {down:.0f} MB/s, connection {connect:.2f} ms, "
          f"memory {memory}")


def variants():
    for base in (Internet, Allow, AllowNothing):
        for device in netlab.OPENERS:
            name = f"{base.__name__}_{device}"
            globals()[name] = type(name, (base,), {"device": device})


def main():
    global PROGRAM, LAB
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    as_user, measure = (flag in sys.argv for flag in ("--as-user", "--speed"))
    sys.argv = [each for each in sys.argv if each not in ("--as-user", "--speed")]
    if as_user and os.geteuid() == 0:
        netlab.become_ordinary_user()
    try:
        LAB = netlab.Lab()
    except netlab.Skip as skip:
        print(skip)
        sys.exit(77)
    if measure:
        for device in ("veth",) if as_user else netlab.OPENERS:
            speed(device)
        return
    variants()
    unittest.main()


if __name__ == "__main__":
    main()
