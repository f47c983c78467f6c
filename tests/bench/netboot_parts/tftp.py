# SPDX-License-Identifier: GPL-3.0-or-later
"""TFTP against tftpd-hpa, atftpd and dnsmasq: one client and 64 at once, in lock-step and with windows.

All servers run on loopback on ports nobody else has and serve the same file from the page cache; the client is the same
for all of them (tftp/test/tftp_load.cpp, one thread), blksize 1468. Processor time is the server's alone, with that of the
processes it forks. None of the peers, as Debian 12 has them, is asked for windows: the issue compares ours with theirs in
lock-step. atftpd and tftpd-hpa cannot be installed side by side, so atftpd is unpacked from its package.
"""
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time

from bench.common import need

MIB = 1 << 20
CLIENTS = 64
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def unpacked(package, program, work):
    """The program of a Debian package that is not installed; None when it cannot be fetched."""
    if shutil.which(program):
        return shutil.which(program)
    folder = f"{work}/{package}"
    os.makedirs(folder)
    done = subprocess.run(f"cd {folder} && apt-get -q download {package} && dpkg-deb -x {package}_*.deb .", shell=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    path = f"{folder}/usr/sbin/{program}"
    return path if done.returncode == 0 and os.path.exists(path) else None


class Server:
    """One server process of ours to start and end; what it used is asked of the kernel."""

    def __init__(self, name, argv, port):
        self.name, self.argv, self.port = name, argv, port
        self.seconds, self.cpu = {}, {}
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def used(self):
        """Processor seconds of it and of the children it has waited for."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return sum(int(f) for f in fields[11:15]) / TICKS

    def reaps(self):
        """False: it ignores SIGCHLD, so the kernel adds its children's time to nobody's."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            ignored = next(line for line in status if line.startswith("SigIgn:")).split()[1]
        return not int(ignored, 16) >> (signal.SIGCHLD - 1) & 1

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as out:
            return out.read().split()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


class Bench:
    def __init__(self, table, work, runs, quick):
        self.table, self.runs = table, runs
        self.work, self.load = work, need("tftp_load")
        self.root = f"{work}/root"
        os.makedirs(self.root)
        self.one, self.each = (8 * MIB, MIB) if quick else (64 * MIB, 4 * MIB)
        for size in {self.one, self.each}:
            with open(f"{self.root}/{size}", "wb") as out:
                out.write(os.urandom(size))
        self.servers = {}

    def start(self):
        port = free_port()
        self.add("ours", [need("tftp_serve"), self.root, str(port)], port)
        if hpa := shutil.which("in.tftpd", path="/usr/sbin"):
            port = free_port()
            self.add("tftpd-hpa", [hpa, "-L", "-a", f"127.0.0.1:{port}", "-u", "root", "-s", self.root], port)
        if atftpd := unpacked("atftpd", "atftpd", self.work):
            port = free_port()
            self.add("atftpd", [atftpd, "--daemon", "--no-fork", "--bind-address", "127.0.0.1", "--port", str(port), "--user",
                                "root", "--group", "root", "--verbose=0", "--logfile", f"{self.work}/log", "--maxthread", "200",
                                self.root], port)
        # dnsmasq has no option for its TFTP port: an address of loopback that nobody uses.
        if dnsmasq := shutil.which("dnsmasq"):
            self.add("dnsmasq", [dnsmasq, "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces",
                                 "--listen-address=127.0.0.9", "--enable-tftp", f"--tftp-root={self.root}", "--tftp-max=300",
                                 "--quiet-tftp", f"--log-facility={self.work}/log.dnsmasq", "--pid-file=", "--user=root"],
                     69, "127.0.0.9")
        for name in [n for n, s in self.servers.items() if not self.answers(s)]:
            self.table.note(f"  {name} does not start: left out")
            del self.servers[name]

    @staticmethod
    def answers(server):
        """It refuses a file that is not there; asked until it does, or has ended."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.1)
            deadline = time.monotonic() + 10
            while server.process.poll() is None and time.monotonic() < deadline:
                try:
                    client.sendto(b"\0\1no such file\0octet\0", (server.address, server.port))
                    client.recv(600)
                    return True
                except OSError:
                    pass
        return False

    def add(self, name, argv, port, address="127.0.0.1"):
        self.servers[name] = Server(name, argv, port)
        self.servers[name].address = address

    def run(self, case, name, size, clients, window):
        server = self.servers[name]
        # One client takes turns with the server: on one processor it is their work that is measured; on two it would be where
        # the kernel puts them, by a factor of three from run to run.
        processors = os.sched_getaffinity(0)
        chosen = {max(processors)} if clients == 1 else processors
        os.sched_setaffinity(server.process.pid, chosen)
        before = server.used()
        argv = [self.load, f"{server.address}:{server.port}", str(size), str(size), str(clients), "1468", str(window)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False,
                              preexec_fn=lambda: os.sched_setaffinity(0, chosen))
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr.strip()}")
        deadline = time.monotonic() + 10
        while server.children() and time.monotonic() < deadline:
            time.sleep(0.02)
        server.seconds.setdefault(case, []).append(float(done.stdout.split()[0]))
        server.cpu.setdefault(case, []).append(server.used() - before)

    def rate(self, case, name, megabytes):
        return megabytes / statistics.median(self.servers[name].seconds[case])

    def cpu(self, case, name, megabytes):
        return 1000 * statistics.mean(self.servers[name].cpu[case]) / megabytes

    def row(self, label, case, peer_case, peers, target):
        """Seconds for the same bytes, against the fastest of the peers."""
        ours = self.servers["ours"]
        peer = min((self.servers[n] for n in peers), key=lambda s: statistics.median(s.seconds[peer_case]))
        self.table.row(label, statistics.median(ours.seconds[case]), statistics.median(peer.seconds[peer_case]), "s",
                       f"{peer.name}, the fastest", target, " ".join(ours.argv), " ".join(peer.argv))

    def all(self):
        peers = [n for n in self.servers if n != "ours"]
        if not peers:
            raise RuntimeError("no peer is installed")
        everybody = ["ours", *peers]
        for _ in range(self.runs):
            self.once(everybody)
        one, many = self.one / MIB, self.each * CLIENTS / MIB
        self.row("1 client, lock-step", "one", "one", peers, 1.0)
        self.row("1 client, windowsize 16", "one w16", "one", peers, 5)
        self.row(f"{CLIENTS} clients, lock-step", "many", "many", peers, 1.0)
        self.row(f"{CLIENTS} clients, windowsize 16", "many w16", "many", peers, 1.5)
        for name in peers:
            if not self.servers[name].reaps():
                self.table.note(f"  {name} forgets what its processes used: no row of processor time")
                continue
            self.table.row(f"{CLIENTS} clients: processor", self.cpu("many", "ours", many), self.cpu("many", name, many), "ms/MiB",
                           name, 0.9, " ".join(self.servers["ours"].argv), " ".join(self.servers[name].argv), at_most=True)
        for name in everybody:
            self.table.note(f"  {name}: 1 client {self.rate('one', name, one):.0f} MiB/s, {CLIENTS} clients "
                            f"{self.rate('many', name, many):.0f} MiB/s; {self.cpu('one', name, one):.2f} and "
                            f"{self.cpu('many', name, many):.2f} ms of processor a MiB")
        self.table.note(f"  load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")

    def once(self, everybody):
        for name in everybody:
            self.run("one", name, self.one, 1, 1)
        self.run("one w16", "ours", self.one, 1, 16)
        for name in everybody:
            self.run("many", name, self.each, CLIENTS, 1)
        self.run("many w16", "ours", self.each, CLIENTS, 16)


def rows(table, work, runs, quick):
    bench = Bench(table, work, runs, quick)
    try:
        bench.start()
        bench.all()
    finally:
        for server in bench.servers.values():
            server.stop()
