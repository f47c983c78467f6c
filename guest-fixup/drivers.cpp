// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/drivers.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

const DriverSet& drivers_of(TargetController target) {
    static const DriverSet ide{{"ata_piix", "sd_mod"}, {"ata_generic"}};
    static const DriverSet sata{{"ahci", "sd_mod"}, {}};
    static const DriverSet lsi{{"sym53c8xx", "sd_mod"}, {"mptspi"}};
    static const DriverSet megasas{{"megaraid_sas", "sd_mod"}, {}};
    static const DriverSet virtio_blk{{"virtio_pci", "virtio_blk"}, {}};
    static const DriverSet virtio_scsi{{"virtio_pci", "virtio_scsi", "sd_mod"}, {}};
    static const DriverSet nvme{{"nvme"}, {}};
    switch (target) {
        case TargetController::Ide: return ide;
        case TargetController::Sata: return sata;
        case TargetController::ScsiLsi: return lsi;
        case TargetController::Megasas: return megasas;
        case TargetController::VirtioBlk: return virtio_blk;
        case TargetController::VirtioScsi: return virtio_scsi;
        case TargetController::Nvme: return nvme;
    }
    return ide;
}

std::string module_name(std::string_view path) {
    const auto base = path.substr(path.find_last_of('/') + 1);  // npos + 1 is 0
    const auto end = base.find(".ko");
    if (end == std::string_view::npos || end == 0) return {};
    const auto tail = base.substr(end + 3);
    if (!tail.empty() && tail.front() != '.') return {};
    std::string name(base.substr(0, end));
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::set<std::string> modules_in_listing(std::string_view listing) {
    std::set<std::string> names;
    for (const auto& line : split(listing, '\n'))
        // lsinitrd prints ls -l lines; a path never contains a blank here.
        if (auto name = module_name(trim(line.substr(line.find_last_of(' ') + 1))); !name.empty()) names.insert(name);
    return names;
}

KernelModules parse_modules(std::string_view modules_dep, std::string_view modules_builtin) {
    KernelModules out;
    for (const auto& line : split(modules_dep, '\n'))
        if (auto name = module_name(line.substr(0, line.find(':'))); !name.empty()) out.loadable.insert(name);
    for (const auto& line : split(modules_builtin, '\n'))
        if (auto name = module_name(trim(line)); !name.empty()) out.builtin.insert(name);
    return out;
}

NeededModules needed_modules(const DriverSet& drivers, const KernelModules& kernel) {
    NeededModules out;
    for (const auto& name : drivers.required) {
        if (kernel.loadable.contains(name)) out.in_initramfs.push_back(name);
        else if (!kernel.builtin.contains(name)) out.missing.push_back(name);
    }
    for (const auto& name : drivers.optional)
        if (kernel.loadable.contains(name)) out.in_initramfs.push_back(name);
    return out;
}

std::string add_modules(std::string_view text, const std::vector<std::string>& modules) {
    std::set<std::string> listed;
    for (const auto& line : split(text, '\n')) {
        auto word = std::string(trim(line));
        word = word.substr(0, word.find_first_of(" \t#"));
        std::replace(word.begin(), word.end(), '-', '_');
        listed.insert(word);
    }
    std::string out(text);
    for (const auto& name : modules) {
        if (listed.contains(name)) continue;
        if (!out.empty() && out.back() != '\n') out += '\n';
        out += name + '\n';
    }
    return out;
}

std::string modules_policy(std::string_view text) {
    std::string policy;
    for (const auto& line : split(text, '\n')) {
        auto words = trim(line);
        if (!words.starts_with("MODULES=")) continue;
        auto value = words.substr(8);
        value = trim(value.substr(0, value.find('#')));
        if (value.size() >= 2 && (value.front() == '"' || value.front() == '\''))
            value = value.substr(1, value.size() - 2);
        policy = value;
    }
    return policy;
}

}  // namespace slipway::fixup
