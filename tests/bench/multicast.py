# SPDX-License-Identifier: GPL-3.0-or-later
"""Multicast of an image to 1, 8 and 32 machines, with loss, stragglers and latecomers, against udpcast and uftp."""
import os
import shutil
import statistics
import tempfile
import time

from bench.common import Table
from bench.multicast_parts.rig import Ours, Rig, Udpcast, Uftp

MIB = 1 << 20
SYMBOL = 1376  # bytes of the image in a packet
LINE = 40_000_000  # what two processors carry 32 copies of


class Bench:
    def __init__(self, arguments, work):
        self.table, self.work = Table("multicast", arguments.json), work
        self.runs, self.size = (1, 8) if arguments.quick else (arguments.runs, 128)
        self.most = 8 if arguments.quick else 32
        self.file = f"{work}/image"
        with open(self.file, "wb") as out:
            for _ in range(self.size):
                out.write(os.urandom(MIB))

    def copies(self, side, **more):
        """Medians of several runs, and the last of them."""
        runs = [side.transfer(**more) for _ in range(self.runs)]
        failed = [f for r in runs for f in r.failed]
        if failed:
            self.table.note(f"  FAILED {side.name}: {failed[0]} ({len(failed)} in all)")
        last = runs[-1]
        last.seconds = statistics.median(r.seconds for r in runs)
        last.wire = statistics.median(r.wire for r in runs)
        last.receiver_wire = statistics.median(r.receiver_wire for r in runs)
        self.void_if_busy(side.name, runs)
        return last

    def void_if_busy(self, case, runs):
        busy = max(r.busy for r in runs)
        if busy > 0.85:
            self.table.note(f"  void, the next rows of {case}: the processors were {busy:.0%} busy")

    def all(self):
        one = self.lossless(1)
        self.lossless(8, one)
        lossless = self.lossless(self.most, one) if self.most != 8 else one
        self.losses(lossless)
        self.troubles()
        self.throttle()

    def rig(self, receivers, bits=LINE):
        return Rig(receivers, bits, self.work + "/out")

    def lossless(self, n, one=None):
        with self.rig(n) as rig:
            ours = self.copies(Ours(rig, self.file))
            ideal = self.size * MIB * 8 / LINE
            if one is None:
                self.table.row("1 receiver", ours.seconds, ideal, "s", "the shaped line", 1.1, at_most=True)
            else:
                self.table.row(f"{n} receivers", ours.seconds, one.seconds, "s", "one receiver", 1.15, at_most=True)
            self.table.row(f"{n} receivers: bytes on the wire", ours.wire / MIB, self.size, "MiB", "the image", 1.4, at_most=True)
            self.cpu(f"{n} receivers", ours)
        return ours

    def cpu(self, case, run):
        self.table.note(f"  {case}: sender {run.sender_cpu / (self.size / 1024):.1f} s of processor a GiB")

    def losses(self, lossless):
        with self.rig(self.most) as rig:
            for percent, most in ((0, None), (1, 1.15), (3, 1.25), (5, 1.4)):
                rig.lose(percent)
                ours = self.copies(Ours(rig, self.file))
                name = f"{self.most} receivers, {percent} % lost"
                if most:
                    self.table.row(name, ours.seconds, lossless.seconds, "s", "without loss", most, at_most=True)
                    self.table.row(f"{name}: wire", ours.wire / MIB, self.size, "MiB", "the image", 1.4, at_most=True)
                self.cpu(name, ours)
                self.finds_the_rate(rig, name, ours)
                peers = [(p.name, self.copies(p)) for p in (Udpcast(rig, self.file), Udpcast(rig, self.file, "8x8/128"), Uftp(rig, self.file))]
                for peer_name, peer in peers:
                    if peer.failed:
                        continue
                    self.table.row(f"{name}: time", ours.seconds, peer.seconds, "s", peer_name)
                    self.table.row(f"{name}: wire", ours.wire / MIB, peer.wire / MIB, "MiB", peer_name)
                    self.table.row(f"{name}: a receiver's bytes", ours.receiver_wire / MIB, peer.receiver_wire / MIB, "MiB", peer_name)
                    self.cpu(f"{name}, {peer_name}", peer)
                good = [p for p in peers if not p[1].failed]
                if good:
                    best_name, best = min(good, key=lambda p: p[1].seconds)
                    self.table.row(f"{name}: the best peer", ours.seconds, best.seconds, "s", best_name, 1.0 if percent else None)

    def finds_the_rate(self, rig, name, fixed):
        """The default: no rate is given, the sender looks for it."""
        run = self.copies(Ours(rig, self.file, adaptive=True, bits=1_000_000_000))
        self.table.row(f"{name}, no rate given", run.seconds, fixed.seconds, "s", "at the line's rate")
        self.table.row(f"{name}, no rate given: wire", run.wire / MIB, self.size, "MiB", "the image", 1.4, at_most=True)

    def troubles(self):
        n = self.most
        with self.rig(n) as rig:
            base = self.copies(Ours(rig, self.file))
            rig.narrow(n - 1, LINE // 10)
            slow = self.copies(Ours(rig, self.file))
            others = max(t for number, t in slow.ends.items() if number != n - 1)
            self.table.row(f"one of {n} at a tenth of the speed: the others", others, base.seconds, "s", "without it", 1.1, at_most=True)
        with self.rig(8) as rig:
            self.comes_and_goes(rig)
        with self.rig(8) as rig:
            rig.lose(100, rig.spaces[:1])
            deaf = self.copies(Ours(rig, self.file))
            self.table.row("one of 8 hears no multicast: MiB by unicast", deaf.reports[0]["asked"], self.size, "MiB", "the image", 1.0, at_most=True)

    def comes_and_goes(self, rig):
        ours = Ours(rig, self.file)

        def until(receivers, part):
            """How far a receiver that hears all is, by its disk."""
            while receivers[1].poll() is None and used(f"{rig.place(1)}/out") < part * self.size * MIB:
                time.sleep(0.01)

        def during(receivers):
            until(receivers, 0.4)
            receivers[0].kill()
            receivers[0].communicate()
            receivers[0] = ours.receiver(0)
            until(receivers, 0.6)
            receivers[7] = ours.receiver(7)

        run = ours.transfer(during=during, later=[7])
        for failure in run.failed:
            self.table.note("  FAILED " + failure)
        self.void_if_busy("comings and goings", [run])
        # What the one who came at 60 % had missed is sent for it alone.
        self.table.row("one killed at 40 % and back, one joins at 60 %: wire", run.wire / MIB, self.size, "MiB", "the image", 1.8, at_most=True)
        self.only_the_missed(run)

    def only_the_missed(self, run):
        """What the two lack at the end of the round they came into is sent again for them, and the others hear no more than that again."""
        missed = sum(run.reports[n]["missed"] for n in (0, 7) if n in run.reports)  # chunks of 1 MiB
        others = [r["useless"] * SYMBOL / MIB for n, r in run.reports.items() if n not in (0, 7)]
        if len(others) < 6 or not missed or 7 not in run.reports:
            self.table.note(f"  FAILED comings and goings: {len(others)} of 6 others reported, {missed} chunks were missed")
            return
        self.table.row("  the others hear again", max(others), missed, "MiB", "what the two had missed", 1.0, at_most=True)

    def throttle(self):
        with self.rig(1, 0) as rig:
            bits = 100_000_000
            ours = Ours(rig, self.file, bits=bits)
            samples = []

            def during(receivers):
                while receivers[0].poll() is None:
                    samples.append((time.monotonic(), rig.ip_bytes()))
                    time.sleep(0.25)

            self.void_if_busy("throttle", [ours.transfer(during=during)])
            rates = [8 * (b2 - b1) / (t2 - t1) / 1e6 for (t1, b1), (t2, b2) in zip(samples, samples[20:]) if t2 - t1 >= 4.9]
            rates = rates[4:-4] if len(rates) > 12 else rates
            if rates:
                self.table.note(f"  throttle 100 Mbit/s: {min(rates):.1f} to {max(rates):.1f} over any 5 s")
                off = max(abs(r - 100) for r in rates)
                self.table.row("throttle 100 Mbit/s, any 5 s: off by", off, 5, "Mbit/s", "a twentieth of it", 1.0, at_most=True)
            else:
                self.table.note("  FAILED throttle: too short to be measured")


def used(path):
    """Bytes of a sparse file that were written."""
    return os.stat(path).st_blocks * 512 if os.path.exists(path) else 0


def run(arguments):
    base = "/dev/shm" if shutil.disk_usage("/dev/shm").free > (8 << 30) else os.environ.get("TMPDIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=base) as work:
        Bench(arguments, work).all()
    return 0
