// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/find_windows.hpp"

#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

// Of all directories at the top of a volume together: some seconds through FUSE.
constexpr std::size_t kNamesLookedThrough = 1'000'000, kNamesInOne = 100'000;

// Digits at the start: "3 or so" is 3.
unsigned leading_number(std::string_view text) {
    unsigned number = 0;
    for (char c : text) {
        if (c < '0' || c > '9' || number > 100'000'000) break;
        number = number * 10 + static_cast<unsigned>(c - '0');
    }
    return number;
}

void read_version(WindowsSystem& windows, const Hive& software, const std::string& key) {
    const auto version = software.string(key, "CurrentVersion").value_or("");
    windows.major = leading_number(version);
    if (const auto dot = version.find('.'); dot != std::string::npos)
        windows.minor = leading_number(std::string_view(version).substr(dot + 1));
    // Windows 10 and later say 6.3 there and the truth in numbers.
    if (const auto number = software.number(key, "CurrentMajorVersionNumber")) {
        windows.major = static_cast<unsigned>(*number);
        windows.minor = static_cast<unsigned>(software.number(key, "CurrentMinorVersionNumber").value_or(0));
    }
    auto build = software.string(key, "CurrentBuildNumber");
    if (!build) build = software.string(key, "CurrentBuild");
    windows.build = leading_number(build.value_or(""));
}

unsigned service_pack_of(const Hive& system, const Hive& software, const std::string& key,
                         const std::string& control_set) {
    constexpr std::string_view kWords = "Service Pack ";
    const auto text = software.string(key, "CSDVersion").value_or("");
    if (text.starts_with(kWords)) return leading_number(std::string_view(text).substr(kWords.size()));
    return static_cast<unsigned>(system.number(control_set + "\\Control\\Windows", "CSDVersion").value_or(0) >> 8 &
                                 0xff);
}

Result<Architecture> architecture_of(const Hive& system, const std::string& control_set) {
    const auto name = system.string(control_set + "\\Control\\Session Manager\\Environment", "PROCESSOR_ARCHITECTURE")
                          .value_or("x86");
    if (iequals(name, "x86")) return Architecture::X86;
    if (iequals(name, "AMD64")) return Architecture::Amd64;
    if (iequals(name, "ARM64")) return Architecture::Arm64;
    return make_error(errors::kWindows, "it is a Windows for {} processors, which are not repaired", printable(name));
}

std::string product_of(const WindowsSystem& windows, const Hive& software, const std::string& key) {
    auto name = software.string(key, "ProductName").value_or("");
    if (name.empty())
        name = fmt::format("Windows {}{}.{}", windows.major == 4 ? "NT " : "", windows.major, windows.minor);
    // It goes on saying 10.
    if (windows.build >= 22000 && !windows.server && name.starts_with("Windows 10")) name.replace(8, 2, "11");
    if (name.find("Windows") == std::string::npos) name = "Windows " + name;
    return printable(name);
}

// What setup calls it, of any version and as one of two: WINNT, WINDOWS, WTSRV, Windows.0, WINNT.SBS.
bool sounds_like_windows(std::string_view name) {
    return iequals(name.substr(0, 3), "win") || iequals(name.substr(0, 5), "wtsrv");
}

// left: how many names may still be read.
bool has_system32(const Guest& guest, const std::string& directory, std::size_t& left) {
    const auto limit = std::min(left, kNamesInOne);
    --left;
    const auto opened = guest.open_directory(directory);
    if (!opened) return false;
    const auto names = names_in(opened->get(), limit);
    left -= std::min(left, names ? names->size() : limit);
    return names && std::any_of(names->begin(), names->end(), [](auto& name) { return iequals(name, "system32"); });
}

bool is_system_root(const Guest& guest, const std::string& root) {
    const auto config = find_path(guest, root + "/system32/config");
    return config && find_path(guest, *config + "/system") && find_path(guest, *config + "/software");
}

}  // namespace

// A volume may be full of directories, and each of them full: those that sound like it come first, and then as many as
// can be looked through.
std::vector<std::string> system_roots(const Guest& guest) {
    std::vector<std::string> roots;
    auto names = guest.list("/");
    std::stable_partition(names.begin(), names.end(), sounds_like_windows);
    std::size_t left = kNamesLookedThrough;
    for (const auto& name : names) {
        if (left == 0) break;
        const auto root = "/" + name;
        if (has_system32(guest, root, left) && is_system_root(guest, root)) roots.push_back(root);
    }
    std::sort(roots.begin(), roots.end());
    return roots;
}

std::optional<std::string> named_by_boot_ini(std::string_view boot_ini, const std::vector<std::string>& roots) {
    for (const auto& line : split(boot_ini.substr(0, 1u << 20), '\n')) {
        const auto text = trim(line);
        const auto equals = text.find('=');
        if (equals == std::string_view::npos || !iequals(trim(text.substr(0, equals)), "default")) continue;
        const auto slash = text.rfind('\\');
        if (slash == std::string_view::npos || slash < equals) continue;
        const auto name = trim(text.substr(slash + 1));
        for (const auto& root : roots)
            if (iequals(std::string_view(root).substr(1), name)) return root;
    }
    return std::nullopt;
}

Result<WindowsSystem> describe_windows(const std::string& root, const Hive& system, const Hive& software) {
    const std::string key = "Microsoft\\Windows NT\\CurrentVersion";
    WindowsSystem windows;
    windows.root = root;
    const auto current = system.number("Select", "Current");
    if (!current || *current > 999) return make_error(errors::kWindows, "SYSTEM does not say its current control set");
    windows.control_set = fmt::format("ControlSet{:03}", *current);
    if (!system.has(windows.services()))
        return make_error(errors::kWindows, "SYSTEM has no {}", printable(windows.services()));
    if (!software.has(key)) return make_error(errors::kWindows, "SOFTWARE has no {}", key);
    read_version(windows, software, key);
    if (windows.major < 4) return make_error(errors::kWindows, "SOFTWARE does not say which version this Windows is");
    windows.architecture = TRY(architecture_of(system, windows.control_set));
    windows.service_pack = service_pack_of(system, software, key, windows.control_set);
    const auto kind = system.string(windows.control_set + "\\Control\\ProductOptions", "ProductType").value_or("WinNT");
    windows.server = !iequals(kind, "WinNT");
    windows.product = product_of(windows, software, key);
    return windows;
}

}  // namespace slipway::fixup::windows
