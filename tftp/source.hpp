// SPDX-License-Identifier: GPL-3.0-or-later
// Where a TFTP server's files come from.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/udp.hpp"

namespace slipway::tftp {

// An open file, or a text made for this client. Never changes size.
struct Content {
    std::shared_ptr<UniqueFd> file;
    std::string text;  // when there is no file
    std::uint64_t size = 0;

    static Content of_text(std::string text);
    static Result<Content> of_file(UniqueFd fd);                         // plain files only
    Result<Bytes> read(std::uint64_t offset, std::size_t length) const;  // exactly so many
};

// name as the client gave it. kNotFound and kAccess become the TFTP errors 1 and 2.
using Source = std::function<Result<Content>(const std::string& name, const UdpEndpoint& client)>;

// Opens root/name: leading slashes are dropped; "..", links, backslashes, control characters and anything but plain
// files are refused.
Result<Content> open_below(const std::filesystem::path& root, std::string_view name);
Source serve_directory(std::filesystem::path root);

}  // namespace slipway::tftp
