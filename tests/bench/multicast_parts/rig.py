# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers in network namespaces on one bridge, a sender behind a shaped link, loss by nftables; ours, udpcast and uftp on it."""
import filecmp
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

from bench.common import need

GROUP_LOSS = {"ip": "ip daddr 224.0.0.0/4", "ip6": "ip6 daddr ff10::/12"}


def run(*argv, **more):
    return subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, **more)


class Rig:
    """with Rig(receivers, bits, work) as rig: …; everything is gone afterwards, also after an error.

    families: "4"; "6": IPv6 alone; "46": IPv4, and of IPv6 the addresses of the link alone, as machines have them after a boot by DHCP."""

    def __init__(self, receivers, bits, work, families="4"):
        self.families = families
        self.count, self.bits, self.work = receivers, bits, work
        self.id = f"swm{os.getpid()}"
        self.switch, self.sender = f"{self.id}-sw", f"{self.id}-tx"
        self.spaces = [f"{self.id}-{i}" for i in range(receivers)]
        self.children = []

    def __enter__(self):
        # Ended from outside: by way of __exit__ all the same.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        for space in [self.switch, self.sender, *self.spaces]:
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        # Every port hears the group: what is measured is the protocol, not snooping.
        run("ip", "-n", self.switch, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        run("ip", "-n", self.switch, "link", "set", "br0", "up")
        for number, space in enumerate([self.sender, *self.spaces]):
            run("ip", "-n", self.switch, "link", "add", f"p{number}", "type", "veth", "peer", "name", "eth0", "netns", space)
            run("ip", "-n", self.switch, "link", "set", f"p{number}", "master", "br0", "up")
            # None by itself, which nobody may use for a second or two.
            run("ip", "-n", space, "link", "set", "eth0", "addrgenmode", "none")
            for address in self.addresses(number):
                run("ip", "-n", space, "addr", "add", *address, "dev", "eth0")
            run("ip", "-n", space, "link", "set", "eth0", "up")
            if "4" in self.families:
                run("ip", "-n", space, "route", "add", "224.0.0.0/4", "dev", "eth0")
        if self.bits:
            self.shape(self.sender, self.bits)

    def addresses(self, number):
        if "4" in self.families:
            yield f"10.79.0.{number + 1}/24", "brd", "+"
        if "6" in self.families:
            yield (f"fe80::{number + 1:x}/64" if "4" in self.families else f"fd79::{number + 1:x}/64"), "nodad"

    def address(self, number):
        """Of the agent channel; 0: the sender."""
        return f"10.79.0.{number + 1}" if "4" in self.families else f"fd79::{number + 1:x}"

    def without_ipv6(self, number):
        run("ip", "netns", "exec", self.spaces[number], "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")

    def shape(self, space, bits):
        run("tc", "-n", space, "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", f"{bits}bit", "burst", "64k", "latency", "50ms")

    def narrow(self, number, bits):
        """Receiver `number` hears no more than so much: its port of the switch is shaped."""
        run("tc", "-n", self.switch, "qdisc", "replace", "dev", f"p{number + 1}", "root", "tbf", "rate", f"{bits}bit", "burst", "32k", "latency", "20ms")

    def lose(self, percent, spaces=None):
        for space in spaces if spaces is not None else self.spaces:
            rules = "flush ruleset\n"
            if percent:
                chance = f"numgen random mod 1000 < {int(percent * 10)} " if percent < 100 else ""
                for table, group in GROUP_LOSS.items():
                    rules += f"table {table} loss {{\nchain in {{\ntype filter hook input priority 0;\n{group} {chance}drop\n}}\n}}\n"
            run("ip", "netns", "exec", space, "nft", "-f", "-", input=rules, text=True)

    def wire_bytes(self):
        return self.sent()["bytes"]

    def ip_bytes(self):
        """Without Ethernet's headers, as a throttle counts."""
        sent = self.sent()
        return sent["bytes"] - 14 * sent["packets"]

    def sent(self):
        out = subprocess.run(["ip", "-n", self.sender, "-s", "-j", "link", "show", "eth0"], check=True, stdout=subprocess.PIPE)
        return json.loads(out.stdout)[0]["stats64"]["tx"]

    def receiver_bytes(self):
        """Of each receiver, both ways."""
        links = [json.loads(subprocess.run(["ip", "-n", space, "-s", "-j", "link", "show", "eth0"], check=True, stdout=subprocess.PIPE).stdout)[0]
                 for space in self.spaces]
        return [link["stats64"]["rx"]["bytes"] + link["stats64"]["tx"]["bytes"] for link in links]

    def start(self, space, argv, out=subprocess.PIPE):
        child = subprocess.Popen(["ip", "netns", "exec", space, *argv], stdin=subprocess.DEVNULL, stdout=out, stderr=out, text=True)
        self.children.append(child)
        return child

    def place(self, number):
        folder = f"{self.work}/{number}"
        os.makedirs(folder, exist_ok=True)
        return folder

    def clear(self):
        for number in range(self.count):
            shutil.rmtree(self.place(number))
            self.place(number)

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
        for space in [self.switch, self.sender, *self.spaces]:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL, check=False)


