#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Work between this machine's disks and a USB disk, a share or a host, without a server (busybox sh, on the agent's medium).
#   slipway-local disks                           this machine's disks and what is on them
#   slipway-local capture IMAGE DISK PLACE        the disk is only read
#   slipway-local deploy IMAGE PLACE DISK         the disk is overwritten
#   slipway-local images PLACE                    the images that are there
#   slipway-local repair DISK [ARGUMENTS]         fits a deployed system to this machine (slipway-fixup)
#   slipway-local mount PLACE                     mounts it and says where; slipway-local unmount ends it
#   slipway-local net [ADDRESS/PREFIX [GATEWAY]]  by DHCP when no address is given
# DISK is sda, /dev/sda or a serial number. PLACE is one of
#   usb:NAME[/DIRECTORY]             a partition by label, UUID or name (sdb1); usb: alone is the only one there is
#   nfs:HOST:/EXPORT
#   cifs://HOST/SHARE[?user=U&password=P]   as a guest without a user; more of mount.cifs(8)'s options by &
#   stream:HOST:PORT                 a raw disk, without a name: nc -l -p PORT at the other end, its input open (no </dev/null)
# From the kernel's command line: slipway.run=capture,IMAGE,DISK,PLACE (commas for spaces) or slipway.run=script, which runs the
# medium's own script; slipway.ip=ADDRESS/PREFIX,GATEWAY; slipway.then=poweroff|reboot|shell.
# shellcheck disable=SC3040  # busybox has it
set -o pipefail
place=/mnt/place

say() { echo "Slipway: $*"; }
fail() {
    say "$*" >&2
    exit 1
}

serial_of() {
    cat "/sys/block/$1/serial" "/sys/block/$1/device/serial" 2>/dev/null && return
    # What a SATA or SCSI disk says of itself: four bytes of header, then the serial number.
    tail -c +5 "/sys/block/$1/device/vpd_pg80" 2>/dev/null | tr -d ' \0'
}

real_disk() { case $1 in loop* | ram* | sr* | zram* | fd* | dm-* | md*) return 1 ;; esac }

# A disk behind a slow controller, or behind USB, needs a moment.
find_disk() {
    for try in $(seq 60); do
        for name in /sys/block/*; do
            name=${name##*/}
            real_disk "$name" || continue
            serial=$(serial_of "$name")
            case $1 in "$name" | "/dev/$name" | "${serial:-$name}") echo "/dev/$name" && return ;; esac
        done
        [ "$try" = 60 ] || usleep 500000
    done
    fail "there is no disk '$1' here: slipway-local disks"
}

disks() {
    for name in /sys/block/*; do
        name=${name##*/}
        real_disk "$name" || continue
        echo "$name  $(($(cat "/sys/block/$name/size") / 2048)) MiB  $(cat "/sys/block/$name/device/model" 2>/dev/null)  $(serial_of "$name")"
        blkid -c /dev/null /dev/"$name"* 2>/dev/null | sed 's/^/    /'
    done
}

is_usb() { readlink -f "/sys/class/block/$1" | grep -q /usb; }

