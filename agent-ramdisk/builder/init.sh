#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Process 1 of the agent's ramdisk (busybox sh): drivers, the network card we booted from, DHCP, the clock, then the agent for ever.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm /run /tmp
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=0755 tmpfs /run
exec </dev/console >/dev/console 2>&1
/bin/busybox --install -s
# Not 4: of each module the kernel says as an error that xz is no ELF; only then modprobe unpacks it.
dmesg -n 3

# One clear line for whoever stands before the machine, and on the kernel's console when that is another.
status() {
    echo "Slipway: $*"
    case $(cat /sys/class/tty/console/active) in *tty0) ;; *) printf '\r\nSlipway: %s\r\n' "$*" >/dev/tty0 ;; esac 2>/dev/null
}

reboot_after=600 mode='' local='' least='' server='' mac='' token='' time='' bulk=''
read -r arguments </proc/cmdline
for word in $arguments; do
    case $word in
        slipway.server=*) server=${word#*=} ;;
        slipway.bulk=*) bulk=${word#*=} ;;
        slipway.token=*) token=${word#*=} ;;
        slipway.time=*) time=${word#*=} ;;
        slipway.local | slipway.run=*) local=1 ;;
        slipway.mode=*) mode=${word#*=} ;;
        slipway.time-at-least=*) least=${word#*=} ;;
        slipway.reboot-after=*) reboot_after=${word#*=} ;;
        slipway.mac=*) mac=$(echo "${word#*=}" | tr '[:upper:]' '[:lower:]') ;;
    esac
done

# Whatever keeps us from the server (a card that does not come up, no lease, a server that is away), the next network
# boot may do better. slipway.reboot-after=0 waits for ever.
[ -z "$local$mode" ] || reboot_after=0
if [ "$reboot_after" -gt 0 ] 2>/dev/null; then
    (
        sleep "$reboot_after"
        [ -e /run/slipway-ready ] && exit
        status "the server was not reached within $reboot_after s: restarting the machine"
        sleep 5
        reboot -f
    ) &
fi

# The appliance of `slipway fixup`: its devices are known. Whoever started us is at the other end of a port, and sees us go.
if [ "$mode" = fixup ]; then
    status "the kernel is up, loading drivers"
    modprobe -a virtio_pci virtio_blk virtio_console virtio_rng loop 2>/dev/null
    for port in /sys/class/virtio-ports/*; do
        [ "$(cat "$port/name")" != slipway.fixup ] || /usr/bin/slipway-fixup --serve "/dev/${port##*/}" || status "the repair ended with code $?"
    done
    sync
    poweroff -f
fi

# Devices that come later (a bus behind a driver, a slow controller) announce themselves to this.
uevent /etc/slipway/hotplug &
status "looking for this machine's devices"
modprobe -a af_packet sd_mod loop 2>/dev/null
# The agent reports whether Secure Boot is on.
[ ! -d /sys/firmware/efi ] || { modprobe efivarfs && mount -t efivarfs -o ro efivarfs /sys/firmware/efi/efivars; } 2>/dev/null
# A driver may bring a bus with devices of its own, so until no device is new.
seen=''
while :; do
    found=$(find /sys/devices -name modalias -exec cat {} + 2>/dev/null | sort -u)
    [ "$found" != "$seen" ] || break
    seen=$found
    # Not -q: busybox would end at the first device that needs no module.
    # shellcheck disable=SC2086
    modprobe -a $found 2>/dev/null
done

for hook in /etc/slipway/pre-system.d/*; do
    [ ! -x "$hook" ] || "$hook" || status "$hook ended with code $?"
done

# A medium was made at a time that has passed: a clock that says an earlier one is wrong, and TLS would not go on with it.
[ -z "$least" ] || [ "$(date +%s)" -ge "$least" ] || date -u -s "@$least" >/dev/null
if [ -n "$local" ]; then
    /usr/bin/slipway-local boot
    reboot -f
fi

# From a medium nobody says which card it is: the first with a link, else the first.
choose_card() {
    for address in /sys/class/net/*/address; do
        case $address in */lo/*) ;; *) ip link set "$(basename "$(dirname "$address")")" up ;; esac
    done
    for try in 1 2 3 4 5 6 7 8 9 10; do
        for carrier in /sys/class/net/*/carrier; do
            case $carrier in */lo/*) continue ;; esac
            [ "$(cat "$carrier" 2>/dev/null)" != 1 ] || { mac=$(cat "${carrier%carrier}address") && return; }
        done
        [ "$try" = 10 ] || usleep 500000
    done
    for address in /sys/class/net/*/address; do
        case $address in */lo/*) ;; *) mac=$(cat "$address") && return ;; esac
    done
}
[ -n "$mac" ] || choose_card

nic=''
tries=0
while [ -z "$nic" ]; do
    for address in /sys/class/net/*/address; do
        [ "$(cat "$address")" = "$mac" ] || continue
        nic=${address#/sys/class/net/}
        nic=${nic%/address}
    done
    [ -n "$nic" ] && break
    tries=$((tries + 1))
    [ $((tries % 50)) = 1 ] && status "waiting for the network card $mac (here: $(cd /sys/class/net && echo *))"
    usleep 200000
done

# Files take memory. What is here has its driver now; only sticks are still plugged in later.
for directory in net ata scsi message nvme hv; do rm -rf /lib/modules/*/kernel/drivers/$directory; done

ip link set lo up
ip link set "$nic" up
status "asking for an address on $nic ($mac)"
udhcpc -i "$nic" -s /etc/slipway/udhcpc -t 5 -T 2 -A 3 >/run/udhcpc.log 2>&1
# The boot script carried the time; TLS needs it right, and the machine's own clock may be years off.
[ -z "$time" ] || date -u -s "@$((time + $(cut -d. -f1 /proc/uptime)))" >/dev/null

# The medium holds no secret: the token is typed by whoever stands here.
if [ -z "$token" ]; then
    status "this machine has no token; on the console: slipway device enroll NAME"
    printf 'token: '
    read -r token
fi

set -- --server "$server" --mac "$mac" --ca /etc/slipway/ca.pem --console /dev/tty0 --ready-file /run/slipway-ready --post-system /etc/slipway/post-system
[ -z "$bulk" ] || set -- "$@" --bulk "$bulk"
[ -z "$token" ] || set -- "$@" --token "$token"
quick=0
while :; do
    begun=$(cut -d. -f1 /proc/uptime)
    status "starting the agent for $server, $begun s after the kernel"
    /usr/bin/slipway-agent-da "$@"
    code=$?
    # A refused token or a released device is not cured by trying again: the next network boot decides anew.
    if [ $(($(cut -d. -f1 /proc/uptime) - begun)) -lt 20 ]; then quick=$((quick + 1)); else quick=0; fi
    if [ "$quick" -ge 15 ]; then
        status "the agent ended $quick times at once (code $code): restarting the machine"
        sleep 5
        reboot -f
    fi
    status "the agent ended with code $code, starting it again"
    sleep 2
done
