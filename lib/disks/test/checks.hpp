// SPDX-License-Identifier: GPL-3.0-or-later
// What the tests of this room share: running the oracles' tools, content, and the proof that a used-block map misses nothing.
#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::disks::test {

inline std::string run(const std::vector<std::string>& argv, const std::string& input = {}) {
    CommandOptions options;
    options.input = input;
    auto r = run_command(argv, options);
    EXPECT_TRUE(r.ok() && r->ok()) << argv[0] << ": " << (r.ok() ? r->error_text + r->output : r.error().describe());
    return r.ok() ? r->output : "";
}

inline Bytes pattern(std::size_t size, unsigned seed) {
    Bytes out(size);
    for (auto& b : out) b = static_cast<std::byte>((seed = seed * 1103515245 + 12345) >> 16);
    return out;
}

// Real disks and volumes, where they are; a test that needs one skips without.
inline std::filesystem::path shared_data() {
    const char* given = std::getenv("SLIPWAY_SHARED_DATA");
    return given ? std::filesystem::path(given) : std::filesystem::path(SLIPWAY_SOURCE_DIR) / "../shared/data";
}

inline void make_file(const std::filesystem::path& path, std::uint64_t size) {
    ASSERT_TRUE(FileDisk::create(path, size).ok());
}

// A tree of files small and large, some sparse, some removed again, in an ext file system made from it.
inline std::filesystem::path make_tree(const TempDir& dir) {
    auto tree = dir / "tree";
    for (int i = 0; i < 60; ++i) {
        auto sub = tree / ("d" + std::to_string(i % 7));
        std::filesystem::create_directories(sub);
        std::ofstream file(sub / ("f" + std::to_string(i)), std::ios::binary);
        auto bytes = pattern(static_cast<std::size_t>(1 + i * 9973), static_cast<unsigned>(i));
        file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    return tree;
}

// Everything outside the map is overwritten with 0xA5; the file system must not notice.
inline void scribble_outside(const std::filesystem::path& image, const UsedMap& map) {
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    std::uint64_t at = 0;
    auto fill = [&](std::uint64_t end) {
        for (; at < end; at += std::min<std::uint64_t>(65536, end - at)) {
            Bytes junk(std::min<std::uint64_t>(65536, end - at), std::byte{0xa5});
            ASSERT_TRUE(disk->write(at, junk).ok());
        }
    };
    for (const auto& e : map.used.extents()) {
        fill(e.offset);
        at = e.end();
    }
    fill(disk->size());
}

}  // namespace slipway::disks::test
