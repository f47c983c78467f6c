// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/broadcast.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::size_t kMost = 1u << 31;

}  // namespace

Result<ChunkPlan> ChunkPlan::of(const ManifestBytes& manifest) {
    ChunkPlan plan;
    auto& ids = plan.ids_;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next()))
        if (const auto* run = std::get_if<ChunkRun>(&*event); run && run->kind == RunKind::Data) {
            if (ids.size() + run->ids.size() > kMost) return make_error(errors::kBadManifest, "more than 2^31 chunks");
            ids.insert(ids.end(), run->ids.begin(), run->ids.end());
        }
    auto& order = plan.by_id_;
    order.resize(ids.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    // Of equal ones the first stays.
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return ids[a] != ids[b] ? ids[a] < ids[b] : a < b; });
    order.erase(std::unique(order.begin(), order.end(), [&](auto a, auto b) { return ids[a] == ids[b]; }), order.end());
    std::sort(order.begin(), order.end());
    for (std::uint32_t i = 0; i < order.size(); ++i) ids[i] = ids[order[i]];  // order[i] >= i
    ids.resize(order.size());
    ids.shrink_to_fit();
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return ids[a] < ids[b]; });
    order.shrink_to_fit();
    return plan;
}

std::optional<std::uint32_t> ChunkPlan::find(const ChunkId& id) const {
    const auto at =
        std::lower_bound(by_id_.begin(), by_id_.end(), id, [&](auto a, const auto& b) { return ids_[a] < b; });
    return at != by_id_.end() && ids_[*at] == id ? std::optional(*at) : std::nullopt;
}

}  // namespace slipway::imagestore
