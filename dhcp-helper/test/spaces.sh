# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034  # what tests of DHCP in network namespaces share: sourced, $here and $bin are set
skip() { printf 'skipped: %s\n' "$*"; [ "${SLIPWAY_STRICT:-}" = 1 ] && exit 1; exit 77; }
die() { printf 'error: %s\n' "$*" >&2; for log in server.err client.log other.log; do sed "s/^/  ${log%%.*}: /" "$work/$log" >&2 2>/dev/null || true; done; exit 1; }
need() { command -v "$1" >/dev/null || skip "$1 ($2) is not installed"; }
[ "$(id -u)" = 0 ] || skip "network namespaces are made by root"
need ip iproute2
ip netns add "sw-dhcp-$$-probe" 2>/dev/null || skip "no network namespaces here"
ip netns del "sw-dhcp-$$-probe"

work=$(mktemp -d)
server_ns=sw-dhcp-$$-server relay_ns=sw-dhcp-$$-relay client_ns=sw-dhcp-$$-client
spaces=("$server_ns" "$relay_ns" "$client_ns")
clean() {
    local space pid
    for space in "${spaces[@]}"; do
        [ -e "/run/netns/$space" ] || continue
        for pid in $(ip netns pids "$space"); do kill -9 "$pid" 2>/dev/null || true; done
        ip netns del "$space"
    done
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' INT TERM

for space in "${spaces[@]}"; do
    ip netns add "$space"
    ip -n "$space" link set lo up
done
on() { ip netns exec "$@"; }
# In the background it is `ip netns exec` itself, so that $! is the program and no subshell.
cable() {  # SPACE IF ADDRESS SPACE IF ADDRESS|none
    ip -n "$1" link add "$2" type veth peer name "$5" netns "$4"
    ip -n "$1" link set "$2" up
    ip -n "$4" link set "$5" up
    ip -n "$1" addr add "$3" brd + dev "$2"
    [ "$6" = none ] || ip -n "$4" addr add "$6" brd + dev "$5"
}

# Clients report by a script that writes a line to this pipe.
mkfifo "$work/events"
exec 8<>"$work/events"
event() {  # PATTERN: the next event that matches, in time
    local line
    while read -rt 30 line <&8; do
        # shellcheck disable=SC2053  # a pattern
        if [[ $line == $1 ]]; then printf '%s\n' "$line"; return 0; fi
    done
    die "no event '$1'"
}

write_udhcpc_script() {
    cat >"$work/script" <<EOF
#!/bin/sh
case \$1 in bound) ip addr add "\$ip/\$mask" dev "\$interface" ;; deconfig) ip addr flush dev "\$interface" ;; esac
echo "\$1 \$ip \$subnet \$router \$dns \$domain \$ntpsrv \$broadcast \$lease \$serverid" >"$work/events"
EOF
    chmod +x "$work/script"
}
