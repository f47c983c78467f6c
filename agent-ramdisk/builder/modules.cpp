// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/modules.hpp"

#include <algorithm>
#include <optional>
#include <sstream>

#include <fnmatch.h>

#include <fmt/format.h>

#include "agent-ramdisk/builder/modinfo.hpp"
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
// Of all cards alone: a modem or a test of bonding is nobody's way to the server.
constexpr std::string_view kBroadNetwork[] = {"kernel/drivers/net/ethernet/", "kernel/drivers/net/hyperv/",
                                              "kernel/drivers/net/vmxnet3/", "kernel/drivers/net/virtio_net.ko",
                                              "kernel/drivers/net/xen-netfront.ko"};

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

// The bus behind a virtio card of these PCI ids (virtio 1.2, 4.1.2), for an inventory that only names the card.
std::string virtio_alias(const gatherhw::PciId& id) {
    static const std::map<std::uint16_t, int> kDevices{{0x1000, 1}, {0x1041, 1}, {0x1001, 2},
                                                       {0x1042, 2}, {0x1004, 8}, {0x1048, 8}};
    auto it = kDevices.find(id.device);
    if (id.vendor != 0x1af4 || it == kDevices.end()) return {};
    return fmt::format("virtio:d{:08X}v{:08X}", it->second, id.vendor);
}

std::set<std::string> aliases_of(const gatherhw::Inventory& machine) {
    std::set<std::string> out(machine.modaliases.begin(), machine.modaliases.end());
    auto add = [&](const std::optional<gatherhw::PciId>& id) {
        if (!id) return;
        for (auto& alias : {modalias_of(*id), virtio_alias(*id)})
            if (!alias.empty()) out.insert(alias);
    };
    for (const auto& c : machine.controllers) add(c.pci);
    for (const auto& a : machine.network) add(a.pci);
    return out;
}

// "8086:100e" of a PCI modalias; others as they are.
std::string short_alias(const std::string& alias) {
    if (!alias.starts_with("pci:v0000") || alias.size() < 22) return alias;
    return to_lower(alias.substr(9, 4)) + ":" + to_lower(alias.substr(18, 4));
}

}  // namespace

