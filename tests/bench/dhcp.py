# SPDX-License-Identifier: GPL-3.0-or-later
"""DHCP exchanges a second under perfdhcp, beside dnsmasq and Kea (memfile), with each server's way with its lease file."""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

from .common import Table, need

POOL = ("10.77.1.0", "10.77.250.255")


class Segment:
    """Two network namespaces and a cable between them; gone with everything in them at the end."""

    def __init__(self):
        self.server, self.client = f"sw-bench-{os.getpid()}-s", f"sw-bench-{os.getpid()}-c"

    def __enter__(self):
        for space in (self.server, self.client):
            subprocess.run(["ip", "netns", "add", space], check=True)
            subprocess.run(["ip", "-n", space, "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "-n", self.server, "link", "add", "srv0", "type", "veth", "peer", "name", "cl0", "netns", self.client], check=True)
        for space, name, address in ((self.server, "srv0", "10.77.0.1/16"), (self.client, "cl0", "10.77.0.2/16")):
            subprocess.run(["ip", "-n", space, "addr", "add", address, "brd", "+", "dev", name], check=True)
            subprocess.run(["ip", "-n", space, "link", "set", name, "up"], check=True)
        return self

    def __exit__(self, *_):
        for space in (self.server, self.client):
            for pid in subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True).stdout.split():
                subprocess.run(["kill", "-9", pid])
            subprocess.run(["ip", "netns", "del", space])


class Server:
    def __init__(self, name, policy, argv, ready, environment=None):
        self.name, self.policy, self.argv, self.ready = name, policy, argv, ready
        self.environment = {**os.environ, **(environment or {})}
        self.rates, self.drops = [], 0

    def once(self, segment, seconds, rate):
        """Starts it, waits until it says that it is ready, loads it; exchanges that were finished a second."""
        process = subprocess.Popen(["ip", "netns", "exec", segment.server, *self.argv], stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, env=self.environment)
        for line in process.stdout:
            if re.search(self.ready, line):
                break
        else:
            sys.exit(f"error: {self.name} does not start")
        sink = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        load = subprocess.run(["ip", "netns", "exec", segment.client, "perfdhcp", "-4", "-l", "cl0", "-r", str(rate), "-R", "60000",
                               "-p", str(seconds), "-d", "2", "-W", "1", "10.77.0.1"], capture_output=True, text=True)
        process.terminate()
        process.wait()
        sink.wait()
        found = re.search(r"Rate: ([0-9.]+)", load.stdout)
        if not found:
            sys.exit(f"error: perfdhcp against {self.name}: {load.stdout[-500:]}{load.stderr[-500:]}")
        self.rates.append(float(found.group(1)))
        self.drops += sum(int(n) for n in re.findall(r"^drops: (\d+)", load.stdout, re.M))

    def microseconds(self):
        return 1e6 / statistics.median(self.rates)


def kea_config(work):
    path = os.path.join(work, "kea.json")
    with open(path, "w", encoding="ascii") as out:
        json.dump({"Dhcp4": {
            "interfaces-config": {"interfaces": ["srv0"], "dhcp-socket-type": "udp"}, "valid-lifetime": 3600,
            "lease-database": {"type": "memfile", "persist": True, "name": f"{work}/kea.leases", "lfc-interval": 0},
            "loggers": [{"name": "kea-dhcp4", "severity": "INFO", "output_options": [{"output": "stdout", "flush": True}]}],
            "subnet4": [{"id": 1, "subnet": "10.77.0.0/16", "pools": [{"pool": " - ".join(POOL)}]}]}}, out)
    return path


def boot_loaders(work):
    """Nobody boots here, but a server without boot loaders does not start."""
    folder = os.path.join(work, "loaders")
    os.makedirs(folder, exist_ok=True)
    for name in ("undionly.kpxe", "snponly.efi"):
        with open(os.path.join(folder, name), "wb"):
            pass
    return folder


def servers(work):
    ours = ["--interface", "srv0", "--subnet", f"10.77.0.0/16,interface=srv0,range={'-'.join(POOL)},lease=3600,probe=no"]
    return [
        Server("deploy-server", "in SQLite, synced before each ACK, in groups",
               [need("deploy-server"), "--state-dir", f"{work}/state", "--address", "127.0.0.1", "--tls-port", "0", "--http-port", "0",
                "--user", "root", "--loaders", boot_loaders(work), "--dhcp", ours[-1]], "^ready"),
        Server("dhcp-serve", "in a journal, synced before each ACK, in groups", [need("dhcp-serve"), *ours, "--journal", f"{work}/leases"], "^ready"),
        Server("dhcp-serve --no-sync", "written, not synced",
               [need("dhcp-serve"), *ours, "--journal", f"{work}/leases-2", "--no-sync"], "^ready"),
        Server("dnsmasq", "rewritten now and then, not synced",
               ["dnsmasq", "-k", "-C", "/dev/null", "--port=0", "--no-ping", "--interface=srv0", "--log-facility=-", "--dhcp-lease-max=100000",
                "--quiet-dhcp", "--user=root", f"--dhcp-leasefile={work}/dnsmasq.leases", f"--dhcp-range={POOL[0]},{POOL[1]},255.255.0.0,1h"],
               "DHCP, IP range"),
        Server("Kea", "appended, not synced", ["kea-dhcp4", "-c", kea_config(work)], "DHCP4_STARTED",
               {"KEA_PIDFILE_DIR": work, "KEA_LOCKFILE_DIR": work}),
    ]


def run(arguments):
    table = Table("dhcp", arguments.json)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as work, Segment() as segment:
        all_servers = servers(work)
        for _ in range(1 if arguments.quick else arguments.runs):
            for server in all_servers:
                server.once(segment, 2 if arguments.quick else 5, 20000)
        for s in all_servers:
            table.note(f"{s.name}: {statistics.median(s.rates):.0f} exchanges/s; leases: {s.policy}; perfdhcp lost {s.drops}")
        product, synced, unsynced, dnsmasq, kea = all_servers
        table.row("DHCP exchange", product.microseconds(), dnsmasq.microseconds(), "us", dnsmasq.name, 1.0, product.argv, dnsmasq.argv)
        table.row("DHCP exchange", product.microseconds(), kea.microseconds(), "us", kea.name, 0.8, product.argv, kea.argv)
        table.row("DHCP exchange, the server alone with a journal", synced.microseconds(), kea.microseconds(), "us", kea.name, None, synced.argv,
                  kea.argv)
        table.row("DHCP exchange, leases not synced", unsynced.microseconds(), kea.microseconds(), "us", kea.name, None, unsynced.argv, kea.argv)
    return 0
