// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/modules.hpp"

#include <algorithm>
#include <sstream>

#include <fnmatch.h>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace {

// Where the drivers live that a ramdisk may want; a server's sound, video and sensors stay out.
constexpr std::string_view kStorage[] = {"kernel/drivers/ata/",
                                         "kernel/drivers/scsi/",
                                         "kernel/drivers/nvme/host/",
                                         "kernel/drivers/block/",
                                         "kernel/drivers/message/fusion/",
                                         "kernel/drivers/pci/controller/",
                                         "kernel/drivers/virtio/",
                                         "kernel/drivers/hv/",
                                         "kernel/drivers/usb/host/",
                                         "kernel/drivers/usb/storage/"};
constexpr std::string_view kNetwork[] = {"kernel/drivers/net/"};
constexpr std::string_view kNotNetwork[] = {"kernel/drivers/net/wireless/", "kernel/drivers/net/usb/",
                                            "kernel/drivers/net/can/"};

template <typename Range>
bool is_below(const Range& directories, const std::string& path) {
    return std::any_of(std::begin(directories), std::end(directories), [&](auto d) { return path.starts_with(d); });
}

template <typename Use>
void for_each_line(const std::string& text, Use use) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (!line.empty() && line[0] != '#') use(line);
}

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> out;
    for (std::string word; in >> word;) out.push_back(std::move(word));
    return out;
}

std::string underscored(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

std::string modalias_of(const gatherhw::PciId& id) {
    if (!id.modalias.empty() || id.vendor == 0) return id.modalias;
    return fmt::format("pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}", id.vendor, id.device,
                       id.subsystem_vendor, id.subsystem_device, id.class_code >> 16 & 0xff, id.class_code >> 8 & 0xff,
                       id.class_code & 0xff);
}

}  // namespace

std::string module_name_of(std::string_view path) {
    auto name = path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
    return underscored(std::string(name.substr(0, name.find(".ko"))));
}

std::string packed_path(const std::string& path) { return path.ends_with(".ko") ? path + ".xz" : path; }

ModuleIndex::ModuleIndex(const ModuleTexts& texts) {
    for_each_line(texts.dep, [&](const std::string& line) {
        auto colon = line.find(':');
        if (colon == std::string::npos) return;
        auto path = line.substr(0, colon);
        modules_[module_name_of(path)] = {path, words_of(line.substr(colon + 1))};
    });
    for_each_line(texts.alias, [&](const std::string& line) {
        auto words = words_of(line);
        if (words.size() == 3 && words[0] == "alias")
            aliases_.push_back(
                {words[1], underscored(words[2]), std::min(words[1].find_first_of("*?["), words[1].size())});
    });
    for_each_line(texts.softdep, [&](const std::string& line) {
        auto words = words_of(line);
        if (words.size() < 3 || words[0] != "softdep") return;
        soft_lines_[underscored(words[1])] += line + "\n";
        for (std::size_t i = 2; i < words.size(); ++i)
            if (words[i] != "pre:" && words[i] != "post:") soft_[underscored(words[1])].push_back(words[i]);
    });
    for_each_line(texts.builtin, [&](const std::string& line) { builtin_.insert(module_name_of(line)); });
}

std::string ModuleIndex::path_of(const std::string& name) const {
    auto it = modules_.find(name);
    return it == modules_.end() ? std::string() : it->second.path;
}

std::set<std::string> ModuleIndex::matching(const std::string& modalias) const {
    std::set<std::string> out;
    for (const auto& alias : aliases_)
        if (modalias.compare(0, alias.literal, alias.pattern, 0, alias.literal) == 0 &&
            ::fnmatch(alias.pattern.c_str(), modalias.c_str(), 0) == 0)
            out.insert(alias.module);
    return out;
}

std::set<std::string> ModuleIndex::closure(const std::set<std::string>& names) const {
    std::set<std::string> out;
    std::vector<std::string> todo(names.begin(), names.end());
    while (!todo.empty()) {
        auto name = std::move(todo.back());
        todo.pop_back();
        auto it = modules_.find(name);
        if (it == modules_.end() || !out.insert(name).second) continue;
        for (const auto& path : it->second.needs) todo.push_back(module_name_of(path));
        auto soft = soft_.find(name);
        if (soft == soft_.end()) continue;
        for (const auto& wanted : soft->second) {
            todo.push_back(underscored(wanted));
            for (const auto& match : matching(wanted)) todo.push_back(match);  // "crypto-crc32c" is an alias
        }
    }
    return out;
}

