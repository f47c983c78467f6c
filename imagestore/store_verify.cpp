// SPDX-License-Identifier: GPL-3.0-or-later
// verify(): every byte of every pack and manifest.
#include <algorithm>
#include <unordered_set>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store_state.hpp"
#include "lib/base/errors.hpp"
#include "lib/disks/past_cache.hpp"

namespace slipway::imagestore {

namespace {

class Verifier {
public:
    Verifier(Files& files, VerifyReport& report) : files_(files), report_(report) {}

    // Header, index and footer, then each record in the order of the file: they must follow each
    // other without a gap from the header to the index, and agree with the index.
    Status pack(const std::filesystem::path& path) {
        auto fd = files_.open(path);
        if (!fd && fd.error().is(slipway::errors::kNotFound)) return {};  // swept meanwhile
        auto opened = TRY(std::move(fd));
        disks::forget_cached(opened.get());  // or what a backup or a deploy has just read would be looked at again
        name_ = "packs/" + path.filename().string();
        ++report_.packs;
        report_.bytes += TRY(file_size(opened.get()));
        auto contents = read_contents(files_, opened.get());
        if (!contents) return broken_pack(opened.get(), contents.error());
        if (to_hex(contents->id.octets) + ".pack" != path.filename().string()) damage("it has another pack's name");
        auto& entries = contents->entries;
        std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
        std::uint64_t at = kPackHeaderBytes;
        for (const auto& entry : entries) {
            if (entry.offset != at) damage(fmt::format("no record at byte {}", at));
            at = entry.end();
            TRY(record(opened.get(), entry));
        }
        if (at != contents->index_offset) damage("bytes between its records and its index");
        return {};
    }

    const std::unordered_set<ChunkId>& damaged() const { return damaged_; }

private:
    void damage(std::string_view what) { report_.damaged.push_back(fmt::format("{}: {}", name_, what)); }

    // The index is lost: the records are walked, so that what is whole is told from what is not.
    Status broken_pack(int fd, const Error& error) {
        damage(error.message());
        auto size = TRY(file_size(fd));
        std::vector<PackEntry> entries;
        TRY(walk_records(files_, fd, size, [&](const PackEntry& e, bool) { entries.push_back(e); }));
        for (const auto& entry : entries) TRY(record(fd, entry));
        return {};
    }

    Status record(int fd, const PackEntry& entry) {
        ++report_.chunks;
        bytes_.resize(kRecordHeaderBytes + entry.length);
        auto n = files_.read(fd, bytes_, entry.offset);
        if (!n || *n != bytes_.size()) {
            bad_chunk(entry, n ? "it is cut" : n.error().message());
            return {};
        }
        auto head = ByteView(bytes_).first(kRecordHeaderBytes);
        auto chunk = ByteView(bytes_).subspan(kRecordHeaderBytes);
        auto checked = check_record(head, chunk);
        if (checked && parse_record_header(head)->id != entry.id)
            checked = make_error(errors::kBadPack, "the index names another chunk");
        if (checked) checked = decoder_.decode(entry.id, chunk, plain_);
        if (!checked) bad_chunk(entry, checked.error().message());
        return {};
    }

    void bad_chunk(const PackEntry& entry, std::string_view why) {
        damage(fmt::format("chunk {} at byte {}: {}", entry.id.text(), entry.offset, why));
        damaged_.insert(entry.id);
    }

    Files& files_;
    VerifyReport& report_;
    ChunkDecoder decoder_;
    std::string name_;
    Bytes bytes_, plain_;
    std::unordered_set<ChunkId> damaged_;
};

bool readable(Store& store, const ChunkId& id) {
    Bytes plain;
    auto chunk = store.get(id);
    return chunk && ChunkDecoder().decode(id, *chunk, plain).ok();
}

Result<std::uint64_t> count_missing(Store& store, const ManifestBytes& manifest,
                                    const std::unordered_set<ChunkId>& damaged) {
    std::uint64_t missing = 0;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next())) {
        auto* run = std::get_if<ChunkRun>(&*event);
        if (!run) continue;
        for (const auto& id : run->ids) {
            bool there = damaged.contains(id) ? readable(store, id) : TRY(store.contains(id));
            missing += !there;
        }
    }
    return missing;
}

Status note_leftovers(const std::filesystem::path& packs, VerifyReport& report) {
    for (const auto& name : TRY(list_directory(packs))) {
        if (name.ends_with(".tmp"))
            report.notes.push_back("packs/" + name + ": being written, or left by a dead writer");
        else if (!name.ends_with(".pack")) report.notes.push_back("packs/" + name + ": not a file of the store");
    }
    return {};
}

}  // namespace

Result<VerifyReport> Store::verify(const ProgressSink& progress, const std::atomic<bool>* cancel) {
    TRY(state_->refresh());
    VerifyReport report;
    Verifier verifier(*state_->files, report);
    auto total = TRY(size()).bytes;
    for (const auto& name : TRY(list_directory(state_->packs()))) {
        if (cancel && cancel->load()) return make_error(errors::kCancelled, "verify was cancelled");
        if (progress) progress({report.bytes, total, "verifying"});
        auto before = report.damaged.size();
        if (name.ends_with(".pack")) TRY(verifier.pack(state_->pack_path(name)));
        if (report.damaged.size() != before) report.damaged_packs.push_back(name);
    }
    for (const auto& version : TRY(images())) {
        auto manifest = this->manifest({version.name, version.version});
        if (!manifest && manifest.error().is(errors::kNoImage)) continue;  // deleted meanwhile
        ++report.images;
        auto opened = TRY(std::move(manifest));
        auto missing = count_missing(*this, *opened, verifier.damaged());
        if (!missing) report.hurt.push_back({version.text(), 0, missing.error().describe()});
        else if (*missing) report.hurt.push_back({version.text(), *missing, ""});
    }
    TRY(note_leftovers(state_->packs(), report));
    return report;
}

}  // namespace slipway::imagestore
