# SPDX-License-Identifier: GPL-3.0-or-later
# Shared by the journeys: a working directory that is cleaned up whatever happens, processes that are ended by pid,
# machines, and a deploy server with its VM host in the lab's network.
# shellcheck shell=bash
LAB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$LAB/../../scripts/lib.sh"
bin=$SLIPWAY_BUILD/bin

lab_id='' lab_pids=() keep=${keep:-0} lab_failed=1

lab_begin() {  # NAME: sets $work and $lab_id
    work=$(mktemp -d "${TMPDIR:-/tmp}/slipway-$1-XXXXXX")
    lab_id=$(printf '%s' "$work" | sha256sum | cut -c1-6)
    trap lab_end EXIT
    trap 'exit 130' INT TERM
}

lab_end() {
    local machine pid
    set +e
    for machine in "$work"/*/machine; do
        [ ! -e "$machine" ] || "$LAB/metal" down --state-dir "${machine%/machine}" 2>/dev/null
    done
    for pid in "${lab_pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${lab_pids[@]}"; do timeout 20 tail --pid="$pid" -f /dev/null || kill -9 "$pid" 2>/dev/null; done
    "$LAB/net" down "$lab_id"
    if [ "$lab_failed" = 1 ]; then
        for log in "$work"/*.log; do [ ! -s "$log" ] || { printf -- '--- %s\n' "$(basename "$log")"; tail -n 25 "$log"; } >&2; done
    fi
    if [ "$keep" = 1 ]; then say "kept: $work"; else rm -rf "$work"; fi
}

metal() { local machine=$1 verb=$2; shift 2; "$LAB/metal" "$verb" --state-dir "$work/$machine" "$@"; }
digest() { sha256sum "$1" | cut -d' ' -f1; }
inside() { ip netns exec "slab-$lab_id" "$@"; }

# start LOG COMMAND…: in the lab's network, ended with the lab. The pid is in $started.
start() {
    local log=$1
    shift
    ip netns exec "slab-$lab_id" "$@" >>"$log" 2>&1 &
    started=$!
    lab_pids+=("$started")
}
# tail ends by SIGPIPE once grep has what it wants, which is no failure: hence the substitution.
wait_for_line() {  # LOG TEXT PID [SECONDS]
    grep -qm1 -F -- "$2" < <(timeout "${4:-60}" tail -n +1 --pid="$3" -F "$1" 2>/dev/null) ||
        die "'$2' did not come in $(basename "$1")"
}

# shellcheck disable=SC2120  # arguments are for callers who have some
start_server() {  # [ARGUMENTS…]
    # The lab's power commands and its agents are root's, whatever accounts this machine has.
    start "$work/server.log" "$bin/deploy-server" --user root --state-dir "$work/state" --netboot br0=10.99.0.1 "$@"
    server_pid=$started
    # The log keeps earlier lives of the server: count the lines.
    server_starts=$((${server_starts:-0} + 1))
    [ "$(grep -c -m "$server_starts" -x ready < <(timeout 60 tail -n +1 --pid="$server_pid" -F "$work/server.log" 2>/dev/null))" = "$server_starts" ] ||
        die "the deploy server did not start"
    export SLIPWAY_URL=https://10.99.0.1:8443 SLIPWAY_CA=$work/state/pki/ca.pem SLIPWAY_TOKEN_FILE=$work/state/admin.token
}

slipway() { inside "$bin/slipway" "$@"; }

# The VM host's agent and its VMs run in an account of their own, which may do no more than make networks.
vmhost_account=64911
start_vmhost() {  # the VM host `hercules`, with network VM0 on the lab's bridge
    slipway device add hercules --kind vmhost
    slipway device take-control hercules
    slipway device enroll hercules --directory "$work/hercules"
    mkdir -p "$work/vm"
    chown -R "$vmhost_account:$vmhost_account" "$work/hercules" "$work/vm"
    chmod 711 "$work"
    start "$work/hercules.log" setpriv --reuid "$vmhost_account" --regid "$vmhost_account" --clear-groups --inh-caps=+net_admin \
        --ambient-caps=+net_admin --bounding-set=-all,+net_admin "$bin/slipway-agent" --server "$SLIPWAY_URL" --ca "$work/hercules/ca.pem" \
        --token-file "$work/hercules/token" --state-dir "$work/hercules" --vm-dir "$work/hercules/vm"
    slipway network create VM0 --host hercules --interface br0
}

build_ramdisk() {
    "$bin/slipway-ramdisk" build --agent "$bin/slipway-agent-da" --ca "$work/state/pki/ca.pem" --output "$work/state/boot"
}
