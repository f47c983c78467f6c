// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/drop_in.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostRefused = 64, kMostIds = 128;

struct OsDirectory {
    std::string_view name;
    unsigned major, minor, build;
    bool server;
};
// virtio-win's, and how others call them.
constexpr OsDirectory kOsDirectories[] = {
    {"xp", 5, 1, 0, false},       {"2k3", 5, 2, 0, true},       {"2003", 5, 2, 0, true},
    {"vista", 6, 0, 0, false},    {"2k8", 6, 0, 0, true},       {"w7", 6, 1, 0, false},
    {"2k8r2", 6, 1, 0, true},     {"w8", 6, 2, 0, false},       {"2k12", 6, 2, 0, true},
    {"w8.1", 6, 3, 0, false},     {"2k12r2", 6, 3, 0, true},    {"w10", 10, 0, 0, false},
    {"2k16", 10, 0, 14393, true}, {"2k19", 10, 0, 17763, true}, {"2k22", 10, 0, 20348, true},
    {"w11", 10, 0, 22000, false}, {"2k25", 10, 0, 26100, true},
};

std::optional<Architecture> architecture_of(std::string_view name) {
    if (name == "x86" || name == "i386") return Architecture::X86;
    if (name == "amd64" || name == "x64") return Architecture::Amd64;
    if (name == "arm64") return Architecture::Arm64;
    return std::nullopt;
}

std::string_view leaf(std::string_view path) { return path.substr(path.rfind('/') + 1); }
std::string_view parent(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool for_target(const InfDevice& device, TargetController target) {
    const auto& wanted = hardware_of(target);
    return std::any_of(device.ids.begin(), device.ids.end(), [&](const std::string& id) {
        return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& start) {
            return id.starts_with(start) && (id.size() == start.size() || id[start.size()] == '&');
        });
    });
}

// Why an INF file of a storage controller does not serve: nullopt, it does.
std::optional<std::string> why_not(const InfPackage& package, TargetController target) {
    bool known = false;
    for (const auto& device : package.devices) {
        if (!for_target(device, target)) continue;
        if (package.installs[device.install].service) return std::nullopt;
        known = true;
    }
    if (known) return "it installs no service that a boot loader could start";
    return fmt::format("it is for this Windows, but for no {} controller ({})", name_of(target),
                       join(hardware_of(target), ", "));
}

auto merit(const DropIn& drop_in) {
    std::uint64_t rank = 0;
    for (const auto& device : drop_in.package.devices) rank = std::max(rank, device.rank);
    return std::tuple(drop_in.directory, rank, drop_in.package.date, drop_in.package.version);
}

