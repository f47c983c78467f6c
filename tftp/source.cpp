// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/source.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "tftp/errors.hpp"

namespace slipway::tftp {

namespace {

Result<FileVersion> version_of(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return errno_error(errno, "a boot file");
    if (!S_ISREG(info.st_mode)) return make_error(errors::kAccess, "not a plain file");
    auto nanoseconds = [](const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
    return FileVersion{info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size), nanoseconds(info.st_mtim),
                       nanoseconds(info.st_ctim)};
}

// The folder below root that name is in, and its last part.
struct Place {
    UniqueFd folder;
    std::string name;
};

Error refused(const ErrorId& id, std::string_view name) { return make_error(id, "'{}'", printable(name)); }

// One component at a time, so that no link is followed on the way.
Result<Place> find_place(const std::filesystem::path& root, std::string_view name) {
    auto hostile = [](unsigned char c) { return c < ' ' || c == '\\' || c == 0x7f; };
    if (std::any_of(name.begin(), name.end(), hostile)) return refused(errors::kAccess, name);
    std::vector<std::string> parts;
    for (auto& part : split(name, '/'))
        if (!part.empty() && part != ".") parts.push_back(std::move(part));
    if (parts.empty()) return refused(errors::kNotFound, name);
    auto at = TRY(open_fd(root, O_PATH | O_DIRECTORY));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i] == "..") return refused(errors::kAccess, name);
        if (i + 1 == parts.size()) break;
        UniqueFd next(::openat(at.get(), parts[i].c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        bool absent = errno == ENOENT || errno == ENAMETOOLONG;
        if (!next.valid()) return refused(absent ? errors::kNotFound : errors::kAccess, name);
        at = std::move(next);
    }
    return Place{std::move(at), std::move(parts.back())};
}

class FileUpload final : public Upload {
public:
    FileUpload(Place place, UniqueFd folder, std::string temporary, UniqueFd file)
        : place_(std::move(place)),
          folder_(std::move(folder)),
          temporary_(std::move(temporary)),
          file_(std::move(file)) {}
    ~FileUpload() override {
        if (!temporary_.empty()) ::unlinkat(place_.folder.get(), temporary_.c_str(), 0);
    }
    Status write(ByteView data) override {
        TRY(write_full(file_.get(), data));
        written_ += data.size();
        // So that finish(), which the other clients wait for as well, is short.
        if (written_ - begun_ >= (1u << 20)) start_writeback(file_.get(), begun_, written_ - begun_), begun_ = written_;
        return {};
    }
    Status finish() override {
        TRY(fsync_fd(file_.get(), place_.name));
        TRY(file_.close());
        auto folder = place_.folder.get();
        if (::renameat2(folder, temporary_.c_str(), folder, place_.name.c_str(), RENAME_NOREPLACE) != 0) {
            if (errno == EEXIST) return refused(errors::kExists, place_.name);
            return errno_error(errno, "an upload");
        }
        temporary_.clear();
        return fsync_fd(folder_.get(), "the upload directory");
    }

private:
    Place place_;
    UniqueFd folder_;  // place_'s, open for fsync (place_'s own is O_PATH)
    std::string temporary_;
    UniqueFd file_;
    std::uint64_t written_ = 0, begun_ = 0;
};

}  // namespace

Content Content::of_text(std::string text) {
    Content out;
    out.size = text.size();
    out.text = std::move(text);
    return out;
}

Result<Content> Content::of_file(UniqueFd fd) {
    Content out;
    out.version = TRY(version_of(fd.get()));
    out.size = out.version.size;
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

Status Content::unchanged() const {
    if (file && TRY(version_of(file->get())) != version) return make_error(errors::kChanged, "not what was opened");
    return {};
}

Result<Content> open_below(const std::filesystem::path& root, std::string_view name) {
    auto place = TRY(find_place(root, name));
    UniqueFd file(
        ::openat(place.folder.get(), place.name.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC));
    bool absent = errno == ENOENT || errno == ENAMETOOLONG;
    if (!file.valid()) return refused(absent ? errors::kNotFound : errors::kAccess, name);
    return Content::of_file(std::move(file));
}

Source serve_directory(std::filesystem::path root) {
    return [root = std::move(root)](const std::string& name, const UdpEndpoint&) { return open_below(root, name); };
}

Result<std::unique_ptr<Upload>> store_below(const std::filesystem::path& directory, std::string_view name) {
    auto place = TRY(find_place(directory, name));
    struct stat info {};
    if (::fstatat(place.folder.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0)
        return refused(errors::kExists, name);
    if (errno == ENAMETOOLONG) return refused(errors::kAccess, name);
    UniqueFd folder(::openat(place.folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) return errno_error(errno, "the upload directory");
    for (unsigned i = 0; i < 1000; ++i) {
        auto temporary = fmt::format(".upload-{}-{}", ::getpid(), i);
        UniqueFd file(::openat(place.folder.get(), temporary.c_str(),
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640));
        if (!file.valid() && errno == EEXIST) continue;
        if (!file.valid()) return errno_error(errno, "an upload");
        return std::unique_ptr<Upload>(
            std::make_unique<FileUpload>(std::move(place), std::move(folder), std::move(temporary), std::move(file)));
    }
    return make_error(errors::kExists, "too many unfinished uploads");
}

}  // namespace slipway::tftp