# The block device that a name means; devices behind USB need a moment.
find_partition() {
    for try in $(seq 60); do
        if [ -n "$1" ]; then
            [ ! -b "/dev/$1" ] || { echo "/dev/$1" && return; }
            found=$(blkid -c /dev/null -l -o device -t "LABEL=$1" || blkid -c /dev/null -l -o device -t "UUID=$1") && echo "$found" && return
        else
            found=''
            for device in $(blkid -c /dev/null -o device); do
                ! is_usb "${device#/dev/}" || found="$found $device"
            done
            # shellcheck disable=SC2086
            set -- '' $found
            [ $# != 2 ] || { echo "$2" && return; }
            [ $# -lt 3 ] || fail "there are several:$found: name one"
            set -- ''
        fi
        [ "$try" = 60 ] || usleep 500000
    done
    fail "no partition '$1' came up: slipway-local disks"
}

mount_usb() {
    rest=${1#usb:}
    name=${rest%%/*}
    directory=${rest#"$name"}
    device=$(find_partition "$name") || exit 1
    type=$(blkid -c /dev/null -o value -s TYPE "$device")
    case $type in
        ntfs)
            modprobe fuse
            command -v ntfs-3g >/dev/null || fail "this medium has no ntfs-3g"
            ntfs-3g "$device" $place || fail "$device cannot be mounted"
            ;;
        '') fail "$device has no file system that is known here" ;;
        *)
            modprobe "$type" 2>/dev/null
            mount -t "$type" "$device" $place || fail "$device ($type) cannot be mounted"
            ;;
    esac
}

mount_nfs() {
    host=${1#nfs:}
    export=${host#*:}
    host=${host%%:*}
    net
    address=$(resolve "$host")
    modprobe -a nfs nfsv4 nfsv3 2>/dev/null
    if command -v mount.nfs >/dev/null; then
        mount.nfs "$host:$export" $place -o nolock || not_mounted "$1"
        return
    fi
    # The kernel's own options; -i: not by busybox, which speaks an older protocol.
    mount -i -t nfs4 -o "addr=$address,clientaddr=$(own_address)" "$host:$export" $place 2>/dev/null ||
        mount -i -t nfs -o "addr=$address,vers=3,nolock,proto=tcp,mountproto=tcp" "$host:$export" $place ||
        not_mounted "$1"
}

mount_cifs() {
    share=${1#cifs:}
    options=${share#*\?}
    # What mount.cifs makes of guest, which the kernel does not know.
    [ "$options" != "$share" ] || options='username=&password='
    share=${share%%\?*}
    host=${share#//}
    host=${host%%/*}
    net
    modprobe -a ctr cmac ghash_generic seqiv cifs 2>/dev/null
    mount -i -t cifs -o "ip=$(resolve "$host"),$(echo "$options" | tr '&' ',' | sed 's/^user=/username=/; s/,user=/,username=/')" "$share" $place ||
        not_mounted "$share"
}

own_address() { ip -4 -o addr show scope global | sed -n 's/.* inet \([0-9.]*\).*/\1/p' | head -n 1; }
# Mounting says "no such file" of a wrong name, a wrong password and a missing module alike; the kernel says which.
not_mounted() {
    dmesg | grep -iE 'cifs|nfs' | tail -n 3
    fail "$1 cannot be mounted"
}
resolve() {
    case $1 in *[!0-9.]*) nslookup "$1" 2>/dev/null | sed -n 's/^Address.*: *\([0-9.]*\)$/\1/p' | tail -n 1 ;; *) echo "$1" ;; esac
}

mount_place() {
    directory=''
    mkdir -p $place
    ! grep -q " $place " /proc/mounts || umount $place || fail "$place is in use"
    case $1 in
        usb:*) mount_usb "$1" ;;
        nfs:*:/*) mount_nfs "$1" ;;
        cifs://*/*) mount_cifs "$1" ;;
        *) fail "'$1' is no place: usb:…, nfs:HOST:/EXPORT, cifs://HOST/SHARE or stream:HOST:PORT" ;;
    esac
    store=$place${directory:-/slipway}
    mkdir -p "$store"
}

unmount_place() {
    sync
    umount $place
}

net() {
    [ -z "$(own_address)" ] || [ $# -gt 0 ] || return 0
    modprobe af_packet 2>/dev/null
    for card in /sys/class/net/*; do
        card=${card##*/}
        [ "$card" != lo ] || continue
        ip link set "$card" up
        if [ -n "$1" ]; then
            ip addr replace "$1" brd + dev "$card" || exit 1
            [ -z "$2" ] || ip route replace default via "$2"
            return
        fi
        ! udhcpc -q -n -i "$card" -s /etc/slipway/udhcpc -t 5 -T 2 >/run/udhcpc.log 2>&1 || return 0
    done
    fail "no card got an address: slipway-local net ADDRESS/PREFIX"
}

