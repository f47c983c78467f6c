// SPDX-License-Identifier: GPL-3.0-or-later
// Windows system files and the archives they come in, made by the tests: a program file of headers and a version alone,
// a cabinet that is not compressed, SZDD of literals.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/patches/pe_version.hpp"

namespace slipway::patches::test {

struct PeRecipe {
    std::string original_name = "halacpi.dll";
    FileVersion version{5, 2, 3790, 3959};
    std::uint16_t language = 0x0409;
    Machine machine = Machine::X86;
    bool debug = false;
    std::string body = "code";  // what tells two of them apart
};

inline void append_utf16(ByteWriter& out, std::string_view text) {
    for (char c : text) out.le16(static_cast<unsigned char>(c));
    out.le16(0);
}
inline void align4(ByteWriter& out) { out.zeros((4 - out.size() % 4) % 4); }

// value_length: bytes, or characters of a text.
inline Bytes version_node(std::string_view name, bool text, std::size_t value_length, ByteView value,
                          const std::vector<Bytes>& children = {}) {
    ByteWriter body;
    body.zeros(6);
    append_utf16(body, name);
    align4(body);
    body.bytes(value);
    for (const auto& child : children) {
        align4(body);
        body.bytes(child);
    }
    auto out = std::move(body).take();
    const auto head = std::move(ByteWriter()
                                    .le16(static_cast<std::uint16_t>(out.size()))
                                    .le16(static_cast<std::uint16_t>(value_length))
                                    .le16(text ? 1 : 0))
                          .take();
    std::copy(head.begin(), head.end(), out.begin());
    return out;
}

inline Bytes version_resource(const PeRecipe& recipe) {
    ByteWriter fixed, name, translation;
    const auto& v = recipe.version;
    const auto high = std::uint32_t{v.major} << 16 | v.minor, low = std::uint32_t{v.build} << 16 | v.revision;
    fixed.le32(0xfeef04bd).le32(0x10000).le32(high).le32(low).le32(high).le32(low);
    fixed.le32(0x3f).le32(recipe.debug ? 1 : 0).le32(0x40004).le32(2).zeros(12);
    append_utf16(name, recipe.original_name);
    translation.le16(recipe.language).le16(1200);
    const auto code = language_code(recipe.language) + "04B0";
    const auto string = version_node("OriginalFilename", true, recipe.original_name.size() + 1, name.view());
    const auto strings = version_node("StringFileInfo", true, 0, {}, {version_node(code, true, 0, {}, {string})});
    const auto variables =
        version_node("VarFileInfo", true, 0, {}, {version_node("Translation", false, 4, translation.view())});
    return version_node("VS_VERSION_INFO", false, 52, fixed.view(), {strings, variables});
}

inline std::string make_pe(const PeRecipe& recipe) {
    constexpr std::uint32_t kPeAt = 0x80, kResourceRva = 0x2000, kResourceAt = 0x200;
    ByteWriter resources;
    auto directory = [&](std::uint32_t id, std::uint32_t offset) {
        resources.zeros(12).le16(0).le16(1).le32(id).le32(offset);
    };
    directory(16, 0x80000000 | 24);
    directory(1, 0x80000000 | 48);
    directory(recipe.language, 72);
    const auto version = version_resource(recipe);
    resources.le32(kResourceRva + 88).le32(static_cast<std::uint32_t>(version.size())).le32(1200).le32(0);
    resources.bytes(version).text(recipe.body);
    const auto size = static_cast<std::uint32_t>(resources.size());

    ByteWriter out;
    out.text("MZ").pad_to(0x3c).le32(kPeAt).pad_to(kPeAt);
    out.text(std::string_view("PE\0\0", 4)).le16(static_cast<std::uint16_t>(recipe.machine)).le16(1).zeros(12);
    out.le16(224).le16(0x210e);
    const auto optional_at = out.size();
    out.le16(0x10b).pad_to(optional_at + 92).le32(16).zeros(16).le32(kResourceRva).le32(size);
    out.pad_to(optional_at + 224);
    out.text(std::string_view(".rsrc\0\0\0", 8)).le32(size).le32(kResourceRva).le32(size).le32(kResourceAt).zeros(16);
    out.pad_to(kResourceAt).bytes(resources.view());
    std::string file(as_text(out.view()));
    const auto checksum = pe_checksum(as_bytes(file)).value();
    for (int i = 0; i < 4; ++i) file[optional_at + 64 + i] = static_cast<char>(checksum >> 8 * i);
    return file;
}

inline std::string make_pe(std::string name, FileVersion version, std::uint16_t language = 0x0409) {
    return make_pe({.original_name = std::move(name), .version = version, .language = language});
}

// Not compressed, without checksums, which cabinets may be.
inline std::string make_cabinet(const std::vector<std::pair<std::string, std::string>>& files) {
    std::string data;
    ByteWriter names;
    for (const auto& [name, content] : files) {
        names.le32(static_cast<std::uint32_t>(content.size())).le32(static_cast<std::uint32_t>(data.size()));
        names.le16(0).le16(0x2e62).le16(0x6000).le16(0x20).text(name).u8(0);
        data += content;
    }
    constexpr std::size_t kBlock = 32768;
    ByteWriter blocks;
    std::uint16_t count = 0;
    for (std::size_t at = 0; at < data.size(); at += kBlock, ++count) {
        const auto part = std::string_view(data).substr(at, kBlock);
        const auto size = static_cast<std::uint16_t>(part.size());
        blocks.le32(0).le16(size).le16(size).text(part);
    }
    const auto files_at = 36u + 8u, data_at = static_cast<std::uint32_t>(files_at + names.size());
    ByteWriter out;
    out.text("MSCF").le32(0).le32(static_cast<std::uint32_t>(data_at + blocks.size())).le32(0).le32(files_at).le32(0);
    out.u8(3).u8(1).le16(1).le16(static_cast<std::uint16_t>(files.size())).le16(0).le16(1).le16(0);
    out.le32(data_at).le16(count).le16(0);
    out.bytes(names.view()).bytes(blocks.view());
    return std::string(as_text(out.view()));
}

// One file that begins in a cabinet and ends in another, as they name each other.
inline std::pair<std::string, std::string> make_cabinet_pair(const std::string& first, const std::string& second,
                                                             const std::string& name, const std::string& content) {
    constexpr std::size_t kBlock = 32768;
    const auto part = [&](bool is_second, std::uint16_t blocks, const Bytes& data) {
        ByteWriter entry, links;
        entry.le32(static_cast<std::uint32_t>(content.size())).le32(0).le16(is_second ? 0xfffd : 0xfffe);
        entry.le16(0x2e62).le16(0x6000).le16(0x20).text(name).u8(0);
        links.text(is_second ? first : second).u8(0).text("disk").u8(0);
        const auto files_at = static_cast<std::uint32_t>(36 + links.size() + 8);
        const auto data_at = static_cast<std::uint32_t>(files_at + entry.size());
        ByteWriter out;
        out.text("MSCF").le32(0).le32(static_cast<std::uint32_t>(data_at + data.size())).le32(0).le32(files_at).le32(0);
        out.u8(3).u8(1).le16(1).le16(1).le16(is_second ? 1 : 2).le16(7).le16(is_second ? 1 : 0);
        out.bytes(links.view()).le32(data_at).le16(blocks).le16(0).bytes(entry.view()).bytes(data);
        return std::string(as_text(out.view()));
    };
    // The first block is cut in two; the second half says how long both are together.
    const auto whole = std::string_view(content).substr(0, kBlock);
    const auto half = whole.size() / 2;
    ByteWriter one, two;
    one.le32(0).le16(static_cast<std::uint16_t>(half)).le16(0).text(whole.substr(0, half));
    two.le32(0).le16(static_cast<std::uint16_t>(whole.size() - half)).le16(static_cast<std::uint16_t>(whole.size()));
    two.text(whole.substr(half));
    std::uint16_t blocks = 1;
    for (std::size_t at = kBlock; at < content.size(); at += kBlock, ++blocks) {
        const auto rest = std::string_view(content).substr(at, kBlock);
        const auto size = static_cast<std::uint16_t>(rest.size());
        two.le32(0).le16(size).le16(size).text(rest);
    }
    return {part(false, 1, std::move(one).take()), part(true, blocks, std::move(two).take())};
}

// A program that unpacks itself: what a linker begins one with, and cabinets behind it.
inline std::string make_program_with(const std::vector<std::string>& cabinets) {
    std::string out = make_pe("sfx.exe", {1, 0, 0, 0}) + "MSCF is what it looks for" + std::string(300, '\0');
    for (const auto& cabinet : cabinets) out += cabinet + "some bytes between";
    return out;
}

inline std::string make_szdd(std::string_view content) {
    ByteWriter out;
    out.text("SZDD\x88\xf0\x27\x33").u8('A').u8('l').le32(static_cast<std::uint32_t>(content.size()));
    for (std::size_t at = 0; at < content.size(); at += 8) out.u8(0xff).text(content.substr(at, 8));
    return std::string(as_text(out.view()));
}

inline std::string make_kwaj(std::string_view content) {
    ByteWriter out;
    out.text("KWAJ\x88\xf0\x27\xd1").le16(0).le16(14).le16(0).text(content);
    return std::string(as_text(out.view()));
}

inline void put(const std::filesystem::path& path, std::string_view content) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
}

}  // namespace slipway::patches::test
