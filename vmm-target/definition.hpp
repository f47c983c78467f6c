// SPDX-License-Identifier: GPL-3.0-or-later
// What a virtual machine is, as a value and as XML of urn:slipway:vm:1 (vm.xsd).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::vmm {

inline constexpr std::size_t kMaxAdapters = 4;
inline constexpr std::size_t kMaxDisks = 16;

enum class Firmware { Bios, Uefi };
// Linked: no file but a whole disk of the host, which the machine has for itself while it is on.
enum class DiskKind { Fixed, Dynamic, Linked };
// ScsiLsi is written "scsi". Each has a limit of disks: ide 4, sata 6, scsi 7, megasas 16, virtio-scsi 16.
enum class Controller { Ide, ScsiLsi, Sata, Megasas, VirtioBlk, VirtioScsi, Nvme };
enum class AdapterModel { E1000, Virtio };

std::string_view name_of(Firmware value);
std::string_view name_of(DiskKind value);
std::string_view name_of(Controller value);
std::string_view name_of(AdapterModel value);
std::optional<Controller> parse_controller(std::string_view name);
std::size_t disk_limit(Controller controller);

struct VmDisk {
    std::string path;  // absolute, or below the machine's own directory; linked: below /dev
    DiskKind kind = DiskKind::Fixed;
    std::uint64_t size_bytes = 0;  // a multiple of 512, up to 2040 GiB; linked: what the disk has
    Controller controller = Controller::Ide;
    bool create = true;  // false: it is there already, and stays when the machine is deleted
    bool operator==(const VmDisk&) const = default;
};

struct VmAdapter {
    MacAddress mac;
    std::string network;  // empty: no cable
    AdapterModel model = AdapterModel::E1000;
    bool operator==(const VmAdapter&) const = default;
};

struct VmDefinition {
    std::string name;
    Uuid uuid;
    std::uint32_t memory_mib = 512;
    std::uint32_t processors = 1;
    Firmware firmware = Firmware::Bios;
    std::string directory;  // its own files are in DIRECTORY/NAME; empty: in the host's own place
    std::vector<VmDisk> disks;
    std::vector<VmAdapter> adapters;
    bool operator==(const VmDefinition&) const = default;
};

// Letters, digits, '.', '_', '-'; begins with a letter or digit; up to 63. Also for networks.
bool valid_name(std::string_view name);
// Follows from name and addresses: the same definition read twice is the same machine.
Uuid derived_uuid(const VmDefinition& definition);
// Every rule that the types do not hold. Errors: vmm.definition.
Status check(const VmDefinition& definition);

struct ParsedDefinition {
    VmDefinition definition;            // checked
    std::vector<std::string> warnings;  // unknown elements
};
// Hostile text. Without a uuid attribute the machine gets one that follows from its name and addresses.
Result<ParsedDefinition> parse_definition(std::string_view xml);
std::string render_definition(const VmDefinition& definition);
std::string_view definition_schema();  // vm.xsd

}  // namespace slipway::vmm
