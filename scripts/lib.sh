# SPDX-License-Identifier: GPL-3.0-or-later
# Shared by the scripts beside it: where we are, saying what is done, installing packages once.
# shellcheck shell=bash
SLIPWAY_SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SLIPWAY_BUILD=${SLIPWAY_BUILD:-$SLIPWAY_SOURCE/build}

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }
# What a test says that cannot run here; under SLIPWAY_STRICT=1 that is a failure.
skip() {
    say "skipped: $*"
    [ "${SLIPWAY_STRICT:-}" != 1 ] || exit 1
    exit 77
}
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# install_packages FILE…: installs what is missing of the named lists; costs nothing when all are there.
install_packages() {
    local list=() missing=() p
    mapfile -t list < <(sed 's/#.*//' "$@" | tr -s ' \t' '\n' | grep -v '^$' | sort -u)
    for p in "${list[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "run as root once, to install: ${missing[*]}"
    say "installing ${#missing[@]} Debian packages"
    local log
    log=$(mktemp)
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -30 "$log" >&2
        rm -f "$log"
        die "the packages could not be installed: ${missing[*]}"
    fi
    rm -f "$log"
}
