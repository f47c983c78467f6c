#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A join script: joins an Active Directory domain or FreeIPA by realmd at the first boot. Give it as join-script (a task
# parameter), --join-script (slipway-fixup) or the first entry of the personality's first_boot. It lies in the guest readable
# for root alone and is removed once it has run; the password is better one that can do nothing else and ends soon.
set -eu
domain=example.org
user='join'
password=change-me
# The name must be final before the account is made by it.
[ "$(hostname)" != localhost ]
realm discover "$domain"
printf '%s' "$password" | realm join --user="$user" "$domain"
