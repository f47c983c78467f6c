# SPDX-License-Identifier: GPL-3.0-or-later
# Where the lab's Debian comes from: this machine's own apt configuration. No host is named here.
# shellcheck shell=bash

# The Debian entries of the machine's apt configuration, as one-line sources of another release where one is named.
debian_sources() {  # [RELEASE]: bookworm, with its updates, or the main archive of bullseye or trixie
    apt-get indextargets --format "\$(REPO_URI) \$(RELEASE) \$(COMPONENT) \$(ORIGIN)" 'Created-By: Packages' 2>/dev/null |
        awk -v release="${1:-bookworm}" '$4 == "Debian" && $2 ~ /^bookworm/ && (release == "bookworm" || $2 == "bookworm") {
            sub(/^bookworm/, release, $2); print "deb " $1 " " $2 " " $3 }' | sort -u
}

# Proxy and validity settings of the machine's apt, in the form mmdebstrap hands on.
apt_options() {
    apt-config dump Acquire | grep -E '^Acquire::(.*::Proxy|Check-)' | grep -v ' "";$' || true
}
