// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/chunk_source.hpp"

#include <algorithm>

#include "imagestore/chunk_sink.hpp"
#include "imagestore/errors.hpp"

namespace slipway::imagestore {

Status ChunkSource::get_each(std::span<const ChunkId> ids, const Take& take) {
    for (std::size_t i = 0; i < ids.size(); ++i) TRY(take(i, TRY(get(ids[i]))));
    return {};
}

Result<std::vector<Bytes>> ChunkSource::get_many(std::span<const ChunkId> ids) {
    std::vector<Bytes> out;
    out.reserve(ids.size());
    TRY(get_each(ids, [&](std::size_t, Bytes encoded) -> Status {
        out.push_back(std::move(encoded));
        return {};
    }));
    return out;
}

Status ManifestView::read(std::uint64_t offset, std::span<std::byte> out) const {
    if (offset > bytes_.size() || out.size() > bytes_.size() - offset)
        return make_error(errors::kBadManifest, "manifest ends at byte {}, read to {}", bytes_.size(),
                          offset + out.size());
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return {};
}

}  // namespace slipway::imagestore
