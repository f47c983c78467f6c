// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/proof.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

std::string refusal_unit() {
    return fmt::format(R"(# Written by Slipway: says why there is no boot proof. Removed by the proof.
[Unit]
Description=Slipway boot proof: refused
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
ExecStart=/bin/sh {} emergency

[Install]
WantedBy=emergency.target rescue.target
)",
                       kProofScript);
}

std::string proof_script(std::string_view nonce) {
    return fmt::format(R"sh(#!/bin/sh
# Written by Slipway: reports the first good boot on the second serial port, then removes itself; of a bad one it says why.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
(exec 3<>/dev/ttyS1) || exit 1
# By a child: this shell leads its session, would take the port for its terminal, and hang it up for everybody as it ends.
# Who else does that takes it from us: then it is opened again. Firmware and loader may have left a line without an end.
say() {{
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        if (exec 3<>/dev/ttyS1 && stty raw -echo <&3 && printf '\n%s\n' "$1" >&3) 2>/dev/null; then return; fi
        sleep 1
    done
    exit 1
}}
refuse() {{
    say "SLIPWAY-REFUSED {0} $1"
    exit 1
}}
failed_units() {{
    systemctl list-units --failed --plain --no-legend 2>/dev/null | while read -r unit _; do printf ' %s' "$unit"; done
}}
[ "${{1-}}" != emergency ] || refuse "the system is in emergency or rescue mode; failed:$(failed_units)"
state=$(systemctl is-system-running --wait 2>/dev/null)
# An older systemctl does not know --wait.
while [ "$state" != running ] && [ "$state" != degraded ]; do
    case $state in maintenance|stopping|offline) refuse "the system is '$state'; failed:$(failed_units)" ;; esac
    sleep 1
    state=$(systemctl is-system-running 2>/dev/null)
done
target=$(systemctl get-default)
case $target in emergency.target|rescue.target) refuse "the default target is $target" ;; esac
systemctl is-active --quiet "$target" || refuse "$target is not reached; failed:$(failed_units)"
root_options=''
while read -r _ where _ options _; do [ "$where" != / ] || root_options=$options; done </proc/self/mounts
case ,$root_options, in *,rw,*) ;; *) refuse 'root is mounted read-only' ;; esac
# Gone from the disk before the line is out: who reads it may cut the power.
rm -f {1} || refuse 'root takes no writes'
[ ! -e {2} ] || refuse 'root takes no writes'
sync
# systemd is not told to read its units again, which would disturb a machine that just came up: the next boot finds none of ours.
say 'SLIPWAY-UP {0}'
)sh",
                       nonce,
                       fmt::format("{} {} {} {} {}", kProofWant, fmt::join(kRefusalWants, " "), kProofUnit,
                                   kRefusalUnit, kProofScript),
                       kProofWant);
}

}  // namespace slipway::fixup
