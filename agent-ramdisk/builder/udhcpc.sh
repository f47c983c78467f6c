#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Run by udhcpc with the lease in its environment.
# shellcheck disable=SC2154
case $1 in
    deconfig) ip link set "$interface" up ;;
    bound | renew)
        # Its IPv6 address of the link stays: multicast may come by that.
        [ "$1" = renew ] || ip -4 addr flush dev "$interface"
        ip addr replace "$ip/${mask:-24}" brd + dev "$interface"
        for gateway in $router; do
            ip route replace default via "$gateway" dev "$interface"
            break
        done
        : >/etc/resolv.conf
        for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
        ;;
esac
exit 0
