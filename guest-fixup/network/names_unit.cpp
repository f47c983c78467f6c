// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network/names_unit.hpp"

#include <fmt/format.h>

namespace slipway::fixup {

// Who has another name than its own, or sits on one that is another's, goes to a free name; then each to its own. If
// one of them is up, whom the kernel may not rename, all stay: half of it would be worse.
std::string names_script() {
    return "free=0; "
           "own_of() { for pair in \"$@\"; do if [ \"$mac\" = \"${pair%%=*}\" ]; then echo \"${pair#*=}\"; fi; done; "
           "}; "
           "taken() { for pair in \"$@\"; do if [ \"$card\" = \"${pair#*=}\" ]; then return 0; fi; done; return 1; }; "
           "wrong() { card=${path##*/}; read -r mac <\"$path/address\" || return 1; own=$(own_of \"$@\"); "
           "[ \"$card\" != \"$own\" ] && { [ -n \"$own\" ] || taken \"$@\"; }; }; "
           "for path in /sys/class/net/*; do if wrong \"$@\"; then read -r flags <\"$path/flags\"; "
           "if [ $((flags & 1)) = 1 ]; then echo \"$card is up already: names stay\"; exit 0; fi; fi; done; "
           "for path in /sys/class/net/*; do if wrong \"$@\"; then "
           "ip link set dev \"$card\" name \"slipway$free\" && free=$((free + 1)); fi; done; "
           "for path in /sys/class/net/slipway*; do if [ -e \"$path/address\" ]; then "
           "read -r mac <\"$path/address\"; own=$(own_of \"$@\"); "
           "if [ -n \"$own\" ]; then ip link set dev \"${path##*/}\" name \"$own\"; fi; fi; done";
}

std::string names_unit(const std::vector<NamedCard>& cards) {
    std::string script, arguments;
    for (const char c : names_script()) {
        if (c == '$' || c == '%') script += c;  // systemd's own signs
        script += c;
    }
    for (const auto& card : cards) arguments += fmt::format(" {}={}", card.mac.text(), card.name);
    return fmt::format(
        "# Written by Slipway: the kernel may call these cards the wrong way round, and udev does not put that right.\n"
        "[Unit]\n"
        "Description=Interface names as on the old machine\n"
        "DefaultDependencies=no\n"
        "After=systemd-udevd.service systemd-udev-trigger.service\n"
        "Wants=network-pre.target\n"
        "Before=network-pre.target shutdown.target\n"
        "Conflicts=shutdown.target\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=yes\n"
        "Environment=PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
        "ExecStartPre=-/bin/sh -c 'udevadm settle --timeout=30'\n"
        "ExecStart=/bin/sh -c '{}' slipway-interface-names{}\n",
        script, arguments);
}

std::string names_wanted() { return "[Unit]\nWants=slipway-interface-names.service\n"; }

}  // namespace slipway::fixup
