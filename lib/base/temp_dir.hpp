// SPDX-License-Identifier: GPL-3.0-or-later
// A directory that is removed with everything in it when its owner goes.
#pragma once

#include <filesystem>
#include <string_view>

#include "lib/base/result.hpp"

namespace slipway {

class TempDir {
public:
    // In $TMPDIR or /tmp, named slipway-PURPOSE-XXXXXX, mode 0700.
    static Result<TempDir> create(std::string_view purpose);
    TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    TempDir& operator=(TempDir&& other) noexcept;
    ~TempDir() { remove(); }

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

private:
    explicit TempDir(std::filesystem::path path) : path_(std::move(path)) {}
    void remove();
    std::filesystem::path path_;
};

}  // namespace slipway
