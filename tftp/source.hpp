// SPDX-License-Identifier: GPL-3.0-or-later
// Where a TFTP server's files come from, and where uploads go.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/udp.hpp"

namespace slipway::tftp {

// One content of a file: it is another when any of these differs. Times in nanoseconds.
struct FileVersion {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified = 0, changed = 0;
    auto operator<=>(const FileVersion&) const = default;
};

// An open file, or a text made for this client. Never changes size.
struct Content {
    std::shared_ptr<UniqueFd> file;
    std::string text;  // when there is no file
    std::uint64_t size = 0;
    FileVersion version;  // of the file

    static Content of_text(std::string text);
    static Result<Content> of_file(UniqueFd fd);                         // plain files only
    Result<Bytes> read(std::uint64_t offset, std::size_t length) const;  // exactly so many
    Status unchanged() const;                                            // kChanged: it is not what was opened any more
};

// name as the client gave it. kNotFound and kAccess become the TFTP errors 1 and 2.
using Source = std::function<Result<Content>(const std::string& name, const UdpEndpoint& client)>;

// Opens root/name: leading slashes are dropped; "..", links, backslashes, control characters and anything but plain
// files are refused. Nothing is decoded: a percent sign is a percent sign.
Result<Content> open_below(const std::filesystem::path& root, std::string_view name);
Source serve_directory(std::filesystem::path root);

// A file on its way in. Destroyed without finish(), nothing of it stays.
class Upload {
public:
    virtual ~Upload() = default;
    virtual Status write(ByteView data) = 0;
    virtual Status finish() = 0;  // there under its name, and durable, when it is ok
};

// Whether this client may write that name, and to where. kAccess, kNotFound and kExists become the TFTP errors 2, 1 and
// 6, base.no-space 3.
using Sink = std::function<Result<std::unique_ptr<Upload>>(const std::string& name, const UdpEndpoint& client)>;

// Creates directory/name, whose folders exist, by a temporary file beside it and a rename; names as open_below() has
// them. A file that is there already is never replaced (kExists).
Result<std::unique_ptr<Upload>> store_below(const std::filesystem::path& directory, std::string_view name);

}  // namespace slipway::tftp