// "7b e9 36 4d …": a GUID as Windows has it in memory.
std::optional<std::string> guid_bytes(std::string_view guid) {
    std::string digits;
    for (const char c : guid)
        if (std::isxdigit(static_cast<unsigned char>(c))) digits += c;
    const auto bytes = from_hex(digits);
    if (guid.size() != 38 || !bytes || bytes->size() != 16) return std::nullopt;
    static constexpr std::size_t kOrder[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    std::string out;
    for (const auto at : kOrder) out += static_cast<char>((*bytes)[at]);
    return out;
}

Status register_database(Hive& system, const WindowsSystem& windows, const InfPackage& package,
                         const InfService& service, const std::vector<std::string>& ids) {
    const auto what = "driver " + service.name + ": known to the boot";
    const auto inf = fmt::format("slipway_{}.inf", to_lower(service.name));
    const auto label = fmt::format("{}_{}_0000000000000000", inf, name_of(windows.architecture));
    constexpr const char* kConfiguration = "slipway_conf";
    const std::string base = "DriverDatabase\\";
    const auto files = base + "DriverInfFiles\\" + inf;
    TRY(system.set(what, files, "", reg_multi_sz({label})));
    TRY(system.set(what, files, "Active", reg_sz(label)));
    TRY(system.set(what, files, "Configurations", reg_multi_sz({kConfiguration})));
    const auto packages = base + "DriverPackages\\" + label;
    const auto version = std::string("\x00\xff\x09\x00\x00\x00\x00\x00", 8) +
                         guid_bytes(package.class_guid).value_or("") + std::string(24, '\0');
    TRY(system.set(what, packages, "Version", reg_binary(version)));
    const auto configuration = fmt::format("{}\\Configurations\\{}", packages, kConfiguration);
    TRY(system.set(what, configuration, "ConfigFlags", reg_dword(0)));
    TRY(system.set(what, configuration, "Service", reg_sz(service.name)));
    for (const auto& id : ids) {
        TRY(system.set(what, base + "DeviceIds\\" + id, inf, reg_binary(std::string("\x01\xff\x00\x00", 4))));
        TRY(system.set(what, fmt::format("{}\\Descriptors\\{}", packages, id), "Configuration",
                       reg_sz(kConfiguration)));
    }
    return {};
}

Status register_critical(Hive& system, const WindowsSystem& windows, const InfPackage& package,
                         const InfService& service, const std::vector<std::string>& ids) {
    const auto what = "driver " + service.name + ": known to the boot";
    for (auto id : ids) {
        std::replace(id.begin(), id.end(), '\\', '#');
        const auto key = fmt::format("{}\\Control\\CriticalDeviceDatabase\\{}", windows.control_set, to_lower(id));
        TRY(system.set(what, key, "Service", reg_sz(service.name)));
        TRY(system.set(what, key, "ClassGUID", reg_sz(package.class_guid)));
    }
    return {};
}

}  // namespace

std::optional<unsigned> directory_suits(std::string_view path, const WindowsSystem& windows) {
    unsigned suits = 0;
    const auto parts = split(to_lower(path), '/');
    // The last ones count: "virtio-win/viostor/w10/amd64".
    for (std::size_t i = parts.size() > 3 ? parts.size() - 3 : 0; i < parts.size(); ++i) {
        if (const auto architecture = architecture_of(parts[i]); architecture && *architecture != windows.architecture)
            return std::nullopt;
        for (const auto& row : kOsDirectories) {
            if (row.name != parts[i]) continue;
            if (std::tuple(row.major, row.minor, row.build) > std::tuple(windows.major, windows.minor, windows.build))
                return std::nullopt;
            const bool same = row.major == windows.major && row.minor == windows.minor;
            suits = 1 + row.major * 1'000 + row.minor * 100 + row.build / 500 +
                    (same && row.server == windows.server ? 50 : 0);
        }
    }
    return suits;
}

const std::vector<std::string>& hardware_of(TargetController target) {
    static const std::vector<std::string> kIde{"PCI\\CC_0101", "PCI\\VEN_8086&DEV_7010", "PCI\\VEN_8086&DEV_7111"},
        kSata{"PCI\\CC_0106", "PCI\\VEN_8086&DEV_2922"}, kLsi{"PCI\\VEN_1000&DEV_0012"},
        kMegasas{"PCI\\VEN_1000&DEV_0060"}, kBlk{"PCI\\VEN_1AF4&DEV_1001", "PCI\\VEN_1AF4&DEV_1042"},
        kScsi{"PCI\\VEN_1AF4&DEV_1004", "PCI\\VEN_1AF4&DEV_1048"}, kNvme{"PCI\\CC_010802", "PCI\\VEN_1B36&DEV_0010"};
    switch (target) {
        case TargetController::Ide: return kIde;
        case TargetController::Sata: return kSata;
        case TargetController::ScsiLsi: return kLsi;
        case TargetController::Megasas: return kMegasas;
        case TargetController::VirtioBlk: return kBlk;
        case TargetController::VirtioScsi: return kScsi;
        case TargetController::Nvme: return kNvme;
    }
    return kIde;
}

