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
};

class ModuleIndex {
public:
    explicit ModuleIndex(const ModuleTexts& texts);

    // Path below /lib/modules/VERSION; empty: no such module (it may be built in).
    std::string path_of(const std::string& name) const;
    bool is_builtin(const std::string& name) const { return builtin_.contains(name); }
    // The modules whose aliases match, e.g. "pci:v00008086d0000100E…" -> e1000.
    std::set<std::string> matching(const std::string& modalias) const;
    // With everything they depend on, also softly (softdep pre and post).
    std::set<std::string> closure(const std::set<std::string>& names) const;

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
    std::map<std::string, Module> modules_;
    std::vector<Alias> aliases_;
    std::map<std::string, std::vector<std::string>> soft_;  // names or aliases
    std::map<std::string, std::string> soft_lines_;
    std::set<std::string> builtin_;
};

// In the ramdisk a module is compressed by xz: unpacked they would be half of what the ramdisk takes of memory, for a
// machine that loads a few. Busybox's modprobe unpacks it. "kernel/fs/xfs/xfs.ko" -> "kernel/fs/xfs/xfs.ko.xz"
std::string packed_path(const std::string& path);

std::string module_name_of(std::string_view path);  // "kernel/drivers/scsi/mpt3sas/mpt3sas.ko" -> "mpt3sas"

// For machines of which nothing is known: the controllers and cards of servers and of the VMs that follow them.
const std::vector<std::string>& default_modules();
// Needed in every ramdisk: ext4 and vfat for the repair, loop, sd_mod, packet sockets. xfs and btrfs come with an
// inventory that has such volumes; xfs also without one.
const std::vector<std::string>& base_modules();

struct ModuleChoice {
    std::set<std::string> names;      // with dependencies
    std::vector<std::string> absent;  // asked for, but neither a module nor built in
    std::string note;                 // why the default set was taken although there is an inventory; else empty
};
// By the machine's MODALIASes and PCI ids: its storage, network and USB hosts. Without an inventory the default set.
ModuleChoice choose_modules(const ModuleIndex& index, const gatherhw::Inventory* inventory);

}  // namespace slipway::builder
