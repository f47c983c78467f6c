# SPDX-License-Identifier: GPL-3.0-or-later
"""A hall of machines switched on within seconds: DHCP by dnsmasq beside us, proxyDHCP, the boot program by TFTP, script, kernel
and ramdisk by HTTP, all of it by the real deploy-server; the machines are one program (tests/bench/storm)."""
import ctypes
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading

from bench.common import need

MIB = 1 << 20
FIRST_MAC = "52:57:00:00:00:00"
CLONE_NEWNET = 0x40000000


class Hall:
    """Three network namespaces on one bridge: the deploy server's, dnsmasq's and the machines'; gone with all in them at the
    end."""

    def __init__(self):
        self.names = {part: f"sw-hall-{os.getpid()}-{part}" for part in ("server", "dhcp", "machines")}
        self.started = []

    def __enter__(self):
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for name in self.names.values():
            subprocess.run(["ip", "netns", "add", name], check=True)
            self.ip(name, "link", "set", "lo", "up")
        server = self.names["server"]
        self.ip(server, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        for part, address in (("dhcp", "10.77.0.2"), ("machines", "10.77.0.3")):
            self.ip(server, "link", "add", part, "type", "veth", "peer", "name", "eth0", "netns", self.names[part])
            self.ip(server, "link", "set", part, "master", "br0", "up")
            self.ip(self.names[part], "addr", "add", f"{address}/16", "brd", "+", "dev", "eth0")
            self.ip(self.names[part], "link", "set", "eth0", "up")
        self.ip(server, "addr", "add", "10.77.0.1/16", "brd", "+", "dev", "br0")
        self.ip(server, "link", "set", "br0", "up")
        # Every address that a machine is given is this namespace's own.
        self.ip(self.names["machines"], "route", "add", "local", "10.77.16.0/20", "dev", "lo")
        # One neighbour instead of a thousand: the kernel's table, which is the host's own, takes 1024.
        self.ip(server, "route", "add", "10.77.16.0/20", "via", "10.77.0.3")

    def __exit__(self, *_):
        for process in self.started:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False)

    @staticmethod
    def ip(name, *words):
        subprocess.run(["ip", "-n", name, *words], check=True)

    def run(self, part, argv, **more):
        return subprocess.run(["ip", "netns", "exec", self.names[part], *argv], check=True, **more)

    def start(self, part, argv, **more):
        process = subprocess.Popen(["ip", "netns", "exec", self.names[part], *argv], text=True, **more)
        self.started.append(process)
        return process

    def lose(self, percent):
        """Drops so much of all that comes in, at both ends."""
        rules = ("table ip hall {\nchain in {\ntype filter hook input priority 0;\n"
                 f"iifname != \"lo\" numgen random mod 100 < {percent} drop\n}}\n}}\n")
        for part in ("server", "machines"):
            self.run(part, ["nft", "-f", "-"], input=rules, text=True)


class Sniffer:
    """DISCOVER received to OFFER sent, as the kernel saw them on the server's bridge."""

    def __init__(self, hall, path):
        self.path = path
        self.process = hall.start("server", ["tcpdump", "-i", "br0", "-U", "-B", "16384", "-s", "400", "-w", path, "udp port 67"],
                                  stderr=subprocess.PIPE)
        for line in self.process.stderr:
            if "listening on" in line:
                return
        raise RuntimeError("tcpdump does not start")

    def milliseconds(self):
        self.process.terminate()
        self.process.wait(20)
        asked, took = {}, []
        with open(self.path, "rb") as file:
            data = file.read()
        at = 24
        while at + 16 <= len(data):
            seconds, micros, kept, _ = struct.unpack_from("<IIII", data, at)
            packet = data[at + 16:at + 16 + kept]
            at += 16 + kept
            source, message = packet[26:30], packet[42:]
            kind = re.search(rb"\x63\x82\x53\x63.*?\x35\x01(.)", message, re.S)
            if not kind or len(message) < 240:
                continue
            when, xid = seconds * 1000 + micros / 1000, message[4:8]
            if kind[1] == b"\x01":
                asked.setdefault(xid, when)
            elif kind[1] == b"\x02" and source == b"\x0a\x4d\x00\x01" and xid in asked:
                took.append(when - asked.pop(xid))
        return sorted(took)