class Run:
    """What one transfer took: seconds until the last receiver had all, the sender's bytes on the wire, the middle receiver's (both ways),
    the sender's processor seconds, and how busy all processors were."""

    def __init__(self, rig):
        self.seconds, self.wire, self.receiver_wire, self.sender_cpu, self.busy = 0.0, 0, 0, 0.0, 0.0
        self.ends, self.reports, self.notes, self.sender, self.failed = {}, {}, {}, {}, []
        self.rig, self.wire_before, self.receivers_before, self.idle_before = rig, rig.wire_bytes(), rig.receiver_bytes(), idle()
        self.begun = time.monotonic()

    def end(self):
        """All have it: what it took."""
        now = idle()
        self.seconds = max(self.ends.values()) if self.ends else time.monotonic() - self.begun
        self.busy = 1 - (now[1] - self.idle_before[1]) / max(now[0] - self.idle_before[0], 1)
        self.wire = self.rig.wire_bytes() - self.wire_before
        self.receiver_wire = statistics.median(b - a for a, b in zip(self.receivers_before, self.rig.receiver_bytes()))


def idle():
    """All of the processors' time until now, and what of it was idle."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(f) for f in stat.readline().split()[1:]]
    return sum(fields), fields[3] + fields[4]


def cpu_of(child):
    """Of a child that is reaped here: the kernel's account of it."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


class Ours:
    name = "ours"

    def __init__(self, rig, file, adaptive=False, bits=None, group=None):
        """group: another than the usual one of the agent channel's family."""
        self.rig, self.file, self.lab, self.group = rig, file, need("multicast-lab"), group
        # The pace counts IP and UDP headers; the shaper Ethernet's as well.
        self.bits, self.adaptive = bits or int(rig.bits * 0.97), adaptive

    def receiver(self, number, slow=None):
        # By the way that an agent finds by itself.
        argv = [self.lab, "receive", self.rig.address(0), "7000", "auto", f"{self.rig.place(number)}/out", f"r{number}"]
        return self.rig.start(self.rig.spaces[number], argv + ([str(slow)] if slow else []))

    def serve(self, receivers, begins):
        argv = [self.lab, "send", self.file, self.rig.address(0), "7000", str(self.bits), str(receivers)] + (["adaptive"] if self.adaptive else [])
        argv += [f"start={begins}"] + ([self.group] if self.group else [])
        sender = self.rig.start(self.rig.sender, argv)
        if sender.stdout.readline().strip() != "ready":
            raise RuntimeError("the sender does not start: " + sender.stderr.read())
        return sender

    def transfer(self, during=None, slow=None, expected=None, before=None, later=()):
        """during(receivers): called once all run but those of `later`; may end and start some. slow: {number: bytes a second}. before():
        with empty places. expected: how many will have it in the end."""
        rig = self.rig
        rig.clear()
        if before:
            before()
        sender = self.serve(expected or rig.count, rig.count - len(later))
        result = Run(rig)
        receivers = {n: self.receiver(n, (slow or {}).get(n)) for n in range(rig.count) if n not in later}
        if during:
            during(receivers)
        for number, child in receivers.items():
            out, err = child.communicate(timeout=600)
            result.ends[number] = time.monotonic() - result.begun
            result.notes[number] = err
            if child.returncode:
                result.failed.append(f"receiver {number}: {err.strip()}")
            else:
                result.reports[number] = json.loads(out)
        result.end()
        out = sender.stdout.read()
        result.sender_cpu = cpu_of(sender)
        result.sender = json.loads(out) if out.strip() else {}
        result.failed += [f"receiver {n}: the file differs" for n in receivers
                          if n in result.reports and not filecmp.cmp(self.file, f"{rig.place(n)}/out", shallow=False)]
        return result


class Udpcast:
    def __init__(self, rig, file, fec=None):
        self.rig, self.file, self.fec = rig, file, fec
        self.name = f"udpcast --fec {fec}" if fec else "udpcast"

    def transfer(self):
        rig = self.rig
        rig.clear()
        more = ["--fec", self.fec] if self.fec else []
        result = Run(rig)
        receivers = {n: rig.start(rig.spaces[n], ["udp-receiver", "--nokbd", "--nosync", "--interface", "eth0", "--file", f"{rig.place(n)}/out"],
                                   subprocess.DEVNULL) for n in range(rig.count)}
        sender = rig.start(rig.sender, ["udp-sender", "--nokbd", "--interface", "eth0", "--file", self.file, "--min-receivers", str(rig.count),
                                        "--max-bitrate", f"{int(rig.bits * 0.97)}", *more], subprocess.DEVNULL)
        return finish(result, sender, receivers, self.file)


class Uftp:
    name = "uftp"

    def __init__(self, rig, file):
        self.rig, self.file = rig, file

    def transfer(self):
        rig = self.rig
        rig.clear()
        # uftpd stays: its file is complete when the sender says so.
        daemons = [rig.start(rig.spaces[n], ["uftpd", "-d", "-D", rig.place(n), "-I", "eth0", "-q"], subprocess.DEVNULL) for n in range(rig.count)]
        result = Run(rig)
        sender = rig.start(rig.sender, ["uftp", "-R", str(int(rig.bits * 0.97 / 1000)), "-I", "eth0", "-q", self.file], subprocess.DEVNULL)
        finish(result, sender, {}, self.file, name=os.path.basename(self.file))
        for child in daemons:
            child.send_signal(signal.SIGTERM)
            child.wait(10)
        return result


def finish(result, sender, receivers, file, name="out"):
    limit = time.monotonic() + 600
    result.sender_cpu = cpu_of(sender)
    for child in receivers.values():
        child.wait(max(1, limit - time.monotonic()))
    result.end()
    for number in range(result.rig.count):
        out = f"{result.rig.place(number)}/{name}"
        if not os.path.exists(out) or not filecmp.cmp(file, out, shallow=False):
            result.failed.append(f"receiver {number}: the file differs")
    return result
