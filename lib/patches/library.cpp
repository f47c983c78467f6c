// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/library.hpp"

#include <algorithm>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/system_files.hpp"

namespace slipway::patches {

namespace fs = std::filesystem;

namespace {

constexpr int kDepth = 6;
constexpr std::size_t kMostFiles = 20'000;  // a service level and language has eleven

// Directories that are made are on the disk when this returns.
Status make_directories(const fs::path& directory) {
    std::error_code error;
    if (fs::is_directory(directory, error)) return {};
    const auto parent = directory.has_parent_path() ? directory.parent_path() : fs::path(".");
    if (parent == directory) return {};
    TRY(make_directories(parent));
    fs::create_directory(directory, error);
    if (error) return errno_error(error.value(), directory.string());
    return fsync_directory(parent);
}

class Reader {
public:
    Reader(std::vector<LibraryFile>& files, std::vector<std::string>& notes) : files_(files), notes_(notes) {}

    void read(const fs::path& directory) {
        std::error_code error;
        fs::recursive_directory_iterator walk(directory, error), end;
        while (!error && walk != end) {
            if (walk.depth() >= kDepth) walk.disable_recursion_pending();
            if (++seen_ > kMostFiles) {
                notes_.push_back(
                    fmt::format("{}: more than {} files; the rest is not looked at", directory.string(), kMostFiles));
                return;
            }
            std::error_code kind;
            if (walk->is_regular_file(kind) && !kind) look_at(walk->path());
            walk.increment(error);
        }
        if (error && error != std::errc::no_such_file_or_directory)
            notes_.push_back(fmt::format("{}: {}", directory.string(), error.message()));
    }

private:
    void look_at(const fs::path& path) {
        if (path.filename().string().starts_with('.')) return;  // one that is being written
        const auto bytes = read_file(path, kLargestFile);
        if (!bytes) return note(path, bytes.error());
        auto key = key_of(*bytes);
        if (!key) return note(path, key.error());
        files_.push_back({*std::move(key), path});
    }
    void note(const fs::path& path, const Error& error) {
        notes_.push_back(fmt::format("{}: {}", path.string(), error.message()));
    }
    std::vector<LibraryFile>& files_;
    std::vector<std::string>& notes_;
    std::size_t seen_ = 0;
};

}  // namespace

std::string FileKey::text() const {
    const auto in = language_name(language);
    return fmt::format("{} {} ({}{}{})", name, version.text(), language_code(language), in.empty() ? "" : ", ", in);
}

Result<FileKey> key_of(ByteView file) {
    auto version = TRY(read_pe_version(file));
    if (version.machine != Machine::X86)
        return make_error(errors::kNotSystemFile, "not for 32-bit x86, whose files alone are exchanged");
    if (!is_system_file(version.original_name))
        return make_error(errors::kNotSystemFile, "its OriginalFilename '{}' is no HAL or kernel",
                          printable(version.original_name));
    if (version.debug) return make_error(errors::kNotSystemFile, "{} of a checked build", version.original_name);
    if (TRY(pe_checksum(file)) != version.checksum)
        return make_error(errors::kPe, "{} with a wrong checksum: cut or changed", version.original_name);
    return FileKey{std::move(version.original_name), version.version, version.language};
}

Library Library::open(const std::vector<fs::path>& directories) {
    Library out;
    Reader reader(out.files_, out.notes_);
    for (const auto& directory : directories) reader.read(directory / "Source");
    // Earlier directories come first, and what was found first in one: the walk's order is the file system's.
    auto rank = [&](const LibraryFile& file) {
        for (std::size_t i = 0; i < directories.size(); ++i)
            if (file.path.string().starts_with((directories[i] / "Source").string())) return i;
        return directories.size();
    };
    std::sort(out.files_.begin(), out.files_.end(), [&](const LibraryFile& a, const LibraryFile& b) {
        if (a.key != b.key) return a.key < b.key;
        const auto ra = rank(a), rb = rank(b);
        return ra != rb ? ra < rb : a.path < b.path;
    });
    const auto same = [](const LibraryFile& a, const LibraryFile& b) { return a.key == b.key; };
    out.files_.erase(std::unique(out.files_.begin(), out.files_.end(), same), out.files_.end());
    std::sort(out.notes_.begin(), out.notes_.end());
    return out;
}

const LibraryFile* Library::find(const FileKey& key) const {
    const auto at = std::lower_bound(files_.begin(), files_.end(), key,
                                     [](const LibraryFile& file, const FileKey& k) { return file.key < k; });
    return at != files_.end() && at->key == key ? &*at : nullptr;
}

Result<std::string> Library::read(const LibraryFile& file) const {
    auto content = TRY(read_text_file(file.path, kLargestFile));
    const auto key = TRY_WITH(key_of(as_bytes(content)), file.path.string());
    if (key != file.key) return make_error(errors::kPe, "{} is {} by now", file.path.string(), key.text());
    return content;
}

fs::path path_of(const fs::path& library, const FileKey& key) {
    return library / "Source" / key.version.text() / language_code(key.language) / key.name;
}

Result<Added> add_to_library(const fs::path& library, ByteView file) {
    auto key = TRY(key_of(file));
    const auto path = path_of(library, key);
    Added out{{std::move(key), path}, false};
    std::error_code error;
    if (fs::exists(path, error)) {
        const auto there = TRY(read_file(path, kLargestFile));
        if (std::equal(there.begin(), there.end(), file.begin(), file.end())) return out;
        // What is damaged there is none of the library's, and makes room.
        if (const auto old = key_of(there); old && *old == out.file.key)
            return make_error(errors::kDiffers, "{} is in the library with other content (SHA-256 {}, not {})",
                              out.file.key.text(), sha256(there).text(), sha256(file).text());
    }
    TRY(make_directories(path.parent_path()));
    TRY(write_file_atomic(path, file));
    out.is_new = true;
    return out;
}

}  // namespace slipway::patches
