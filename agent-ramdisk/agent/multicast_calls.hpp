// SPDX-License-Identifier: GPL-3.0-or-later
// A deploy's calls about its multicast session, over the control link.
#pragma once

#include "agent-ramdisk/agent/controller_link.hpp"
#include "imagestore/multicast/hearing.hpp"

namespace slipway::agent {

class MulticastCalls final : public multicast::SessionCalls {
public:
    // manifest: of the image, as the server gave it.
    MulticastCalls(ControllerLink& link, ByteView manifest) : link_(link), manifest_(manifest) {}
    Result<std::optional<multicast::Invitation>> join(const std::vector<bool>& wanted) override;
    Result<multicast::Advice> tell(std::uint32_t number, const std::vector<bool>& wanted, bool asks_unicast) override;

private:
    ControllerLink& link_;
    ByteView manifest_;
};

}  // namespace slipway::agent
