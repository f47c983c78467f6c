# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks share: running commands side by side, and the rows they print."""
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(os.environ.get("SLIPWAY_BUILD", os.path.join(ROOT, "build")), "bin")


def need(program):
    path = os.path.join(BIN, program)
    if not os.path.exists(path):
        sys.exit(f"error: {path} is missing: scripts/build first")
    return path


class Side:
    """One side of a row: a command (argv, or a shell line), what comes before each run untimed, and what it printed."""

    def __init__(self, command, before=None):
        self.argv = command if isinstance(command, list) else ["bash", "-o", "pipefail", "-c", command]
        self.text = shlex.join(command) if isinstance(command, list) else command
        self.before = before
        self.seconds, self.cpu, self.output = [], [], ""

    def once(self):
        if self.before:
            self.before()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.monotonic()
        done = subprocess.run(self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.seconds.append(time.monotonic() - start)
        if done.returncode != 0:
            sys.exit(f"error: {self.text}\nended with {done.returncode}: {done.stderr[-2000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append(after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)
        self.output = done.stdout

    def median(self):
        return statistics.median(self.seconds)

    def cpu_median(self):
        return statistics.median(self.cpu)


def interleave(runs, *sides):
    for _ in range(runs):
        for side in sides:
            side.once()


class Table:
    """Rows as they come: a line each, or a JSON object each."""

    def __init__(self, bench, as_json):
        self.bench, self.as_json = bench, as_json
        if not as_json:
            print(f"{'case':34} {'ours':>10} {'peer':>10} {'unit':9} {'ratio':>7} {'target':>7}      peer")

    def row(self, case, ours, peer, unit, peer_name, target=None, argv=None, peer_argv=None, at_most=False):
        """ratio = peer / ours (times better), to be at least the target; with at_most ours / peer, to be at most it."""
        ratio = (ours / peer if at_most else peer / ours) if ours and peer else 0.0
        ok = None if target is None else (ratio <= target if at_most else ratio >= target)
        if self.as_json:
            print(json.dumps({"bench": self.bench, "case": case, "ours": round(ours, 3), "peer": round(peer, 3),
                              "peer_name": peer_name, "unit": unit, "ratio": round(ratio, 3), "target": target, "ok": ok,
                              "argv": argv, "peer_argv": peer_argv}), flush=True)
            return
        sign = "" if target is None else ("<=" if at_most else ">=")
        print(f"{case:34} {ours:10.2f} {peer:10.2f} {unit:9} {ratio:7.2f} {sign + str(target) if target else '':>7} "
              f"{'' if ok is None else 'ok  ' if ok else 'MISS'} {peer_name}", flush=True)

    def note(self, text):
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)
