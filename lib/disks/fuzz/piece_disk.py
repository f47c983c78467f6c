#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds for the file-system fuzz targets (format: piece_disk.hpp).
piece_disk.py pack IMAGE SEED    piece_disk.py unpack SEED IMAGE BYTES"""
import struct
import sys

UNIT = 16


def pack(image):
    out, i, n = bytearray(), 0, len(image) // UNIT
    unit = lambda k: image[k * UNIT:(k + 1) * UNIT]
    while i < n:
        if not any(unit(i)):
            i += 1
            continue
        times = 1
        while i + times < n and times < 0xffff and unit(i + times) == unit(i):
            times += 1
        if times > 4:
            out += struct.pack("<IHH", i, times, UNIT) + unit(i)
            i += times
            continue
        # Up to a gap of zeros long enough to be worth a header, or to a run of equal units.
        j = i + 1
        while j < n and (j - i) * UNIT < 0xfff0 and any(unit(j)) and not (
                j + 5 < n and all(unit(j) == unit(j + k) for k in range(1, 6))):
            j += 1
        out += struct.pack("<IHH", i, 1, (j - i) * UNIT) + image[i * UNIT:j * UNIT]
        i = j
    return bytes(out)


def unpack(seed, size):
    image, at = bytearray(size), 0
    while at + 8 <= len(seed):
        offset, times, length = struct.unpack_from("<IHH", seed, at)
        data = seed[at + 8:at + 8 + length] * max(times, 1)
        at += 8 + length
        part = data[:max(0, size - offset * UNIT)]
        image[offset * UNIT:offset * UNIT + len(part)] = part
    return bytes(image)


if sys.argv[1:2] == ["pack"] and len(sys.argv) == 4:
    image = open(sys.argv[2], "rb").read()
    seed = pack(image)
    assert unpack(seed, len(image)) == image
    open(sys.argv[3], "wb").write(seed)
elif sys.argv[1:2] == ["unpack"] and len(sys.argv) == 5:
    open(sys.argv[3], "wb").write(unpack(open(sys.argv[2], "rb").read(), int(sys.argv[4])))
else:
    sys.exit(__doc__)
