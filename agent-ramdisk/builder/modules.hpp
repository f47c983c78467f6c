// SPDX-License-Identifier: GPL-3.0-or-later
// Which kernel modules a ramdisk needs: pure, over the texts that depmod wrote (modules.dep(5)).
// Module names have underscores here, as the kernel says them, whatever the file is called.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"

namespace slipway::builder {

struct ModuleTexts {
    std::string dep, alias, softdep, builtin;
    std::string builtin_modinfo;  // NUL-separated; older kernels have none
};

// A driver that an operator dropped in beside those of the kernel: it wins over one of the same name.
struct ExtraModule {
    std::string name, path;  // "updates/slipway/x.ko"
    std::vector<std::string> needs, aliases, softdeps;
};

enum class Purpose { Storage, Network };

class ModuleIndex {
public:
    explicit ModuleIndex(const ModuleTexts& texts);
    void add(const std::vector<ExtraModule>& modules);

    // Path below /lib/modules/VERSION; empty: no such module (it may be built in).
    std::string path_of(const std::string& name) const;
    std::string place_of(const std::string& name) const;  // of a module or of what is built in
    bool is_builtin(const std::string& name) const { return builtin_.contains(name); }
    // The modules whose aliases match, e.g. "pci:v00008086d0000100E…" -> e1000.
    std::set<std::string> matching(const std::string& modalias) const;
    // Has the kernel, or a drop-in, a driver of that kind for it? A driver that is part of the kernel counts.
    bool drives(const std::string& modalias, Purpose purpose) const;
    bool is_for(const std::string& name, Purpose purpose) const;
    // All drivers of wired network cards, disk controllers and USB hosts.
    std::set<std::string> all_drivers() const;
    // With everything they depend on, also softly (softdep pre and post): name -> who asked for it first, empty: the
    // caller.
    std::map<std::string, std::string> closure(const std::set<std::string>& names) const;

    // The same three files for those modules alone, so that modprobe works in the ramdisk, where each lies at
    // packed_path.
    ModuleTexts subset(const std::set<std::string>& names) const;

private:
    struct Module {
        std::string path;
        std::vector<std::string> needs;  // paths
    };
    struct Alias {
        std::string pattern, module;
        std::size_t literal = 0;  // characters before the first wildcard
    };
    void add_softdep(const std::string& line);
    std::map<std::string, Module> modules_;
    std::vector<Alias> aliases_;
    std::map<std::string, std::vector<std::string>> soft_;  // names or aliases
    std::map<std::string, std::string> soft_lines_;
    std::map<std::string, std::string> builtin_;  // name -> path
    std::set<std::string> extra_;
};

// In the ramdisk a module is compressed by xz: unpacked they would be half of what the ramdisk takes of memory, for a
// machine that loads a few. Busybox's modprobe unpacks it. "kernel/fs/xfs/xfs.ko" -> "kernel/fs/xfs/xfs.ko.xz"
std::string packed_path(const std::string& path);

std::string module_name_of(std::string_view path);  // "kernel/drivers/scsi/mpt3sas/mpt3sas.ko" -> "mpt3sas"

// For machines of which nothing is known: the controllers and cards of servers and of the VMs that follow them.
const std::vector<std::string>& default_modules();
// For the appliance of `slipway fixup`: a virtual machine of ours, with its disks and its port by virtio.
const std::vector<std::string>& appliance_modules();
// Needed in every ramdisk: ext4 and vfat for the repair, loop, sd_mod, packet sockets. xfs and btrfs come with an
// inventory that has such volumes; xfs also without one.
const std::vector<std::string>& base_modules();

// Beside the tools: device-mapper, md and their targets, the ciphers of LUKS, and the file systems that roots have.
const std::vector<std::string>& repair_modules();

enum class ModuleSet {
    Machine,    // what this machine has; the default set where that is not known
    Appliance,  // appliance_modules() alone
    Broad,      // every wired card and disk controller: for the first boot of an unknown machine
};

struct ModuleChoice {
    std::set<std::string> names;             // with dependencies
    std::map<std::string, std::string> why;  // of each: "8086:100e", "needed by mpt3sas", "in every ramdisk"
    std::vector<std::string> absent;         // asked for, but neither a module nor built in
    std::string note;                        // why the default set was taken although there is an inventory; else empty
};
// By the machine's MODALIASes and PCI ids: its storage, network and USB hosts. Without an inventory the default set.
ModuleChoice choose_modules(const ModuleIndex& index, const gatherhw::Inventory* inventory,
                            ModuleSet set = ModuleSet::Machine, const std::vector<std::string>& more = {});

// A MODALIAS for PCI ids without one (an inventory taken under Windows).
std::string modalias_of(const gatherhw::PciId& id);

}  // namespace slipway::builder
