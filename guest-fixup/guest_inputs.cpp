// SPDX-License-Identifier: GPL-3.0-or-later
// What a repair looked at. When all of it is as the last repair left it, another would find nothing to do.
#include <fcntl.h>
#include <sys/stat.h>

#include "guest-fixup/guest.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMost = 20'000;
constexpr std::uint64_t kLargest = 64u << 20;

}  // namespace

void Guest::look_at(char kind, const std::string& path) const {
    if (path.size() > 4096 || looked_at_.size() >= kMost) looked_at_too_much_ = true;
    else looked_at_.insert(kind + path);
}

// 'r': its content; 'l': the names in it; 'e': what is there, a file by size, inode and times; 'k': the same of a link
// itself. An error is an answer too.
std::string Guest::identity(char kind, const std::string& path) const {
    if (kind == 'l') {
        auto fd = tree_->open_in(path, O_RDONLY | O_DIRECTORY);
        if (!fd) return fd.error().name();
        return join(names_in(fd->get(), 100'000).value_or({}), "/");
    }
    if (kind == 'k') {
        auto place = tree_->at(path);
        if (!place || !*place) return "none";
        auto state = examine(**place, false);
        return state ? fmt::format("{} {}", name_of(state->kind), state->target) : state.error().name();
    }
    auto fd = tree_->open_in(path, O_PATH);
    if (!fd) return fd.error().name();
    struct stat s {};
    if (::fstat(fd->get(), &s) != 0) return "unknown";
    if (!S_ISREG(s.st_mode)) return fmt::format("mode {}", s.st_mode & S_IFMT);
    if (kind == 'r' && static_cast<std::uint64_t>(s.st_size) <= kLargest)
        if (auto file = open_regular(*std::move(fd), path))
            if (auto digest = digest_of(file->get(), path)) return *std::move(digest);
    return fmt::format("{} {} {}.{} {}.{}", s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec, s.st_ctim.tv_sec,
                       s.st_ctim.tv_nsec);
}

std::string Guest::inputs_digest(const std::set<std::string>& paths) const {
    if (looked_at_too_much_ || paths.size() > kMost) return "";
    Sha256 digest;
    for (const auto& path : paths) {
        if (path.size() < 2) return "";
        const auto line = fmt::format("{}{}{}{}", path, '\0', identity(path[0], path.substr(1)), '\0');
        digest.update(as_bytes(line));
    }
    return digest.finish().text();
}

std::optional<std::string> Guest::read_repair_note(const std::string& name) const {
    auto journal = Journal::open(*tree_, journal_base_);
    return journal ? journal->read_note(name) : std::nullopt;
}

Status Guest::write_repair_note(const std::string& name, const std::string& content) {
    return on_disk_ && on_disk_->exists() ? on_disk_->write_note(name, content) : Status();
}

}  // namespace slipway::fixup
