// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/linux/smbios.hpp"

#include <array>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::uint8_t kBios = 0, kSystem = 1, kBoard = 2, kChassis = 3, kProcessor = 4, kMemoryArray = 16,
                       kMemoryDevice = 17, kEnd = 127;
constexpr std::size_t kMaxModules = 4096;

struct Structure {
    std::uint8_t type = 0;
    ByteView formatted;  // with its 4-byte header
    std::vector<std::string> strings;

    std::uint64_t number(std::size_t offset, int bytes) const {
        if (offset + static_cast<std::size_t>(bytes) > formatted.size()) return 0;
        ByteReader reader(formatted);
        reader.seek(offset);
        return bytes == 1 ? reader.u8() : bytes == 2 ? reader.le16() : bytes == 4 ? reader.le32() : reader.le64();
    }
    std::string text(std::size_t offset) const {
        auto index = number(offset, 1);
        return index == 0 || index > strings.size() ? "" : strings[index - 1];
    }
};

bool next_structure(ByteReader& reader, Structure& out) {
    auto start = reader.offset();
    out.type = reader.u8();
    auto length = reader.u8();
    if (reader.failed() || length < 4) return false;
    reader.seek(start);
    out.formatted = reader.take(length);
    out.strings.clear();
    std::string text;
    for (;;) {
        auto c = reader.u8();
        if (reader.failed()) return false;
        if (c != 0) {
            text += static_cast<char>(c);
            continue;
        }
        if (text.empty()) break;
        out.strings.emplace_back(trim(text));
        text.clear();
    }
    if (out.strings.empty() && reader.remaining() > 0) reader.skip(1);  // an empty string set is two zeros
    return true;
}

// DSP0134 7.18: size in MiB, in KiB when bit 15 is set, 0x7fff: see the extended size.
std::uint64_t memory_of(const Structure& device) {
    auto size = device.number(0x0c, 2);
    if (size == 0xffff) return 0;
    if (size == 0x7fff) return (device.number(0x1c, 4) & 0x7fffffff) << 20;
    return size & 0x8000 ? (size & 0x7fff) << 10 : size << 20;
}

std::string uuid_of(const Structure& system, bool guid) {
    if (system.formatted.size() < 0x18) return {};
    Uuid uuid;
    auto bytes = system.formatted.subspan<8, 16>();
    if (guid) uuid = Uuid::from_guid(bytes);
    else std::copy(bytes.begin(), bytes.end(), uuid.octets.begin());
    return uuid.is_zero() ? "" : uuid.text();
}

// DSP0134 7.4.1. What has no name here is told by its number.
std::string chassis_of(std::uint64_t type) {
    constexpr std::array<std::string_view, 37> kNames{
        "",           "other",      "unknown",    "desktop",     "low-profile-desktop", "pizza-box",   "mini-tower",
        "tower",      "portable",   "laptop",     "notebook",    "hand-held",           "docking",     "all-in-one",
        "sub-note",   "space-save", "lunch-box",  "main-server", "expansion",           "sub-chassis", "bus-expansion",
        "peripheral", "raid",       "rack-mount", "sealed-case", "multi-system",        "compact-pci", "advanced-tca",
        "blade",      "blade-case", "tablet",     "convertible", "detachable",          "iot-gateway", "embedded-pc",
        "mini-pc",    "stick-pc"};
    type &= 0x7f;  // bit 7: it has a lock
    return type < kNames.size() ? std::string(kNames[type]) : fmt::format("type {}", type);
}

// DSP0134 7.18.2, the kinds a server may have.
std::string memory_type(std::uint64_t type) {
    struct Row {
        std::uint8_t type;
        std::string_view name;
    };
    constexpr Row kRows[] = {{0x07, "RAM"},          {0x0f, "SDRAM"},  {0x12, "DDR"},  {0x13, "DDR2"},
                             {0x14, "DDR2 FB-DIMM"}, {0x18, "DDR3"},   {0x1a, "DDR4"}, {0x1b, "LPDDR"},
                             {0x1d, "LPDDR3"},       {0x1e, "LPDDR4"}, {0x22, "DDR5"}, {0x23, "LPDDR5"},
                             {0x03, "DRAM"}};
    for (const auto& row : kRows)
        if (row.type == type) return std::string(row.name);
    return {};
}

