// SPDX-License-Identifier: GPL-3.0-or-later
// Looks for HALs and kernels in a tree: as they are (ServicePackFiles, Driver Cache after an update), compressed
// (HALACPI.DL_), in cabinets (driver.cab, sp2.cab) and sets of them, in a service pack's or update's program, and in
// what such a one holds in turn. Links are not followed; the tree is hostile and is only read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/patches/library.hpp"

namespace slipway::vmpatch {

struct FillLimits {
    std::size_t names = 500'000;  // of the tree, that are looked at
    int depth = 24;
};

struct FilledFile {
    patches::LibraryFile file;
    std::string source;  // "I386/HALACPI.DL_", "I386/SP2.CAB: halacpi.dll"
    bool is_new = false;
};

struct Filled {
    std::vector<FilledFile> files;      // by source
    std::vector<std::string> left_out;  // no HAL or kernel of these systems, and why
    std::vector<std::string> warnings;  // damaged, or another content than the library's
};

// One filler at a time: the library is locked. Errors: vmpatch.nothing, patches.too-much, base.*.
Result<Filled> fill_library(const std::filesystem::path& source, const std::filesystem::path& library,
                            const FillLimits& limits = {});

}  // namespace slipway::vmpatch
