// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/elf.hpp"

#include <algorithm>
#include <deque>

#include "agent-ramdisk/builder/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace fs = std::filesystem;

namespace {

enum : std::uint32_t { kLoad = 1, kDynamic = 2, kInterp = 3 };                             // p_type
enum : std::uint64_t { kNull = 0, kNeeded = 1, kStrtab = 5, kRpath = 15, kRunpath = 29 };  // d_tag
constexpr std::uint16_t kX86_64 = 62;
constexpr std::size_t kMaxHeaders = 256, kMaxDynamic = 4096;

// Where the dynamic loader of Debian looks without a cache.
constexpr std::string_view kDirectories[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib", "/usr/lib",
                                             "/lib64"};

struct Segment {
    std::uint32_t type = 0;
    std::uint64_t offset = 0, address = 0, size = 0;
};

std::string text_at(ByteView file, std::uint64_t offset) {
    if (offset >= file.size()) return {};
    auto rest = as_text(file.subspan(offset));
    return std::string(rest.substr(0, rest.find('\0')));
}

Result<std::vector<Segment>> read_segments(ByteView file) {
    ByteReader in(file);
    if (!is_elf(file)) return make_error(errors::kElf, "not an ELF file");
    in.skip(18);
    auto machine = in.le16();
    if (file.size() < 64 || file[4] != std::byte{2} || machine != kX86_64)
        return make_error(errors::kElf, "not for x86-64");
    in.seek(32);
    auto table = in.le64();
    in.seek(54);
    auto entry = in.le16(), count = in.le16();
    if (in.failed() || entry < 56 || count > kMaxHeaders) return make_error(errors::kElf, "bad program headers");
    std::vector<Segment> out;
    for (std::size_t i = 0; i < count; ++i) {
        in.seek(table + i * entry);
        Segment s;
        s.type = in.le32();
        in.skip(4);
        s.offset = in.le64();
        s.address = in.le64();
        in.skip(8);
        s.size = in.le64();
        if (in.failed() || s.offset > file.size() || s.size > file.size() - s.offset)
            return make_error(errors::kElf, "a segment lies outside the file");
        out.push_back(s);
    }
    return out;
}

std::uint64_t offset_of(const std::vector<Segment>& segments, std::uint64_t address) {
    for (const auto& s : segments)
        if (s.type == kLoad && address >= s.address && address - s.address < s.size)
            return s.offset + (address - s.address);
    return UINT64_MAX;
}

void read_dynamic(ByteView file, const std::vector<Segment>& segments, const Segment& dynamic, ElfNeeds& needs) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> entries;
    ByteReader in(file.subspan(dynamic.offset, dynamic.size));
    while (in.remaining() >= 16 && entries.size() < kMaxDynamic) {
        auto tag = in.le64(), value = in.le64();
        if (tag == kNull) break;
        entries.emplace_back(tag, value);
    }
    std::uint64_t strings = UINT64_MAX;
    for (auto [tag, value] : entries)
        if (tag == kStrtab) strings = offset_of(segments, value);
    if (strings == UINT64_MAX) return;
    for (auto [tag, value] : entries) {
        if (tag != kNeeded && tag != kRpath && tag != kRunpath) continue;
        auto text = value < file.size() ? text_at(file, strings + value) : std::string();
        if (text.empty()) continue;
        if (tag == kNeeded) {
            needs.libraries.push_back(text);
            continue;
        }
        for (auto& part : split(text, ':')) needs.search_path.push_back(std::move(part));
    }
}

}  // namespace

bool is_elf(ByteView file) {
    return as_text(file.first(std::min<std::size_t>(4, file.size()))) ==
           "\x7f"
           "ELF";
}

Result<ElfNeeds> read_elf(ByteView file) {
    auto segments = TRY(read_segments(file));
    ElfNeeds needs;
    for (const auto& s : segments) {
        needs.loaded_size = std::max(needs.loaded_size, s.offset + s.size);
        if (s.type == kInterp) needs.interpreter = text_at(file.first(s.offset + s.size), s.offset);
        if (s.type == kDynamic) read_dynamic(file, segments, s, needs);
    }
    return needs;
}

Bytes strip_elf(ByteView file, const ElfNeeds& needs) {
    Bytes out(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(std::max<std::uint64_t>(needs.loaded_size, 64)));
    std::fill_n(out.begin() + 40, 8, std::byte{0});  // e_shoff
    std::fill_n(out.begin() + 60, 4, std::byte{0});  // e_shnum, e_shstrndx
    return out;
}

Result<std::map<std::string, fs::path>> find_libraries(const fs::path& program, const fs::path& root) {
    std::map<std::string, fs::path> found;
    auto below = [&](const std::string& path) { return root / fs::path(path).relative_path(); };
    std::deque<std::pair<fs::path, std::string>> todo{{program, program.parent_path().string()}};  // file, its $ORIGIN
    while (!todo.empty()) {
        auto [file, origin] = todo.front();
        todo.pop_front();
        auto needs = TRY_WITH(read_elf(TRY(read_file(file, kLargestProgram))), file.string());
        if (!needs.interpreter.empty())
            found.emplace(fs::path(needs.interpreter).relative_path(), below(needs.interpreter));
        std::vector<std::string> directories;
        for (auto path : needs.search_path) {
            if (path.starts_with("$ORIGIN")) path.replace(0, 7, origin);
            directories.push_back(path);
        }
        directories.insert(directories.end(), std::begin(kDirectories), std::end(kDirectories));
        for (const auto& name : needs.libraries) {
            auto has = [&](const std::string& directory) { return fs::is_regular_file(below(directory + "/" + name)); };
            auto directory = std::find_if(directories.begin(), directories.end(), has);
            if (directory == directories.end())
                return make_error(errors::kLibrary, "{} needs {}, which is not here", file.string(), name);
            auto path = *directory + "/" + name;
            if (found.emplace(fs::path(path).relative_path(), below(path)).second)
                todo.emplace_back(below(path), *directory);
        }
    }
    return found;
}

}  // namespace slipway::builder
