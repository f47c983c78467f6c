#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Run by busybox uevent for each event of the kernel.
[ "$ACTION" = add ] && [ -n "$MODALIAS" ] && modprobe "$MODALIAS" 2>/dev/null
exit 0
