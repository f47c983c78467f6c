// SPDX-License-Identifier: GPL-3.0-or-later
// By which group and which of our addresses the machines of a session are reached.
#pragma once

#include "deploy-server/db/database.hpp"
#include "imagestore/multicast/group_socket.hpp"

namespace slipway::server {

// Where the settings name no group: transient ones of a site (RFC 2365; RFC 4291 and 3307).
IpAddress usual_group(bool v4);

// "fe80::5%eth0" without its zone; none when it is no address.
IpAddress address_of_peer(std::string_view peer);

// The family of a session: of the group that is set, else of the interface that is set, else the one that its first
// machine speaks to us by. One job has one session: a machine without that family is served by unicast, and says so.
bool by_ipv4(const DistributionSettings& settings, std::string_view peer);

struct Route {
    IpAddress first_group;
    multicast::Segment on;
    IpAddress channel;  // whose limit counts: by which address we speak to the machines on that interface
};
// peer: the machine. Error: multicast.no-segment.
Result<Route> route_for(const DistributionSettings& settings, std::string_view peer);

}  // namespace slipway::server
