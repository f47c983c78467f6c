# SPDX-License-Identifier: GPL-3.0-or-later
# Shared by the programs of the matrix: where things are, and what a case's row says.
# shellcheck shell=bash
MATRIX=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=$(cd "$MATRIX/../lab" && pwd)
# shellcheck source=scripts/lib.sh
. "$MATRIX/../../scripts/lib.sh"
MATRIX_CACHE=${SLIPWAY_LAB_CACHE:-/var/cache/slipway-lab}
export PATH=$PATH:/usr/sbin:/sbin

content_key() { printf '%s' "$*" | sha256sum | cut -c1-16; }

# The rows of tests/matrix/cases: no comments, one blank between words.
MATRIX_ROWS=$(sed 's/#.*//' "$MATRIX/cases" | awk 'NF { $1 = $1; print }')
rows() { printf '%s\n' "$MATRIX_ROWS"; }
row_of() { grep -m1 "^$1 " <<<"$MATRIX_ROWS" || die "no case '$1' (see scripts/test --matrix --list)"; }

# Sets the words of a row: name release layout initramfs network source firmware target nic unrepaired
read_row() {
    # shellcheck disable=SC2034  # for whoever sourced this
    read -r name release layout initramfs network source firmware target nic unrepaired <<<"$(row_of "$1")"
    [ -n "$unrepaired" ] || die "$1: ten words are wanted in its row"
    tool=${initramfs%%:*}
}

# What the modules of a source's initramfs are: those of its controller, and of nothing else.
modules_of() {
    case $1 in
        ahci) echo ahci sd_mod ;;
        ide) echo ata_piix sd_mod ;;
        lsi) echo sym53c8xx sd_mod ;;
        mptsas) echo mptsas sd_mod ;;
        megasas) echo megaraid_sas sd_mod ;;
        nvme) echo nvme ;;
        virtio-blk) echo virtio_pci virtio_blk ;;
        virtio-scsi) echo virtio_pci virtio_scsi sd_mod ;;
        *) die "unknown controller '$1'" ;;
    esac
}
# The name that the source's kernel gives its first disk, with what comes before a partition's number.
disk_of() { case $1 in nvme) echo nvme0n1p ;; virtio-blk) echo vda ;; *) echo sda ;; esac; }
# And udev to its two adapters, in the slots of tests/lab/metal.
nics_of() { if [ "$1" = uefi ]; then echo enp0s18 enp0s19; else echo ens18 ens19; fi; }

# The same bytes for the same words, in the form of a UUID.
uuid_of() { printf '%s' "$*" | sha256sum | sed -E 's/^(.{8})(.{4})(.{3})(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/'; }

luks_key_of() { printf 'open sesame of %s' "$1"; }

disks_in() { case $1 in md1*) echo 2 ;; *) echo 1 ;; esac; }  # LAYOUT
# What this host's kernel can mount; the rest is made, and repaired, under Debian's own.
host_can_make() {
    local word
    case $1 in efi-*|sdboot*|lvm*|md1*|luks*) return 1 ;; esac
    for word in ext4 xfs btrfs; do
        case $1 in *$word*) grep -qw "$word" /proc/filesystems || modprobe -q "$word" 2>/dev/null || return 1 ;; esac
    done
    [ -e /dev/loop-control ]
}
# What Debian's kernel needs for a layout in tests/lab/guest.
guest_modules() {
    case $1 in
        *btrfs) echo btrfs ext4 ;;
        *) echo ext4 ;;
    esac
    case $1 in efi-*|sdboot) echo vfat nls_cp437 nls_ascii nls_utf8 ;; lvm|luks) echo dm-mod ;; md1) echo raid1 ;; esac
    case $1 in luks) echo dm-crypt xts aes_generic algif_skcipher ;; esac
}
