# SPDX-License-Identifier: GPL-3.0-or-later
# For faults/run and faults/session: machines that are a network namespace with the real agent in it, on the lab's bridge.
# shellcheck shell=bash
# shellcheck source=tests/lab/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lab/lib.sh"

machine_spaces=()
end_machines() {
    local space pid
    for space in "${machine_spaces[@]}"; do
        [ -e "/run/netns/$space" ] || continue
        for pid in $(ip netns pids "$space"); do kill -9 "$pid" 2>/dev/null || true; done
        ip netns del "$space"
    done
}

# One cable to the lab's bridge, at 200 Mbit/s so that there is a middle of a transfer.
add_machine() {  # SPACE NUMBER: its port is agentNUMBER, its address 10.99.0.(20 + NUMBER)
    ip netns add "$1"
    machine_spaces+=("$1")
    inside ip link add "agent$2" type veth peer name eth0 netns "$1"
    inside ip link set "agent$2" master br0 up
    inside tc qdisc add dev "agent$2" root tbf rate 200mbit burst 256k latency 100ms
    ip netns exec "$1" ip addr add "10.99.0.$((20 + $2))/24" brd + dev eth0
    ip netns exec "$1" ip link set eth0 up
    ip netns exec "$1" tc qdisc add dev eth0 root tbf rate 200mbit burst 256k latency 100ms
}

# What a machine under control gets when it boots from the network.
token() { inside curl -sf "http://10.99.0.1:8480/boot/script?mac=$1" | grep -o 'slipway.token=[0-9a-f]*' | cut -d= -f2; }
boot_agent() {  # SPACE MAC DISK: boots the machine; its boot script is there once the job waits for it. The pid is in $agent_pid.
    local boot_token=''
    until boot_token=$(token "$2"); do read -rt 0.2 <> <(:) || true; done
    ip netns exec "$1" "$bin/slipway-agent-da" --server https://10.99.0.1:8443 --bulk http://10.99.0.1:8480 \
        --ca "$work/state/pki/ca.pem" --token "$boot_token" --mac "$2" --state-dir "$work/agent-$RANDOM" --disk "$3" \
        >>"$work/agent-${1##*-}.log" 2>&1 &
    agent_pid=$!
    disown "$agent_pid"  # its end by kill is no news
    lab_pids+=("$agent_pid")
}
