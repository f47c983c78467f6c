// SPDX-License-Identifier: GPL-3.0-or-later
// images/NAME/N: listing, opening (with a lease), deleting.
#include <sys/file.h>
#include <sys/stat.h>
#include <algorithm>
#include <cerrno>

#include "imagestore/errors.hpp"
#include "imagestore/store_state.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

std::optional<std::uint32_t> parse_version(std::string_view file_name) {
    auto number = parse_u64(file_name);
    if (!number || *number == 0 || *number > 0xffffffffu || std::to_string(*number) != file_name) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

Status StoredManifest::read(std::uint64_t offset, std::span<std::byte> out) const {
    if (TRY(files_->read(fd_.get(), out, offset)) == out.size()) return {};
    return make_error(errors::kBadManifest, "{} ends before byte {}", version_.text(), offset + out.size());
}

namespace {

Result<std::vector<ImageVersion>> versions_of(const std::filesystem::path& images, const std::string& name) {
    std::vector<ImageVersion> out;
    auto files = list_directory(images / name);
    if (!files && files.error().is(slipway::errors::kNotFound)) return out;
    for (const auto& file : TRY(std::move(files)))
        if (auto version = parse_version(file)) {
            std::error_code gone;
            auto bytes = std::filesystem::file_size(images / name / file, gone);
            if (!gone) out.push_back({name, *version, bytes});
        }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.version < b.version; });
    return out;
}

}  // namespace

Result<std::vector<ImageVersion>> Store::images() const {
    std::vector<ImageVersion> out;
    for (const auto& name : TRY(list_directory(state_->images()))) {
        if (!valid_image_name(name)) continue;
        auto versions = TRY(versions_of(state_->images(), name));
        out.insert(out.end(), versions.begin(), versions.end());
    }
    return out;
}

Result<ImageVersion> Store::resolve(const ImageRef& ref) const {
    if (!valid_image_name(ref.name))
        return make_error(errors::kBadName, "'{}' is not an image name", printable(ref.name));
    auto versions = TRY(versions_of(state_->images(), ref.name));
    if (ref.version == 0 && !versions.empty()) return versions.back();
    for (const auto& v : versions)
        if (v.version == ref.version) return v;
    return make_error(errors::kNoImage, "no image {} in {}", ref.text(), state_->directory.string());
}

Result<std::unique_ptr<StoredManifest>> Store::manifest(const ImageRef& ref) const {
    auto out = std::make_unique<StoredManifest>();
    out->version_ = TRY(resolve(ref));
    out->files_ = state_->files;
    auto path = state_->images() / ref.name / std::to_string(out->version_.version);
    out->fd_ = TRY(state_->files->open(path));
    TRY(out->take_lease(path));
    out->size_ = TRY(file_size(out->fd_.get()));
    return out;
}

// gc looks for leases on names ending in ".deleted". A lease taken before the rename is seen there; one taken after it
// may not be, so it counts only when the name still leads here afterwards.
Status StoredManifest::take_lease(const std::filesystem::path& path) {
    leased_ = ::flock(fd_.get(), LOCK_SH | LOCK_NB) == 0;
    struct stat ours {
    }, named{};
    bool same = ::fstat(fd_.get(), &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_dev == named.st_dev &&
                ours.st_ino == named.st_ino;
    if (!same) return make_error(errors::kNoImage, "{} was deleted just now", version_.text());
    return {};
}

Result<std::vector<std::unique_ptr<StoredManifest>>> Store::leased_manifests() const {
    std::vector<std::unique_ptr<StoredManifest>> out;
    for (const auto& name : TRY(list_directory(state_->images()))) {
        if (!valid_image_name(name)) continue;
        for (const auto& file : TRY(list_directory(state_->images() / name))) {
            if (!file.ends_with(".deleted")) continue;
            // Writable: over NFS an exclusive flock needs it.
            auto fd = TRY(state_->files->open(state_->images() / name / file, true));
            if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) continue;
            auto held = std::make_unique<StoredManifest>();
            held->version_.name = name;
            held->version_.version = parse_version(file.substr(0, file.find('.'))).value_or(0);
            held->files_ = state_->files;
            held->size_ = TRY(file_size(fd.get()));
            held->fd_ = std::move(fd);
            if (held->size_ != 0) out.push_back(std::move(held));
        }
    }
    return out;
}

Result<std::vector<ImageVersion>> Store::remove(const ImageRef& ref) {
    std::vector<ImageVersion> out;
    if (ref.version) out.push_back(TRY(resolve(ref)));
    else {
        TRY(resolve(ref));
        out = TRY(versions_of(state_->images(), ref.name));
    }
    auto directory = state_->images() / ref.name;
    for (const auto& v : out) {
        auto path = directory / std::to_string(v.version);
        TRY(state_->files->touch(path));  // the grace period starts now
        TRY(state_->files->rename(path, path.string() + ".deleted"));
    }
    TRY(state_->files->sync_directory(directory));
    return out;
}

}  // namespace slipway::imagestore
