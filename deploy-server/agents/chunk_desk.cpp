// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/agents/chunk_desk.hpp"

#include <algorithm>

#include "deploy-server/errors.hpp"

namespace slipway::server {

namespace {

constexpr std::size_t kGetLimit = 64;    // chunks of one answer
constexpr std::size_t kFrameHead = 36;   // its id and length
constexpr std::size_t kDeployLimit = 8;  // … to a machine: agents never asked for more, and it is held in memory

Result<std::vector<Digest>> ids_in(std::string_view body) {
    auto ids = channel::parse_ids(body);
    if (!ids) return make_error(errors::kBadFrames, "{}", ids.error().message());
    return std::move(*ids);
}

Result<std::string> frames_of(imagestore::Store& store, const std::vector<Digest>& ids) {
    std::string out;
    for (const auto& id : ids) channel::append_frame(out, id, TRY(store.get(id)));
    return out;
}

}  // namespace

// A writer that failed is given up: what it took is sealed, the next call begins with a new one.
template <typename Call>
auto ChunkDesk::with_writer(const std::string& key, Call call)
    -> decltype(call(std::declval<imagestore::StoreWriter&>())) {
    std::shared_ptr<Writer> slot;
    {
        std::lock_guard lock(mutex_);
        auto& found = writers_[key];
        if (!found) found = std::make_shared<Writer>();
        slot = found;
    }
    std::lock_guard lock(slot->mutex);
    if (!slot->writer) slot->writer = TRY(store_.writer());
    auto result = call(*slot->writer);
    if (!result.ok()) slot->writer.reset();
    return result;
}

Result<std::string> ChunkDesk::have(const std::string& key, std::string_view body) {
    auto ids = TRY(ids_in(body));
    return with_writer(key, [&](imagestore::StoreWriter& writer) -> Result<std::string> {
        return channel::render_flags(TRY(writer.have(ids)));
    });
}

Status ChunkDesk::put(const std::string& key, std::string_view body) {
    auto frames = channel::parse_frames(body);
    if (!frames) return make_error(errors::kBadFrames, "{}", frames.error().message());
    return with_writer(key, [&](imagestore::StoreWriter& writer) -> Status {
        for (const auto& frame : *frames) TRY(writer.put(frame.id, frame.encoded));
        return {};
    });
}

Status ChunkDesk::flush(const std::string& key) {
    return with_writer(key, [](imagestore::StoreWriter& writer) { return writer.flush(); });
}

Result<imagestore::CommitResult> ChunkDesk::commit(const std::string& key, const std::string& name,
                                                   std::string_view manifest) {
    return with_writer(key, [&](imagestore::StoreWriter& writer) {
        return writer.commit(name, imagestore::ManifestView(as_bytes(manifest)));
    });
}

Result<std::shared_ptr<const ChunkDesk::Allowed>> ChunkDesk::allowed(const std::string& key, const std::string& image,
                                                                     bool again) {
    const auto look = [&]() -> std::shared_ptr<const Allowed> {
        std::lock_guard lock(mutex_);
        const auto found = allowed_.find(key);
        return found == allowed_.end() ? nullptr : found->second;
    };
    if (auto known = look(); known && !again) return known;
    std::lock_guard one(loading_);
    auto known = look();
    if (known && !again) return known;
    auto version = TRY(store_.resolve(TRY(imagestore::ImageRef::parse(image))));
    if (known && known->version.version == version.version) return known;
    auto leased = TRY(manifest(key, {version.name, version.version}));
    {
        std::lock_guard lock(mutex_);
        if (auto same = sets_[version.text()].lock()) return allowed_[key] = std::move(same);
    }
    auto made = std::make_shared<Allowed>();
    made->version = version;
    imagestore::ManifestReader reader(*leased);
    for (auto event = TRY(reader.next()); event; event = TRY(reader.next()))
        if (const auto* run = std::get_if<imagestore::ChunkRun>(&*event))
            made->ids.insert(run->ids.begin(), run->ids.end());
    std::lock_guard lock(mutex_);
    std::erase_if(sets_, [](const auto& set) { return set.second.expired(); });
    sets_[version.text()] = made;
    allowed_[key] = made;
    return std::shared_ptr<const Allowed>(made);
}

// A chunk may be asked for twice: it stands so in the image.
Result<ChunkDesk::Wanted> ChunkDesk::wanted(const std::string& key, const std::string& image, std::string_view body) {
    auto ids = TRY(ids_in(body));
    if (ids.size() > kDeployLimit) return make_error(errors::kBadFrames, "more than {} chunks at once", kDeployLimit);
    auto set = TRY(allowed(key, image, false));
    auto named = [&](const Digest& id) { return set->ids.contains(id); };
    // The name may have got a version since.
    if (!std::all_of(ids.begin(), ids.end(), named)) set = TRY(allowed(key, image, true));
    if (!std::all_of(ids.begin(), ids.end(), named))
        return make_error(errors::kNotYourTask, "a chunk that image '{}' does not name", image);
    std::size_t bytes = 0;
    for (const auto& id : ids)
        if (const auto length = TRY(store_.stored_length(id))) bytes += kFrameHead + *length;
        else if (auto lost = store_.get(id); !lost) return std::move(lost).error();
    return Wanted{std::move(ids), bytes};
}

Result<std::string> ChunkDesk::read(const std::vector<Digest>& ids) { return frames_of(store_, ids); }

Result<std::string> ChunkDesk::get_any(std::string_view body) {
    auto ids = TRY(ids_in(body));
    if (ids.size() > kGetLimit) return make_error(errors::kBadFrames, "more than {} chunks at once", kGetLimit);
    return frames_of(store_, ids);
}

Result<std::shared_ptr<const imagestore::StoredManifest>> ChunkDesk::manifest(const std::string& key,
                                                                              const imagestore::ImageRef& ref) {
    std::shared_ptr<const imagestore::StoredManifest> opened = TRY(store_.manifest(ref));
    std::lock_guard lock(mutex_);
    leases_[key].try_emplace(opened->version().text(), opened);
    return opened;
}

void ChunkDesk::seal(const std::string& key) {
    std::shared_ptr<Writer> slot;
    {
        std::lock_guard lock(mutex_);
        auto found = writers_.find(key);
        if (found == writers_.end()) return;
        slot = found->second;
    }
    std::lock_guard lock(slot->mutex);
    slot->writer.reset();
}

void ChunkDesk::over(const std::string& key) {
    std::shared_ptr<Writer> writer;
    std::lock_guard lock(mutex_);
    leases_.erase(key);
    if (auto found = writers_.find(key); found != writers_.end()) writer = std::move(found->second);
    writers_.erase(key);
    allowed_.erase(key);
}

}  // namespace slipway::server