class Server:
    """deploy-server with boot files of the wanted size, and so many devices that are to boot the agent."""

    def __init__(self, hall, work, megabytes):
        self.hall, self.state = hall, f"{work}/state"
        os.makedirs(f"{self.state}/boot/ramdisk")
        for name, share in (("kernel", 1), ("ramdisk/default", 4)):
            with open(f"{self.state}/boot/{name}", "wb") as out:
                out.write(os.urandom(megabytes * MIB * share // 5))
        self.log = open(f"{work}/server.log", "w", encoding="utf-8")
        self.argv = [need("deploy-server"), "--state-dir", self.state, "--address", "10.77.0.1", "--netboot", "br0=10.77.0.1",
                     "--user", "root"]
        self.process = hall.start("server", self.argv, stdout=subprocess.PIPE, stderr=self.log)
        for line in self.process.stdout:
            if line.strip() == "ready":
                break
        else:
            raise RuntimeError(f"deploy-server does not start: {work}/server.log")

    def register(self, machines):
        """By threads: their commits share the disk's, and a thread can be in another network namespace than its process."""
        problems = []

        def work(numbers):
            try:
                self.register_here(numbers)
            except Exception as error:  # pylint: disable=broad-except
                problems.append(error)

        threads = [threading.Thread(target=work, args=(range(first, machines, 16),)) for first in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]

    def register_here(self, numbers):
        with open(f"/run/netns/{self.hall.names['server']}", "rb") as space:
            if ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        with open(f"{self.state}/admin.token", encoding="ascii") as file:
            token = file.read().strip()
        context = ssl.create_default_context(cafile=f"{self.state}/pki/ca.pem")
        api = http.client.HTTPConnection("controller.slipway.internal")
        api.sock = context.wrap_socket(socket.create_connection(("10.77.0.1", 8443)), server_hostname="controller.slipway.internal")

        def post(path, body):
            api.request("POST", "/api/v1" + path, json.dumps(body), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
            answer = api.getresponse()
            text = answer.read()
            if answer.status not in (200, 201):
                raise RuntimeError(f"POST {path}: {answer.status} {text.decode()}")

        first = int(FIRST_MAC.replace(":", ""), 16)
        for number in numbers:
            digits = f"{first + number:012x}"
            name = f"m{number:04}"
            post("/devices", {"name": name, "macs": [":".join(digits[i:i + 2] for i in range(0, 12, 2))]})
            post(f"/devices/{name}/take-control", {})
        api.close()

    def memory(self):
        """The most that it had resident, MiB."""
        pid = subprocess.run(["pgrep", "-P", str(self.process.pid), "-x", "deploy-server"], capture_output=True, text=True).stdout.split()
        with open(f"/proc/{pid[0] if pid else self.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024


def once(work, machines, seconds, megabytes, loss):
    os.makedirs(work)
    with Hall() as hall:
        dnsmasq = hall.start("dhcp", ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--no-ping", "--interface=eth0", "--user=root", "--quiet-dhcp",
                                      "--log-facility=-", "--dhcp-lease-max=8000", f"--dhcp-leasefile={work}/leases",
                                      "--dhcp-range=10.77.16.10,10.77.31.250,255.255.0.0,1h", "--pid-file="], stderr=subprocess.PIPE)
        for line in dnsmasq.stderr:
            if "DHCP, IP range" in line:
                break
        drain = threading.Thread(target=dnsmasq.stderr.read, daemon=True)
        drain.start()
        server = Server(hall, work, megabytes)
        server.register(machines)
        if loss:
            hall.lose(loss)
        sniffer = Sniffer(hall, f"{work}/dhcp.pcap")
        argv = [need("netboot-storm"), "eth0", FIRST_MAC, str(machines), str(seconds)]
        done = subprocess.run(["ip", "netns", "exec", hall.names["machines"], *argv], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(f"netboot-storm: {done.stderr}")
        return json.loads(done.stdout), sniffer.milliseconds(), server.memory(), server.argv, argv


def rows(table, work, quick):
    machines, seconds, megabytes = (60, 1, 5) if quick else (1000, 10, 40)
    for loss in (0, 2):
        result, offers, memory, server, storm = once(f"{work}/storm-{loss}", machines, seconds, megabytes, loss)
        case = f"{machines} machines" + (f", {loss} % lost" if loss else "")
        limit = {"argv": " ".join(server), "peer_argv": " ".join(storm), "at_most": True, "target": 1.0}
        table.row(f"{case}: not ready", result["machines"] - result["ready"], 0, "", "none may fail", argv=limit["argv"], peer_argv=limit["peer_argv"])
        if not loss:
            table.row(f"{case}: p99 to the OFFER", offers[len(offers) * 99 // 100], 50, "ms", "the limit, 50 ms", **limit)
            table.row(f"{case}: peak memory", memory, 256, "MiB", "the limit, 256 MiB", **limit)
        sent = (result["tftp_bytes"] + result["http_bytes"]) / MIB
        table.note(f"  {case} switched on within {seconds} s: all over after {result['seconds']:.1f} s, {sent:.0f} MiB sent "
                   f"({sent / result['seconds']:.0f} MiB/s); DISCOVER to OFFER p50 {offers[len(offers) // 2]:.1f} p99 "
                   f"{offers[len(offers) * 99 // 100]:.1f} max {offers[-1]:.1f} ms ({len(offers)} seen on the wire); ready after p50 {result['ready_s']['p50']:.1f} max {result['ready_s']['max']:.1f} s; "
                   f"{result['repeats']} repeats; server's peak {memory:.0f} MiB")
        for text, count in sorted(result["failures"].items(), key=lambda f: -f[1])[:5]:
            table.note(f"    {count} x {text}")
