// SPDX-License-Identifier: GPL-3.0-or-later
// The boot menus of the loaders: which kernels they offer, which of them starts by itself, and how another one is made
// to. Pure; the texts are a guest's and hostile.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slipway::fixup {

struct MenuEntry {
    std::string id;  // what the loader's default is set to for it
    std::string title;
    std::string kernel;  // path as the loader has it; empty: it starts no Linux
    std::string initrd;  // the first
    bool xen = false;    // a Xen hypervisor starts the kernel
};

struct BootMenu {
    std::vector<MenuEntry> entries;
    std::optional<std::size_t> chosen;  // what starts by itself
    bool by_environment = false;        // GRUB takes it from saved_entry of its grubenv
};

// grub.cfg with its grubenv (may be empty). The generated script's saved_entry and next_entry are followed.
BootMenu read_grub2(std::string_view config, std::string_view environment);
bool grub2_reads_entries(std::string_view config);  // by blscfg, as on Fedora and RHEL
// menu.lst, grub.conf. saved: the content of the file "default" beside it.
BootMenu read_grub_legacy(std::string_view config, std::string_view saved);
// extlinux.conf, syslinux.cfg.
BootMenu read_extlinux(std::string_view config);

// Entries of the boot loader specification: file names without their directory, and contents.
using EntryFiles = std::vector<std::pair<std::string, std::string>>;
BootMenu read_entries_for_grub(const EntryFiles& files, std::string_view environment);
BootMenu read_entries_for_systemd_boot(const EntryFiles& files, std::string_view loader_conf);

// The configuration with this entry as its default.
std::string set_default_grub2(std::string_view config, std::string_view id);
std::string set_default_grub_defaults(std::string_view text, std::string_view id);  // /etc/default/grub
std::string set_default_grub_legacy(std::string_view config, std::string_view id);
std::string set_default_extlinux(std::string_view config, std::string_view id);
std::string set_default_loader_conf(std::string_view text, std::string_view id);

// As rpm and systemd compare versions: numbers as numbers, ~ before everything. <0, 0, >0.
int compare_versions(std::string_view a, std::string_view b);

// The kernel's version in a loader's path: "/boot/vmlinuz-6.1.0-41-amd64", "/4a…/6.1.0-41-amd64/linux"; else its last
// part.
std::string version_in_path(std::string_view path);

}  // namespace slipway::fixup
