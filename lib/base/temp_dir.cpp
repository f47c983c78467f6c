// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/temp_dir.hpp"

#include <cerrno>
#include <cstdlib>

#include "lib/base/errors.hpp"

namespace slipway {

Result<TempDir> TempDir::create(std::string_view purpose) {
    auto base = std::filesystem::temp_directory_path();
    std::string name = (base / fmt::format("slipway-{}-XXXXXX", purpose)).string();
    if (!::mkdtemp(name.data())) return errno_error(errno, name);
    return TempDir(name);
}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
    if (this != &other) {
        remove();
        path_ = std::exchange(other.path_, {});
    }
    return *this;
}

void TempDir::remove() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace slipway
