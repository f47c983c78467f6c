// SPDX-License-Identifier: GPL-3.0-or-later
// XFS volumes by xfsprogs, without mounting them: made with content, some of it removed again, read back by xfs_db.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "lib/disks/test/checks.hpp"

namespace slipway::disks::test {

inline constexpr std::uint64_t kXfsImageBytes = (320u << 20) + 3 * 4096;  // not a multiple of the AGs

inline bool have_xfsprogs() { return run_command({"mkfs.xfs", "-V"}).ok() && run_command({"xfs_db", "-V"}).ok(); }

inline void make_xfs(const std::filesystem::path& image, const std::string& options,
                     const std::filesystem::path& prototype = {}) {
    make_file(image, kXfsImageBytes);
    std::vector<std::string> argv{"mkfs.xfs", "-q", "-f", "-L", "world"};
    std::istringstream words(options);
    for (std::string w; words >> w;) argv.push_back(w);
    if (!prototype.empty()) argv.insert(argv.end(), {"-p", prototype.string()});
    argv.push_back(image.string());
    run(argv);
}

// Smaller than mkfs.xfs makes them for others than the kernel's own tests.
inline void format_tiny_xfs(const std::filesystem::path& image, const std::string& options,
                            const std::filesystem::path& prototype = {}) {
    CommandOptions tiny;
    tiny.environment = {"TEST_DIR=x", "TEST_DEV=x", "QA_CHECK_FS=x"};
    std::vector<std::string> argv{"mkfs.xfs", "-q"};
    std::istringstream words(options);
    for (std::string w; words >> w;) argv.push_back(w);
    if (!prototype.empty()) argv.insert(argv.end(), {"-p", prototype.string()});
    argv.push_back(image.string());
    auto made = run_checked(argv, tiny);
    ASSERT_TRUE(made.ok()) << made.error().describe();
}

inline void make_tiny_xfs(const std::filesystem::path& image, std::uint64_t size, const std::string& options) {
    make_file(image, size);
    format_tiny_xfs(image, options);
}

inline std::string xfs_db(const std::filesystem::path& image, const std::vector<std::string>& commands) {
    std::vector<std::string> argv{"xfs_db", "-r"};
    for (const auto& c : commands) argv.insert(argv.end(), {"-c", c});
    argv.push_back(image.string());
    return run(argv);
}

inline std::uint64_t field(const std::filesystem::path& image, const std::string& of, const std::string& name) {
    auto text = xfs_db(image, {of, "p " + name});
    return std::stoull(text.substr(text.find('=') + 1));
}

// mkfs.xfs -p makes a file system with this content: the tree, and crumbs of one file each.
inline std::filesystem::path write_prototype(const TempDir& dir, const std::filesystem::path& tree, int crumbs) {
    auto path = dir / "prototype";
    std::ofstream out(path);
    auto bytes = pattern(5000, 7);
    std::ofstream(dir / "crumb", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    out << "/dev/null\n0 0\nd--755 0 0\n";
    for (const auto& sub : std::filesystem::directory_iterator(tree)) {
        out << sub.path().filename().string() << " d--755 0 0\n";
        for (const auto& file : std::filesystem::directory_iterator(sub.path()))
            out << file.path().filename().string() << " ---644 0 0 " << file.path().string() << "\n";
        out << "$\n";
    }
    for (int i = 0; i < crumbs; ++i) out << "c" << i << " ---644 0 0 " << (dir / "crumb").string() << "\n";
    out << "$\n";
    return path;
}

// Version 4 is no longer mounted by kernels: the content of a file by where xfs_db says it lies.
inline std::string content_by_blocks(const std::filesystem::path& image, const std::string& name, std::uint64_t size) {
    static const std::regex line(R"(data offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+))");
    auto text = xfs_db(image, {"path " + name, "bmap"});
    auto block = field(image, "sb 0", "blocksize"), group = field(image, "sb 0", "agblocks");
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    Bytes content((size + block - 1) / block * block);
    for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
        auto number = [&](std::size_t i) { return std::stoull((*it)[i].str()); };
        auto to = std::span(content).subspan(number(1) * block, number(4) * block);
        EXPECT_TRUE(disk->read((number(2) * group + number(3)) * block, to).ok());
    }
    content.resize(size);
    return std::string(as_text(content));
}

// Every second crumb loses its inode, and xfs_repair frees what it had.
inline void remove_crumbs(const std::filesystem::path& image, int crumbs) {
    std::vector<std::string> clear{"xfs_db", "-x"};
    for (int i = 0; i < crumbs; i += 2)
        clear.insert(clear.end(), {"-c", "path /c" + std::to_string(i), "-c", "write core.mode 0"});
    clear.push_back(image.string());
    run(clear);
    run({"xfs_repair", image.string()});
}

// A crumb that stayed, and every third file of make_tree().
inline void expect_content_by_blocks(const std::filesystem::path& image) {
    EXPECT_TRUE(content_by_blocks(image, "/c7", 5000) == as_text(pattern(5000, 7)));
    for (int i = 0; i < 60; i += 3) {
        auto size = static_cast<std::size_t>(1 + i * 9973);
        auto name = "/d" + std::to_string(i % 7) + "/f" + std::to_string(i);
        EXPECT_TRUE(content_by_blocks(image, name, size) == as_text(pattern(size, static_cast<unsigned>(i)))) << name;
    }
}

}  // namespace slipway::disks::test
