// SPDX-License-Identifier: GPL-3.0-or-later
// What a Windows program file says of itself: its VS_VERSIONINFO resource, and the checksum that the boot loader
// verifies. Pure; the bytes are hostile. Format: Microsoft, "PE Format" (optional header, ".rsrc" section) and
// "VS_VERSIONINFO structure".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::patches {

// What an installed file is compared by: VS_FIXEDFILEINFO's four numbers, 5.2.3790.3959.
struct FileVersion {
    std::uint16_t major = 0, minor = 0, build = 0, revision = 0;
    auto operator<=>(const FileVersion&) const = default;
    std::string text() const;
    static std::optional<FileVersion> parse(std::string_view text);  // four numbers with dots
};

// IMAGE_FILE_MACHINE_*
enum class Machine : std::uint16_t { Other = 0, X86 = 0x14c, Ia64 = 0x200, Amd64 = 0x8664, Arm64 = 0xaa64 };

struct PeVersion {
    Machine machine = Machine::Other;
    FileVersion version;
    std::uint16_t language = 0;  // 0x0409; 0: neutral
    std::string original_name;   // OriginalFilename, lower case: "halmacpi.dll", however the file is called; "": none
    bool debug = false;          // of a checked build (VS_FF_DEBUG)
    std::uint32_t checksum = 0;  // as the header says it
    bool operator==(const PeVersion&) const = default;
};

// Errors: patches.pe (no program file, cut, without version).
Result<PeVersion> read_pe_version(ByteView file);

// The checksum over the file, as the header of a sound one has it (CheckSumMappedFile). Errors: patches.pe.
Result<std::uint32_t> pe_checksum(ByteView file);

// "English" of 0x0409; "" where it is not one that Windows was made in.
std::string_view language_name(std::uint16_t language);
std::string language_code(std::uint16_t language);  // "0409"

}  // namespace slipway::patches
