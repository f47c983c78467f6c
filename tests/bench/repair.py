# SPDX-License-Identifier: GPL-3.0-or-later
"""The repair of a Debian for virtio against virt-v2v's local conversion of the same disk; and a second repair.

The disk: tests/lab/make-source's poseidon (Debian 12, its initramfs knows AHCI alone), a raw file of 3 GB. Every run gets a fresh
copy; virt-v2v reads its copy and writes a converted one, which is the shortest it does. Its appliance runs under KVM where KVM
works, as ours would; ours needs none for this disk. Needs root.
"""
import os
import shutil
import subprocess
import tempfile

from bench.common import ROOT, Side, Table, interleave, need

TARGET = 5  # times faster


def kvm_fails():
    """Where QEMU ends at once under a KVM that is there, virt-v2v has to be told."""
    if not os.path.exists("/dev/kvm"):
        return False
    try:
        subprocess.run(["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "kvm", "-cpu", "host", "-S"],
                       timeout=5, stderr=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return False
    return True


def run(arguments):
    slipway, table = need("slipway"), Table("repair", arguments.json)
    runs = 1 if arguments.quick else min(arguments.runs, 3)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as work:
        source, ours_disk, peer_disk, out = (f"{work}/{name}" for name in ("source.img", "ours.img", "peer.img", "converted"))
        subprocess.run([f"{ROOT}/tests/lab/make-source", "--output", source], check=True, stdout=subprocess.DEVNULL)

        def fresh(disk):
            subprocess.run(["cp", "--sparse=always", source, disk], check=True)
            subprocess.run(["sync", "-f", work], check=True)

        def fresh_peer():
            fresh(peer_disk)
            shutil.rmtree(out, ignore_errors=True)
            os.makedirs(out)
        # 3: done, with warnings; the disk is repaired.
        repair = f"{slipway} fixup --disk {ours_disk} --target virtio-blk --json || [ $? = 3 ]"
        ours, again = Side(repair, lambda: fresh(ours_disk)), Side(repair)
        environment = "LIBGUESTFS_BACKEND=direct" + (" LIBGUESTFS_BACKEND_SETTINGS=force_tcg" if kvm_fails() else "")
        peer = Side(f"{environment} virt-v2v -i disk {peer_disk} -o local -os {out} >&2", fresh_peer)
        for _ in range(runs):
            interleave(1, ours, again, peer)
        table.row("Debian to virtio-blk", ours.median(), peer.median(), "s", "virt-v2v -i disk -o local", TARGET, ours.text, peer.text)
        table.row("again, nothing to do", again.median(), peer.median(), "s", "virt-v2v -i disk -o local", None, again.text, peer.text)
    return 0
