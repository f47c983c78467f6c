// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/image.hpp"

#include <algorithm>
#include <chrono>

#include "lib/disks/errors.hpp"

namespace slipway::disks::vhd {

namespace {

std::uint64_t up(std::uint64_t n, std::uint64_t to) { return (n + to - 1) / to * to; }

Result<DynamicHeader> load_header(const File& file, const Footer& footer) {
    if (footer.data_offset > file.size() || file.size() - footer.data_offset < kHeaderBytes)
        return make_error(errors::kVhdHeader, "the dynamic disk header lies behind the end of the file");
    Bytes bytes(kHeaderBytes);
    TRY(file.read(footer.data_offset, bytes));
    return parse_header(bytes, footer.size);
}

Result<std::vector<std::uint32_t>> load_table(const File& file, const Footer& footer, const DynamicHeader& header) {
    // Only what the disk's size asks for: a table may have been made larger than that.
    auto entries = (footer.size + header.block_bytes - 1) / header.block_bytes;
    if (header.table_offset > file.size() || entries * 4 > file.size() - header.table_offset)
        return make_error(errors::kVhdHeader, "the block table lies behind the end of the file");
    Bytes bytes(entries * 4);
    TRY(file.read(header.table_offset, bytes));
    return parse_table(bytes);
}

std::string load_path(const File& file, const DynamicHeader& header, std::string_view platform) {
    for (const auto& l : header.locators) {
        if (l.platform != platform || l.data_length > kMaxLocatorBytes) continue;
        Bytes text(l.data_length);
        if (!file.read(l.data_offset, text).ok()) continue;
        auto path = from_utf16(text, false);
        std::replace(path.begin(), path.end(), '\\', '/');
        return path;
    }
    return {};
}

}  // namespace

std::uint64_t Image::allocated_blocks() const {
    return table.size() - static_cast<std::uint64_t>(std::count(table.begin(), table.end(), kUnallocated));
}

std::uint64_t footer_place(const File& file) {
    auto length = file.size() % kSectorBytes == kFooterBytes - 1 ? kFooterBytes - 1 : kFooterBytes;
    return file.size() < length ? 0 : file.size() - length;
}

Result<Bytes> read_last_footer(const File& file) {
    Bytes bytes(kFooterBytes);
    auto place = footer_place(file);
    if (file.size() < kFooterBytes - 1)
        return make_error(errors::kVhdFooter, "{} bytes cannot hold a footer", file.size());
    TRY(file.read(place, std::span(bytes).first(file.size() - place)));
    return bytes;
}

Result<FoundFooter> load_footer(const File& file) {
    auto last = parse_footer(TRY(read_last_footer(file)));
    if (last.ok()) return FoundFooter{*last, false};
    Bytes bytes(kFooterBytes);
    if (file.size() < kFooterBytes) return std::move(last).error();
    TRY(file.read(0, bytes));
    auto first = parse_footer(bytes);
    if (first.ok() && first->kind != VhdKind::Fixed) return FoundFooter{*first, true};
    return std::move(last).error();
}

Result<Image> load_image(const File& file) {
    auto found = TRY(load_footer(file));
    Image image;
    image.footer = found.footer;
    image.footer_copy_used = found.copy_used;
    if (image.fixed()) {
        if (image.footer.size > footer_place(file))
            return make_error(errors::kVhdFooter, "the file is cut: {} bytes hold no disk of {}", file.size(),
                              image.footer.size);
        image.end = image.footer.size;
        return image;
    }
    image.header = TRY(load_header(file, image.footer));
    image.table = TRY(load_table(file, image.footer, image.header));
    if (auto faults = check_table(image.table, image.header, file.size(), 1); !faults.empty()) {
        auto cut = faults[0].kind == TableFault::Kind::BehindEnd ? "the file is cut or its block table is damaged: "
                                                                 : "the block table is damaged: ";
        return make_error(errors::kVhdHeader, "{}{}", cut, text_of(faults[0], image.header));
    }
    image.end = end_of_blocks(image.table, image.header, file.size());
    // A footer that is not at a whole sector must not be overwritten in part by what comes behind the blocks.
    if (footer_place(file) % kSectorBytes != 0) image.end = std::max(image.end, up(file.size(), kSectorBytes));
    return image;
}

ParentPaths load_parent_paths(const File& file, const DynamicHeader& header) {
    return {load_path(file, header, kRelativePath), load_path(file, header, kAbsolutePath)};
}

Footer new_footer(VhdKind kind, std::uint64_t size) {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    Footer footer;
    footer.timestamp = since_2000(std::chrono::duration_cast<std::chrono::seconds>(now).count());
    footer.size = footer.original_size = up(size, kSectorBytes);
    footer.geometry = chs_of(footer.size / kSectorBytes);
    footer.kind = kind;
    footer.id = Uuid::random();
    if (kind != VhdKind::Fixed) footer.data_offset = kFooterBytes;
    return footer;
}

std::string windows_path(std::string path) {
    std::replace(path.begin(), path.end(), '/', '\\');
    return path;
}

ParentLocator make_locator(std::string_view platform, ByteView text, std::uint64_t place) {
    // The space in bytes, as Windows writes it, not in sectors as the specification has it.
    return {std::string(platform), static_cast<std::uint32_t>(up(text.size(), kSectorBytes)),
            static_cast<std::uint32_t>(text.size()), place};
}

Status write_empty(File& file, Image& image, const ParentPaths& paths) {
    auto& h = image.header;
    h.entries = static_cast<std::uint32_t>((image.footer.size + h.block_bytes - 1) / h.block_bytes);
    image.footer.data_offset = kFooterBytes;
    image.table.assign(h.entries, kUnallocated);
    ByteWriter locators;
    h.locators.clear();
    for (auto [platform, path] : {std::pair{kRelativePath, &paths.relative}, {kAbsolutePath, &paths.absolute}}) {
        if (path->empty()) continue;
        auto text = to_utf16(windows_path(*path), false);
        h.locators.push_back(make_locator(platform, text, kFooterBytes + kHeaderBytes + locators.size()));
        locators.bytes(text).pad_to(up(locators.size(), kSectorBytes));
    }
    h.table_offset = kFooterBytes + kHeaderBytes + locators.size();
    auto footer = encode_footer(image.footer);
    ByteWriter all;
    all.bytes(footer).bytes(encode_header(h)).bytes(locators.view()).bytes(encode_table(image.table));
    image.end = all.size();
    all.bytes(footer);
    return file.write(0, all.view());
}

}  // namespace slipway::disks::vhd
