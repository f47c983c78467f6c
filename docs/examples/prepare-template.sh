#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Prepares a running reference machine to be captured as a template: clears what makes it this one machine (host keys, ids,
# leases, logs, histories, caches), then shuts it down. Run it last, as root, or as a run-script task of the administration
# agent; captured at its next boot into the Deployment Agent it is a template. Booted again it is a machine with new keys.
# The same is done offline by `slipway-fixup --prepare-template` and by the sequences prepare-template and deploy-template.
#
#   prepare-template.sh [--yes] [--no-shutdown]
set -eu
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
yes='' shutdown=yes
for option in "$@"; do
    case $option in
        --yes) yes=yes ;;
        --no-shutdown) shutdown='' ;;
        *)
            echo "usage: prepare-template.sh [--yes] [--no-shutdown]" >&2
            exit 2
            ;;
    esac
done
[ "$(id -u)" = 0 ] || { echo "prepare-template: run it as root" >&2 && exit 1; }
if [ -z "$yes" ]; then
    printf 'This machine loses its host keys, logs and histories for good. Go on? [y/N] '
    read -r answer
    [ "$answer" = y ] || exit 1
fi
if [ -e /etc/krb5.keytab ]; then
    echo "prepare-template: /etc/krb5.keytab is there: leave the domain first, or clones share one account in it" >&2
    exit 1
fi

# What would write again while it is cleared; what a machine does not have is passed over.
for service in rsyslog syslog syslog-ng auditd NetworkManager-dispatcher cloud-init systemd-random-seed; do
    if command -v systemctl >/dev/null; then systemctl stop "$service.service" 2>/dev/null || :; fi
done
if command -v journalctl >/dev/null; then journalctl --flush --rotate >/dev/null 2>&1 || :; fi

remove() { for path in "$@"; do if [ -f "$path" ] || [ -L "$path" ]; then rm -f -- "$path"; fi; done; }
# The directories stay, and nothing on another file system is reached.
remove_below() { for path in "$@"; do if [ -d "$path" ] && [ ! -L "$path" ]; then find "$path" -xdev ! -type d -delete; fi; done; }

remove \
    /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/random-seed \
    /var/lib/urandom/random-seed /var/lib/seedrng/seed.* /boot/loader/random-seed \
    /boot/efi/loader/random-seed /efi/loader/random-seed /var/lib/udhcpc/* /var/lib/wicked/* /etc/dhcpcd.duid \
    /etc/dhcp/dhclient6.leases /var/lib/NetworkManager/*.lease /var/lib/NetworkManager/secret_key \
    /var/lib/NetworkManager/seen-bssids /var/lib/NetworkManager/timestamps \
    /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/*-persistent-cd.rules \
    /etc/systemd/network/10-slipway-*.link /var/lib/cloud/instance /var/cache/apt/archives/*.deb \
    /var/cache/apt/*.bin /var/cache/apk/* /etc/sysconfig/rhn/systemid /etc/zypp/credentials.d/SCCcredentials \
    /var/log/slipway-first-boot.log
remove_below \
    /var/lib/dhcp /var/lib/dhcpcd /var/lib/dhclient /var/lib/cloud/instances /var/lib/cloud/data \
    /var/lib/cloud/sem /var/lib/apt/lists /var/cache/dnf /var/cache/yum /var/cache/zypp /var/cache/pacman/pkg \
    /etc/pki/consumer /etc/pki/entitlement /var/crash /var/lib/systemd/coredump /tmp /var/tmp \
    /var/lib/slipway/first-boot
cut -d: -f6 /etc/passwd | sort -u | while read -r home; do
    if [ ! -d "$home" ] || [ "$home" = / ]; then continue; fi
    for name in \
        .bash_history .ash_history .zsh_history .sh_history .python_history .mysql_history .psql_history \
        .rediscli_history .lesshst .viminfo .wget-hsts; do
        remove "$home/$name"
    done
done

for config in /etc/sysconfig/network-scripts/ifcfg-* /etc/NetworkManager/system-connections/*; do
    if [ ! -f "$config" ]; then continue; fi
    sed -i '/^[[:space:]]*\(HWADDR\|UUID\|MACADDR\|mac-address\|uuid\)[[:space:]]*=/d' "$config"
done
if [ -e /etc/iscsi/initiatorname.iscsi ]; then
    if [ -e /etc/debian_version ]; then echo GenerateName=yes >/etc/iscsi/initiatorname.iscsi; else remove /etc/iscsi/initiatorname.iscsi; fi
fi

remove /etc/ssh/ssh_host_*
if [ ! -e /usr/lib/systemd/system/sshd-keygen@.service ] && [ ! -e /usr/lib/systemd/system/sshd-keygen.service ] &&
    [ -x /usr/sbin/sshd ] && [ -d /run/systemd/system ]; then
    cat >/etc/systemd/system/slipway-ssh-host-keys.service <<'UNIT'
# Written by Slipway: this system makes no SSH host keys by itself.
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
UNIT
    systemctl enable slipway-ssh-host-keys.service
fi

# Logs: rotated ones go, the others are emptied and keep their owners.
find /var/log -xdev -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.bz2' -o -name '*.zst' -o -name '*.old' -o \
    -name '*.[0-9]' -o -name '*.[0-9][0-9]' -o -name '*-[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]' -o -path '/var/log/journal/*' \) -delete
find /var/log -xdev -type f -exec sh -c 'for log; do : >"$log"; done' sh {} +

# Empty, not "uninitialized": systemd then makes a new one and leaves enabled and disabled units as they are.
if [ -e /run/systemd/system ]; then
    : >/etc/machine-id
    if [ -e /var/lib/dbus/machine-id ]; then ln -sf /etc/machine-id /var/lib/dbus/machine-id; fi
else
    remove /etc/machine-id /var/lib/dbus/machine-id
fi
sync
echo "prepare-template: done; capture it before it boots again"
if [ -n "$shutdown" ]; then
    # Services would write logs, leases and a random seed as they stop: systemd can end without stopping them, and cleanly.
    if [ -e /run/systemd/system ]; then systemctl poweroff --force; else poweroff; fi
fi
