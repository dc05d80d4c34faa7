# SPDX-License-Identifier: Apache-2.0
"""What a sandbox can reach: under each policy, in a network where every address answers."""
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import box  # noqa: E402
import allnet  # noqa: E402

# Never, under any policy but `host`: special ranges of RFC 6890 and the metadata services of clouds.
FORBIDDEN = [
    "169.254.169.254", "169.254.169.253", "169.254.1.1",  # link-local: metadata
    "100.100.100.200", "168.63.129.16",                   # metadata elsewhere
    "10.0.0.1", "10.255.255.53", "172.16.0.9", "172.31.255.1", "192.168.1.10", allnet.HOST_PRIVATE,
    "100.64.0.1", "192.0.0.8", "198.18.0.1", "240.0.0.1", "0.1.2.3", "0.0.0.0", "127.0.0.1",
    "127.8.8.8", "224.0.0.1", "255.255.255.255", "10.0.2.2", "10.0.2.3",
    allnet.HOST_PUBLIC,                                   # the host itself
]
FORBIDDEN6 = [
    "fd00:ec2::254", "fd12:3456::1", "fe80::1", "::1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "2002:a9fe:a9fe::1", "2001:db8:77::2", "ff02::1", "::",
]
LAB = None


def addresses():
    port = allnet.PORT
    return [f"{a}:{port}" for a in FORBIDDEN] + [f"[{a}]:{port}" for a in FORBIDDEN6]


def setUpModule():
    global LAB
    if not shutil.which("ip"):
        raise unittest.SkipTest("ip is not installed (iproute2)")
    try:
        LAB = allnet.Lab()
    except OSError as error:
        raise unittest.SkipTest(f"this machine allows no network namespaces: {error}") from error


def tearDownModule():
    if LAB:
        LAB.close()


class Network(box.Case):
    def setUp(self):
        super().setUp()
        LAB.asked()

    def connect(self, living, address, udp=False):
        option = "--connect-udp" if udp else "--connect"
        return living.exec(box.INSIDE, f"{option}={address}", timeout=30).stdout.decode().strip()

    def sweep(self, living, wanted):
        """Tries all addresses at once, by TCP and UDP; {address: answer} for TCP."""
        words = " ".join(f"{box.INSIDE} --connect={a} >{i}.tcp & {box.INSIDE} --connect-udp={a} >{i}.udp &"
                         for i, a in enumerate(wanted))
        script = f"mkdir -p /tmp/sweep; cd /tmp/sweep; {words} wait; grep -h . *.tcp | sort | uniq -c"
        return living.exec("/bin/sh", "-c", script, timeout=120).stdout.decode()

    def asked_for(self):
        return [entry for entry in LAB.asked() if entry[3] != 53]

    def test_the_lab_answers(self):
        import socket
        with socket.create_connection((allnet.PUBLIC, allnet.PORT), 5) as sock:
            self.assertEqual(b"!", sock.recv(1))
        self.assertEqual([("internet", "tcp", allnet.PUBLIC, allnet.PORT)], LAB.asked())

    def test_none_reaches_nothing(self):
        with self.box("--network", "none", *box.MOUNT) as living:
            output = self.sweep(living, addresses() + [f"{allnet.PUBLIC}:{allnet.PORT}"])
        self.assertNotIn("reached", output)
        self.assertEqual([], self.asked_for())

    def test_internet_reaches_only_public_addresses(self):
        with self.box("--network", "internet", *box.MOUNT) as living:
            self.assertEqual("reached", self.connect(living, f"{allnet.PUBLIC}:{allnet.PORT}"))
            LAB.asked()
            output = self.sweep(living, addresses())
        self.assertNotIn("reached", output)
        self.assertEqual([], self.asked_for())

    def test_names_do_not_lead_around_it(self):
        with self.box("--network", "internet", *box.MOUNT) as living:
            found = living.exec("getent", "ahostsv4", "good.example").stdout.decode()
            self.assertIn(allnet.PUBLIC, found)
            for name in ("metadata.example", "home.example", "lan.example", "host.example"):
                found = living.exec("getent", "ahostsv4", name).stdout.decode()
                for address in set(re.findall(r"^[\d.]+", found, re.MULTILINE)):
                    self.assertNotEqual("reached", self.connect(living, f"{address}:{allnet.PORT}"))
        self.assertEqual([], self.asked_for())

    def test_allow_reaches_only_what_it_names(self):
        with self.box("--allow", "good.example", *box.MOUNT) as living:
            found = living.exec("getent", "ahostsv4", "good.example").stdout.decode()
            self.assertIn(allnet.PUBLIC, found)
            self.assertEqual("reached", self.connect(living, f"{allnet.PUBLIC}:{allnet.PORT}"))
            LAB.asked()
            for address in (f"8.8.8.8:{allnet.PORT}", f"93.184.216.35:{allnet.PORT}",
                            f"[{allnet.PUBLIC6}]:{allnet.PORT}"):
                self.assertNotEqual("reached", self.connect(living, address))
                self.assertNotEqual("reached", self.connect(living, address, udp=True))
            output = self.sweep(living, addresses())
        self.assertNotIn("reached", output)
        self.assertEqual([], self.asked_for())

    def test_allowed_names_do_not_open_private_addresses(self):
        with self.box("--allow", "metadata.example", "--allow", "host.example", *box.MOUNT) as living:
            for name in ("metadata.example", "host.example"):
                living.exec("getent", "ahostsv4", name)
                self.assertNotEqual("reached",
                                    self.connect(living, f"{allnet.NAMES[name]}:{allnet.PORT}"))
        self.assertEqual([], self.asked_for())

    def test_sandboxes_do_not_see_each_other(self):
        script = "import socket,sys\ns=socket.socket();s.bind(('0.0.0.0',9999));s.listen()\nprint('up',flush=True)\ns.accept();print('REACHED',flush=True)"
        for policy in ("none", "internet"):
            with self.subTest(policy), self.box("--network", policy, *box.MOUNT) as one, \
                    self.box("--network", policy, *box.MOUNT) as other:
                server = one.start("python3", "-c", script)
                try:
                    if server.stdout.readline() != b"up\n":
                        self.skipTest("python3 does not run in the sandbox")
                    own = other.exec("/bin/sh", "-c", "cat /proc/net/fib_trie").stdout.decode()
                    theirs = one.exec("/bin/sh", "-c", "cat /proc/net/fib_trie").stdout.decode()
                    for address in set(re.findall(r"-- ([\d.]+)", own + theirs)):
                        self.assertNotEqual("reached", self.connect(other, f"{address}:9999"))
                    self.assertIsNone(server.poll())
                finally:
                    server.kill()
                    server.wait()
                    server.stdout.close()

    def test_the_hosts_network_only_on_demand(self):
        with self.box("--network", "host", *box.MOUNT) as living:
            self.assertEqual("reached", self.connect(living, f"127.0.0.1:{allnet.PORT}"))


if __name__ == "__main__":
    box.main()
