// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/modinfo.hpp"

#include <algorithm>

#include "agent-ramdisk/builder/elf.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace {

constexpr std::size_t kMaxSections = 65536, kMaxTexts = 65536, kMaxVersion = 128;

struct Section {
    std::uint32_t name = 0;
    std::uint64_t offset = 0, size = 0;
};

Section section_at(ByteView file, std::uint64_t table, std::size_t entry, std::size_t index) {
    ByteReader in(file);
    in.seek(table + index * entry);
    Section s;
    s.name = in.le32();
    in.skip(20);
    s.offset = in.le64();
    s.size = in.le64();
    if (in.failed() || s.offset > file.size() || s.size > file.size() - s.offset) return {};
    return s;
}

// The bytes of .modinfo; empty: there is no such section.
ByteView modinfo_section(ByteView file) {
    ByteReader in(file);
    in.seek(40);
    auto table = in.le64();
    in.seek(58);
    std::size_t entry = in.le16(), count = in.le16(), names_index = in.le16();
    if (in.failed() || table > file.size() || entry < 64 || count > kMaxSections || names_index >= count) return {};
    auto names = section_at(file, table, entry, names_index);
    auto text = as_text(file.subspan(names.offset, names.size));
    for (std::size_t i = 0; i < count; ++i) {
        auto s = section_at(file, table, entry, i);
        if (s.size && s.name < text.size() && text.substr(s.name).starts_with(std::string_view(".modinfo\0", 9)))
            return file.subspan(s.offset, s.size);
    }
    return {};
}

template <typename Use>
void for_each_text(ByteView bytes, Use use) {
    auto rest = as_text(bytes);
    for (std::size_t i = 0; i < kMaxTexts && !rest.empty(); ++i) {
        auto end = std::min(rest.find('\0'), rest.size());
        if (end) use(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
}

}  // namespace

Result<ModuleInfo> read_module_info(ByteView file) {
    if (!is_elf(file) || file.size() < 64 || file[4] != std::byte{2} || file[5] != std::byte{1})
        return make_error(errors::kElf, "not a 64-bit kernel module");
    ModuleInfo info;
    for_each_text(modinfo_section(file), [&](std::string_view text) {
        auto equals = text.find('=');
        if (equals == std::string_view::npos) return;
        auto key = text.substr(0, equals);
        std::string value(text.substr(equals + 1));
        if (key == "name") info.name = value;
        if (key == "vermagic") info.vermagic = value;
        if (key == "alias") info.aliases.push_back(value);
        if (key == "softdep") info.softdeps.push_back(value);
        if (key == "firmware") info.firmware.push_back(value);
        if (key == "depends")
            for (auto& name : split(value, ','))
                if (!name.empty()) info.depends.push_back(std::move(name));
    });
    if (info.vermagic.empty()) return make_error(errors::kElf, "no kernel module: it does not say for which kernel");
    return info;
}

std::vector<std::pair<std::string, std::string>> builtin_aliases(ByteView modinfo) {
    std::vector<std::pair<std::string, std::string>> out;
    constexpr std::string_view kAlias = ".alias=";
    auto rest = as_text(modinfo);
    while (!rest.empty()) {
        auto end = std::min(rest.find('\0'), rest.size());
        auto text = rest.substr(0, end);
        if (auto at = text.find(kAlias); at != std::string_view::npos)
            out.emplace_back(text.substr(0, at), text.substr(at + kAlias.size()));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return out;
}

std::string kernel_version_of(ByteView image) {
    ByteReader in(image);
    in.seek(0x202);
    if (in.text(4) != "HdrS") return {};
    in.seek(0x20e);
    std::size_t at = in.le16() + std::size_t{0x200};
    if (in.failed() || at == 0x200 || at >= image.size()) return {};
    auto text = as_text(image.subspan(at, std::min(kMaxVersion, image.size() - at)));
    text = text.substr(0, std::min(text.find(' '), text.find('\0')));
    bool sound = std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == '+' || c == '~';
    });
    return sound ? std::string(text) : std::string();
}

}  // namespace slipway::builder
