// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/importers/shared.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/net.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::uint32_t kReplacement = 0xfffd;

void append_utf8(std::string& out, std::uint32_t c) {
    auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) return put(c);
    if (c < 0x800) return put(0xc0 | c >> 6), put(0x80 | (c & 0x3f));
    if (c < 0x10000) return put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
    put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 0x3f)), put(0x80 | (c >> 6 & 0x3f)), put(0x80 | (c & 0x3f));
}

std::string from_utf16(ByteView bytes, bool little) {
    ByteReader reader(bytes);
    std::string out;
    std::uint32_t high = 0;
    auto next = [&] { return little ? reader.le16() : reader.be16(); };
    while (reader.remaining() >= 2) {
        std::uint32_t unit = next();
        if (unit == 0xfeff) continue;  // some dumps have a second mark
        bool low = unit >= 0xdc00 && unit < 0xe000;
        if (high != 0 && low) {
            append_utf8(out, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
            high = 0;
            continue;
        }
        if (high != 0) append_utf8(out, kReplacement);
        high = unit >= 0xd800 && unit < 0xdc00 ? unit : 0;
        if (high == 0) append_utf8(out, low ? kReplacement : unit);
    }
    if (high != 0) append_utf8(out, kReplacement);
    return out;
}

template <typename List>
void cut(Inventory& out, List& list, std::string_view name) {
    if (list.size() <= kMaxListed) return;
    note(out, std::string(name), fmt::format("{} listed: only the first {} are taken", list.size(), kMaxListed));
    list.resize(kMaxListed);
}

void drop_partitions_past_the_end(Inventory& out, Disk& disk) {
    std::erase_if(disk.partitions, [&](const Partition& p) {
        bool past = disk.size != 0 && (p.offset > disk.size || p.length > disk.size - p.offset);
        if (past) note(out, "partition " + p.name, "ends past the end of its disk: left out");
        return past;
    });
    std::stable_sort(disk.partitions.begin(), disk.partitions.end(),
                     [](const Partition& a, const Partition& b) { return a.offset < b.offset; });
}

}  // namespace

std::string decode_text(ByteView bytes) {
    auto starts = [&](std::string_view mark) { return as_text(bytes).starts_with(mark); };
    if (starts("\xff\xfe")) return from_utf16(bytes, true);
    if (starts("\xfe\xff")) return from_utf16(bytes, false);
    if (starts("\xef\xbb\xbf")) return std::string(as_text(bytes.subspan(3)));
    auto head = as_text(bytes.first(std::min<std::size_t>(bytes.size(), 64)));
    if (head.find('\0') != std::string_view::npos) return from_utf16(bytes, true);
    return std::string(as_text(bytes));
}

std::string unescape_entities(std::string_view text) {
    struct Row {
        std::string_view entity;
        char character;
    };
    constexpr Row kRows[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    std::string out;
    while (!text.empty()) {
        const auto* row = text.front() != '&' ? std::end(kRows)
                                              : std::find_if(std::begin(kRows), std::end(kRows),
                                                             [&](const Row& r) { return text.starts_with(r.entity); });
        bool known = row != std::end(kRows);
        out += known ? row->character : text.front();
        text.remove_prefix(known ? row->entity.size() : 1);
    }
    return out;
}

std::string uuid_text(std::string_view text) {
    auto uuid = Uuid::parse(trim(text));
    return uuid && !uuid->is_zero() ? uuid->text() : "";
}

std::string mac_text(std::string_view text) {
    auto mac = MacAddress::parse(trim(text));
    return mac && !mac->is_zero() ? mac->text() : "";
}

std::optional<PciId> pci_of_pnp(std::string_view pnp_id) {
    auto id = to_lower(pnp_id.substr(0, 200));
    if (!id.starts_with("pci\\")) return std::nullopt;
    auto hex = [&](std::string_view key, std::size_t skip, std::size_t digits) -> std::optional<std::uint64_t> {
        auto at = id.find(key);
        if (at == std::string::npos || at + key.size() + skip + digits > id.size()) return std::nullopt;
        return parse_number("0x" + id.substr(at + key.size() + skip, digits));
    };
    auto vendor = hex("ven_", 0, 4), device = hex("dev_", 0, 4);
    if (!vendor || !device) return std::nullopt;
    PciId out;
    out.vendor = static_cast<std::uint16_t>(*vendor);
    out.device = static_cast<std::uint16_t>(*device);
    out.subsystem_device = static_cast<std::uint16_t>(hex("subsys_", 0, 4).value_or(0));
    out.subsystem_vendor = static_cast<std::uint16_t>(hex("subsys_", 4, 4).value_or(0));
    return out;
}

void note(Inventory& out, std::string what, std::string why) {
    if (out.unread.size() < kMaxListed) out.unread.push_back({std::move(what), std::move(why)});
}

void take_smbios(const Smbios& table, System& out) {
    auto take = [](std::string& into, const std::string& from) {
        if (into.empty()) into = from;
    };
    take(out.bios_vendor, table.bios_vendor);
    take(out.bios_version, table.bios_version);
    take(out.bios_date, table.bios_date);
    take(out.manufacturer, table.manufacturer);
    take(out.model, table.model);
    take(out.serial, table.serial);
    take(out.uuid, table.uuid);
    take(out.board, table.board);
    take(out.chassis, table.chassis);
    if (table.memory_bytes) out.memory_bytes = table.memory_bytes;
    out.memory_limit_bytes = table.memory_limit_bytes;
    out.memory_modules = table.modules;
}

void tidy(Inventory& out) {
    cut(out, out.controllers, "controllers");
    cut(out, out.disks, "disks");
    cut(out, out.volumes, "volumes");
    cut(out, out.network, "network adapters");
    cut(out, out.video, "video adapters");
    cut(out, out.ports, "ports");
    cut(out, out.optical, "optical drives");
    cut(out, out.services, "services");
    cut(out, out.drivers, "drivers");
    cut(out, out.autorun, "programs that start by themselves");
    cut(out, out.usb, "USB devices");
    cut(out, out.pci, "PCI functions");
    cut(out, out.tapes, "tapes");
    cut(out, out.log, "findings in the log");
    std::set<std::string> names, controllers;
    for (const auto& c : out.controllers) controllers.insert(c.id);
    std::erase_if(out.disks, [&](const Disk& d) { return d.name.empty() || !names.insert(d.name).second; });
    for (auto& disk : out.disks) {
        if (!controllers.contains(disk.controller)) disk.controller.clear();
        drop_partitions_past_the_end(out, disk);
    }
    std::sort(out.modaliases.begin(), out.modaliases.end());
    out.modaliases.erase(std::unique(out.modaliases.begin(), out.modaliases.end()), out.modaliases.end());
    cut(out, out.modaliases, "device aliases");
    std::stable_sort(out.pci.begin(), out.pci.end(),
                     [](const PciFunction& a, const PciFunction& b) { return a.id.slot < b.id.slot; });
}

}  // namespace slipway::gatherhw