ModuleTexts ModuleIndex::subset(const std::set<std::string>& names) const {
    ModuleTexts out;
    for (const auto& name : names) {
        const auto& module = modules_.at(name);
        out.dep += packed_path(module.path) + ":";
        for (const auto& path : module.needs) out.dep += " " + packed_path(path);
        out.dep += "\n";
        if (auto it = soft_lines_.find(name); it != soft_lines_.end()) out.softdep += it->second;
    }
    for (const auto& alias : aliases_)
        if (names.contains(alias.module)) out.alias += fmt::format("alias {} {}\n", alias.pattern, alias.module);
    return out;
}

const std::vector<std::string>& default_modules() {
    static const std::vector<std::string> kModules{
        "ahci",        "ata_piix",    "ata_generic", "nvme",    "vmd",      "megaraid_sas", "mpt3sas",
        "mptspi",      "mptsas",      "sym53c8xx",   "hpsa",    "aacraid",  "virtio_pci",   "virtio_blk",
        "virtio_scsi", "virtio_net",  "vmw_pvscsi",  "vmxnet3", "hv_vmbus", "hv_storvsc",   "hv_netvsc",
        "e1000",       "e1000e",      "igb",         "ixgbe",   "tg3",      "bnx2",         "r8169",
        "8139cp",      "8139too",     "pcnet32",     "tulip",   "xhci_pci", "ehci_pci",     "uhci_hcd",
        "ohci_pci",    "usb_storage", "uas"};
    return kModules;
}

const std::vector<std::string>& base_modules() {
    static const std::vector<std::string> kModules{"sd_mod",         "loop",    "af_packet", "ext4",
                                                   "crc32c_generic", "vfat",    "nls_cp437", "nls_ascii",
                                                   "nls_iso8859_1",  "nls_utf8"};
    return kModules;
}

ModuleChoice choose_modules(const ModuleIndex& index, const gatherhw::Inventory* inventory) {
    ModuleChoice choice;
    std::set<std::string> wanted(base_modules().begin(), base_modules().end());
    bool storage = false, network = false;
    for (const char* large : {"xfs", "btrfs"}) {  // the repair mounts them; megabytes, so only for who has them
        auto is = [&](const gatherhw::Volume& v) { return v.filesystem == large; };
        if (inventory && std::any_of(inventory->volumes.begin(), inventory->volumes.end(), is)) wanted.insert(large);
    }
    if (!inventory) wanted.insert("xfs");
    if (inventory) {
        std::set<std::string> aliases(inventory->modaliases.begin(), inventory->modaliases.end());
        for (const auto& c : inventory->controllers)
            if (c.pci) aliases.insert(modalias_of(*c.pci));
        for (const auto& a : inventory->network)
            if (a.pci) aliases.insert(modalias_of(*a.pci));
        for (const auto& alias : aliases)
            for (const auto& name : index.matching(alias)) {
                auto path = index.path_of(name);
                bool card = is_below(kNetwork, path) && !is_below(kNotNetwork, path);
                bool disk = is_below(kStorage, path);
                // A virtio disk has its driver beside its bus; the bus alone is no storage.
                storage |=
                    disk && !path.starts_with("kernel/drivers/virtio/") && !path.starts_with("kernel/drivers/usb/");
                network |= card;
                if (card || disk) wanted.insert(name);
            }
        if (!storage) choice.note = "the inventory names no disk controller that this kernel has a module for";
        if (!network) choice.note = "the inventory names no network card that this kernel has a module for";
    }
    if (!storage || !network) wanted.insert(default_modules().begin(), default_modules().end());
    for (const auto& name : wanted)
        if (index.path_of(name).empty() && !index.is_builtin(name)) choice.absent.push_back(name);
    choice.names = index.closure(wanted);
    return choice;
}

}  // namespace slipway::builder
