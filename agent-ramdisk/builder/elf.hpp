// SPDX-License-Identifier: GPL-3.0-or-later
// As much of ELF (System V gABI, ELF64 little-endian) as it takes to carry a program and its libraries elsewhere.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::builder {

inline constexpr std::uint64_t kLargestProgram = 256u << 20;  // with what is stripped from it

struct ElfNeeds {
    std::string interpreter;               // PT_INTERP; empty for libraries and static programs
    std::vector<std::string> libraries;    // DT_NEEDED
    std::vector<std::string> search_path;  // DT_RUNPATH or DT_RPATH, with $ORIGIN as it stands
    std::uint64_t loaded_size = 0;         // bytes of the file up to the end of what is loaded
};

bool is_elf(ByteView file);
Result<ElfNeeds> read_elf(ByteView file);
// Without symbols and debugging: only what the program headers name.
Bytes strip_elf(ByteView file, const ElfNeeds& needs);

// The libraries and the interpreter that a program needs, directly and through others: path in the ramdisk (as the
// loader will look for it, no leading slash) -> file on this machine below `root`.
Result<std::map<std::string, std::filesystem::path>> find_libraries(const std::filesystem::path& program,
                                                                    const std::filesystem::path& root);

}  // namespace slipway::builder
