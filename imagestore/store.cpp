// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <algorithm>

#include "imagestore/errors.hpp"
#include "imagestore/store_state.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

Result<std::vector<std::string>> list_directory(const std::filesystem::path& directory) {
    std::error_code failed;
    std::vector<std::string> out;
    for (std::filesystem::directory_iterator it(directory, failed), end; !failed && it != end; it.increment(failed))
        out.push_back(it->path().filename().string());
    if (failed) return errno_error(failed.value(), directory.string());
    std::sort(out.begin(), out.end());
    return out;
}

namespace {

constexpr std::string_view kFormatLine = "slipway-store 1";

std::string format_text(const std::string& id) {
    auto text = fmt::format("{}\nid {}\n", kFormatLine, id);
    return text + fmt::format("check {:08x}\n", crc32c(as_bytes(text)));
}

Result<std::string> read_format(const std::filesystem::path& directory) {
    auto text = read_text_file(directory / "FORMAT", 4096);
    if (!text && text.error().is(slipway::errors::kNotFound))
        return make_error(errors::kNotAStore, "{} has no FORMAT file", directory.string());
    auto lines = split(TRY(std::move(text)), '\n');
    if (lines.size() > 1 && lines[0].starts_with("slipway-store ") && lines[0] != kFormatLine)
        return make_error(errors::kNewerFormat, "{}: '{}'", directory.string(), printable(lines[0]));
    if (lines.size() < 3 || !lines[1].starts_with("id ") || join(lines, "\n") != format_text(lines[1].substr(3)))
        return make_error(errors::kNotAStore, "{}/FORMAT is damaged", directory.string());
    return lines[1].substr(3);
}

// Only into an empty directory, or one where an earlier attempt stopped half-way.
Status check_creatable(const std::filesystem::path& directory) {
    for (const auto& name : TRY(list_directory(directory)))
        if (name != "packs" && name != "images" && name != "lock" && !name.starts_with(".FORMAT"))
            return make_error(errors::kNotAStore, "{} is not empty and no store (it has '{}')", directory.string(),
                              printable(name));
    return {};
}

Status create_store(Files& files, const std::filesystem::path& directory) {
    std::error_code failed;
    std::filesystem::create_directories(directory, failed);
    if (failed) return errno_error(failed.value(), directory.string());
    TRY(check_creatable(directory));
    TRY(files.make_directory(directory / "packs"));
    TRY(files.make_directory(directory / "images"));
    auto temp = directory / (".FORMAT-" + random_token(8));
    auto fd = TRY(files.create(temp));
    auto made = [&]() -> Status {
        TRY(files.write(fd.get(), as_bytes(format_text(Uuid::random().text())), 0));
        TRY(files.sync(fd.get()));
        auto published = files.publish(temp, directory / "FORMAT");
        // Two processes made it at once: the first one's counts.
        if (!published && !published.error().is(slipway::errors::kExists)) return std::move(published).error();
        return files.sync_directory(directory);
    }();
    (void)files.remove(temp).ok();  // there only when something failed
    return made;
}

}  // namespace

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;
const std::filesystem::path& Store::directory() const { return state_->directory; }
const std::string& Store::id() const { return state_->id; }

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& directory, StoreOptions options) {
    auto state = std::make_unique<State>();
    state->directory = directory;
    state->files = options.files ? options.files : std::make_shared<Files>();
    auto id = read_format(directory);
    if (!id && id.error().is(errors::kNotAStore) && options.create && !std::filesystem::exists(directory / "FORMAT")) {
        TRY_WITH(create_store(*state->files, directory), "making a store");
        id = read_format(directory);
    }
    state->id = TRY(std::move(id));
    state->options = std::move(options);
    TRY_WITH(state->refresh(), "opening the store " + directory.string());
    return std::unique_ptr<Store>(new Store(std::move(state)));
}

void Store::State::add_entries(const std::string& name, const std::vector<PackEntry>& entries) {
    std::lock_guard guard(mutex);
    if (pack_numbers.contains(name)) return;
    auto number = static_cast<std::uint32_t>(pack_names.size());
    pack_names.push_back(name);
    pack_numbers.emplace(name, number);
    for (const auto& e : entries) index.add(e.id, {number, static_cast<std::uint32_t>(e.offset)});
}

Status Store::State::add_pack(const std::string& name) {
    auto fd = files->open(pack_path(name));
    // gc of another process was quicker.
    if (!fd && fd.error().is(slipway::errors::kNotFound)) return {};
    auto opened = TRY(std::move(fd));
    auto entries = find_entries(*files, opened.get());
    if (!entries && entries.error().is(errors::kNewerFormat)) {
        log::warning("imagestore", "{}: {}", name, entries.error().describe());
        return {};
    }
    add_entries(name, TRY(std::move(entries)));
    return {};
}

