// SPDX-License-Identifier: GPL-3.0-or-later
// heal(): damaged packs are set aside, so that nothing is taken for stored that cannot be read.
#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store_state.hpp"

namespace slipway::imagestore {

namespace {

struct Salvage {
    std::vector<PackEntry> whole;
    std::uint64_t lost = 0;
};

// Which records give what their names say.
Result<Salvage> look_at(Files& files, int fd) {
    Salvage out;
    ChunkDecoder decoder;
    Bytes bytes, plain;
    for (const auto& entry : TRY(find_entries(files, fd))) {
        bytes.resize(kRecordHeaderBytes + entry.length);
        auto n = files.read(fd, bytes, entry.offset);
        bool good = n && *n == bytes.size() &&
                    decoder.decode(entry.id, ByteView(bytes).subspan(kRecordHeaderBytes), plain).ok();
        if (good) out.whole.push_back(entry);
        else ++out.lost;
    }
    return out;
}

}  // namespace

Result<HealReport> Store::heal(const std::vector<std::string>& packs) {
    HealReport report;
    // No commit may find a chunk in a pack that is about to go.
    auto lock = TRY(state_->lock(true));
    for (const auto& name : packs) {
        auto path = state_->pack_path(name);
        auto fd = TRY(state_->files->open(path));
        auto salvage = TRY(look_at(*state_->files, fd.get()));
        if (!salvage.whole.empty()) {
            auto now = static_cast<std::uint64_t>(unix_milliseconds(SystemClock().wall()));
            auto writer = TRY(PackWriter::create(state_->files, state_->packs(), now));
            Bytes chunk;
            for (const auto& entry : salvage.whole) {
                chunk.resize(entry.length);
                if (TRY(state_->files->read(fd.get(), chunk, entry.offset + kRecordHeaderBytes)) != chunk.size())
                    return make_error(errors::kBadPack, "{} changed while it was read", name);
                TRY(writer.append(entry.id, chunk));
            }
            TRY(writer.seal());
        }
        // Kept for whoever wants to look; no longer a pack.
        TRY(state_->files->rename(path, state_->pack_path(name + ".damaged")));
        TRY(state_->files->sync_directory(state_->packs()));
        ++report.packs;
        report.chunks_kept += salvage.whole.size();
        report.chunks_lost += salvage.lost;
    }
    TRY(state_->refresh());
    return report;
}

}  // namespace slipway::imagestore
