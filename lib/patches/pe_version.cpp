// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/pe_version.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/patches/errors.hpp"

namespace slipway::patches {

namespace {

constexpr std::uint32_t kVersionType = 16;  // RT_VERSION
constexpr std::uint32_t kSubdirectory = 0x80000000;
constexpr std::uint32_t kFixedInfo = 0xfeef04bd;
constexpr std::uint32_t kDebugFlag = 1;  // VS_FF_DEBUG
constexpr unsigned kMostSections = 96;   // what Windows loads
constexpr unsigned kMostEntries = 4096;  // of a resource directory: no file that is ours has more
constexpr std::size_t kLongestName = 64;

Error bad(std::string_view what) { return make_error(errors::kPe, "{}", what); }

struct Headers {
    Machine machine = Machine::Other;
    std::size_t checksum_at = 0;
    std::uint32_t checksum = 0;
    std::uint32_t resources = 0;  // RVA, 0: none
    std::size_t sections_at = 0;
    unsigned sections = 0;
};

Result<Headers> read_headers(ByteView file) {
    ByteReader in(file);
    if (in.text(2) != "MZ") return bad("no program file");
    in.seek(0x3c);
    in.seek(in.le32());
    if (in.text(4) != std::string_view("PE\0\0", 4)) return bad("a program of DOS or 16-bit Windows");
    Headers out;
    const auto machine = in.le16();
    for (auto known : {Machine::X86, Machine::Ia64, Machine::Amd64, Machine::Arm64})
        if (machine == static_cast<std::uint16_t>(known)) out.machine = known;
    out.sections = in.le16();
    in.skip(12);
    const auto optional_size = in.le16();
    in.skip(2);
    const auto optional_at = in.offset();
    const auto magic = in.le16();
    if (in.failed() || (magic != 0x10b && magic != 0x20b)) return bad("headers that are no PE's");
    out.checksum_at = optional_at + 64;
    in.seek(out.checksum_at);
    out.checksum = in.le32();
    const std::size_t directories = optional_at + (magic == 0x10b ? 92 : 108);
    in.seek(directories);
    if (in.le32() > 2) {
        in.skip(16);
        out.resources = in.le32();
    }
    out.sections_at = optional_at + optional_size;
    if (in.failed() || out.sections > kMostSections) return bad("cut in its headers");
    return out;
}

// Bytes of the image from rva to the end of its section's data in the file.
Result<ByteView> at_rva(ByteView file, const Headers& headers, std::uint32_t rva) {
    ByteReader in(file);
    in.seek(headers.sections_at);
    for (unsigned i = 0; i < headers.sections; ++i) {
        in.skip(12);
        const auto address = in.le32(), size = in.le32(), offset = in.le32();
        in.skip(16);
        if (in.failed()) return bad("cut in its section table");
        if (rva < address || rva - address >= size) continue;
        if (offset > file.size() || size > file.size() - offset) return bad("cut in a section");
        return file.subspan(offset, size).subspan(rva - address);
    }
    return bad("resources that are in no section");
}

struct Entry {
    std::uint32_t id = 0, offset = 0;
};
// The entry with that id, or the first of any.
std::optional<Entry> find_entry(ByteView resources, std::uint32_t directory, std::optional<std::uint32_t> id) {
    ByteReader in(resources);
    in.seek(directory);
    in.skip(12);
    const unsigned count = in.le16() + in.le16();
    for (unsigned i = 0; i < std::min(count, kMostEntries); ++i) {
        Entry entry;
        entry.id = in.le32();
        entry.offset = in.le32();
        if (in.failed()) return std::nullopt;
        if (!id || entry.id == *id) return entry;
    }
    return std::nullopt;
}

struct Resource {
    ByteView bytes;
    std::uint16_t language = 0;
};
// Three levels, type, name and language, and no more: no walk, no loop.
Result<Resource> version_resource(ByteView file, const Headers& headers) {
    if (headers.resources == 0) return bad("without version");
    const auto resources = TRY(at_rva(file, headers, headers.resources));
    const auto type = find_entry(resources, 0, kVersionType);
    if (!type || !(type->offset & kSubdirectory)) return bad("without version");
    const auto name = find_entry(resources, type->offset & ~kSubdirectory, std::nullopt);
    if (!name || !(name->offset & kSubdirectory)) return bad("without version");
    const auto language = find_entry(resources, name->offset & ~kSubdirectory, std::nullopt);
    if (!language || (language->offset & kSubdirectory)) return bad("without version");
    ByteReader in(resources);
    in.seek(language->offset);
    const auto rva = in.le32(), size = in.le32();
    if (in.failed()) return bad("cut in its resources");
    const auto data = TRY(at_rva(file, headers, rva));
    if (size > data.size()) return bad("cut in its version");
    return Resource{data.first(size), static_cast<std::uint16_t>(language->id)};
}

// A node of the version's tree: length, length of value, kind, name, then value and children, all aligned to 4.
struct Node {
    std::string name;
    ByteView value, children;
};

std::string ascii_of(char16_t c) { return std::string(1, c < 0x80 ? static_cast<char>(c) : '?'); }

std::size_t aligned(std::size_t at) { return (at + 3) / 4 * 4; }

// Takes the node at the front of `nodes`; nothing when there is none.
std::optional<Node> next_node(ByteView& nodes) {
    ByteReader in(nodes);
    const std::size_t length = in.le16();
    std::size_t value_size = in.le16();
    const bool is_text = in.le16() == 1;
    if (in.failed() || length < 6 || length > nodes.size()) return std::nullopt;
    const auto whole = nodes.first(length);
    nodes = nodes.subspan(std::min(nodes.size(), aligned(length)));
    ByteReader name(whole.subspan(6));
    Node out;
    while (true) {
        const auto c = name.le16();
        if (name.failed() || out.name.size() > kLongestName) return std::nullopt;
        if (c == 0) break;
        out.name += ascii_of(c);
    }
    const auto at = std::min(whole.size(), aligned(6 + name.offset()));
    if (is_text) value_size *= 2;  // in characters; some linkers wrote bytes
    value_size = std::min(value_size, whole.size() - at);
    out.value = whole.subspan(at, value_size);
    out.children = whole.subspan(std::min(whole.size(), aligned(at + value_size)));
    return out;
}

std::string text_of(ByteView utf16) {
    std::string out;
    ByteReader in(utf16);
    while (in.remaining() >= 2 && out.size() <= kLongestName) {
        const auto c = in.le16();
        if (c == 0) break;
        out += ascii_of(c);
    }
    return to_lower(out);
}

// StringFileInfo: tables, one a language and code page ("040904B0"), with names and texts.
void read_strings(ByteView tables, PeVersion& out) {
    while (auto table = next_node(tables)) {
        if (out.language == 0)
            if (const auto code = from_hex(table->name); code && code->size() == 4)
                out.language = static_cast<std::uint16_t>(std::to_integer<unsigned>((*code)[0]) << 8 |
                                                          std::to_integer<unsigned>((*code)[1]));
        auto strings = table->children;
        while (auto string = next_node(strings))
            if (string->name == "OriginalFilename" && out.original_name.empty())
                out.original_name = text_of(string->value);
    }
}

// VarFileInfo: Translation, language and code page.
void read_translation(ByteView variables, PeVersion& out) {
    while (auto variable = next_node(variables))
        if (variable->name == "Translation" && variable->value.size() >= 4)
            out.language = ByteReader(variable->value).le16();
}

}  // namespace

Result<PeVersion> read_pe_version(ByteView file) {
    const auto headers = TRY(read_headers(file));
    const auto resource = TRY(version_resource(file, headers));
    auto nodes = resource.bytes;
    const auto root = next_node(nodes);
    if (!root || root->name != "VS_VERSION_INFO") return bad("a version that is none");
    ByteReader fixed(root->value);
    PeVersion out{.machine = headers.machine, .checksum = headers.checksum};
    const auto magic = fixed.le32();
    fixed.skip(4);
    const auto high = fixed.le32(), low = fixed.le32();
    fixed.skip(8);
    const auto mask = fixed.le32(), flags = fixed.le32();
    if (fixed.failed() || magic != kFixedInfo) return bad("a version without numbers");
    out.version = {static_cast<std::uint16_t>(high >> 16), static_cast<std::uint16_t>(high),
                   static_cast<std::uint16_t>(low >> 16), static_cast<std::uint16_t>(low)};
    out.debug = (mask & flags & kDebugFlag) != 0;
    ByteView strings;
    auto children = root->children;
    while (auto child = next_node(children)) {
        if (child->name == "StringFileInfo") strings = child->children;
        if (child->name == "VarFileInfo") read_translation(child->children, out);
    }
    read_strings(strings, out);
    if (out.language == 0) out.language = resource.language;
    return out;
}

Result<std::uint32_t> pe_checksum(ByteView file) {
    const auto headers = TRY(read_headers(file));
    std::uint64_t sum = 0;
    for (std::size_t at = 0; at < file.size(); at += 2) {
        if (at >= headers.checksum_at && at < headers.checksum_at + 4) continue;
        sum += std::to_integer<unsigned>(file[at]);
        if (at + 1 < file.size()) sum += std::to_integer<unsigned>(file[at + 1]) << 8;
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint32_t>(sum + file.size());
}

std::string FileVersion::text() const { return fmt::format("{}.{}.{}.{}", major, minor, build, revision); }

std::optional<FileVersion> FileVersion::parse(std::string_view text) {
    const auto parts = split(text, '.');
    if (parts.size() != 4) return std::nullopt;
    std::uint16_t numbers[4];
    for (int i = 0; i < 4; ++i) {
        const auto number = parse_u64(parts[i]);
        if (!number || *number > 0xffff) return std::nullopt;
        numbers[i] = static_cast<std::uint16_t>(*number);
    }
    return FileVersion{numbers[0], numbers[1], numbers[2], numbers[3]};
}

std::string_view language_name(std::uint16_t language) {
    // Languages that Windows NT 4 to Server 2003 were made in: Microsoft, "Language Identifier Constants and Strings".
    static constexpr struct {
        std::uint16_t language;
        std::string_view name;
    } kLanguages[] = {
        {0x0401, "Arabic"},
        {0x0404, "Chinese (Taiwan)"},
        {0x0405, "Czech"},
        {0x0406, "Danish"},
        {0x0407, "German"},
        {0x0408, "Greek"},
        {0x0409, "English"},
        {0x0c0a, "Spanish"},
        {0x040b, "Finnish"},
        {0x040c, "French"},
        {0x040d, "Hebrew"},
        {0x040e, "Hungarian"},
        {0x0410, "Italian"},
        {0x0411, "Japanese"},
        {0x0412, "Korean"},
        {0x0413, "Dutch"},
        {0x0414, "Norwegian"},
        {0x0415, "Polish"},
        {0x0416, "Portuguese (Brazil)"},
        {0x0419, "Russian"},
        {0x041d, "Swedish"},
        {0x041e, "Thai"},
        {0x041f, "Turkish"},
        {0x0804, "Chinese (China)"},
        {0x0816, "Portuguese (Portugal)"},
        {0x0c04, "Chinese (Hong Kong)"},
    };
    for (const auto& row : kLanguages)
        if (row.language == language) return row.name;
    return "";
}

std::string language_code(std::uint16_t language) { return fmt::format("{:04x}", language); }

}  // namespace slipway::patches
