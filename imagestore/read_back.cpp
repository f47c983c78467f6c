// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/read_back.hpp"

namespace slipway::imagestore {

ReadBack::ReadBack(disks::BlockDevice& target, const ManifestBytes& manifest, const Selection& part)
    : target_(target), disk_(part.disk->disk), walk_(manifest, part) {
    for (auto& piece : pieces_) free_.push(&piece);
    thread_ = std::jthread([this] { read_all(); });
}

ReadBack::~ReadBack() { free_.close(); }

Result<const ReadBack::Piece*> ReadBack::next() {
    if (shown_) free_.push(shown_);
    shown_ = *read_.pop();  // never closed
    if (!shown_) TRY(std::move(end_));
    return static_cast<const Piece*>(shown_);
}

void ReadBack::read_all() {
    end_ = [&]() -> Status {
        while (auto run = TRY(walk_.next_run()))
            if (run->kind != RunKind::Unused) TRY(read_run(*run));
        return {};
    }();
    read_.push(nullptr);
}

Status ReadBack::read_run(const ChunkRun& run) {
    for (std::uint64_t i = 0; i < run.count; ++i) {
        auto free = free_.pop();
        if (!free) return {};  // nobody looks any more
        auto& piece = **free;
        piece.chunk = run.first + i;
        piece.kind = run.kind;
        if (run.kind == RunKind::Data) piece.id = run.ids[i];
        piece.there.resize(disk_.chunk_length(piece.chunk));
        TRY(target_.read(piece.chunk * kChunkBytes, piece.there));
        read_.push(&piece);
    }
    return {};
}

}  // namespace slipway::imagestore
