// SPDX-License-Identifier: GPL-3.0-or-later
// One capture's connection to a local store: its own packs, its commit.
#include <algorithm>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/manifest_wire.hpp"
#include "imagestore/store_state.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

// A pack that a capture relies on is touched, so that gc's grace period counts from then.
constexpr std::chrono::minutes kRenewEvery{10};

std::uint64_t now_ms() { return static_cast<std::uint64_t>(unix_milliseconds(SystemClock().wall())); }

}  // namespace

struct StoreWriter::State {
    Store::State& store;
    WriterOptions options;
    ChunkDecoder decoder;
    Bytes plain;  // scratch of the check
    std::optional<PackWriter> pack;
    Instant last_sync{};
    std::unordered_map<std::string, Instant> renewed;
    std::uint64_t bytes = 0, chunks = 0;
    bool broken = false;

    State(Store::State& s, WriterOptions o) : store(s), options(o) {}

    Status take(const ChunkId& id, ByteView encoded);
    Status seal();
    Status sync();
    Result<bool> known(const ChunkId& id);
    Status renew(const std::string& pack_name);
    Result<std::vector<ChunkId>> missing(const ManifestBytes& manifest);
    Result<std::uint32_t> publish(const std::string& name, const ManifestBytes& manifest);
    Status copy(int fd, const ManifestBytes& manifest);
    Result<bool> is_published(const std::filesystem::path& path, const ManifestBytes& manifest);
};

StoreWriter::StoreWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

StoreWriter::~StoreWriter() {
    if (auto sealed = state_->seal(); !sealed)
        log::warning("imagestore", "the last pack stays temporary: {}", sealed.error().describe());
}

std::uint64_t StoreWriter::stored_bytes() const { return state_->bytes; }
std::uint64_t StoreWriter::stored_chunks() const { return state_->chunks; }

Result<std::unique_ptr<StoreWriter>> Store::writer(WriterOptions options) {
    TRY_WITH(salvage(), "keeping what interrupted writers left");
    TRY(state_->refresh());
    return std::unique_ptr<StoreWriter>(new StoreWriter(std::make_unique<StoreWriter::State>(*state_, options)));
}

Status StoreWriter::State::renew(const std::string& name) {
    auto now = SystemClock().now();
    auto [it, fresh] = renewed.try_emplace(name, now);
    if (!fresh && now - it->second < kRenewEvery) return {};
    it->second = now;
    auto touched = store.files->touch(store.pack_path(name));
    if (!touched) renewed.erase(name);
    return touched;
}

Result<bool> StoreWriter::State::known(const ChunkId& id) {
    if (pack && pack->contains(id)) return true;
    for (const auto& found : TRY(store.find(id))) {
        auto renewed_now = renew(found.pack);
        if (renewed_now) return true;
        if (!renewed_now.error().is(slipway::errors::kNotFound)) return std::move(renewed_now).error();
    }
    return false;
}

Result<std::vector<bool>> StoreWriter::have(std::span<const ChunkId> ids) {
    std::vector<bool> out(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) out[i] = TRY(state_->known(ids[i]));
    return out;
}

// After a failed fsync nobody knows what the disk holds: the pack is dropped (nothing refers to
// it yet) and the writer refuses to go on.
Status StoreWriter::State::sync() {
    if (!pack || pack->unsynced() == 0) return {};
    auto synced = pack->sync();
    if (!synced) {
        pack->discard();
        pack.reset();
        broken = true;
        return synced;
    }
    last_sync = SystemClock().now();
    return {};
}

Status StoreWriter::State::seal() {
    if (!pack) return {};
    auto writer = std::move(*pack);
    pack.reset();
    if (writer.entries().empty()) {
        writer.discard();
        return {};
    }
    auto path = writer.seal();
    if (!path) broken = true;  // the temporary file is salvaged by the next writer
    store.add_entries(TRY(std::move(path)).filename().string(), writer.entries());
    return {};
}