std::string module_name_of(std::string_view path) {
    auto name = path.substr(path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/') + 1);
    return underscored(std::string(name.substr(0, name.find(".ko"))));
}

std::string modalias_of(const gatherhw::PciId& id) {
    if (!id.modalias.empty() || id.vendor == 0) return id.modalias;
    return fmt::format("pci:v{:08X}d{:08X}sv{:08X}sd{:08X}bc{:02X}sc{:02X}i{:02X}", id.vendor, id.device,
                       id.subsystem_vendor, id.subsystem_device, id.class_code >> 16 & 0xff, id.class_code >> 8 & 0xff,
                       id.class_code & 0xff);
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
    for_each_line(texts.softdep, [&](const std::string& line) { add_softdep(line); });
    for_each_line(texts.builtin, [&](const std::string& line) { builtin_[module_name_of(line)] = line; });
    for (auto& [module, alias] : builtin_aliases(as_bytes(texts.builtin_modinfo)))
        aliases_.push_back({alias, underscored(module), std::min(alias.find_first_of("*?["), alias.size())});
}

void ModuleIndex::add_softdep(const std::string& line) {
    auto words = words_of(line);
    if (words.size() < 3 || words[0] != "softdep") return;
    soft_lines_[underscored(words[1])] += line + "\n";
    for (std::size_t i = 2; i < words.size(); ++i)
        if (words[i] != "pre:" && words[i] != "post:") soft_[underscored(words[1])].push_back(words[i]);
}

void ModuleIndex::add(const std::vector<ExtraModule>& modules) {
    for (const auto& m : modules) {
        std::erase_if(aliases_, [&](const Alias& a) { return a.module == m.name; });
        soft_.erase(m.name);
        soft_lines_.erase(m.name);
        builtin_.erase(m.name);
        modules_[m.name] = {m.path, {}};
        extra_.insert(m.name);
    }
    for (const auto& m : modules) {
        for (const auto& alias : m.aliases)
            aliases_.push_back({alias, m.name, std::min(alias.find_first_of("*?["), alias.size())});
        for (const auto& line : m.softdeps) add_softdep("softdep " + m.name + " " + line);
        for (const auto& need : m.needs)
            if (auto path = path_of(underscored(need)); !path.empty()) modules_[m.name].needs.push_back(path);
    }
    // modules.dep names all that a module needs, not only the next.
    for (const auto& m : modules) {
        std::set<std::string> all;
        std::vector<std::string> paths, todo;
        for (const auto& path : modules_[m.name].needs) todo.push_back(module_name_of(path));
        while (!todo.empty()) {
            auto name = std::move(todo.back());
            todo.pop_back();
            if (name == m.name || !all.insert(name).second) continue;
            paths.push_back(path_of(name));
            for (const auto& path : modules_[name].needs) todo.push_back(module_name_of(path));
        }
        modules_[m.name].needs = std::move(paths);
    }
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

std::string ModuleIndex::place_of(const std::string& name) const {
    auto builtin = builtin_.find(name);
    return builtin == builtin_.end() ? path_of(name) : builtin->second;
}

bool ModuleIndex::is_for(const std::string& name, Purpose purpose) const {
    if (extra_.contains(name)) return true;  // it is what its operator says
    auto path = place_of(name);
    return purpose == Purpose::Storage ? is_below(kStorage, path)
                                       : is_below(kNetwork, path) && !is_below(kNotNetwork, path);
}

bool ModuleIndex::drives(const std::string& modalias, Purpose purpose) const {
    auto drivers = matching(modalias);
    return std::any_of(drivers.begin(), drivers.end(), [&](const auto& name) {
        // A virtio card's driver is its bus; the driver of the device on it comes with every such kernel.
        return !place_of(name).empty() && (is_for(name, purpose) || name == "virtio_pci");
    });
}

std::set<std::string> ModuleIndex::all_drivers() const {
    std::set<std::string> out = extra_;
    std::set<std::string> spoken_for;  // those without an alias are parts of others, or tests
    for (const auto& alias : aliases_) spoken_for.insert(alias.module);
    for (const auto& [name, module] : modules_)
        if (spoken_for.contains(name) && (is_below(kBroadNetwork, module.path) || is_below(kStorage, module.path)))
            out.insert(name);
    return out;
}

std::map<std::string, std::string> ModuleIndex::closure(const std::set<std::string>& names) const {
    std::map<std::string, std::string> out;
    std::vector<std::pair<std::string, std::string>> todo;
    for (const auto& name : names) todo.emplace_back(underscored(name), "");
    // First in, first out: whoever is asked for by name is not said to be another's need.
    for (std::size_t i = 0; i < todo.size(); ++i) {
        auto [name, by] = todo[i];
        auto it = modules_.find(name);
        if (it == modules_.end() || !out.emplace(name, by).second) continue;
        for (const auto& path : it->second.needs) todo.emplace_back(module_name_of(path), name);
        auto soft = soft_.find(name);
        if (soft == soft_.end()) continue;
        for (const auto& wanted : soft->second) {
            todo.emplace_back(underscored(wanted), name);
            for (const auto& match : matching(wanted)) todo.emplace_back(match, name);  // "crypto-crc32c" is an alias
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

const std::vector<std::string>& appliance_modules() {
    static const std::vector<std::string> kModules{"virtio_pci", "virtio_blk", "virtio_console",
                                                   "virtio_rng", "xfs",        "btrfs"};
    return kModules;
}

const std::vector<std::string>& base_modules() {
    static const std::vector<std::string> kModules{"sd_mod",         "loop",     "af_packet", "ext4",
                                                   "crc32c_generic", "vfat",     "nls_cp437", "nls_ascii",
                                                   "nls_iso8859_1",  "nls_utf8", "efivarfs"};
    return kModules;
}

const std::vector<std::string>& repair_modules() {
    static const std::vector<std::string> kModules{"dm_mod",
                                                   "dm_crypt",
                                                   "dm_thin_pool",
                                                   "dm_snapshot",
                                                   "dm_mirror",
                                                   "dm_raid",
                                                   "dm_cache",
                                                   "raid0",
                                                   "raid1",
                                                   "raid10",
                                                   "raid456",
                                                   "linear",
                                                   "xts",
                                                   "cbc",
                                                   "essiv",
                                                   "ecb",
                                                   "aes_generic",
                                                   "aesni_intel",
                                                   "sha256_generic",
                                                   "sha512_generic",
                                                   "algif_skcipher",
                                                   "algif_hash",
                                                   "xfs",
                                                   "btrfs",
                                                   "nls_utf8"};
    return kModules;
}

namespace {

// The machine's drivers, each with the device it is for. False: it lacks a disk controller or a card.
bool add_machine(const ModuleIndex& index, const gatherhw::Inventory& machine,
                 std::map<std::string, std::string>& wanted, std::string& note) {
    bool storage = false, network = false;
    for (const auto& alias : aliases_of(machine))
        for (const auto& name : index.matching(alias)) {
            auto path = index.place_of(name);
            bool card = index.is_for(name, Purpose::Network), disk = index.is_for(name, Purpose::Storage);
            // A virtio disk has its driver beside its bus; the bus alone is no storage.
            storage |= disk && !path.starts_with("kernel/drivers/virtio/") && !path.starts_with("kernel/drivers/usb/");
            network |= card;
            if ((card || disk) && !index.is_builtin(name)) wanted.emplace(name, short_alias(alias));
        }
    if (!storage) note = "the inventory names no disk controller that this kernel has a driver for";
    if (!network) note = "the inventory names no network card that this kernel has a driver for";
    return storage && network;
}

}  // namespace

ModuleChoice choose_modules(const ModuleIndex& index, const gatherhw::Inventory* inventory, ModuleSet set,
                            const std::vector<std::string>& more) {
    ModuleChoice choice;
    std::map<std::string, std::string> wanted;
    for (const auto& name : base_modules()) wanted.emplace(name, "in every ramdisk");
    for (const auto& name : more) wanted.emplace(name, "asked for");
    for (const char* large : {"xfs", "btrfs"}) {  // the repair mounts them; megabytes, so only for who has them
        auto is = [&](const gatherhw::Volume& v) { return v.filesystem == large; };
        if (inventory && std::any_of(inventory->volumes.begin(), inventory->volumes.end(), is))
            wanted.emplace(large, std::string("a volume is ") + large);
    }
    if (!inventory) wanted.emplace("xfs", "volumes are not known");
    if (set == ModuleSet::Appliance) {
        for (const auto& name : appliance_modules()) wanted.emplace(name, "the appliance has it");
    } else if (set == ModuleSet::Broad) {
        for (const auto& name : index.all_drivers()) wanted.emplace(name, "any machine may have it");
    } else if (!inventory || !add_machine(index, *inventory, wanted, choice.note)) {
        for (const auto& name : default_modules()) wanted.emplace(name, "common machines have it");
    }
    std::set<std::string> names;
    for (const auto& [name, why] : wanted) {
        names.insert(name);
        if (index.path_of(name).empty() && !index.is_builtin(name)) choice.absent.push_back(name);
    }
    for (const auto& [name, by] : index.closure(names)) {
        choice.names.insert(name);
        choice.why[name] = by.empty() ? wanted[name] : "needed by " + by;
    }
    return choice;
}

}  // namespace slipway::builder
