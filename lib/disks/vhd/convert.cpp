// SPDX-License-Identifier: GPL-3.0-or-later
// convert, and the export of formats that qemu-img writes.
#include <algorithm>

#include "lib/base/errors.hpp"
#include "lib/base/process.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/copy.hpp"

namespace slipway::disks {

namespace fs = std::filesystem;
using namespace vhd;

namespace {

struct Source {
    std::unique_ptr<BlockDevice> disk;
    std::vector<std::string> warnings;
};

Result<Source> open_source(const ConvertRequest& request, Files& files) {
    if (looks_like_vhd(request.from)) {
        auto opened = TRY(open_chain(request.from, {OpenMode::ReadOnly, true, &files}));
        if (!request.despite_children) TRY(refuse_children(files, request.from, opened.footer.id, "converted"));
        return Source{std::move(opened.disk), std::move(opened.warnings)};
    }
    auto raw = TRY(FileDisk::open(request.from, OpenMode::ReadOnly));
    if (!raw->is_block_device()) TRY(lock_for(raw->fd(), Use::Read, request.from.string()));
    return Source{std::move(raw), {}};
}

// A disk whose size is rounded up to whole sectors; what is added reads as zero.
class WholeSectors final : public PassLayer {
public:
    using PassLayer::PassLayer;
    std::uint64_t size() const override { return (below_.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        auto have = offset < below_.size() ? std::min<std::uint64_t>(buffer.size(), below_.size() - offset) : 0;
        std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(have), buffer.end(), std::byte{0});
        return have ? below_.read(offset, buffer.first(have)) : Status{};
    }
    Result<DataRange> next_data(std::uint64_t offset) override { return below_.next_data(offset); }
};

Status copy_to(BlockDevice& source, File& out, const ConvertRequest& request, const VhdWork& work,
               ConvertReport& report) {
    if (request.format == DiskFormat::Raw) {
        report.data_bytes = TRY(copy_flat(source, out, work)).data_bytes;
        return {};
    }
    WholeSectors whole(source);
    if (whole.size() == 0 || whole.size() > kVhdMaxBytes)
        return make_error(errors::kVhdTooLarge, "a disk of {} bytes cannot be made", whole.size());
    if (request.format == DiskFormat::Fixed) {
        auto footer = new_footer(VhdKind::Fixed, whole.size());
        report.data_bytes = TRY(copy_flat(whole, out, work)).data_bytes;
        return out.write(footer.size, encode_footer(footer));
    }
    TRY(check_block_bytes(request.block_bytes, whole.size()));
    Image image;
    image.footer = new_footer(VhdKind::Dynamic, whole.size());
    image.header.block_bytes = request.block_bytes;
    report.data_bytes = TRY(copy_dynamic(whole, out, std::move(image), work)).data_bytes;
    return {};
}

// qemu-img reads no differencing disks and takes some sizes from CHS: it is given the content as a raw file.
Status export_by_qemu_img(BlockDevice& source, File& out, const ConvertRequest& request, const VhdWork& work) {
    std::optional<NewFile> flat;
    auto raw = request.from;
    if (!dynamic_cast<FileDisk*>(&source)) {
        flat.emplace(TRY(NewFile::create(out.files(), request.to)));
        TRY(copy_flat(source, flat->file(), work));
        raw = flat->file().path();
    }
    // Over our own empty file, whose name nobody else has.
    TRY(run_checked({"qemu-img", "convert", "-q", "-f", "raw", "-O", std::string(name_of(request.format)),
                     fs::absolute(raw).string(), fs::absolute(out.path()).string()}));
    return {};
}

}  // namespace

std::string_view name_of(DiskFormat format) {
    switch (format) {
        case DiskFormat::Raw: return "raw";
        case DiskFormat::Fixed: return "fixed";
        case DiskFormat::Dynamic: return "dynamic";
        case DiskFormat::Qcow2: return "qcow2";
        case DiskFormat::Vhdx: return "vhdx";
    }
    return "?";
}

std::optional<DiskFormat> parse_disk_format(std::string_view text) {
    for (auto format : {DiskFormat::Raw, DiskFormat::Fixed, DiskFormat::Dynamic, DiskFormat::Qcow2, DiskFormat::Vhdx})
        if (text == name_of(format)) return format;
    return std::nullopt;
}

Result<ConvertReport> convert_disk(const ConvertRequest& request, const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    auto source = TRY(open_source(request, files));
    ConvertReport report;
    report.size = source.disk->size();
    report.warnings = std::move(source.warnings);
    auto made = TRY(NewFile::create(files, request.to));
    if (request.format == DiskFormat::Qcow2 || request.format == DiskFormat::Vhdx)
        TRY(export_by_qemu_img(*source.disk, made.file(), request, work));
    else TRY(copy_to(*source.disk, made.file(), request, work, report));
    TRY(made.publish());
    report.file_size = TRY(files.size(made.file().fd()));
    return report;
}

}  // namespace slipway::disks
