// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/storage_tables.hpp"

#include <algorithm>

#include "guest-fixup/windows/storage_plan.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr InboxService kInbox[] = {
    {"atapi", "SCSI miniport", 0x19, ""},
    {"intelide", "System Bus Extender", 4, "pciidex.sys"},
    {"pciide", "System Bus Extender", 3, "pciidex.sys"},
    {"disk", "SCSI Class", 2, ""},
    {"sym_hi", "SCSI miniport", 0x37, "", true},  // as the service of a real XP has it, where it is not in use
    {"msahci", "SCSI Miniport", 0, ""},
    {"storahci", "SCSI Miniport", 0, ""},
    {"stornvme", "SCSI Miniport", 0, ""},
    {"megasas", "SCSI Miniport", 0, ""},
    {"viostor", "SCSI miniport", 0, ""},
    {"vioscsi", "SCSI miniport", 0, ""},
};

std::vector<CriticalDevice> rows_of_ide() {
    std::vector<CriticalDevice> rows;
    const auto add = [&](std::string device, const char* service) {
        rows.push_back({std::move(device), service, kHardDiskControllerClass});
    };
    for (const char* channel : {"primary_ide_channel", "secondary_ide_channel", "*pnp0600", "*azt0502"})
        add(channel, "atapi");
    rows.push_back({"gendisk", "disk", kDiskClass});
    for (const char* id :
         {"pci#cc_0101", "pci#ven_0e11&dev_ae33", "pci#ven_1039&dev_0601", "pci#ven_1039&dev_5513",
          "pci#ven_1042&dev_1000", "pci#ven_105a&dev_4d33", "pci#ven_1095&dev_0640", "pci#ven_1095&dev_0646",
          "pci#ven_1095&dev_0646&rev_05", "pci#ven_1095&dev_0646&rev_07", "pci#ven_1095&dev_0648",
          "pci#ven_1095&dev_0649", "pci#ven_1097&dev_0038", "pci#ven_10ad&dev_0001", "pci#ven_10ad&dev_0150",
          "pci#ven_10b9&dev_5215", "pci#ven_10b9&dev_5219", "pci#ven_10b9&dev_5229", "pci#ven_1106&dev_0571"})
        add(id, "pciide");
    for (const char* device : {"1222", "1230", "2411", "2421", "7010", "7111", "7199"})
        add(std::string("pci#ven_8086&dev_") + device, "intelide");
    return rows;
}

// 01 ff 00 00: what Windows writes for an INF that takes the device.
const std::string kTakes("\x01\xff\x00\x00", 4);

// DriverPackages\Version: revision, class GUID, then date and version of the driver, which may be zeros.
std::string package_version() {
    std::string out("\x00\xff\x09\x00\x00\x00\x00\x00\x7b\xe9\x36\x4d\x25\xe3\xce\x11\xbf\xc1\x08\x00\x2b\xe1\x03\x18",
                    24);
    out.append(24, '\0');
    return out;
}

}  // namespace

std::span<const InboxService> inbox_services() { return kInbox; }

const std::vector<CriticalDevice>& critical_devices_of_ide() {
    static const std::vector<CriticalDevice> rows = rows_of_ide();
    return rows;
}

const std::vector<std::string>& device_ids(TargetController target) {
    static const std::vector<std::string> ide{"VEN_8086&DEV_7010", "VEN_8086&DEV_7111", "CC_0101"};
    static const std::vector<std::string> sata{"VEN_8086&DEV_2922", "CC_010601"};
    static const std::vector<std::string> lsi{"VEN_1000&DEV_0012"};
    static const std::vector<std::string> megasas{"VEN_1000&DEV_0060"};
    static const std::vector<std::string> virtio_blk{"VEN_1AF4&DEV_1001", "VEN_1AF4&DEV_1042"};
    static const std::vector<std::string> virtio_scsi{"VEN_1AF4&DEV_1004", "VEN_1AF4&DEV_1048"};
    static const std::vector<std::string> nvme{"VEN_1B36&DEV_0010", "CC_010802"};
    switch (target) {
        case TargetController::Ide: return ide;
        case TargetController::Sata: return sata;
        case TargetController::ScsiLsi: return lsi;
        case TargetController::Megasas: return megasas;
        case TargetController::VirtioBlk: return virtio_blk;
        case TargetController::VirtioScsi: return virtio_scsi;
        case TargetController::Nvme: break;
    }
    return nvme;
}

Status add_to_driver_database(Hive& system, Architecture architecture, const std::string& service,
                              const std::vector<std::string>& ids) {
    const std::string inf = "slipway-" + service + ".inf", configuration = "slipway_" + service;
    const auto label = fmt::format("{}_{}_0000000000000000", inf, name_of(architecture));
    const std::string database = "DriverDatabase\\", package = database + "DriverPackages\\" + label;
    const auto what = fmt::format("storage: Plug and Play gives the new controller to {}", service);
    for (const auto& id : ids) {
        TRY(system.set(what, database + "DeviceIds\\PCI\\" + id, inf, reg_binary(kTakes)));
        TRY(system.set(what, package + "\\Descriptors\\PCI\\" + id, "Configuration", reg_sz(configuration)));
    }
    const auto file = database + "DriverInfFiles\\" + inf;
    TRY(system.set(what, file, "", reg_multi_sz({label})));
    TRY(system.set(what, file, "Active", reg_sz(label)));
    TRY(system.set(what, file, "Configurations", reg_multi_sz({configuration})));
    TRY(system.set(what, package, "Version", reg_binary(package_version())));
    TRY(system.set(what, package + "\\Configurations\\" + configuration, "ConfigFlags", reg_dword(0)));
    return system.set(what, package + "\\Configurations\\" + configuration, "Service", reg_sz(service));
}

}  // namespace slipway::fixup::windows
