#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""flood_client.py INTERFACE MAC: DHCPDISCOVERs of one machine, one after the other, for a minute or until it is ended."""
import socket
import struct
import sys
import time

interface, mac = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", ""))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
end, xid = time.monotonic() + 60, 0
while time.monotonic() < end:
    xid += 1
    head = struct.pack(">BBBBIHH", 1, 1, 6, 0, xid, 0, 0x8000) + bytes(16) + mac + bytes(10 + 192)
    sock.sendto(head + b"\x63\x82\x53\x63\x35\x01\x01\xff", ("255.255.255.255", 67))
