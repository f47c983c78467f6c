#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot ROM at the end of a cable, as far as the wire can tell: DHCP in frames of its own, TFTP, and iPXE after it.

rom.py IFACE MAC [--arch N] STEP…   each step must go well, or not when it begins with "!"
  discover        DISCOVER until there is an answer with a boot file, and an address when somebody gives one
  request         takes the address, and sets it on the interface
  tftp[=FILE]     fetches the file (without: the one offered) from the server that offered it
  ipxe            DISCOVER of iPXE, until it is told where its script is, and its own address
  script          fetches that script; --script FILE keeps it
  http=PATH       GET from the script's server
  tftp-here=FILE  by TFTP from the script's server
  os              DISCOVER of the kernel's DHCP client"""
import argparse
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
BROADCAST = "255.255.255.255"


class Failed(Exception):
    pass


def say(text):
    print("rom: " + text, file=sys.stderr)


def option(code, data):
    return bytes([code, len(data)]) + data


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Answer:
    def __init__(self, data, source):
        self.source, self.xid = source, data[4:8]
        self.yours, self.next = socket.inet_ntoa(data[16:20]), socket.inet_ntoa(data[20:24])
        self.options, at = {}, 240
        while at + 1 < len(data) and data[at] != 255:
            if data[at] == 0:
                at += 1
                continue
            self.options[data[at]] = data[at + 2:at + 2 + data[at + 1]]
            at += 2 + data[at + 1]
        self.file = data[108:236].split(b"\0")[0].decode() or self.options.get(67, b"").rstrip(b"\0").decode()
        self.type = self.options.get(53, b"\0")[0]

    def has_address(self):
        return self.yours != "0.0.0.0"


