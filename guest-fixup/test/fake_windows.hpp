// SPDX-License-Identifier: GPL-3.0-or-later
// A Windows made of files: hives, real or made here, and an empty file for every driver that its registry names.
#pragma once

#include <string>

#include "guest-fixup/test/fake_root.hpp"
#include "guest-fixup/test/registry_trees.hpp"
#include "guest-fixup/windows/storage_plan.hpp"

namespace slipway::fixup::test {

struct Edition {
    const char *product, *version, *build, *pack;
    unsigned major = 0, minor = 0;  // Windows 10 and later
};
inline constexpr Edition kNt4{"", "4.0", "1381", "Service Pack 6"};
inline constexpr Edition kXp{"Microsoft Windows XP", "5.1", "2600", "Service Pack 3"};
inline constexpr Edition kSeven{"Windows 7 Ultimate", "6.1", "7601", "Service Pack 1"};
inline constexpr Edition kTen{"Windows 10 Pro", "6.3", "16299", "", 10, 0};

inline std::string software_hive(const Edition& edition, const std::string& root = "C:\\WINDOWS") {
    TestKey software;
    auto& key = software.key("Microsoft\\Windows NT\\CurrentVersion");
    if (*edition.product) key.set("ProductName", windows::reg_sz(edition.product));
    key.set("CurrentVersion", windows::reg_sz(edition.version));
    key.set("CurrentBuildNumber", windows::reg_sz(edition.build));
    if (*edition.pack) key.set("CSDVersion", windows::reg_sz(edition.pack));
    key.set("SystemRoot", windows::reg_sz(root));
    if (edition.major) {
        key.set("CurrentMajorVersionNumber", windows::reg_dword(edition.major));
        key.set("CurrentMinorVersionNumber", windows::reg_dword(edition.minor));
    }
    return make_hive(software);
}

// What every SYSTEM has; services and databases are the test's.
inline TestKey system_tree(const std::string& architecture = "x86") {
    TestKey system;
    system.key("Select").set("Current", windows::reg_dword(1));
    system.key("ControlSet001\\Control\\Session Manager\\Environment")
        .set("PROCESSOR_ARCHITECTURE", windows::reg_sz(architecture));
    system.key("ControlSet001\\Control\\ProductOptions").set("ProductType", windows::reg_sz("WinNT"));
    system.key("ControlSet001\\Control\\CrashControl").set("AutoReboot", windows::reg_dword(1));
    system.key("ControlSet001\\Services");
    return system;
}

inline void add_service(TestKey& system, const std::string& name, std::uint32_t start, const std::string& group) {
    auto& key = system.key("ControlSet001\\Services\\" + name);
    key.set("Type", windows::reg_dword(1)).set("Start", windows::reg_dword(start));
    key.set("ErrorControl", windows::reg_dword(1)).set("Group", windows::reg_sz(group));
    key.set("ImagePath", windows::reg_expand_sz("system32\\DRIVERS\\" + name + ".sys"));
}

inline void put_driver(const FakeRoot& guest, const std::string& root, const std::string& name) {
    guest.put(root + "/system32/drivers/" + name, "driver " + name);
}

// root: "/WINDOWS".
inline void put_windows(const FakeRoot& guest, const std::string& root, const std::string& system,
                        const std::string& software) {
    guest.put(root + "/system32/config/SYSTEM", system);
    guest.put(root + "/system32/config/SOFTWARE", software);
    guest.put(root + "/system32/ntoskrnl.exe", "kernel");
    std::filesystem::create_directories(guest.path() / root.substr(1) / "system32/drivers");
}

inline void put_all_drivers(const FakeRoot& guest, const std::string& root, const std::string& system) {
    const auto hive = windows::Hive::open(system, "SYSTEM");
    if (!hive) return;
    for (const auto& service : hive->keys("ControlSet001\\Services")) {
        const auto file = windows::driver_file(*hive, "ControlSet001\\Services", service);
        if (file.ends_with(".sys") || file.ends_with(".SYS")) {
            std::string lower = file;
            for (auto& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
            guest.put(root + "/" + lower, "driver " + service);
        }
    }
    put_driver(guest, root, "pciidex.sys");
}

}  // namespace slipway::fixup::test
