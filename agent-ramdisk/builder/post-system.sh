#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Run by the agent that has reached its server, with the archive of the folder PostSystem on standard input.
cd / || exit 1
cpio -idu 2>/run/post-system.log || exit 1
for list in /lib/modules/*/modules.*.post; do
    [ -e "$list" ] || continue
    # What the ramdisk had under the same names comes after, and is not looked at.
    cat "${list%.post}" >>"$list"
    mv "$list" "${list%.post}"
done
# shellcheck disable=SC2046
modprobe -a $(find /sys/devices -name modalias -exec cat {} + 2>/dev/null | sort -u) 2>/dev/null
for hook in /etc/slipway/post-system.d/*; do
    [ -x "$hook" ] && "$hook" >>/run/post-system.log 2>&1
done
exit 0
