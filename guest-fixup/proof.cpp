// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/proof.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace slipway::fixup {

bool valid_nonce(std::string_view nonce) {
    return !nonce.empty() && nonce.size() <= 64 && std::all_of(nonce.begin(), nonce.end(), [](unsigned char c) {
        return c < 128 && (std::isalnum(c) || c == '-');
    });
}

std::string proof_unit() {
    return fmt::format(R"(# Written by Slipway. Removes itself once it has reported.
[Unit]
Description=Slipway boot proof
After=multi-user.target
# Without this the implied Before= of the wanting target would close a cycle.
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
# Not oneshot: the boot counts as finished only when no start job is left, and the script waits for that.
Type=simple
ExecStart=/bin/sh {}

[Install]
WantedBy=multi-user.target
)",
                       kProofScript);
}

std::string proof_script(std::string_view nonce) {
    return fmt::format(R"(#!/bin/sh
# Written by Slipway: reports the first good boot on the second serial port, then removes itself.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
state=$(systemctl is-system-running --wait 2>/dev/null)
# An older systemctl does not know --wait.
while [ "$state" != running ] && [ "$state" != degraded ]; do
    case $state in maintenance|stopping|offline) exit 1 ;; esac
    sleep 1
    state=$(systemctl is-system-running 2>/dev/null)
done
target=$(systemctl get-default)
case $target in emergency.target|rescue.target) exit 1 ;; esac
systemctl is-active --quiet "$target" || exit 1
root_options=''
while read -r _ where _ options _; do [ "$where" != / ] || root_options=$options; done </proc/self/mounts
case ,$root_options, in *,rw,*) ;; *) exit 1 ;; esac
exec 3<>/dev/ttyS1 || exit 1
stty raw -echo <&3
# Gone from the disk before the line is out: who reads it may cut the power.
rm -f {1} {2} {3} || exit 1
[ ! -e {1} ] || exit 1
sync
printf 'SLIPWAY-UP %s\n' '{0}' >&3
systemctl daemon-reload
)",
                       nonce, kProofWant, kProofUnit, kProofScript);
}

}  // namespace slipway::fixup
