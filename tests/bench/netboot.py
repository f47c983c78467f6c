# SPDX-License-Identifier: GPL-3.0-or-later
"""Network boot: TFTP against tftpd-hpa, atftpd and dnsmasq; a thousand machines switched on at once; power-on to the agent."""
import os
import tempfile

from bench.common import Table
from bench.netboot_parts import power_on, storm, tftp


def run(arguments):
    table, runs = Table("netboot", arguments.json), 1 if arguments.quick else arguments.runs
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", dir=os.environ.get("TMPDIR", "/var/tmp")) as work:
        os.chmod(work, 0o755)
        tftp.rows(table, work, runs, arguments.quick)
        storm.rows(table, work, arguments.quick)
    power_on.rows(table, runs)
    return 0
