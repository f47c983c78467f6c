// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/source.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "tftp/errors.hpp"

namespace slipway::tftp {

Content Content::of_text(std::string text) {
    Content out;
    out.size = text.size();
    out.text = std::move(text);
    return out;
}

Result<Content> Content::of_file(UniqueFd fd) {
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errno_error(errno, "a boot file");
    if (!S_ISREG(info.st_mode)) return make_error(errors::kAccess, "not a plain file");
    Content out;
    out.size = static_cast<std::uint64_t>(info.st_size);
    out.file = std::make_shared<UniqueFd>(std::move(fd));
    return out;
}

Result<Bytes> Content::read(std::uint64_t offset, std::size_t length) const {
    if (!file) return to_bytes(std::string_view(text).substr(offset, length));
    Bytes out(length);
    if (TRY(pread_full(file->get(), out, offset)) != length)
        return make_error(errors::kAccess, "the file became shorter");
    return out;
}

Result<Content> open_below(const std::filesystem::path& root, std::string_view name) {
    auto hostile = [](unsigned char c) { return c < ' ' || c == '\\' || c == 0x7f; };
    if (std::any_of(name.begin(), name.end(), hostile)) return make_error(errors::kAccess, "'{}'", printable(name));
    std::vector<std::string> parts;
    for (auto& part : split(name, '/'))
        if (!part.empty() && part != ".") parts.push_back(std::move(part));
    if (parts.empty()) return make_error(errors::kNotFound, "'{}'", printable(name));
    auto at = TRY(open_fd(root, O_PATH | O_DIRECTORY));
    // One component at a time, so that no link is followed on the way.
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i] == "..") return make_error(errors::kAccess, "'{}'", printable(name));
        int flags = i + 1 < parts.size() ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK;
        UniqueFd next(::openat(at.get(), parts[i].c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
        bool absent = errno == ENOENT || errno == ENAMETOOLONG;
        if (!next.valid()) return make_error(absent ? errors::kNotFound : errors::kAccess, "'{}'", printable(name));
        at = std::move(next);
    }
    return Content::of_file(std::move(at));
}

Source serve_directory(std::filesystem::path root) {
    return [root = std::move(root)](const std::string& name, const UdpEndpoint&) { return open_below(root, name); };
}

}  // namespace slipway::tftp
