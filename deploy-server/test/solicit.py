#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""solicit.py INTERFACE: asks for an IPv6 router until one answers, and prints its advertisement's bytes but the checksum."""
import select
import socket
import struct
import sys
import time

interface = sys.argv[1]
index = socket.if_nametoindex(interface)
sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
with open(f"/sys/class/net/{interface}/address", encoding="ascii") as f:
    mac = bytes.fromhex(f.read().strip().replace(":", ""))
end, again = time.monotonic() + 30, 0.0
while time.monotonic() < end:
    if time.monotonic() >= again:
        again = time.monotonic() + 0.5
        try:
            sock.sendto(struct.pack(">BBHI", 133, 0, 0, 0) + b"\1\1" + mac, ("ff02::2", 0, 0, index))
        except OSError:  # the link-local address is still being checked
            pass
    if not select.select([sock], [], [], 0.1)[0]:
        continue
    data = sock.recv(2048)
    if data[0] == 134:
        print(data[:2].hex(), data[4:].hex())
        sys.exit(0)
sys.exit("no router advertisement in time")
