// SPDX-License-Identifier: GPL-3.0-or-later
// What devices send by TFTP: the configuration of a switch, the report of a firmware or a BMC. Only of a device under
// control that is told to, into STATE/boot/uploads/DEVICE; nothing there is served, and nothing is replaced.
#pragma once

#include <filesystem>
#include <functional>
#include <map>

#include "deploy-server/db/database.hpp"
#include "pxe/trace.hpp"
#include "tftp/source.hpp"

namespace slipway::server {

struct UploadQuota {  // of one device, with what lies there already
    std::uint64_t bytes = 64u << 20;
    std::size_t files = 256;
};

// On the thread of the network boot.
class Uploads {
public:
    // Whose address it may be, the likeliest first.
    using Holders = std::function<std::vector<MacAddress>(Ipv4Address)>;
    using Told = std::function<void(const MacAddress&, pxe::Uploaded)>;  // each upload that is there; may be empty

    // Uploads that an earlier life of the server did not finish are removed.
    Uploads(Database& db, std::filesystem::path directory, Holders holders, Told told = {}, UploadQuota quota = {});

    // A tftp::Sink. Errors: tftp.access, no device of that address may; tftp.exists; tftp.not-found, a folder;
    // base.no-space, over its quota.
    Result<std::unique_ptr<tftp::Upload>> open(const std::string& name, const UdpEndpoint& client);

private:
    struct Use {
        std::uint64_t bytes = 0;
        std::size_t files = 0;
    };
    class Counted;
    Result<std::pair<DeviceRow, MacAddress>> sender(const UdpEndpoint& client) const;
    Result<std::shared_ptr<Use>> use_of(const std::string& device);

    Database& db_;
    std::filesystem::path directory_;
    Holders holders_;
    Told told_;
    UploadQuota quota_;
    std::map<std::string, std::weak_ptr<Use>> under_way_;  // counted once for all uploads of a device at a time
};

}  // namespace slipway::server