# A stream has neither a name nor an end of its own: both ends can hold bytes and sum against each other's. Neither end's program may
# see the end of its input before its time, for some (busybox's nc) then end the connection: hence a FIFO that nobody writes to.
begin_sum() {
    rm -f /run/sum /run/count
    mkfifo /run/sum /run/count
    sha256sum </run/sum >/run/sum.text &
    summed=$!
    wc -c </run/count >/run/count.text &
    counted=$!
}
stream_out() {
    net
    begin_sum
    dd if="$1" bs=1M 2>/run/dd.log | tee /run/sum /run/count | nc "$2" "$3"
    code=$?
    wait $summed $counted
    [ $code = 0 ] || fail "$2 ended the connection before all was sent: is its nc's input open (a terminal), and its disk large enough?"
    say "$(cat /run/count.text) bytes sent, SHA-256 $(cut -c1-64 /run/sum.text)"
}
stream_in() {
    net
    begin_sum
    rm -f /run/idle
    mkfifo /run/idle
    nc "$2" "$3" <>/run/idle | tee /run/sum /run/count | dd of="$1" bs=1M conv=fsync 2>/run/dd.log
    code=$?
    wait $summed $counted
    [ $code = 0 ] || fail "the stream of $2:$3 is not on $1: $(tail -n 1 /run/dd.log)"
    bytes=$(cat /run/count.text)
    [ "${bytes:-0}" -gt 0 ] || fail "$2:$3 sent nothing"
    [ $((bytes % 512)) = 0 ] || fail "the stream of $2:$3 was cut: $bytes bytes are no disk"
    say "$bytes bytes came, SHA-256 $(cut -c1-64 /run/sum.text): hold both against the other end's"
}
host_of() {
    host=${1#stream:}
    port=${host##*:}
    host=${host%:*}
}

capture() {
    [ $# = 3 ] || fail "capture IMAGE DISK PLACE"
    disk=$(find_disk "$2") || exit 1
    blockdev --setro "$disk"
    case $3 in
        stream:*)
            host_of "$3"
            stream_out "$disk" "$host" "$port"
            return
            ;;
    esac
    mount_place "$3"
    slipway image capture --source "$disk" --store "$store" --name "$1"
    code=$?
    unmount_place || fail "$place cannot be unmounted: is all of it written?"
    return $code
}

deploy() {
    [ $# = 3 ] || fail "deploy IMAGE PLACE DISK"
    disk=$(find_disk "$3") || exit 1
    case $2 in
        stream:*)
            host_of "$2"
            stream_in "$disk" "$host" "$port"
            return
            ;;
    esac
    mount_place "$2"
    slipway image deploy --store "$store" --name "$1" --target "$disk" --verify
    code=$?
    unmount_place
    blockdev --rereadpt "$disk" 2>/dev/null
    return $code
}

repair() {
    disk=$(find_disk "$1") || exit 1
    shift
    slipway-fixup --disk "$disk" "$@"
}

menu() {
    sed -n '4,17s/^# \{0,1\}//p' "$0"
    echo 'exit starts the machine over, poweroff -f switches it off.'
    disks
    # A shell of its own session on the console, so that Ctrl-C ends a command and not the machine's work.
    setsid cttyhack sh -l
}

# Process 1 hands over to this.
boot() {
    run='' then='' address=''
    read -r arguments </proc/cmdline
    for word in $arguments; do
        case $word in
            slipway.run=*) run=${word#*=} ;;
            slipway.then=*) then=${word#*=} ;;
            slipway.ip=*) address=${word#*=} ;;
        esac
    done
    ip link set lo up
    # shellcheck disable=SC2046
    [ -z "$address" ] || (net $(echo "$address" | tr ',' ' '))
    if [ -n "$run" ]; then
        say "$(echo "$run" | sed 's/password=[^,&]*/password=…/') begins"
        if [ "$run" = script ]; then
            /etc/slipway/run
        else
            # shellcheck disable=SC2046
            "$0" $(echo "$run" | tr ',' ' ')
        fi
        code=$?
        say "$(echo "$run" | cut -d, -f1) ended with code $code"
        sync
        # What failed waits for somebody to look at it.
        [ -n "$then" ] || { [ $code = 0 ] && then=poweroff; }
    fi
    case $then in
        poweroff) poweroff -f ;;
        reboot) reboot -f ;;
        *) menu ;;
    esac
}

action=$1
[ $# = 0 ] || shift
case $action in
    disks | capture | deploy | repair | menu | boot | net) "$action" "$@" ;;
    images)
        mount_place "$1"
        slipway image list --store "$store"
        code=$?
        unmount_place
        exit $code
        ;;
    mount) mount_place "$1" && echo "$place" ;;
    unmount) unmount_place ;;
    *) sed -n '4,17s/^# \{0,1\}//p' "$0" ;;
esac