Status Store::State::refresh() {
    auto names = TRY(list_directory(packs()));
    std::erase_if(names, [](const auto& name) { return !name.ends_with(".pack"); });
    std::vector<std::string> fresh;
    {
        std::lock_guard guard(mutex);
        std::vector<bool> gone(pack_names.size());
        bool any = false;
        for (std::size_t i = 0; i < pack_names.size(); ++i) {
            if (pack_names[i].empty() || std::binary_search(names.begin(), names.end(), pack_names[i])) continue;
            gone[i] = any = true;
            pack_numbers.erase(pack_names[i]);
            pack_names[i].clear();
        }
        if (any) {
            index.remove_packs([&](std::uint32_t pack) { return gone[pack]; });
            open_packs.remove_if([&](const auto& open) { return gone[open.first]; });
        }
        for (const auto& name : names)
            if (!pack_numbers.contains(name)) fresh.push_back(name);
    }
    for (const auto& name : fresh) TRY_WITH(add_pack(name), "packs/" + name);
    return {};
}

Result<std::shared_ptr<UniqueFd>> Store::State::open_pack(std::uint32_t number) {
    std::string name;
    {
        std::lock_guard guard(mutex);
        for (auto it = open_packs.begin(); it != open_packs.end(); ++it)
            if (it->first == number) {
                open_packs.splice(open_packs.begin(), open_packs, it);
                return it->second;
            }
        name = pack_names[number];
    }
    if (name.empty()) return make_error(slipway::errors::kNotFound, "a pack that is gone");
    auto fd = std::make_shared<UniqueFd>(TRY(files->open(pack_path(name))));
    std::lock_guard guard(mutex);
    open_packs.emplace_front(number, fd);
    if (open_packs.size() > kOpenPacks) open_packs.pop_back();
    return fd;
}

Result<std::vector<FoundRecord>> Store::State::find(const ChunkId& id) {
    std::vector<ChunkPlace> places;
    {
        std::lock_guard guard(mutex);
        places = index.find(id);
    }
    std::vector<FoundRecord> out;
    for (const auto& place : places) {
        auto fd = open_pack(place.pack);
        if (!fd && fd.error().is(slipway::errors::kNotFound)) continue;  // swept since
        FoundRecord found;
        found.fd = TRY(std::move(fd));
        if (TRY(files->read(found.fd->get(), found.header, place.offset)) != found.header.size()) continue;
        auto header = parse_record_header(found.header);
        if (!header || header->id != id) continue;
        found.offset = place.offset;
        found.length = header->length;
        std::lock_guard guard(mutex);
        found.pack = pack_names[place.pack];
        if (!found.pack.empty()) out.push_back(std::move(found));
    }
    return out;
}

Result<UniqueFd> Store::State::lock(bool exclusive) const {
    auto fd = TRY(open_fd(directory / "lock", O_RDWR | O_CREAT | O_NOFOLLOW, 0666));
    while (::flock(fd.get(), exclusive ? LOCK_EX : LOCK_SH) != 0)
        if (errno != EINTR) return errno_error(errno, "locking the store");
    return fd;
}

Result<bool> Store::contains(const ChunkId& id) { return !TRY(state_->find(id)).empty(); }

Result<std::optional<std::uint32_t>> Store::stored_length(const ChunkId& id) {
    auto found = TRY(state_->find(id));
    if (found.empty()) return std::optional<std::uint32_t>();
    return std::optional(static_cast<std::uint32_t>(found.front().length));
}

Result<Bytes> Store::get(const ChunkId& id) {
    bool damaged = false;
    for (int attempt = 0; attempt < 2; ++attempt) {
        for (const auto& found : TRY(state_->find(id))) {
            Bytes chunk(found.length);
            auto n = TRY(state_->files->read(found.fd->get(), chunk, found.offset + kRecordHeaderBytes));
            if (n == chunk.size() && check_record(found.header, chunk)) return chunk;
            damaged = true;
        }
        if (attempt == 0) TRY(state_->refresh());
    }
    if (damaged) return make_error(errors::kBadChunk, "the stored bytes of chunk {} are damaged", id.text());
    return make_error(errors::kChunkMissing, "chunk {} is not in the store", id.text());
}

Result<std::uint64_t> Store::salvage() {
    std::uint64_t made = 0;
    for (const auto& name : TRY(list_directory(state_->packs()))) {
        if (!name.ends_with(".tmp")) continue;
        auto adopted = TRY_WITH(PackWriter::adopt(state_->files, state_->pack_path(name)), "packs/" + name);
        if (!adopted) continue;
        if (adopted->entries().empty()) {
            adopted->discard();
            continue;
        }
        auto entries = adopted->entries();
        auto path = TRY_WITH(adopted->seal(), "packs/" + name);
        state_->add_entries(path.filename().string(), entries);
        log::info("imagestore", "kept {} chunks of an interrupted writer", entries.size());
        ++made;
    }
    return made;
}

Result<StoreSize> Store::size() {
    TRY(state_->refresh());
    StoreSize out;
    for (const auto& name : TRY(list_directory(state_->packs()))) {
        std::error_code failed;
        auto bytes = std::filesystem::file_size(state_->pack_path(name), failed);
        if (failed) continue;
        out.bytes += bytes;
        out.packs += name.ends_with(".pack");
    }
    std::lock_guard guard(state_->mutex);
    out.chunks = state_->index.size();
    return out;
}

}  // namespace slipway::imagestore
