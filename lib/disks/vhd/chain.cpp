// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/chain.hpp"

#include <sys/stat.h>
#include <algorithm>
#include <cerrno>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::disks::vhd {

namespace fs = std::filesystem;

namespace {

// The directory a relative path counts from: that of the file itself, not of a link to it.
fs::path home_of(const fs::path& path) {
    std::error_code bad;
    auto real = fs::canonical(path, bad);
    if (bad) real = fs::absolute(path, bad);
    return real.parent_path();
}

// Empty when the file there is the disk of that UUID, else why it is not.
std::string why_not(Files& files, const fs::path& path, const Uuid& id) {
    auto file = File::open(files, path, OpenMode::ReadOnly);
    if (!file) return printable(file.error().message());
    auto footer = load_footer(*file);
    if (!footer) return fmt::format("{}: {}", printable(path.string()), footer.error().message());
    if (footer->footer.id == id) return {};
    return fmt::format("{} is another disk (id {})", printable(path.string()), footer->footer.id.text());
}

class Opener {
public:
    explicit Opener(const OpenRequest& request)
        : files_(request.files ? *request.files : real_files()), lock_(request.lock) {}

    Result<OpenedDisk> open(const fs::path& path, OpenMode mode);

private:
    Result<std::unique_ptr<BlockDevice>> open_parent(const fs::path& child, const File& file, const Image& image,
                                                     OpenedDisk& opened);
    Status seen_before(const File& file, const fs::path& path);

    Files& files_;
    bool lock_;
    std::size_t depth_ = 0;
    std::vector<std::pair<dev_t, ino_t>> seen_;
};

Status Opener::seen_before(const File& file, const fs::path& path) {
    struct stat st {};
    if (::fstat(file.fd(), &st) != 0) return {};  // a test's file, without an inode
    auto me = std::pair(st.st_dev, st.st_ino);
    if (std::find(seen_.begin(), seen_.end(), me) != seen_.end())
        return make_error(errors::kVhdParent, "{} is its own ancestor", printable(path.string()));
    seen_.push_back(me);
    return {};
}

Result<std::unique_ptr<BlockDevice>> Opener::open_parent(const fs::path& child, const File& file, const Image& image,
                                                         OpenedDisk& opened) {
    if (++depth_ > kMaxChain) return make_error(errors::kVhdUnsupported, "a chain of more than {} disks", kMaxChain);
    auto found = TRY(find_parent(files_, child, file, image.header));
    if (found.changed)
        opened.warnings.push_back(fmt::format("{} was written since {} was made from it: its content may not fit",
                                              printable(found.path.string()), printable(child.string())));
    auto parent = TRY(open(found.path, OpenMode::ReadOnly));
    opened.parents.push_back(found.path);
    opened.parents.insert(opened.parents.end(), parent.parents.begin(), parent.parents.end());
    opened.warnings.insert(opened.warnings.end(), parent.warnings.begin(), parent.warnings.end());
    return std::move(parent.disk);
}

Result<OpenedDisk> Opener::open(const fs::path& path, OpenMode mode) {
    auto name = printable(path.string());
    auto file = TRY(File::open(files_, path, mode));
    TRY(seen_before(file, path));
    if (lock_) TRY(lock_for(file.fd(), mode == OpenMode::ReadWrite ? Use::Write : Use::Read, name));
    auto image = TRY_WITH(load_image(file), name);
    OpenedDisk opened;
    opened.footer = image.footer;
    opened.footer_copy_used = image.footer_copy_used;
    if (image.footer_copy_used)
        opened.warnings.push_back(name + ": the footer at the end is damaged; its copy at the start served");
    if (image.fixed()) {
        opened.disk = std::make_unique<FixedDisk>(std::move(file), std::move(image), false);
        return opened;
    }
    std::unique_ptr<BlockDevice> parent;
    if (image.footer.kind == VhdKind::Differencing) parent = TRY(open_parent(path, file, image, opened));
    auto sparse = std::make_unique<SparseDisk>(std::move(file), std::move(image), std::move(parent), false);
    opened.sparse = sparse.get();
    opened.disk = std::move(sparse);
    return opened;
}

}  // namespace