Status StoreWriter::State::take(const ChunkId& id, ByteView encoded) {
    if (broken) return make_error(errors::kWriterBroken, "an earlier write failed");
    if (options.check_chunks) TRY(decoder.decode(id, encoded, plain));
    if (TRY(known(id))) return {};
    auto needed = kRecordHeaderBytes + encoded.size();
    auto limit = std::min(store.options.pack_bytes, kMaxPackBytes - (64u << 20));
    if (pack && pack->size() + needed > limit) TRY(seal());
    if (!pack) {
        pack = TRY(PackWriter::create(store.files, store.packs(), now_ms()));
        last_sync = SystemClock().now();
    }
    TRY(pack->append(id, encoded));
    bytes += encoded.size();
    ++chunks;
    bool due =
        pack->unsynced() >= store.options.group_bytes || SystemClock().now() - last_sync >= store.options.group_time;
    return due ? sync() : Status();
}

Status StoreWriter::put(const ChunkId& id, ByteView encoded) {
    return state_->take(id, encoded).with("storing a chunk");
}

Status StoreWriter::flush() { return state_->sync().with("flushing the store"); }

Result<std::vector<ChunkId>> StoreWriter::State::missing(const ManifestBytes& manifest) {
    std::vector<ChunkId> out;
    std::unordered_set<ChunkId> seen;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next())) {
        auto* run = std::get_if<ChunkRun>(&*event);
        if (!run) continue;
        for (const auto& id : run->ids)
            if (out.size() < kMissingLimit && !TRY(known(id)) && seen.insert(id).second) out.push_back(id);
    }
    return out;
}

Status StoreWriter::State::copy(int fd, const ManifestBytes& manifest) {
    Bytes piece(256u << 10);
    for (std::uint64_t at = 0; at < manifest.size(); at += piece.size()) {
        piece.resize(std::min<std::uint64_t>(piece.size(), manifest.size() - at));
        TRY(manifest.read(at, piece));
        TRY(store.files->write(fd, piece, at));
    }
    return store.files->sync(fd);
}

// The newest version, when it is this very manifest: then the answer to an earlier commit was lost.
Result<bool> StoreWriter::State::is_published(const std::filesystem::path& path, const ManifestBytes& manifest) {
    auto fd = store.files->open(path);
    if (!fd) return fd.error().is(slipway::errors::kNotFound) ? Result<bool>(false) : std::move(fd).error();
    if (TRY(file_size(fd->get())) != manifest.size()) return false;
    Bytes there(wire::kManifestTrailerBytes), given(wire::kManifestTrailerBytes);
    TRY(store.files->read(fd->get(), there, manifest.size() - there.size()));
    TRY(manifest.read(manifest.size() - given.size(), given));
    return there == given;
}

Result<std::uint32_t> StoreWriter::State::publish(const std::string& name, const ManifestBytes& manifest) {
    auto directory = store.images() / name;
    TRY(store.files->make_directory(directory));
    TRY(store.files->sync_directory(store.images()));
    std::uint32_t last = 0;
    for (const auto& file : TRY(list_directory(directory))) {
        auto number = std::string_view(file).substr(0, file.find('.'));
        last = std::max(last, parse_version(number).value_or(0));
    }
    if (last != 0 && TRY(is_published(directory / std::to_string(last), manifest))) return last;
    auto temp = directory / (".new-" + random_token(8));
    auto fd = TRY(store.files->create(temp));
    auto published = [&]() -> Result<std::uint32_t> {
        TRY(copy(fd.get(), manifest));
        for (;;) {
            auto done = store.files->publish(temp, directory / std::to_string(++last));
            if (done) break;
            if (!done.error().is(slipway::errors::kExists)) return std::move(done).error();
        }
        TRY(store.files->sync_directory(directory));
        return last;
    }();
    if (!published) (void)store.files->remove(temp).ok();
    return published;
}

Result<CommitResult> StoreWriter::commit(std::string_view name, const ManifestBytes& manifest) {
    if (!valid_image_name(name)) return make_error(errors::kBadName, "'{}' is not an image name", printable(name));
    TRY_WITH(check_manifest(manifest), "committing " + std::string(name));
    if (state_->broken) return make_error(errors::kWriterBroken, "an earlier write failed");
    TRY_WITH(state_->seal(), "sealing the last pack");
    // gc sweeps under the exclusive lock: what is found here stays until the manifest is there to
    // keep it.
    auto lock = TRY(state_->store.lock(false));
    TRY(state_->store.refresh());
    CommitResult result;
    result.missing = TRY(state_->missing(manifest));
    if (result.missing.empty())
        result.version = TRY_WITH(state_->publish(std::string(name), manifest), "publishing " + std::string(name));
    return result;
}

}  // namespace slipway::imagestore
