// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/forget.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <functional>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

std::string digest_of(const std::string& content) {
    return fmt::format("sha256:{} {}", sha256(as_bytes(content)).text(), content.size());
}

// The place on this host, its last component not followed; nullopt when it is not there.
std::optional<fs::path> place_of(const Guest& guest, const std::string& path) {
    const auto slash = path.find_last_of('/');
    const auto directory = guest.resolve(slash == 0 ? "/" : path.substr(0, slash));
    const auto leaf = path.substr(slash + 1);
    if (!directory || leaf.empty() || leaf == "." || leaf == "..") return std::nullopt;
    struct stat info {};
    const auto place = *directory / leaf;
    if (::lstat(place.c_str(), &info) != 0) return std::nullopt;
    return place;
}

bool regular(const fs::path& place, std::uint64_t* size = nullptr) {
    struct stat info {};
    if (::lstat(place.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    if (size) *size = static_cast<std::uint64_t>(info.st_size);
    return true;
}

}  // namespace

Status write_private(Guest& guest, const std::string& what, const std::string& path, const std::string& content,
                     unsigned mode) {
    guest.want(path);
    const auto before = TRY(guest.read(path));
    if (before == content) return {};
    TRY_WITH(guest.write_unrecorded(path, content, mode), what);
    guest.note_change({what, path, before ? digest_of(*before) : "", digest_of(content)});
    return {};
}

Status forget(Guest& guest, const std::string& what, const std::string& path) {
    if (!place_of(guest, path) || guest.planned_absent(path)) return {};
    const Forgetting forgetting(guest);
    return guest.remove(what, path);
}

Status forget_content(Guest& guest, const std::string& what, const std::string& path) {
    const auto place = place_of(guest, path);
    std::uint64_t size = 0;
    if (!place || guest.planned_absent(path) || !regular(*place, &size) || size == 0) return {};
    const auto before = TRY(file_digest(*place));
    const Forgetting forgetting(guest);
    TRY_WITH(guest.write_unrecorded(path, "", 0), what);
    guest.note_change({what, path, before, digest_of("")});
    return {};
}

std::optional<std::string> link_target(const Guest& guest, const std::string& path) {
    const auto place = place_of(guest, path);
    if (!place) return std::nullopt;
    std::error_code failed;
    const auto target = fs::read_symlink(*place, failed);
    return failed ? std::nullopt : std::optional(target.string());
}

Status remove_link(Guest& guest, const std::string& what, const std::string& path) {
    return link_target(guest, path) ? guest.remove(what, path) : Status();
}

std::vector<std::string> files_below(const Guest& guest, const std::string& directory) {
    std::vector<std::string> files;
    constexpr unsigned kDeepest = 12;
    std::size_t seen = 0;
    const std::function<void(const std::string&, unsigned)> walk = [&](const std::string& path, unsigned depth) {
        for (const auto& name : guest.list(path)) {
            const auto inner = path + "/" + name;
            struct stat info {};
            const auto place = place_of(guest, inner);
            if (!place || ++seen > kMostFiles || ::lstat(place->c_str(), &info) != 0) continue;
            if (!S_ISDIR(info.st_mode)) files.push_back(inner);
            else if (depth < kDeepest) walk(inner, depth + 1);
        }
    };
    if (!link_target(guest, directory)) walk(directory, 0);
    return files;
}

bool fits(std::string_view name, std::string_view pattern) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) return name == pattern;
    if (name.substr(0, star) != pattern.substr(0, star)) return false;
    name.remove_prefix(star);
    pattern.remove_prefix(star + 1);
    // The literal before the next star at its first place: never worse than a later one, so there is no going back.
    for (;;) {
        const auto next = pattern.find('*');
        const auto literal = pattern.substr(0, next);
        if (next == std::string_view::npos) return name.ends_with(literal);
        const auto at = name.find(literal);
        if (at == std::string_view::npos) return false;
        name.remove_prefix(at + literal.size());
        pattern.remove_prefix(next + 1);
    }
}

std::vector<std::string> matching(const Guest& guest, const std::string& directory, std::string_view pattern) {
    std::vector<std::string> out;
    for (const auto& name : guest.list(directory))
        if (fits(name, pattern)) out.push_back((directory == "/" ? "" : directory) + "/" + name);
    return out;
}

}  // namespace slipway::fixup