Result<OpenedDisk> open_chain(const fs::path& path, const OpenRequest& request) {
    return Opener(request).open(path, request.mode);
}

Result<std::uint32_t> parent_time(const fs::path& parent) {
    struct stat st {};
    if (::stat(parent.c_str(), &st) != 0) return errno_error(errno, parent.string());
    return since_2000(st.st_mtime);
}

Result<FoundParent> find_parent(Files& files, const fs::path& child, const File& file, const DynamicHeader& header) {
    auto paths = load_parent_paths(file, header);
    auto home = home_of(child);
    std::vector<std::string> tried;
    for (const auto& spelled : {paths.relative, paths.absolute}) {
        if (spelled.empty()) continue;
        auto path = (home / spelled).lexically_normal();
        auto why = why_not(files, path, header.parent_id);
        if (why.empty()) {
            // Windows leaves 0 there: nothing to hold the time against.
            auto changed = header.parent_timestamp != 0 && TRY(parent_time(path)) != header.parent_timestamp;
            return FoundParent{path, changed};
        }
        tried.push_back(why);
    }
    if (tried.empty()) tried.push_back("the file names no place for it");
    return make_error(errors::kVhdParent, "the parent of {} (id {}, {}) is not found: {}", printable(child.string()),
                      header.parent_id.text(), printable(header.parent_name), join(tried, "; "));
}

Result<ParentPaths> spell_parent(const fs::path& child, const fs::path& parent) {
    std::error_code bad;
    auto real = fs::canonical(parent, bad);
    if (bad) return errno_error(bad.value(), parent.string());
    // The child may not exist yet; its directory does.
    auto home = fs::canonical(child.has_parent_path() ? child.parent_path() : fs::path("."), bad);
    if (bad) return errno_error(bad.value(), child.string());
    auto relative = real.lexically_relative(home).string();
    if (!relative.starts_with("../")) relative = "./" + relative;
    for (const auto& path : {relative, real.string()})
        if (path.find('\\') != std::string::npos || from_utf16(to_utf16(path, false), false) != path ||
            path.size() > kMaxLocatorBytes / 4)
            return make_error(errors::kVhdUnsupported, "the path {} cannot be written into a VHD", printable(path));
    return ParentPaths{relative, real.string()};
}

std::vector<fs::path> find_children(Files& files, const fs::path& path, const Uuid& id) {
    std::vector<fs::path> children;
    std::error_code bad;
    for (fs::directory_iterator entry(home_of(path), bad), end; !bad && entry != end; entry.increment(bad)) {
        std::error_code none;
        if (!entry->is_regular_file(none) || entry->file_size(none) < kFooterBytes + kHeaderBytes) continue;
        auto file = File::open(files, entry->path(), OpenMode::ReadOnly);
        if (!file) continue;
        auto footer = load_footer(*file);
        if (!footer || footer->footer.kind != VhdKind::Differencing) continue;
        Bytes bytes(kHeaderBytes);
        if (!file->read(footer->footer.data_offset, bytes)) continue;
        auto header = parse_header_unchecked(bytes);
        if (header && header->parent_id == id) children.push_back(entry->path());
    }
    std::sort(children.begin(), children.end());
    return children;
}

Status refuse_children(Files& files, const fs::path& path, const Uuid& id, std::string_view verb,
                       const fs::path& except) {
    std::vector<std::string> names;
    for (const auto& child : find_children(files, path, id)) {
        std::error_code none;
        if (!except.empty() && fs::equivalent(child, except, none)) continue;
        names.push_back(printable(child.filename().string()));
    }
    if (names.empty()) return {};
    return make_error(errors::kVhdHasChildren, "{} cannot be {}: {} {} built on it", printable(path.string()), verb,
                      join(names, ", "), names.size() == 1 ? "is" : "are");
}

}  // namespace slipway::disks::vhd
