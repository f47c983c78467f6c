#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PXE ROM as the network sees it. pxe_client.py INTERFACE MAC [--arch N] COMMAND

offers COUNT    DISCOVER, again until COUNT different offers came; a line for each, sorted
boot            DISCOVER, takes the first offer of an address, REQUEST; the offer's line and the ACK's
server ADDRESS  REQUEST to the boot server port of ADDRESS; the ACK's line
A line: OFFER 10.0.0.10 id 10.0.0.1 next 10.0.0.1 class PXEClient file undionly.kpxe"""
import argparse
import select
import socket
import struct
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("interface")
parser.add_argument("mac")
parser.add_argument("--arch", type=int, default=0)
parser.add_argument("command", choices=["offers", "boot", "server"])
parser.add_argument("value", nargs="?", default="1")
args = parser.parse_args()
PATIENCE, AGAIN = 30.0, 1.0
KINDS = {2: "OFFER", 5: "ACK", 6: "NAK"}
mac = bytes.fromhex(args.mac.replace(":", ""))
xid = struct.unpack(">I", mac[2:])[0]


def option(code, data):
    return bytes([code, len(data)]) + data


def message(kind, more=b"", client="0.0.0.0"):
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, xid, 4, 0x8000) + socket.inet_aton(client) + bytes(12) + mac + bytes(10 + 192)
    words = option(53, bytes([kind])) + option(57, struct.pack(">H", 1260)) + option(60, b"PXEClient:Arch:%05d:UNDI:002001" % args.arch)
    words += option(93, struct.pack(">H", args.arch)) + option(94, b"\1\2\1") + option(55, bytes([1, 3, 6, 43, 54, 60, 66, 67]))
    return head + b"\x63\x82\x53\x63" + words + more + b"\xff"


def read(data):
    options, at = {}, 240
    while at + 1 < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        options[data[at]] = options.get(data[at], b"") + data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return options


def line(data):
    o = read(data)
    address = lambda b: socket.inet_ntoa(b) if len(b) == 4 else "-"
    text = lambda b: b.split(b"\0")[0].decode("ascii", "replace") or "-"
    return (f"{KINDS.get(o.get(53, b'?')[0], '?')} {address(data[16:20])} id {address(o.get(54, b''))} next {address(data[20:24])} "
            f"class {text(o.get(60, b''))} file {text(data[108:236])}")


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, args.interface.encode())
sock.bind(("0.0.0.0", 68))


def ask(data, to, kinds, enough):
    """Answers until enough(them); the question again each second."""
    found, end, again = [], time.monotonic() + PATIENCE, 0.0
    while time.monotonic() < end:
        if time.monotonic() >= again:
            sock.sendto(data, to)
            again = time.monotonic() + AGAIN
        if not select.select([sock], [], [], AGAIN / 10)[0]:
            continue
        got = sock.recv(2048)
        if got[4:8] != data[4:8] or got[28:34] != mac or read(got).get(53, b"?")[0] not in kinds:
            continue
        if line(got) not in [line(f) for f in found]:
            found.append(got)
        if enough(found):
            return found
    sys.exit("no answer in time: " + "; ".join(line(f) for f in found))


everyone = ("255.255.255.255", 67)
if args.command == "offers":
    offers = ask(message(1), everyone, [2], lambda f: len(f) >= int(args.value))
    print("\n".join(sorted(line(o) for o in offers)))
elif args.command == "boot":
    gives = lambda f: f[16:20] != bytes(4)
    offer = [o for o in ask(message(1), everyone, [2], lambda f: any(map(gives, f))) if gives(o)][0]
    print(line(offer))
    more = option(50, offer[16:20]) + option(54, read(offer)[54])
    print(line(ask(message(3, more), everyone, [5, 6], bool)[0]))
else:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect((args.value, 4011))
    own = client.getsockname()[0]
    client.close()
    print(line(ask(message(3, client=own), (args.value, 4011), [5], bool)[0]))
