// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/route.hpp"

namespace slipway::server {

IpAddress usual_group(bool v4) { return IpAddress::parse(v4 ? "239.255.52.0" : "ff15::8481:0").value_or(IpAddress{}); }

IpAddress address_of_peer(std::string_view peer) {
    return IpAddress::parse(peer.substr(0, peer.find('%'))).value_or(IpAddress{});
}

bool by_ipv4(const DistributionSettings& settings, std::string_view peer) {
    if (!settings.group.is_zero()) return settings.group.is_v4();
    if (!settings.interface.is_zero()) return settings.interface.is_v4();
    return address_of_peer(peer).is_v4();
}

Result<Route> route_for(const DistributionSettings& settings, std::string_view peer) {
    const bool v4 = by_ipv4(settings, peer);
    const auto towards = multicast::segment_towards(peer);
    auto on = TRY(settings.interface.is_zero() ? towards : multicast::segment_of(settings.interface));
    on = TRY(multicast::segment_in(v4, on, settings.ttl > 1));
    Route out{settings.group.is_zero() ? usual_group(v4) : settings.group, on, on.address};
    if (towards && towards->index == on.index && towards->address.is_v4() != v4) out.channel = towards->address;
    return out;
}

}  // namespace slipway::server
