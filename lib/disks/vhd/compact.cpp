// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/copy.hpp"

namespace slipway::disks {

namespace fs = std::filesystem;
using namespace vhd;

namespace {

// Some ranges of a disk read as zero.
class MaskLayer final : public PassLayer {
public:
    MaskLayer(BlockDevice& below, ExtentList masked) : PassLayer(below), masked_(std::move(masked)) {}

    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(below_.read(offset, buffer));
        const auto& all = masked_.extents();
        auto e = std::partition_point(all.begin(), all.end(), [&](const Extent& m) { return m.end() <= offset; });
        for (; e != all.end() && e->offset < offset + buffer.size(); ++e) {
            auto from = std::max(e->offset, offset) - offset;
            auto to = std::min<std::uint64_t>(e->end() - offset, buffer.size());
            std::fill_n(buffer.begin() + static_cast<std::ptrdiff_t>(from), to - from, std::byte{0});
        }
        return {};
    }
    Result<DataRange> next_data(std::uint64_t offset) override {
        const auto& all = masked_.extents();
        auto e = std::partition_point(all.begin(), all.end(), [&](const Extent& m) { return m.end() <= offset; });
        if (e != all.end() && e->offset <= offset) offset = e->end();
        return below_.next_data(offset);
    }

private:
    ExtentList masked_;
};

// What a volume's file system does not use, added to `unused`; the rest of the disk counts as used.
Status add_unused(BlockDevice& disk, const Extent& volume, std::string_view name, ExtentList& unused,
                  std::vector<std::string>& notes) {
    OffsetLayer window(disk, volume.offset, volume.length);
    auto map = TRY(map_used(window));
    if (!map.why_all.empty() || map.state != VolumeState::Clean) {
        notes.push_back(fmt::format("{}: every sector is kept: {}", name,
                                    map.why_all.empty() ? std::string(name_of(map.state)) : map.why_all));
        return {};
    }
    std::uint64_t at = 0;
    for (const auto& e : map.used.extents()) {
        if (e.offset > at) unused.add({volume.offset + at, e.offset - at});
        at = e.end();
    }
    if (at < volume.length) unused.add({volume.offset + at, volume.length - at});
    return {};
}

Result<ExtentList> find_unused(BlockDevice& disk, std::vector<std::string>& notes) {
    ExtentList unused;
    auto layout = TRY(read_layout(disk));
    if (layout.table == TableKind::None) {
        TRY(add_unused(disk, {0, disk.size()}, "the disk", unused, notes));
        return unused;
    }
    for (const auto& p : layout.partitions)
        TRY(add_unused(disk, {p.offset, p.length}, fmt::format("partition {}", p.index), unused, notes));
    return unused;
}

Status refuse_kind(Files& files, const fs::path& path) {
    auto file = TRY(File::open(files, path, OpenMode::ReadOnly));
    auto kind = TRY_WITH(load_footer(file), path.string()).footer.kind;
    if (kind == VhdKind::Fixed)
        return make_error(errors::kVhdUnsupported,
                          "{} is a fixed disk, whose file is always as large as the disk: convert it to a dynamic one",
                          path.string());
    if (kind == VhdKind::Differencing)
        return make_error(errors::kVhdUnsupported,
                          "{} is a differencing disk, whose zeroes stand for what they hide in its parent: merge it",
                          path.string());
    return {};
}

}  // namespace

Result<CompactReport> compact_vhd(const fs::path& given, bool drop_unused, const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    std::error_code bad;
    // The file itself is replaced, not a link to it.
    auto path = fs::canonical(given, bad);
    if (bad) return errno_error(bad.value(), given.string());
    TRY(refuse_kind(files, path));
    auto opened = TRY(open_chain(path, {OpenMode::ReadWrite, true, &files}));
    TRY(refuse_children(files, path, opened.footer.id, "compacted"));
    CompactReport report;
    report.before = opened.sparse->file().size();
    ExtentList unused;
    if (drop_unused) unused = TRY(find_unused(*opened.disk, report.notes));
    report.unused_bytes = unused.total();
    MaskLayer masked(*opened.disk, std::move(unused));
    Image image;
    image.footer = opened.footer;
    image.footer.creator = "win ";
    image.header.block_bytes = opened.sparse->image().header.block_bytes;
    auto made = TRY(NewFile::create(files, path, true));
    TRY(made.take_after(path));
    TRY(copy_dynamic(masked, made.file(), std::move(image), work));
    TRY(made.publish());
    report.after = TRY(files.size(made.file().fd()));
    return report;
}

}  // namespace slipway::disks
