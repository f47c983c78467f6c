// SPDX-License-Identifier: GPL-3.0-or-later
// The texts of the model's enumerations, in their order: one table for writer and reader.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

template <typename Enum>
struct EnumNames;
template <>
struct EnumNames<Firmware> {
    static constexpr std::array<std::string_view, 3> names{"unknown", "bios", "uefi"};
};
template <>
struct EnumNames<ControllerKind> {
    static constexpr std::array<std::string_view, 8> names{"unknown", "ide",  "ahci",   "scsi",
                                                           "raid",    "nvme", "virtio", "usb"};
};
template <>
struct EnumNames<TableKind> {
    static constexpr std::array<std::string_view, 4> names{"unknown", "none", "mbr", "gpt"};
};
template <>
struct EnumNames<VolumeKind> {
    static constexpr std::array<std::string_view, 7> names{"unknown", "partition", "disk",     "lvm",
                                                           "md",      "crypt",     "multipath"};
};
template <>
struct EnumNames<VolumeState> {
    static constexpr std::array<std::string_view, 4> names{"unknown", "clean", "needs-recovery", "hibernated"};
};
template <>
struct EnumNames<AdapterKind> {
    static constexpr std::array<std::string_view, 8> names{"unknown", "physical", "wireless", "bond",
                                                           "bridge",  "vlan",     "virtual",  "team"};
};
template <>
struct EnumNames<AddressOrigin> {
    static constexpr std::array<std::string_view, 5> names{"unknown", "dhcp", "static", "link-local",
                                                           "router-advertisement"};
};
template <>
struct EnumNames<PortKind> {
    static constexpr std::array<std::string_view, 3> names{"serial", "parallel", "sound"};
};
template <>
struct EnumNames<BusKind> {
    static constexpr std::array<std::string_view, 12> names{"unknown", "ide", "sata", "scsi",   "sas", "fibre-channel",
                                                            "iscsi",   "usb", "nvme", "virtio", "mmc", "firewire"};
};
template <>
struct EnumNames<Health> {
    static constexpr std::array<std::string_view, 3> names{"unknown", "good", "failing"};
};
template <>
struct EnumNames<LicenceChannel> {
    static constexpr std::array<std::string_view, 5> names{"unknown", "oem", "retail", "volume", "evaluation"};
};
template <>
struct EnumNames<LogTopic> {
    static constexpr std::array<std::string_view, 5> names{"other", "disk-error", "filesystem-error", "memory",
                                                           "machine-check"};
};

template <typename Enum>
std::string_view name_in_table(Enum value) {
    auto at = static_cast<std::size_t>(value);
    const auto& names = EnumNames<Enum>::names;
    return at < names.size() ? names[at] : std::string_view("unknown");
}

template <typename Enum>
std::optional<Enum> value_in_table(std::string_view name) {
    const auto& names = EnumNames<Enum>::names;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return static_cast<Enum>(i);
    return std::nullopt;
}

}  // namespace slipway::gatherhw
