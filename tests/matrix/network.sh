# SPDX-License-Identifier: GPL-3.0-or-later
# The network of a case's source, as each configuration system has it written.
# shellcheck shell=bash

# What the lab knows it by; the second adapter is on a network of its own.
MATRIX_ADDRESS=10.99.0.50 MATRIX_SECOND=10.97.0.50 MATRIX_GATEWAY=10.99.0.1 MATRIX_VLAN=42
MATRIX_OLD_MACS=(52:54:00:51:00:01 52:54:00:51:00:11)
MATRIX_NEW_MACS=(52:54:00:51:00:02 52:54:00:51:00:12)

service_of() {
    case $1 in
        ifupdown*) echo networking.service ;;
        nm*) echo NetworkManager.service ;;
        *) echo systemd-networkd.service ;;
    esac
}

configure_network() {  # SYSTEM ROOT NIC0 NIC1
    local system=${1%%-*} kind=${1#*-}
    [ "$kind" != "$1" ] || kind=plain
    "network_$system" "$kind" "$2" "$3" "$4"
}

network_ifupdown() {
    local file=$2/etc/network/interfaces static='inet static\n    address %s/24\n'
    printf 'auto lo\niface lo inet loopback\n\n' >"$file"
    case $1 in
        plain|two)
            # shellcheck disable=SC2059
            printf "auto %s\niface %s $static    gateway %s\n\n" "$3" "$3" "$MATRIX_ADDRESS" "$MATRIX_GATEWAY" >>"$file"
            # shellcheck disable=SC2059
            [ "$1" = plain ] || printf "auto %s\niface %s $static" "$4" "$4" "$MATRIX_SECOND" >>"$file" ;;
        bond)
            # shellcheck disable=SC2059
            printf "auto bond0\niface bond0 $static    gateway %s\n    bond-slaves %s %s\n    bond-mode active-backup\n    bond-miimon 100\n" \
                "$MATRIX_ADDRESS" "$MATRIX_GATEWAY" "$3" "$4" >>"$file" ;;
        vlan)
            # shellcheck disable=SC2059
            printf "auto %s\niface %s inet manual\n\nauto %s.%s\niface %s.%s $static    gateway %s\n" \
                "$3" "$3" "$3" "$MATRIX_VLAN" "$3" "$MATRIX_VLAN" "$MATRIX_ADDRESS" "$MATRIX_GATEWAY" >>"$file" ;;
        *) die "ifupdown has no kind '$1'" ;;
    esac
}

nm_connection() {  # FILE ID MATCH ADDRESS
    install -m 600 /dev/stdin "$1" <<CONNECTION
[connection]
id=$2
uuid=$(uuid_of "$2" "$3")
type=ethernet
${3%%;*}

[ethernet]
${3#*;}

[ipv4]
method=manual
address1=$4

[ipv6]
method=ignore
CONNECTION
}
network_nm() {
    local place=$2/etc/NetworkManager/system-connections
    mkdir -p "$place"
    case $1 in
        plain|two) nm_connection "$place/wired.nmconnection" wired "interface-name=$3;" "$MATRIX_ADDRESS/24,$MATRIX_GATEWAY" ;;
        mac) nm_connection "$place/wired.nmconnection" wired "autoconnect=true;mac-address=${MATRIX_OLD_MACS[0]^^}" \
            "$MATRIX_ADDRESS/24,$MATRIX_GATEWAY" ;;
        *) die "NetworkManager has no kind '$1'" ;;
    esac
    [ "$1" != two ] || nm_connection "$place/storage.nmconnection" storage "interface-name=$4;" "$MATRIX_SECOND/24"
}

network_netplan() {
    local file=$2/etc/netplan/50-matrix.yaml addresses routes
    addresses="addresses: [$MATRIX_ADDRESS/24]"
    routes="routes: [{to: 0.0.0.0/0, via: $MATRIX_GATEWAY}]"
    mkdir -p "$2/etc/netplan"
    install -m 600 /dev/null "$file"
    {
        printf 'network:\n  version: 2\n  renderer: networkd\n  ethernets:\n'
        case $1 in
            plain) printf '    %s:\n      %s\n      %s\n' "$3" "$addresses" "$routes" ;;
            mac) printf '    lan:\n      match:\n        macaddress: "%s"\n      set-name: %s\n      %s\n      %s\n' \
                "${MATRIX_OLD_MACS[0]}" "$3" "$addresses" "$routes" ;;
            vlan) printf '    %s: {}\n  vlans:\n    vlan%s:\n      id: %s\n      link: %s\n      %s\n      %s\n' \
                "$3" "$MATRIX_VLAN" "$MATRIX_VLAN" "$3" "$addresses" "$routes" ;;
            *) die "netplan has no kind '$1'" ;;
        esac
    } >"$file"
}

network_networkd() {
    local place=$2/etc/systemd/network
    mkdir -p "$place"
    case $1 in
        plain) printf '[Match]\nName=%s\n\n[Network]\nAddress=%s/24\nGateway=%s\n' "$3" "$MATRIX_ADDRESS" "$MATRIX_GATEWAY" \
            >"$place/20-wired.network" ;;
        mac) printf '[Match]\nMACAddress=%s\n\n[Network]\nAddress=%s/24\nGateway=%s\n' "${MATRIX_OLD_MACS[0]}" "$MATRIX_ADDRESS" \
            "$MATRIX_GATEWAY" >"$place/20-wired.network" ;;
        bond)
            printf '[NetDev]\nName=bond0\nKind=bond\n\n[Bond]\nMode=active-backup\nMIIMonitorSec=0.1\n' >"$place/10-bond0.netdev"
            printf '[Match]\nName=%s %s\n\n[Network]\nBond=bond0\n' "$3" "$4" >"$place/15-members.network"
            printf '[Match]\nName=bond0\n\n[Network]\nAddress=%s/24\nGateway=%s\n' "$MATRIX_ADDRESS" "$MATRIX_GATEWAY" \
                >"$place/20-bond0.network" ;;
        *) die "networkd has no kind '$1'" ;;
    esac
}
