// SPDX-License-Identifier: GPL-3.0-or-later
// What one VHD file says of itself, read from the file and held against its size.
#pragma once

#include <string>
#include <vector>

#include "lib/disks/vhd/files.hpp"
#include "lib/disks/vhd/format.hpp"

namespace slipway::disks::vhd {

struct Image {
    Footer footer;
    bool footer_copy_used = false;     // the footer at the end is damaged, the copy at the start served
    DynamicHeader header;              // this and the rest: not of fixed disks
    std::vector<std::uint32_t> table;  // one entry for each block of the disk
    std::uint64_t end = 0;             // behind everything the structures name

    bool fixed() const { return footer.kind == VhdKind::Fixed; }
    std::uint64_t block_place(std::size_t block) const { return std::uint64_t{table[block]} * kSectorBytes; }
    std::uint64_t data_place(std::size_t block) const { return block_place(block) + header.bitmap_bytes(); }
    std::uint64_t allocated_blocks() const;
};

// Where the footer at the end begins: 512 bytes before the end, or 511 in files of Virtual PC before 2004.
std::uint64_t footer_place(const File& file);
// The 512 bytes there; the last one of a 511-byte footer is zero.
Result<Bytes> read_last_footer(const File& file);

// Named errors for a wrong checksum, a cut file, blocks that share bytes, and anything that is no VHD.
Result<Image> load_image(const File& file);
struct FoundFooter {
    Footer footer;
    bool copy_used = false;
};
Result<FoundFooter> load_footer(const File& file);

// The parent's path as the file spells it, each empty when absent. Separators are '/'.
struct ParentPaths {
    std::string relative, absolute;
};
ParentPaths load_parent_paths(const File& file, const DynamicHeader& header);

// A footer for a new file: creator "win ", a new UUID, now.
Footer new_footer(VhdKind kind, std::uint64_t size);

// Writes footer copy, header, locator paths, an empty table and the footer. `image.header.locators` are set to where
// the paths went; an empty path gets none.
Status write_empty(File& file, Image& image, const ParentPaths& paths = {});
// The locator's bytes behind `place`, and their entry.
ParentLocator make_locator(std::string_view platform, ByteView text, std::uint64_t place);
// With '\\' as separator, as Windows and libvhdi look for it.
std::string windows_path(std::string path);

}  // namespace slipway::disks::vhd