DropIns choose_drop_ins(const std::vector<PackageFile>& files, const WindowsSystem& windows, TargetController target) {
    DropIns out;
    std::map<std::string, DropIn> best;
    auto refuse = [&](const PackageFile& file, std::string_view why) {
        if (out.refused.size() < kMostRefused) out.refused.push_back(fmt::format("{}: {}", printable(file.name), why));
    };
    for (const auto& file : files) {
        if (!to_lower(file.name).ends_with(".inf")) continue;
        const auto directory = directory_suits(parent(file.name), windows);
        if (!directory) {
            refuse(file, "its folder is for another Windows or machine");
            continue;
        }
        const auto inf = Inf::parse(file.content);
        if (!inf) {
            refuse(file, inf.error().message());
            continue;
        }
        DropIn found{file.name, package_for(*inf, windows), *directory};
        if (found.package.devices.empty()) {
            refuse(file, "it is for another Windows or machine");
            continue;
        }
        const auto name = to_lower(leaf(file.name));
        const auto known = best.find(name);
        if (known == best.end()) best.emplace(name, std::move(found));
        else if (merit(known->second) < merit(found)) known->second = std::move(found);
    }
    std::size_t closest = 0;
    for (auto& [name, drop_in] : best) {
        auto& devices = drop_in.package.devices;
        if (iequals(drop_in.package.class_name, "Net")) {
            out.network.push_back(std::move(drop_in));
        } else if (const auto why = why_not(drop_in.package, target)) {
            // Closer than all that is for another Windows: before those.
            if (closest < kMostRefused)
                out.refused.insert(out.refused.begin() + static_cast<long>(closest++),
                                   fmt::format("{}: {}", printable(drop_in.inf), *why));
        } else {
            std::erase_if(devices, [&](const auto& device) {
                return !for_target(device, target) || !drop_in.package.installs[device.install].service;
            });
            if (out.storage.empty()) out.storage.push_back(std::move(drop_in));
            else if (merit(out.storage[0]) < merit(drop_in)) out.storage[0] = std::move(drop_in);
        }
    }
    return out;
}

std::vector<std::string> registered_ids(const InfDevice& device) {
    std::vector<std::string> out;
    auto add = [&](std::string id) {
        const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '&' || c == '_' || c == '\\';
        });
        if (plain && id.starts_with("PCI\\") && std::count(id.begin(), id.end(), '\\') == 1 && id.size() <= 128 &&
            out.size() < kMostIds && std::find(out.begin(), out.end(), id) == out.end())
            out.push_back(std::move(id));
    };
    for (const auto& id : device.ids) {
        add(id);
        const auto at = id.find("&SUBSYS_");
        if (at == std::string::npos) continue;
        const auto end = std::min(id.find('&', at + 1), id.size());
        add(id.substr(0, at) + id.substr(end));
    }
    return out;
}

Status register_boot_driver(Hive& system, const WindowsSystem& windows, const InfPackage& package,
                            const InfDevice& device) {
    const auto& service = *package.installs[device.install].service;
    const auto what = "driver " + service.name + ": starts at boot";
    const auto key = windows.services() + "\\" + service.name;
    TRY(system.set(what, key, "Type", reg_dword(1)));
    TRY(system.set(what, key, "Start", reg_dword(0)));
    TRY(system.set(what, key, "ErrorControl", reg_dword(1)));
    TRY(system.set(what, key, "Group", reg_sz(service.group.empty() ? "SCSI miniport" : service.group)));
    TRY(system.set(what, key, "ImagePath", reg_expand_sz("system32\\drivers\\" + service.binary)));
    // Would put the start back to what it was when the driver was not in use.
    TRY(system.remove_key(what, key + "\\StartOverride"));
    for (const auto& entry : service.registry)
        TRY(system.set(what, entry.subkey.empty() ? key : key + "\\" + entry.subkey, entry.name, entry.value));
    const auto ids = registered_ids(device);
    if (system.has("DriverDatabase")) return register_database(system, windows, package, service, ids);
    return register_critical(system, windows, package, service, ids);
}

}  // namespace slipway::fixup::windows
