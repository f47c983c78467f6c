// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/importers/importers.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <slipway_version.hpp>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/shared.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::size_t kEntryPoint = 32;  // dmidecode --dump-bin pads it to that

// The table after the entry point that says where it lies; a table that begins at once is of version 2.6 or later.
struct TablePlace {
    std::size_t offset = 0;
    bool uuid_is_guid = true;
};

TablePlace table_in(ByteView dump) {
    ByteReader reader(dump);
    auto anchor = reader.text(5);
    auto version = [&](std::size_t at) {
        reader.seek(at);
        auto major = reader.u8();
        return major * 256 + reader.u8();
    };
    if (anchor == "_SM3_") return {kEntryPoint, true};
    if (anchor.starts_with("_SM_")) {
        auto found = version(6);
        return {kEntryPoint, found >= 0x206};
    }
    // A legacy entry point alone is older than 2.1.
    if (anchor == "_DMI_") return {kEntryPoint, false};
    return {};
}

}  // namespace

std::optional<DumpKind> dump_kind_named(std::string_view name) {
    for (std::size_t i = 0; i < std::size(kDumpKinds); ++i)
        if (kDumpKinds[i] == name) return static_cast<DumpKind>(i);
    return std::nullopt;
}

Result<Inventory> import_smbios(ByteView dump) {
    auto place = table_in(dump);
    if (place.offset >= dump.size())
        return make_error(errors::kBadDump, "{} bytes are too few for an SMBIOS table", dump.size());
    auto table = parse_smbios(dump.subspan(place.offset), place.uuid_is_guid);
    if (table.manufacturer.empty() && table.model.empty() && table.bios_vendor.empty() && table.memory_bytes == 0)
        return make_error(errors::kBadDump, "there is no SMBIOS structure with a BIOS, a system or memory in it");
    Inventory out;
    take_smbios(table, out.system);
    auto& cpu = out.system.processors;
    cpu.vendor = table.cpu_vendor;
    cpu.model = table.cpu_model;
    cpu.mhz = table.cpu_mhz;
    cpu.sockets = table.sockets;
    cpu.cores = std::max(table.cores, table.sockets);
    cpu.threads = std::max(table.threads, cpu.cores);
    cpu.is_64bit = table.cpu_64bit;
    out.system.hypervisor = hypervisor_named(table.manufacturer, table.model);
    if (out.system.hypervisor.empty() && table.virtual_machine) out.system.hypervisor = "unknown";
    for (auto what : {"operating system", "disks", "network adapters"}) note(out, what, "an SMBIOS table has none");
    if (table.uefi_supported) note(out, "firmware", "the table says that UEFI is supported, not that it was used");
    tidy(out);
    return out;
}

Result<Inventory> import_dumps(DumpKind kind, const std::vector<Dump>& dumps) {
    if (dumps.empty()) return make_error(errors::kBadDump, "no file was given");
    if (dumps.size() > (kind == DumpKind::Wmi ? kMaxDumps : 1))
        return make_error(errors::kTooManyDumps, "{} files of kind {}", dumps.size(),
                          kDumpKinds[static_cast<std::size_t>(kind)]);
    for (const auto& d : dumps)
        if (d.bytes.size() > kMaxDump)
            return make_error(errors::kBadDump, "{} has {}", printable(d.name), human_bytes(d.bytes.size()));
    const auto& first = dumps.front().bytes;
    auto out = kind == DumpKind::Lshw     ? import_lshw(as_text(first))
               : kind == DumpKind::Udev   ? import_udev(as_text(first))
               : kind == DumpKind::Smbios ? import_smbios(first)
                                          : import_wmi(dumps);
    if (!out) return out;
    out->program = fmt::format("gatherhw {} --import {}", kVersion, kDumpKinds[static_cast<std::size_t>(kind)]);
    return out;
}

}  // namespace slipway::gatherhw
