// SPDX-License-Identifier: GPL-3.0-or-later
// The patch library: HALs and kernels of Windows, each in the exact version and language that some system needs.
//
//   LIBRARY/Source/OS_NUMBER/LANGUAGE/NAME      Patches/Source/5.2.3790.3959/0409/halacpi.dll
//
// OS_NUMBER is the file's own version, which tells the service level; LANGUAGE its language as four hexadecimal digits;
// NAME its OriginalFilename. vmpatch files them so. There is no index: what a file is stands in the file itself, and is
// read from it each time, so that a file that was copied by hand is good in any folder below Source (VSMT's
// Source/OS_NUMBER too), and one with a false name, a cut one (its checksum) or one of a checked build is none.
// A file is written once: temporary name, fsync, rename, fsync of the folder and of each new one's parent.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/patches/pe_version.hpp"

namespace slipway::patches {

inline constexpr std::uint64_t kLargestFile = 16u << 20;  // kernels have 2 to 3 MiB
inline constexpr const char* kDefaultLibrary = "/var/lib/slipway/Patches";

struct FileKey {
    std::string name;  // OriginalFilename, lower case: "halacpi.dll"
    FileVersion version;
    std::uint16_t language = 0;
    auto operator<=>(const FileKey&) const = default;
    std::string text() const;  // "halacpi.dll 5.2.3790.3959 (0409, English)"
};

// Whether it belongs in a library, and as what: a sound HAL or kernel for x86, no checked build. Errors: patches.pe,
// patches.not-system-file.
Result<FileKey> key_of(ByteView file);

struct LibraryFile {
    FileKey key;
    std::filesystem::path path;
    bool operator==(const LibraryFile&) const = default;
};

class Library {
public:
    Library() = default;
    // What lies below DIRECTORY/Source of each, looked into in this order. A directory that is not there holds nothing.
    static Library open(const std::vector<std::filesystem::path>& directories);

    const std::vector<LibraryFile>& files() const { return files_; }  // by key; of equal ones the first found
    const std::vector<std::string>& notes() const { return notes_; }  // files that are none, and why
    const LibraryFile* find(const FileKey& key) const;
    // The file's content, looked at again. Errors: patches.pe (it is not that file any more), base.io.
    Result<std::string> read(const LibraryFile& file) const;

private:
    std::vector<LibraryFile> files_;
    std::vector<std::string> notes_;
};

// Where vmpatch would put it.
std::filesystem::path path_of(const std::filesystem::path& library, const FileKey& key);

struct Added {
    LibraryFile file;
    bool is_new = false;
};
// Errors: those of key_of(), patches.differs (another file with that key is there already), base.io.
Result<Added> add_to_library(const std::filesystem::path& library, ByteView file);

}  // namespace slipway::patches
