// SPDX-License-Identifier: GPL-3.0-or-later
// gc(): mark what manifests name, sweep packs without it. Safe beside captures: a pack that a
// capture relied on lately is young (have() and commit() touch it) and is left alone; manifests
// committed while gc marked are marked under the exclusive lock before the first removal; and
// whatever a capture with a longer breath than the grace period still misses, commit() tells it.
// Safe beside readers: what a deleted version names stays while somebody holds a lease on it (a mount may for weeks).
// Its pack may be rewritten; a reader finds the chunk in the new one.
#include <sys/file.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>
#include <unordered_set>

#include "imagestore/errors.hpp"
#include "imagestore/store_state.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"

namespace slipway::imagestore {

namespace {

// 64 bits of each live id: a collision keeps a dead chunk, never loses a live one.
class LiveSet {
public:
    void add(const ChunkId& id) {
        ids_.push_back(id_prefix(id));
        if (ids_.size() >= limit_) {
            settle();
            limit_ = std::max<std::size_t>(1u << 16, ids_.size() * 2);
        }
    }
    void settle() {
        std::sort(ids_.begin(), ids_.end());
        ids_.erase(std::unique(ids_.begin(), ids_.end()), ids_.end());
    }
    bool contains(const ChunkId& id) const { return std::binary_search(ids_.begin(), ids_.end(), id_prefix(id)); }

private:
    std::vector<std::uint64_t> ids_;
    std::size_t limit_ = 1u << 16;
};

struct Candidate {
    std::string name;
    std::uint64_t bytes = 0, dead = 0;
    std::unordered_set<ChunkId> copied;  // live chunks that are in a new pack now
};

class Sweep {
public:
    Sweep(Store& store, const GcOptions& options, WallTime now) : store_(store), options_(options), now_(now) {}

    // A manifest that cannot be read stops gc: nobody knows what it keeps.
    Status mark() {
        for (const auto& version : TRY(store_.images())) {
            if (!marked_.insert(version.text()).second) continue;
            auto manifest = store_.manifest({version.name, version.version});
            if (!manifest && manifest.error().is(errors::kNoImage)) continue;
            auto opened = TRY(std::move(manifest));
            TRY_WITH(mark(*opened), version.text());
        }
        for (const auto& leased : TRY(store_.leased_manifests())) {
            auto name = leased->version().text() + ".deleted";
            if (marked_.insert(name).second) TRY_WITH(mark(*leased), name);
        }
        live_.settle();
        return {};
    }

    Status mark(const ManifestBytes& manifest) {
        ManifestReader reader(manifest);
        while (auto event = TRY(reader.next()))
            if (auto* run = std::get_if<ChunkRun>(&*event))
                for (const auto& id : run->ids) live_.add(id);
        return {};
    }

    bool young(const std::filesystem::path& path) const {
        struct stat info {};
        if (::stat(path.c_str(), &info) != 0) return true;  // gone, or not ours to judge
        auto changed = std::chrono::system_clock::from_time_t(info.st_mtime);
        return options_.grace.count() > 0 && now_ - changed < options_.grace;
    }

    bool live(const ChunkId& id) const { return live_.contains(id); }

private:
    Store& store_;
    const GcOptions& options_;
    WallTime now_;
    LiveSet live_;
    std::unordered_set<std::string> marked_;
};

Status copy_live(Files& files, int fd, const PackEntry& entry, PackWriter& out) {
    Bytes bytes(kRecordHeaderBytes + entry.length);
    auto n = TRY(files.read(fd, bytes, entry.offset));
    auto chunk = ByteView(bytes).subspan(kRecordHeaderBytes);
    if (n != bytes.size()) return make_error(errors::kBadPack, "it is cut");
    TRY(check_record(ByteView(bytes).first(kRecordHeaderBytes), chunk));
    return out.append(entry.id, chunk);
}

}  // namespace

Result<GcReport> Store::gc(const GcOptions& options, const Clock& clock) {
    TRY(salvage());
    TRY(state_->refresh());
    GcReport report;
    auto& files = *state_->files;
    Sweep sweep(*this, options, clock.wall());
    TRY_WITH(sweep.mark(), "gc");

    std::vector<Candidate> candidates;
    for (const auto& name : TRY(list_directory(state_->packs()))) {
        if (!name.ends_with(".pack")) continue;
        auto path = state_->pack_path(name);
        auto fd = files.open(path);
        if (!fd) continue;
        auto contents = read_contents(files, fd->get());
        if (!contents) continue;  // damaged: verify names it, gc does not touch it
        Candidate candidate{name, TRY(file_size(fd->get())), 0, {}};
        std::uint64_t live_bytes = 0;
        std::vector<PackEntry> live;
        for (const auto& e : contents->entries) {
            if (!sweep.live(e.id)) ++candidate.dead;
            else {
                live_bytes += e.length;
                live.push_back(e);
            }
        }
        if (candidate.dead == 0 || live_bytes * 2 > candidate.bytes) continue;
        if (sweep.young(path)) {
            ++report.packs_young;
            continue;
        }
        if (!live.empty() && !options.dry_run) {
            auto out = TRY(PackWriter::create(state_->files, state_->packs(),
                                              static_cast<std::uint64_t>(unix_milliseconds(clock.wall()))));
            auto copied = [&]() -> Status {
                for (const auto& e : live) {
                    TRY(copy_live(files, fd->get(), e, out));
                    candidate.copied.insert(e.id);
                }
                return {};
            }();
            if (!copied) {
                out.discard();
                if (!copied.error().is(errors::kBadPack)) return std::move(copied).error();
                continue;  // a damaged pack: leave it to verify
            }
            auto entries = out.entries();
            auto sealed = TRY(out.seal());
            state_->add_entries(sealed.filename().string(), entries);
        }
        if (!live.empty()) ++report.packs_rewritten;
        candidate.bytes -= std::min(candidate.bytes, live_bytes);
        candidates.push_back(std::move(candidate));
    }

    auto lock = TRY(state_->lock(true));
    TRY_WITH(sweep.mark(), "gc");  // what was committed meanwhile
    for (const auto& candidate : candidates) {
        auto path = state_->pack_path(candidate.name);
        if (sweep.young(path)) {
            ++report.packs_young;
            continue;
        }
        auto fd = files.open(path);
        if (!fd) continue;
        auto contents = read_contents(files, fd->get());
        if (!contents) continue;
        bool needed = std::any_of(contents->entries.begin(), contents->entries.end(), [&](const auto& e) {
            return sweep.live(e.id) && !(options.dry_run || candidate.copied.contains(e.id));
        });
        if (needed) continue;
        if (!options.dry_run) TRY(files.remove(path));
        ++report.packs_removed;
        report.chunks_removed += candidate.dead;
        report.bytes_freed += candidate.bytes;
    }
    for (const auto& name : TRY(list_directory(state_->images()))) {
        if (!valid_image_name(name)) continue;
        for (const auto& file : TRY(list_directory(state_->images() / name))) {
            auto path = state_->images() / name / file;
            if (sweep.young(path) || options.dry_run) continue;
            if (file.starts_with(".new-")) (void)files.remove(path).ok();
            std::error_code failed;
            if (!file.ends_with(".deleted") || std::filesystem::file_size(path, failed) == 0 || failed) continue;
            auto fd = TRY(files.open(path, true));
            if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) continue;  // somebody reads it
            TRY(files.truncate(fd.get(), 0));
            ++report.manifests_emptied;
        }
    }
    if (!options.dry_run) TRY(files.sync_directory(state_->packs()));
    lock.reset();
    TRY(state_->refresh());
    return report;
}

}  // namespace slipway::imagestore
