# SPDX-License-Identifier: GPL-3.0-or-later
"""Power-on to a system that can image disks, and the bytes it takes: our agent beside a Debian live system with partclone, made
from packages (make-live). On the lab's metal, under emulation, so the seconds are worth less than their ratio."""
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LIVE = "/var/cache/slipway-live"


def once(side):
    argv = [f"{HERE}/power-on", side, LIVE]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr[-2000:]}")
    seconds, sent = done.stdout.split()
    return float(seconds), int(sent)


def rows(table, runs):
    subprocess.run([f"{HERE}/make-live", LIVE], check=True, stdout=sys.stderr)
    seen = {"ours": [], "live": []}
    for _ in range(runs):
        for side, results in seen.items():
            results.append(once(side))
    seconds, sent = ({side: statistics.median(r[part] for r in results) for side, results in seen.items()} for part in (0, 1))
    peer = "Debian live, live-boot with partclone"
    argv, peer_argv = (f"tests/bench/netboot_parts/power-on {side} {LIVE}" for side in ("ours", "live"))
    table.row("power-on to ready", seconds["ours"], seconds["live"], "s", peer, None, argv, peer_argv)
    table.row("bytes sent to get there", sent["ours"] / 1e6, sent["live"] / 1e6, "MB", peer, 0.2, argv, peer_argv, at_most=True)
