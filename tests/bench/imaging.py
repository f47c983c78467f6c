# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture, second capture, deploy and VHD conversion against partclone, zstd and qemu-img; processor time against SHA-256 + zstd.

The disk: 4 GB, MBR, ext4, with about 2 GB of this machine's own Debian (programs, libraries, documentation). A second one
holds bytes that do not compress. All sides read from the page cache and sync what they wrote before their time ends.
"""
import json
import os
import random
import shutil
import subprocess
import tempfile

from bench.common import Side, Table, interleave, need

START = 1 << 20  # of the partition
MIB = 1 << 20


def sh(*argv, **options):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def fill_with_system(tree, limit):
    """Files of this machine's Debian, in the order of their names, until there are `limit` bytes."""
    total = 0
    for top in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share"):
        for directory, folders, files in os.walk(top):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(directory, name)
                try:
                    if os.path.islink(path) or not os.path.isfile(path):
                        continue
                    size = os.path.getsize(path)
                    if size > 64 * MIB:
                        continue
                    to = tree + path
                    os.makedirs(os.path.dirname(to), exist_ok=True)
                    shutil.copyfile(path, to)
                except OSError:
                    continue
                total += (size + 4095) & ~4095
                if total >= limit:
                    return


def fill_with_noise(tree, limit):
    rng = random.Random(1)
    os.makedirs(tree)
    for i in range(limit // (16 * MIB)):
        with open(f"{tree}/noise-{i}", "wb") as out:
            out.write(rng.randbytes(16 * MIB))


class Disk:
    """A raw disk with one ext4 partition, and that partition alone as a file for the peers that know no disks."""

    def __init__(self, work, name, size, fill, used):
        self.path, self.part = f"{work}/{name}.img", f"{work}/{name}.part"
        tree = f"{work}/{name}.tree"
        fill(tree, used)
        with open(self.path, "wb") as out:
            out.truncate(size)
        sh("sfdisk", "-q", self.path, input="label: dos\nstart=2048, type=83, bootable\n")
        with open(self.part, "wb") as out:
            out.truncate(size - START)
        sh("mke2fs", "-q", "-t", "ext4", "-F", "-d", tree, self.part)
        shutil.rmtree(tree)
        self.refresh_disk()

    def refresh_disk(self):
        sh("dd", f"if={self.part}", f"of={self.path}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none")

    def used_extents(self):
        """(offset, length) of used space in the partition, by dumpe2fs."""
        text = sh("dumpe2fs", self.part, stderr=subprocess.DEVNULL)
        block = int(next(l for l in text.splitlines() if l.startswith("Block size:")).split()[2])
        count = int(next(l for l in text.splitlines() if l.startswith("Block count:")).split()[2])
        free = bytearray(count)
        for line in text.splitlines():
            if line.startswith("  Free blocks:"):
                for part in line.split(":", 1)[1].replace(" ", "").split(","):
                    if part:
                        first, _, last = part.partition("-")
                        for b in range(int(first), int(last or first) + 1):
                            free[b] = 1
        out, at = [], 0
        while at < count:
            end = at
            while end < count and free[end] == free[at]:
                end += 1
            if not free[at]:
                out.append((at * block, (end - at) * block))
            at = end
        return out

    def overwrite(self, ranges, seed):
        rng = random.Random(seed)
        with open(self.path, "r+b") as disk, open(self.part, "r+b") as part:
            for offset, length in ranges:
                data = rng.randbytes(length)
                disk.seek(START + offset)
                disk.write(data)
                part.seek(offset)
                part.write(data)


def report(side):
    return json.loads(side.output)


def tree_bytes(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)


def clear(*paths):
    for path in paths:
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.exists(path):
            os.unlink(path)


class Bench:
    def __init__(self, arguments, work):
        self.runs = 1 if arguments.quick else arguments.runs
        self.scale = 8 if arguments.quick else 1
        self.work, self.table, self.slipway = work, Table("imaging", arguments.json), need("slipway")

    def capture(self, disk, store, *more):
        return [self.slipway, "image", "capture", "--source", disk.path, "--store", f"{self.work}/{store}", "--name", "bench", "--json", *more]

    def partclone(self, disk, out, level=3):
        return f"partclone.ext4 -c -F -q -L /dev/null -s {disk.part} -o - | zstd -q -T0 -{level} -f -o {out} && sync {out}"

    def first(self, disk, label, targets):
        w = self.work
        piped = f"{w}/peer.zst"
        ours3 = Side(self.capture(disk, "store3", "--level", "3"), lambda: clear(f"{w}/store3"))
        ours = Side(self.capture(disk, "store"), lambda: clear(f"{w}/store"))
        peer = Side(self.partclone(disk, piped), lambda: clear(piped))
        qcow = Side(f"qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd {disk.path} {w}/peer.qcow2 && sync {w}/peer.qcow2",
                    lambda: clear(f"{w}/peer.qcow2"))
        interleave(self.runs, ours3, ours, peer, qcow)
        name = "partclone | zstd -T0 -3"
        t3, td, tq = targets
        self.row(f"{label}: capture, level 3", ours3, peer, name, t3)
        self.sizes(f"{label}: bytes, level 3", f"{w}/store3", piped, name, 1.05, ours3, peer)
        self.row(f"{label}: capture, default", ours, peer, name, td)
        self.sizes(f"{label}: bytes, default", f"{w}/store", piped, name, 1.20, ours, peer)
        self.row(f"{label}: capture, default", ours, qcow, "qemu-img qcow2 zstd", tq)
        used = report(ours)["bytes_read"]
        self.limit(f"{label}: processor, level 3", disk, used, ours3, 3)
        self.limit(f"{label}: processor, default", disk, used, ours, 1)
        self.table.note(f"  {label}: {used / MIB:.0f} MiB read; ours: {report(ours)['bottleneck']}")

    def row(self, case, ours, peer, name, target):
        self.table.row(case, ours.median(), peer.median(), "s", name, target, ours.text, peer.text)

    def sizes(self, case, store, peer_file, name, target, ours, peer):
        self.table.row(case, tree_bytes(store) / MIB, os.path.getsize(peer_file) / MIB, "MiB", name, target, ours.text, peer.text, at_most=True)

    def limit(self, case, disk, used, ours, level):
        """Processor seconds a GB, against SHA-256 and zstd alone, each on one processor, on what partclone found used."""
        plain = f"{self.work}/used"
        if not os.path.exists(plain):
            sh("bash", "-c", f"partclone.ext4 -c -F -q -L /dev/null -s {disk.part} -o {plain} 2>/dev/null")
        digest, squeeze = Side(["openssl", "dgst", "-sha256", plain]), Side(f"zstd -q -T1 -{level} -c {plain} >/dev/null")
        interleave(self.runs, digest, squeeze)
        gb = used / 1e9
        bound = (digest.cpu_median() + squeeze.cpu_median()) / (os.path.getsize(plain) / 1e9)
        self.table.row(case, ours.cpu_median() / gb, bound, "CPU s/GB", "openssl sha256 + zstd", 1.25, ours.text,
                       digest.text + " ; " + squeeze.text, at_most=True)

    def again(self, disk):
        w = self.work
        kept, piped = f"{w}/kept", f"{w}/peer.zst"
        Side(self.capture(disk, "kept")).once()
        # 1 % of the used bytes, in runs of 8 MiB of used space.
        used = [(o, n) for o, n in disk.used_extents() if n >= 9 * MIB]
        rng = random.Random(2)
        want = max(1, int(2000 * MIB / self.scale / 100 / (8 * MIB)))
        ranges = [(o + rng.randrange(0, (n - 8 * MIB) // 4096) * 4096, 8 * MIB) for o, n in rng.sample(used, min(want, len(used)))]
        disk.overwrite(ranges, 3)
        changed = sum(n for _, n in ranges)

        def fresh():
            clear(f"{w}/store")
            sh("cp", "-a", "--reflink=auto", kept, f"{w}/store")
            sh("sync", "-f", w)
        ours, peer = Side(self.capture(disk, "store"), fresh), Side(self.partclone(disk, piped), lambda: clear(piped))
        interleave(self.runs, ours, peer)
        self.row("second capture, 1 % changed", ours, peer, "partclone | zstd -T0 -3", 8)
        self.table.row("stored against changed", report(ours)["sent_bytes"] / MIB, changed / MIB, "MiB", "bytes changed", 1.3, ours.text, None, at_most=True)
        clear(kept)
        os.rename(f"{w}/store", kept)
        flat = [o + i * 4096 for o, n in disk.used_extents() for i in range(n // 4096)]
        pages = [(o, 4096) for o in rng.sample(flat, 64)]
        disk.overwrite(pages, 4)
        touched = len({(START + o) // MIB for o, _ in pages})
        ours = Side(self.capture(disk, "store"), fresh)
        ours.once()
        self.table.row("64 random 4 KiB changes: chunks", report(ours)["sent_chunks"], touched, "chunks", "chunks touched", 1.0, ours.text, None, at_most=True)
        clear(kept)

    def deploy(self, disk):
        w = self.work
        clear(f"{w}/store")
        Side(self.capture(disk, "store")).once()
        Side(self.partclone(disk, f"{w}/peer.zst")).once()
        size = os.path.getsize(disk.part)

        def blank():
            clear(f"{w}/peer.img")
            with open(f"{w}/peer.img", "wb") as out:
                out.truncate(size)
        ours = Side(f"{self.slipway} image deploy --store {w}/store --name bench --target {w}/ours.img --json", lambda: clear(f"{w}/ours.img"))
        peer = Side(f"zstd -q -dc {w}/peer.zst | partclone.restore -q -L /dev/null -s - -O {w}/peer.img && sync {w}/peer.img", blank)
        interleave(self.runs, ours, peer)
        self.row("deploy to a raw file", ours, peer, "zstd -dc | partclone.restore", 3)
        clear(f"{w}/ours.img", f"{w}/peer.img")

    def convert(self, disk):
        w = self.work
        ours = Side([self.slipway, "vhd", "convert", "--from", disk.path, "--to", f"{w}/ours.vhd", "--type", "dynamic"], lambda: clear(f"{w}/ours.vhd"))
        peer = Side(f"qemu-img convert -f raw -O vpc {disk.path} {w}/peer.vhd && sync {w}/peer.vhd", lambda: clear(f"{w}/peer.vhd"))
        interleave(self.runs, ours, peer)
        self.row("raw to a dynamic VHD", ours, peer, "qemu-img convert -O vpc", 2)
        clear(f"{w}/ours.vhd", f"{w}/peer.vhd")


def run(arguments):
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as work:
        bench = Bench(arguments, work)
        debian = Disk(work, "debian", (4 << 30) // bench.scale, fill_with_system, 2000 * MIB // bench.scale)
        bench.first(debian, "Debian", (1.8, 2.5, 2.5))
        bench.deploy(debian)
        bench.convert(debian)
        bench.again(debian)
        clear(debian.path, debian.part, f"{work}/used")
        noise = Disk(work, "noise", (2 << 30) // bench.scale, fill_with_noise, 1536 * MIB // bench.scale)
        bench.first(noise, "noise", (1.8, 2.5, 2.5))
    return 0
