// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/vhd.hpp"

#include <sys/stat.h>

#include "lib/base/log.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"

namespace slipway::disks {

using namespace vhd;

bool looks_like_vhd(const std::filesystem::path& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < static_cast<off_t>(kFooterBytes - 1))
        return false;
    auto file = File::open(real_files(), path, OpenMode::ReadOnly);
    if (!file.ok()) return false;
    Bytes cookie(kFooterCookie.size());
    for (auto at : {footer_place(*file), std::uint64_t{0}})
        if (file->read(at, cookie).ok() && as_text(cookie) == kFooterCookie) return true;
    return false;
}

Result<VhdInfo> inspect_vhd(const std::filesystem::path& path) {
    auto file = TRY(File::open(real_files(), path, OpenMode::ReadOnly));
    auto image = TRY_WITH(load_image(file), path.string());
    const auto& f = image.footer;
    VhdInfo info;
    info.kind = f.kind;
    info.size = f.size;
    info.file_size = file.size();
    info.geometry = f.geometry;
    info.id = f.id;
    info.creator = f.creator;
    info.timestamp = f.timestamp;
    info.footer_copy_used = image.footer_copy_used;
    if (image.fixed()) return info;
    info.block_bytes = image.header.block_bytes;
    info.allocated_blocks = image.allocated_blocks();
    if (f.kind != VhdKind::Differencing) return info;
    info.parent_name = image.header.parent_name;
    info.parent_id = image.header.parent_id;
    auto parent = find_parent(real_files(), path, file, image.header);
    if (!parent.ok()) {
        info.parent_problem = parent.error().message();
    } else {
        info.parent = parent->path;
        if (parent->changed) info.parent_problem = "the parent was written since: its content may not fit";
    }
    return info;
}

Result<std::vector<std::filesystem::path>> children_of(const std::filesystem::path& path) {
    auto file = TRY(File::open(real_files(), path, OpenMode::ReadOnly));
    auto found = TRY_WITH(load_footer(file), path.string());
    return find_children(real_files(), path, found.footer.id);
}

bool vhd_in_use(const std::filesystem::path& path) {
    auto file = File::open(real_files(), path, OpenMode::ReadOnly);
    return file.ok() && in_use(file->fd(), Use::Read);
}

Result<std::unique_ptr<BlockDevice>> create_vhd(const std::filesystem::path& path, VhdKind kind, std::uint64_t size,
                                                std::uint32_t block_bytes, Files* files) {
    if (size == 0 || size > kVhdMaxBytes)
        return make_error(errors::kVhdTooLarge, "a disk of {} bytes cannot be made", size);
    if (kind == VhdKind::Differencing)
        return make_error(errors::kVhdUnsupported, "a differencing disk is made on a parent");
    Image image;
    image.footer = new_footer(kind, size);
    image.header.block_bytes = block_bytes;
    auto made = TRY(NewFile::create(files ? *files : real_files(), path));
    if (kind == VhdKind::Fixed) {
        TRY(made.file().write(image.footer.size, encode_footer(image.footer)));
    } else {
        TRY(check_block_bytes(block_bytes, image.footer.size));
        TRY(write_empty(made.file(), image));
    }
    TRY(lock_for(made.file().fd(), Use::Write, path.string()));
    TRY(made.publish());
    if (kind == VhdKind::Fixed)
        return std::unique_ptr<BlockDevice>(new FixedDisk(std::move(made).release(), std::move(image), true));
    return std::unique_ptr<BlockDevice>(new SparseDisk(std::move(made).release(), std::move(image), nullptr, true));
}

Result<std::unique_ptr<BlockDevice>> open_vhd(const std::filesystem::path& path, OpenMode mode) {
    auto opened = TRY(open_chain(path, {mode, mode == OpenMode::ReadWrite, nullptr}));
    for (const auto& warning : opened.warnings) log::warning("disks", "{}", warning);
    return std::move(opened.disk);
}

}  // namespace slipway::disks
