// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/linux/classify.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::uint16_t kVirtioVendor = 0x1af4;

struct Named {
    std::string_view name, meaning;
};

template <typename Rows>
std::string_view look_up(const Rows& rows, std::string_view name) {
    for (const auto& row : rows)
        if (row.name == name) return row.meaning;
    return {};
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

bool is_pci_slot(std::string_view part) {
    return part.size() >= 12 && part[4] == ':' && part[7] == ':' && part[10] == '.';
}

std::string last_pci_slot(std::string_view device_path) {
    std::string found;
    for (auto& part : split(device_path, '/'))
        if (is_pci_slot(part)) found = std::move(part);
    return found;
}

ControllerKind controller_kind_of_class(const PciId& pci) {
    if (pci.vendor == kVirtioVendor) return ControllerKind::Virtio;
    switch (pci.class_code >> 8) {
        case 0x0101: return ControllerKind::Ide;
        case 0x0104: return ControllerKind::Raid;
        case 0x0106: return ControllerKind::Ahci;
        case 0x0100:
        case 0x0107:
        case 0x0c04: return ControllerKind::Scsi;  // Fibre Channel as well
        case 0x0108: return ControllerKind::Nvme;
        case 0x0c03: return ControllerKind::Usb;
        default: return ControllerKind::Unknown;
    }
}

BusKind bus_of_path(std::string_view path, std::string_view driver, bool is_sata) {
    constexpr std::string_view kFibreChannel[] = {"qla2xxx", "lpfc", "bfa", "fnic", "bnx2fc", "fcoe"};
    if (has(path, "/usb")) return BusKind::Usb;
    if (has(path, "/nvme")) return BusKind::Nvme;
    if (has(path, "/virtio")) return BusKind::Virtio;
    if (has(path, "/session")) return BusKind::Iscsi;
    if (has(path, "/rport-")) return BusKind::FibreChannel;
    if (std::find(std::begin(kFibreChannel), std::end(kFibreChannel), driver) != std::end(kFibreChannel))
        return BusKind::FibreChannel;
    if (has(path, "/end_device-")) return BusKind::Sas;
    if (has(path, "/mmc")) return BusKind::Mmc;
    if (has(path, "/fw")) return BusKind::Firewire;
    if (has(path, "/ata")) return is_sata ? BusKind::Sata : BusKind::Ide;
    if (has(path, "/ide")) return BusKind::Ide;
    return has(path, "/host") ? BusKind::Scsi : BusKind::Unknown;
}

std::optional<bool> is_san(BusKind bus) {
    switch (bus) {
        case BusKind::Unknown:
        case BusKind::Scsi:
        case BusKind::Sas: return std::nullopt;
        case BusKind::FibreChannel:
        case BusKind::Iscsi: return true;
        default: return false;
    }
}

std::string filesystem_name(std::string name) {
    constexpr Named kRows[] = {
        {"LVM2_member", "lvm2-member"},  {"lvm2", "lvm2-member"}, {"linux_raid_member", "linux-raid-member"},
        {"mdraid", "linux-raid-member"}, {"crypto_LUKS", "luks"}, {"BitLocker", "bitlocker"}};
    auto ours = look_up(kRows, name);
    return ours.empty() ? name : std::string(ours);
}

std::string_view pool_of_filesystem(std::string_view filesystem) {
    constexpr Named kRows[] = {{"lvm2-member", "lvm"},
                               {"linux-raid-member", "md"},
                               {"zfs_member", "zfs"},
                               {"bcache", "bcache"},
                               {"drbd", "drbd"},
                               {"ddf_raid_member", "bios-raid"},
                               {"isw_raid_member", "bios-raid"},
                               {"nvidia_raid_member", "bios-raid"},
                               {"promise_fasttrack_raid_member", "bios-raid"},
                               {"lsi_mega_raid_member", "bios-raid"},
                               {"silicon_medley_raid_member", "bios-raid"},
                               {"via_raid_member", "bios-raid"},
                               {"adaptec_raid_member", "bios-raid"},
                               {"hpt37x_raid_member", "bios-raid"},
                               {"hpt45x_raid_member", "bios-raid"},
                               {"jmicron_raid_member", "bios-raid"},
                               {"LDM", "ldm"}};
    return look_up(kRows, filesystem);
}

// MBR types and GPT type GUIDs (Microsoft: Win32 PARTITION_INFORMATION_GPT; Linux: UAPI discoverable partitions).
std::string_view pool_of_partition_type(std::string_view type) {
    constexpr Named kRows[] = {{"0x42", "ldm"},
                               {"5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "ldm"},
                               {"af9b60a0-1431-4f62-bc68-3311714a69ad", "ldm"},
                               {"e75caf8f-f680-4cee-afa3-b001e56efc2d", "storage-spaces"},
                               {"0xfd", "md"},
                               {"a19d880f-05fc-4d3b-a006-743f0f84911e", "md"},
                               {"0x8e", "lvm"},
                               {"e6d6d379-f507-44c2-a23c-238f2a3df928", "lvm"},
                               {"6a898cc3-1dd2-11b2-99a6-080020736631", "zfs"}};
    return look_up(kRows, type);
}

std::string_view encryption_of_filesystem(std::string_view filesystem) {
    return filesystem == "luks" || filesystem == "bitlocker" ? filesystem : std::string_view();
}

void add_member(Disk& disk, std::string_view pool) {
    if (pool.empty()) return;
    auto at = std::lower_bound(disk.member_of.begin(), disk.member_of.end(), pool);
    if (at == disk.member_of.end() || *at != pool) disk.member_of.emplace(at, pool);
}

}  // namespace slipway::gatherhw
