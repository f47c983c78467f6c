// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/linux/tree.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <deque>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr int kMaxLinks = 40;  // as the kernel

std::string why(int error) {
    std::string text = std::strerror(error);
    if ((error == EACCES || error == EPERM) && ::geteuid() != 0) text += ": run as root";
    return text;
}

std::optional<std::string> read_link(const std::string& host) {
    char target[4096];
    auto n = ::readlink(host.c_str(), target, sizeof target);
    if (n < 0) return std::nullopt;
    return std::string(target, static_cast<std::size_t>(n));
}

void prepend(std::deque<std::string>& pending, std::string_view path) {
    auto parts = split(path, '/');
    pending.insert(pending.begin(), parts.begin(), parts.end());
}

}  // namespace

std::optional<std::string> Tree::resolve(std::string_view path) const {
    std::deque<std::string> pending;
    prepend(pending, path);
    std::vector<std::string> at;
    int links = 0;
    auto host_of = [&] { return root_.string() + "/" + join(at, "/"); };
    while (!pending.empty()) {
        auto part = std::move(pending.front());
        pending.pop_front();
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (!at.empty()) at.pop_back();
            continue;
        }
        at.push_back(std::move(part));
        struct stat status {};
        if (::lstat(host_of().c_str(), &status) != 0) return std::nullopt;
        if (!S_ISLNK(status.st_mode)) continue;
        auto target = read_link(host_of());
        if (!target || ++links > kMaxLinks) return std::nullopt;
        if (target->starts_with('/')) at.clear();
        else at.pop_back();
        prepend(pending, *target);
    }
    return "/" + join(at, "/");
}

std::optional<std::filesystem::path> Tree::host(std::string_view path) const {
    auto inside = resolve(path);
    if (!inside) return std::nullopt;
    return root_.string() + *inside;
}

std::optional<std::string> Tree::read(std::string_view path, std::size_t limit) {
    auto where = host(path);
    if (!where) return std::nullopt;
    UniqueFd fd(::open(where->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd.valid()) {
        if (errno != ENOENT) unreadable(std::string(path), why(errno));
        return std::nullopt;
    }
    std::string out;
    char block[65536];
    while (out.size() < limit) {
        auto n = ::read(fd.get(), block, std::min(sizeof block, limit - out.size()));
        if (n < 0 && errno == EINTR) continue;
        // Attributes of an absent feature answer with EINVAL and its like: nothing is missing then.
        if (n < 0 && (errno == EACCES || errno == EPERM)) unreadable(std::string(path), why(errno));
        if (n < 0) return std::nullopt;
        if (n == 0) break;
        out.append(block, static_cast<std::size_t>(n));
    }
    return out;
}

std::optional<std::string> Tree::tail(std::string_view path, std::size_t limit) {
    auto where = host(path);
    if (!where) return std::nullopt;
    struct stat status {};
    if (::stat(where->c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    auto size = static_cast<std::uint64_t>(status.st_size);
    if (size <= limit) return read(path, limit);
    UniqueFd fd(::open(where->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd.valid()) return read(path, 0);  // which notes why
    std::string out(limit, '\0');
    auto n = ::pread(fd.get(), out.data(), limit, static_cast<off_t>(size - limit));
    out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    auto cut = out.find('\n');
    return cut == std::string::npos ? std::string() : out.substr(cut + 1);
}

std::string Tree::line(std::string_view path) {
    auto text = read(path, 65536).value_or("");
    while (!text.empty() && text.back() == '\0') text.pop_back();
    return std::string(trim(text));
}

std::uint64_t Tree::number(std::string_view path, std::uint64_t fallback) {
    return parse_number(line(path)).value_or(fallback);
}

std::vector<std::string> Tree::lines(std::string_view path) {
    auto text = read(path);
    return text ? split(*text, '\n') : std::vector<std::string>{};
}

std::vector<std::string> Tree::list(std::string_view directory) {
    std::vector<std::string> names;
    auto where = host(directory);
    if (!where) return names;
    DIR* dir = ::opendir(where->c_str());
    if (dir == nullptr) {
        if (errno == EACCES || errno == EPERM) unreadable(std::string(directory), why(errno));
        return names;
    }
    while (auto* entry = ::readdir(dir)) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
    }
    ::closedir(dir);
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

std::string Tree::link_target(std::string_view path) const {
    auto slash = path.rfind('/');
    auto parent = host(path.substr(0, slash));
    if (!parent) return {};
    return read_link((*parent / path.substr(slash + 1)).string()).value_or("");
}

std::string Tree::link_name(std::string_view path) const { return base_name(link_target(path)); }

void Tree::unreadable(std::string what, std::string reason) { unread_.emplace(std::move(what), std::move(reason)); }

std::vector<Unread> Tree::unread() const {
    std::vector<Unread> out;
    for (const auto& [what, reason] : unread_) out.push_back({what, reason});
    return out;
}

std::string base_name(std::string_view path) {
    auto slash = path.rfind('/');
    return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::vector<std::string> words(std::string_view line) {
    std::vector<std::string> out;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t\r\n", at)) != std::string_view::npos) {
        auto end = std::min(line.find_first_of(" \t\r\n", at), line.size());
        out.emplace_back(line.substr(at, end - at));
        at = end;
    }
    return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    bool hex = text.starts_with("0x") || text.starts_with("0X");
    if (hex) text.remove_prefix(2);
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool natural_less(std::string_view a, std::string_view b) {
    auto stem = [](std::string_view s) { return s.substr(0, s.find_last_not_of("0123456789") + 1); };
    auto number = [&](std::string_view s) { return s.substr(stem(s).size()); };
    if (stem(a) != stem(b)) return a < b;
    if (number(a).size() != number(b).size()) return number(a).size() < number(b).size();
    return a < b;
}

}  // namespace slipway::gatherhw
