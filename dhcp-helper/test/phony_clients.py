#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many DHCP clients behind one relay address, each until it is acknowledged; says if two hold one address.

phony_clients.py SERVER RELAY COUNT [KNOWN]   prints "MAC ADDRESS" a line as each ACK comes; KNOWN: such lines from before,
whose clients must get the same again, by INIT-REBOOT."""
import select
import socket
import struct
import sys
import time

server, relay, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
known = {}
if len(sys.argv) > 4:
    with open(sys.argv[4]) as f:
        known = dict(line.split() for line in f)
WINDOW, AGAIN, PATIENCE = 64, 0.5, 60.0


def mac_of(n):
    return "02:00:00:%02x:%02x:%02x" % (n >> 16 & 255, n >> 8 & 255, n & 255)


def option(code, data):
    return bytes([code, len(data)]) + data


def message(n, kind, more=b""):
    mac = bytes.fromhex(mac_of(n).replace(":", ""))
    head = struct.pack(">BBBBIHH", 1, 1, 6, 1, n, 0, 0) + bytes(12) + socket.inet_aton(relay) + mac + bytes(10 + 192)
    return head + b"\x63\x82\x53\x63" + option(53, bytes([kind])) + more + b"\xff"


def opening(n):
    if mac_of(n) in known:
        return message(n, 3, option(50, socket.inet_aton(known[mac_of(n)])))
    return message(n, 1)


def type_of(data):
    at = 240
    while at + 2 < len(data) and data[at] != 255:
        if data[at] == 53:
            return data[at + 2]
        at += 2 + data[at + 1]
    return 0


sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((relay, 67))
waiting, todo, holders = {}, list(range(count)), {}
end = time.monotonic() + PATIENCE
while (todo or waiting) and time.monotonic() < end:
    now = time.monotonic()
    for n, since in list(waiting.items()):
        if now - since > AGAIN:
            del waiting[n]
            todo.append(n)
    while todo and len(waiting) < WINDOW:
        n = todo.pop(0)
        waiting[n] = now
        sock.sendto(opening(n), (server, 67))
    if not select.select([sock], [], [], AGAIN / 5)[0]:
        continue
    try:
        data = sock.recv(2048)
    except ConnectionRefusedError:  # it is down just now
        continue
    n, address = struct.unpack(">I", data[4:8])[0], socket.inet_ntoa(data[16:20])
    kind = type_of(data)
    if n not in waiting:
        continue
    if kind == 2:
        sock.sendto(message(n, 3, option(50, data[16:20]) + option(54, socket.inet_aton(server))), (server, 67))
    elif kind == 5:
        del waiting[n]
        if holders.setdefault(address, n) != n:
            sys.exit(f"{address} was acknowledged to {mac_of(n)} and to {mac_of(holders[address])}")
        if known.get(mac_of(n), address) != address:
            sys.exit(f"{mac_of(n)} had {known[mac_of(n)]} and was given {address}")
        print(mac_of(n), address, flush=True)
    elif kind == 6:
        if mac_of(n) in known:
            sys.exit(f"{mac_of(n)} was refused its {known[mac_of(n)]}")
        del waiting[n]
        todo.append(n)
if todo or waiting:
    sys.exit(f"{len(todo) + len(waiting)} of {count} clients are without a lease after {PATIENCE:.0f} s")
