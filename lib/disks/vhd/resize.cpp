// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/operations.hpp"

namespace slipway::disks {

namespace fs = std::filesystem;
using namespace vhd;

namespace {

Footer grown(const Footer& old, std::uint64_t size) {
    auto footer = old;
    footer.creator = "win ";
    // The specification means the size when it was made; libvhdi takes the disk's size from here.
    footer.original_size = footer.size = size;
    footer.geometry = chs_of(size / kSectorBytes);
    return footer;
}

// The new footer first, with the old size as its original one; then the old footer becomes zeroes of the disk; then the
// footer is the final one. In between the file is the larger disk with the old footer's bytes in it at original_size,
// where `check` finds and clears them.
Status grow_fixed(File& file, const Image& image, std::uint64_t size) {
    auto old_end = file.size();
    auto marked = grown(image.footer, size);
    marked.original_size = image.footer.size;
    TRY(file.write(size, encode_footer(marked)));
    TRY(file.flush());
    // Another program may have left bytes between the disk and its footer.
    if (file.size() > size + kFooterBytes) TRY(file.truncate(size + kFooterBytes));
    TRY(file.clear(image.footer.size, std::min(old_end, size) - image.footer.size));
    TRY(file.flush());
    TRY(file.write(size, encode_footer(grown(image.footer, size))));
    return file.flush();
}

// The table is written anew behind the blocks, which stay where they are; then one sector of the header names it. The
// old table's bytes are lost until the disk is compacted.
Status move_table(File& file, Image& image, std::uint64_t entries) {
    auto table = image.table;
    table.resize(entries, kUnallocated);
    auto bytes = encode_table(table);
    auto place = image.end;
    TRY(file.write(place + bytes.size(), encode_footer(image.footer)));
    TRY(file.write(place, bytes));
    TRY(file.flush());
    image.table = std::move(table);
    image.header.table_offset = place;
    image.header.entries = static_cast<std::uint32_t>(entries);
    image.end = place + bytes.size();
    TRY(file.write(image.footer.data_offset, encode_header(image.header)));
    return file.flush();
}

Status grow_dynamic(File& file, Image& image, std::uint64_t size) {
    auto block_bytes = std::uint64_t{image.header.block_bytes};
    TRY(check_block_bytes(image.header.block_bytes, size));
    auto entries = (size + block_bytes - 1) / block_bytes;
    // A table with room to spare may hold anything there: entries that were not used are set again.
    if (entries > image.table.size()) TRY(move_table(file, image, entries));
    // What the last block holds behind the old end was never the disk's: it becomes zero before it is.
    auto within = image.footer.size % block_bytes;
    auto last = static_cast<std::size_t>(image.footer.size / block_bytes);
    if (within && image.table[last] != kUnallocated) {
        TRY(file.clear(image.data_place(last) + within, block_bytes - within));
        TRY(file.flush());
    }
    auto footer = encode_footer(grown(image.footer, size));
    TRY(file.write(footer_place(file), footer));
    TRY(file.flush());
    TRY(file.write(0, footer));
    return file.flush();
}

}  // namespace

Result<ResizeReport> resize_vhd(const fs::path& path, std::uint64_t size, const VhdWork& work) {
    auto& files = work.files ? *work.files : real_files();
    auto file = TRY(File::open(files, path, OpenMode::ReadWrite));
    TRY(lock_for(file.fd(), Use::Write, path.string()));
    auto image = TRY_WITH(load_image(file), path.string());
    if (image.footer_copy_used)
        return make_error(errors::kVhdFooter, "{}: the footer at the end is damaged; mend it first", path.string());
    if (image.footer.kind == VhdKind::Differencing)
        return make_error(errors::kVhdUnsupported, "{} is a differencing disk, as large as its parent: merge it first",
                          path.string());
    size = (size + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
    if (size > kVhdMaxBytes) return make_error(errors::kVhdTooLarge, "{} bytes are more", size);
    if (size < image.footer.size)
        return make_error(errors::kVhdUnsupported,
                          "{} has {} bytes and cannot shrink to {}: what lies behind would be lost", path.string(),
                          image.footer.size, size);
    TRY(refuse_children(files, path, image.footer.id, "resized"));
    ResizeReport report{image.footer.size, size};
    if (size == image.footer.size) return report;
    TRY(image.fixed() ? grow_fixed(file, image, size) : grow_dynamic(file, image, size));
    return report;
}

}  // namespace slipway::disks
