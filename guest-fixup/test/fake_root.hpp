// SPDX-License-Identifier: GPL-3.0-or-later
// A small guest made of files, for tests.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "lib/base/temp_dir.hpp"

namespace slipway::fixup::test {

class FakeRoot {
public:
    FakeRoot() : dir_(TempDir::create("fixup-test").value()) {}
    const std::filesystem::path& path() const { return dir_.path(); }
    void put(const std::string& name, const std::string& text) const {
        const auto file = path() / name.substr(1);
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
    }
    void link(const std::string& name, const std::string& target) const {
        const auto place = path() / name.substr(1);
        std::filesystem::create_directories(place.parent_path());
        std::filesystem::create_symlink(target, place);
    }
    // A unit of systemd, as its package leaves it and as `systemctl enable` does.
    void install_unit(const std::string& unit) const { put("/lib/systemd/system/" + unit, "[Unit]\n"); }
    void enable_unit(const std::string& unit) const {
        install_unit(unit);
        link("/etc/systemd/system/multi-user.target.wants/" + unit, "/lib/systemd/system/" + unit);
    }
    std::string get(const std::string& name) const {
        std::ifstream file(path() / name.substr(1), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    bool has(const std::string& name) const { return std::filesystem::exists(symlink_status(path() / name.substr(1))); }
    // Every file and its content, links with their targets.
    std::map<std::string, std::string> everything() const {
        std::map<std::string, std::string> all;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
            const auto name = "/" + std::filesystem::relative(entry.path(), path()).string();
            if (entry.is_symlink()) all[name] = "-> " + read_symlink(entry.path()).string();
            else if (entry.is_regular_file()) all[name] = get(name);
        }
        return all;
    }

private:
    TempDir dir_;
};

}  // namespace slipway::fixup::test
