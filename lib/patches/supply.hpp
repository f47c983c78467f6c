// SPDX-License-Identifier: GPL-3.0-or-later
// Files of a patch library that is on another machine than the one that repairs: asked for one by one, by their keys,
// so that only what a Windows needs travels. Whoever asks looks at what comes (key_of()); whoever is asked gives out
// sound HALs and kernels alone.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/patches/library.hpp"

namespace slipway::patches {

// Nothing: the library has not that file.
using Supply = std::function<Result<std::optional<std::string>>(const FileKey&)>;

// Out of directories of this machine, in the form and order of Library::open(); the others are only read where the
// file is not where vmpatch puts it. Errors: base.io.
Result<std::optional<std::string>> find_in_libraries(const std::vector<std::filesystem::path>& directories,
                                                     const FileKey& key);

// A key that came as texts, "halacpi.dll", "5.2.3790.3959" and "0409": of a file that a library may have.
std::optional<FileKey> parse_key(std::string_view name, std::string_view version, std::string_view language);

}  // namespace slipway::patches