void read_processor(const Structure& s, Smbios& out) {
    constexpr std::uint64_t kCentral = 3, kPopulated = 0x40;
    if (s.number(0x05, 1) != kCentral || (s.number(0x18, 1) & kPopulated) == 0) return;
    ++out.sockets;
    // One byte; 0xff means: see the word that came with version 3.0.
    auto count = [&](std::size_t at, std::size_t wide) {
        auto n = s.number(at, 1);
        return static_cast<std::uint32_t>(n == 0xff && s.number(wide, 2) ? s.number(wide, 2) : n);
    };
    out.cores += count(0x23, 0x2a);
    out.threads += count(0x25, 0x2e);
    if (s.number(0x26, 2) & 0x04) out.cpu_64bit = true;
    if (!out.cpu_vendor.empty() || !out.cpu_model.empty()) return;
    out.cpu_vendor = s.text(0x07);
    out.cpu_model = s.text(0x10);
    out.cpu_mhz = static_cast<std::uint32_t>(s.number(0x16, 2));
}

void read_memory(const Structure& s, Smbios& out) {
    auto size = memory_of(s);
    if (size == 0) return;
    out.memory_bytes += size;
    if (out.modules.size() == kMaxModules) return;
    out.modules.push_back({s.text(0x10), size, memory_type(s.number(0x12, 1)),
                           static_cast<std::uint32_t>(s.number(0x15, 2)), s.text(0x17), s.text(0x1a)});
}

void read_memory_array(const Structure& s, Smbios& out) {
    constexpr std::uint64_t kSystemMemory = 3, kSeeExtended = 0x80000000;
    if (s.number(0x05, 1) != kSystemMemory) return;
    auto kib = s.number(0x07, 4);
    auto bytes = kib == kSeeExtended ? s.number(0x0f, 8) : kib << 10;
    if (bytes <= (1ull << 56)) out.memory_limit_bytes += bytes;
}

void read_bios(const Structure& s, Smbios& out) {
    out.bios_vendor = s.text(4);
    out.bios_version = s.text(5);
    out.bios_date = s.text(8);
    out.uefi_supported = (s.number(0x13, 1) & 0x08) != 0;
    out.virtual_machine = (s.number(0x13, 1) & 0x10) != 0;
}

void read_structure(const Structure& s, bool uuid_is_guid, Smbios& out) {
    switch (s.type) {
        case kBios: return read_bios(s, out);
        case kSystem:
            out.manufacturer = s.text(4);
            out.model = s.text(5);
            out.serial = s.text(7);
            out.uuid = uuid_of(s, uuid_is_guid);
            return;
        case kBoard:
            if (out.board.empty()) out.board = trim(s.text(4) + " " + s.text(5));
            return;
        case kChassis:
            if (out.chassis.empty()) out.chassis = chassis_of(s.number(5, 1));
            return;
        case kProcessor: return read_processor(s, out);
        case kMemoryArray: return read_memory_array(s, out);
        case kMemoryDevice: return read_memory(s, out);
        default: return;
    }
}

}  // namespace

Smbios parse_smbios(ByteView table, bool uuid_is_guid) {
    Smbios out;
    ByteReader reader(table);
    Structure s;
    while (next_structure(reader, s) && s.type != kEnd) read_structure(s, uuid_is_guid, out);
    return out;
}

std::string hypervisor_named(std::string_view manufacturer, std::string_view model) {
    struct Row {
        std::string_view manufacturer, model, name;
    };
    constexpr Row kRows[] = {{"QEMU", "", "qemu"},
                             {"VMware", "", "vmware"},
                             {"Microsoft Corporation", "Virtual Machine", "hyperv"},
                             {"innotek", "", "virtualbox"},
                             {"Xen", "", "xen"},
                             {"Bochs", "", "bochs"},
                             {"Parallels", "", "parallels"},
                             {"Amazon EC2", "", "kvm"},
                             {"Google", "Google Compute", "kvm"}};
    for (const auto& row : kRows)
        if (manufacturer.starts_with(row.manufacturer) && model.starts_with(row.model)) return std::string(row.name);
    return {};
}

}  // namespace slipway::gatherhw