class Rom:
    def __init__(self, interface, mac, arch):
        self.interface, self.arch = interface, arch
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.wire.bind((interface, 0))
        self.address_offer = self.boot_offer = self.script_url = None

    # ---- DHCP
    def send_dhcp(self, kind, more=b""):
        xid = os.urandom(4)
        head = struct.pack(">BBBB", 1, 1, 6, 0) + xid + struct.pack(">HH", 0, 0x8000) + bytes(16) + self.mac + bytes(10 + 192)
        body = head + b"\x63\x82\x53\x63" + option(53, bytes([kind])) + more + b"\xff"
        body += bytes(max(0, 300 - len(body)))
        udp = struct.pack(">HHHH", 68, 67, 8 + len(body), 0) + body
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
        ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
        self.wire.send(b"\xff" * 6 + self.mac + b"\x08\x00" + ip + udp)
        return xid

    def answers(self, xid, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.wire], [], [], left)[0]:
                return
            frame = self.wire.recv(4096)
            if len(frame) < 42 or frame[23] != 17:
                continue
            header = 14 + (frame[14] & 15) * 4
            source, target = struct.unpack(">HH", frame[header:header + 4])
            data = frame[header + 8:]
            if target == 68 and len(data) >= 240 and data[0] == 2 and data[4:8] == xid:
                yield Answer(data, socket.inet_ntoa(frame[26:30]))

    def firmware_options(self):
        return (option(60, b"PXEClient:Arch:%05d:UNDI:003000" % self.arch) + option(93, struct.pack(">H", self.arch))
                + option(94, b"\1\3\0") + option(55, bytes([1, 3, 6, 43, 54, 60, 66, 67])))

    def ask(self, more, tries, wanted):
        """DISCOVER, more than once; the offers. Done early once `wanted` is satisfied."""
        offers = []
        for _ in range(tries):
            xid = self.send_dhcp(DISCOVER, more)
            for answer in self.answers(xid, 1.0):
                if answer.type != OFFER:
                    continue
                say("offer of %s: address %s, file '%s' of %s" % (answer.source, answer.yours, answer.file, answer.next))
                offers.append(answer)
                if wanted(offers):
                    return offers
        return offers

    def discover(self):
        def both(offers):
            return any(o.has_address() for o in offers) and any(o.file for o in offers) and any(
                o.source == "10.99.0.1" for o in offers)
        offers = self.ask(self.firmware_options(), 3, both)
        self.address_offer = next((o for o in offers if o.has_address()), None)
        # Firmware takes the file that comes with its address before a proxy's.
        with_file = [o for o in offers if o.file]
        self.boot_offer = next((o for o in with_file if o.has_address()), with_file[0] if with_file else None)
        if not self.boot_offer:
            raise Failed("nobody offers a boot file")

    def request(self, more=b""):
        if not self.address_offer:
            raise Failed("nobody offers an address")
        offer = self.address_offer
        more = option(50, socket.inet_aton(offer.yours)) + option(54, offer.options[54]) + self.firmware_options() + more
        for _ in range(3):
            for answer in self.answers(self.send_dhcp(REQUEST, more), 1.0):
                if answer.type == ACK and answer.has_address():
                    return self.set_address(answer)
        raise Failed("the address is not acknowledged")

    def set_address(self, ack):
        mask = ack.options.get(1, b"\xff\xff\xff\0")
        bits = bin(int.from_bytes(mask, "big")).count("1")
        subprocess.run(["ip", "addr", "replace", "%s/%d" % (ack.yours, bits), "brd", "+", "dev", self.interface], check=True)
        if 3 in ack.options:
            subprocess.run(["ip", "route", "replace", "default", "via", socket.inet_ntoa(ack.options[3][:4])], check=True)
        say("address " + ack.yours)

    def ipxe(self):
        own = option(77, b"iPXE") + option(175, b"\xb1\x04\0\0\0\1")

        def both(offers):
            return any("script" in o.file for o in offers) and any(o.has_address() for o in offers)
        offers = self.ask(self.firmware_options() + own, 3, both)
        told = next((o for o in offers if "script" in o.file), None)
        if not told:
            raise Failed("iPXE is not told of a script")
        self.script_url = told.file
        self.address_offer = next((o for o in offers if o.has_address()), None)
        self.request(own)

    def os(self):
        self.send_dhcp(DISCOVER, option(60, b"udhcp 1.35.0"))

    # ---- files
    def tftp(self, name, server, block=512):
        """RFC 1350 with tsize and blksize; gives up after two silent seconds."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(0.5)
        packet = b"\0\1" + name.encode() + b"\0octet\0tsize\0000\0blksize\0%d\0" % block
        target, received, expected, silent = (server, 69), 0, 1, 0
        while True:
            sock.sendto(packet, target)
            try:
                data, target = sock.recvfrom(65536)
            except socket.timeout:
                silent += 1
                if silent == 4:
                    raise Failed("TFTP '%s' stalls at byte %d" % (name, received))
                continue
            silent = 0
            kind, number = struct.unpack(">HH", data[:4])
            if kind == 5:
                raise Failed("TFTP '%s': %s" % (name, data[4:].rstrip(b"\0").decode()))
            if kind == 6:
                packet = b"\0\4\0\0"
                continue
            if kind != 3 or number != expected & 0xFFFF:
                continue  # the acknowledgement before is on its way again
            received += len(data) - 4
            expected += 1
            packet = b"\0\4" + struct.pack(">H", number)
            if len(data) - 4 < block:
                sock.sendto(packet, target)
                say("TFTP '%s': %d bytes" % (name, received))
                return

    def http(self, url):
        say("GET " + url)
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()
        except (OSError, urllib.error.URLError) as e:
            raise Failed("%s: %s" % (url, e))

    def boot_server(self):
        offer = self.boot_offer
        return offer.next if offer.next != "0.0.0.0" else offer.source


def run(rom, step, script_file):
    name, _, value = step.partition("=")
    say(step)
    if name == "tftp":
        rom.tftp(value or rom.boot_offer.file, rom.boot_server())
    elif name == "tftp-here":
        rom.tftp(value, re.match(r"http://([^:/]+)", rom.script_url).group(1))
    elif name == "script":
        text = rom.http(rom.script_url)
        if script_file:
            with open(script_file, "wb") as f:
                f.write(text)
    elif name == "http":
        rom.http(re.match(r"http://[^/]+", rom.script_url).group(0) + value)
    else:
        getattr(rom, name)()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("interface")
    parser.add_argument("mac")
    parser.add_argument("--arch", type=int, default=0)
    parser.add_argument("--script")
    parser.add_argument("steps", nargs="+")
    a = parser.parse_args()
    rom = Rom(a.interface, a.mac, a.arch)
    for step in a.steps:
        must_fail = step.startswith("!")
        try:
            run(rom, step.lstrip("!"), a.script)
        except Failed as e:
            say(str(e))
            if not must_fail:
                sys.exit("the step '%s' failed" % step)
            continue
        if must_fail:
            sys.exit("the step '%s' went well" % step)


main()
