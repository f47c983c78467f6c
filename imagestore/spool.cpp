// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/spool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "imagestore/errors.hpp"
#include "lib/base/errors.hpp"

namespace slipway::imagestore {

Result<SpoolManifest> SpoolManifest::create() {
    std::error_code ignored;
    auto directory = std::filesystem::temp_directory_path(ignored);
    if (directory.empty()) directory = "/tmp";
    auto name = (directory / "slipway-manifest-XXXXXX").string();
    UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd.valid()) return slipway::errno_error(errno, "a temporary file in " + directory.string());
    ::unlink(name.c_str());
    return SpoolManifest(std::move(fd));
}

Status SpoolManifest::write(ByteView bytes) {
    TRY(pwrite_full(fd_.get(), bytes, size_));
    size_ += bytes.size();
    return {};
}

Status SpoolManifest::read(std::uint64_t offset, std::span<std::byte> out) const {
    auto got = TRY(pread_full(fd_.get(), out, offset));
    if (got != out.size()) return make_error(errors::kBadManifest, "the manifest ends at byte {}", offset + got);
    return {};
}

}  // namespace slipway::imagestore
