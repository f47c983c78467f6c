// SPDX-License-Identifier: GPL-3.0-or-later
// Addresses as the kernel takes and gives them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/base/fd.hpp"
#include "lib/base/ip.hpp"
#include "lib/base/result.hpp"

namespace slipway::multicast {

class SocketAddress {
public:
    // v4: of which family, as an address that is none does not say it. index: of the interface, for addresses of a
    // link.
    SocketAddress(bool v4, const IpEndpoint& place, unsigned index);
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
    socklen_t size() const { return size_; }

private:
    sockaddr_storage storage_{};
    socklen_t size_;
};

IpAddress address_in(const sockaddr& place);  // none when it is of another family

Result<UniqueFd> udp_socket(bool v4);  // non-blocking

Result<IpEndpoint> own_address(int fd);

}  // namespace slipway::multicast
