// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/first_boot.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/base/sha256.hpp"

namespace slipway::fixup {

std::string first_boot_id(const FirstBootScript& script) {
    return fmt::format("{}.{}", script.name, sha256(as_bytes(script.text)).text().substr(0, 12));
}

std::string first_boot_runner(const std::vector<std::string>& own_files) {
    return fmt::format(R"sh(#!/bin/sh
# Written by Slipway: runs each first-boot script once, in order, then takes itself out of the boot.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 077
here={0}
log={1}
mkdir -p "$here/done" "$here/begun" || exit 1
say() {{ printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>"$log"; }}
failed=0
for script in "$here"/scripts/*-*.*; do
    [ -f "$script" ] || continue
    name=${{script##*/}}
    name=${{name#*-}}
    if [ ! -e "$here/done/$name" ]; then
        [ ! -e "$here/begun/$name" ] || say "$name was cut short at an earlier boot: again from its beginning"
        : >"$here/begun/$name"
        say "$name begins"
        # By its own interpreter: the file system may be mounted noexec.
        read -r interpreter <"$script"
        # shellcheck disable=SC2086  # the interpreter and its arguments
        ${{interpreter#??}} "$script" >>"$log" 2>&1 </dev/null
        code=$?
        say "$name ended with $code"
        [ "$code" = 0 ] || failed=1
        # On the disk before the next begins.
        printf '%s\n' "$code" >"$here/done/.new" && sync && mv "$here/done/.new" "$here/done/$name" && sync || exit 1
    fi
    rm -f "$script" "$here/begun/$name"
done
rm -f {2}
exit "$failed"
)sh",
                       kFirstBoot, kFirstBootLog, fmt::join(own_files, " "));
}

std::string first_boot_unit() {
    return fmt::format(R"(# Written by Slipway. Removes itself once every script has run.
[Unit]
Description=Slipway first-boot scripts
Wants=network-online.target
After=network-online.target
ConditionPathExists={0}/run

[Service]
Type=oneshot
ExecStart=/bin/sh {0}/run
TimeoutStartSec=0

[Install]
WantedBy=multi-user.target
)",
                       kFirstBoot);
}

std::string first_boot_openrc() {
    return fmt::format(R"(#!/sbin/openrc-run
# Written by Slipway. Removes itself once every script has run.
description="Slipway first-boot scripts"
depend() {{
    need localmount
    use net
    after net sshd
}}
start() {{
    ebegin "Slipway first-boot scripts"
    /bin/sh {}/run
    eend $?
}}
)",
                       kFirstBoot);
}

std::string sysv_script(std::string_view name, std::string_view command, std::string_view required,
                        std::string_view before) {
    return fmt::format(R"(#!/bin/sh
# Written by Slipway.
# chkconfig: 2345 99 01
# description: {0}
### BEGIN INIT INFO
# Provides:          {0}
# Required-Start:    {2}
# Required-Stop:
# X-Start-Before:    {3}
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: {0}
### END INIT INFO
case "$1" in
    start) {1} ;;
esac
)",
                       name, command, required, before);
}

std::string host_keys_unit() {
    return R"(# Written by Slipway: this system makes no SSH host keys by itself.
[Unit]
Description=Slipway: new SSH host keys
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key
# Before the sockets too, which come before what other services wait for by default.
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=ssh.service sshd.service ssh.socket sshd.socket shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
)";
}

FirstBootScript package_script(bool debian) {
    return {"guest-agent-package",
            fmt::format("#!/bin/sh\n"
                        "# Written by Slipway: installs what was given with the repair.\n"
                        "set -eu\n"
                        "cd {}/packages\n"
                        "{}\n"
                        "rm -f ./*\n",
                        kFirstBoot,
                        debian ? "DEBIAN_FRONTEND=noninteractive dpkg -i ./*.deb" : "rpm -U --replacepkgs ./*.rpm")};
}

}  // namespace slipway::fixup
