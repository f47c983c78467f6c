// SPDX-License-Identifier: GPL-3.0-or-later
// How the machine boots: loader, its files, what it starts by itself, what the firmware started.
#include <algorithm>

#include <fmt/format.h>
#include <string.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

struct LoaderRow {
    std::string_view file, loader;
};
// The first that is there names the loader; all that are there are kept.
constexpr LoaderRow kLoaders[] = {{"/boot/grub/grub.cfg", "grub2"},
                                  {"/boot/grub2/grub.cfg", "grub2"},
                                  {"/boot/grub/menu.lst", "grub-legacy"},
                                  {"/boot/grub/grub.conf", "grub-legacy"},
                                  {"/etc/lilo.conf", "lilo"},
                                  {"/boot/extlinux/extlinux.conf", "extlinux"},
                                  {"/boot/efi/loader/loader.conf", "systemd-boot"},
                                  {"/boot/loader/loader.conf", "systemd-boot"},
                                  {"/efi/loader/loader.conf", "systemd-boot"}};
// What a repair needs to know: how the initramfs is made and what is mounted.
constexpr std::string_view kSettings[] = {"/etc/default/grub",
                                          "/etc/fstab",
                                          "/etc/crypttab",
                                          "/etc/mdadm/mdadm.conf",
                                          "/etc/mdadm.conf",
                                          "/etc/dracut.conf",
                                          "/etc/mkinitcpio.conf",
                                          "/etc/initramfs-tools/initramfs.conf",
                                          "/etc/initramfs-tools/modules"};

void keep(Tree& tree, std::string path, BootConfiguration& out) {
    if (auto text = tree.read(path)) out.files.push_back({std::move(path), std::move(*text)});
}

std::string value_of(Tree& tree, const std::string& file, std::string_view key) {
    for (const auto& line : tree.lines(file)) {
        auto text = trim(line);
        if (!text.starts_with(key) || text.size() <= key.size() || text[key.size()] != '=') continue;
        auto value = trim(text.substr(key.size() + 1));
        if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
            value = value.substr(1, value.size() - 2);
        return std::string(value);
    }
    return {};
}

// The kernel of the first entry of a GRUB 2 or legacy configuration.
std::string first_kernel(const BootConfiguration& boot) {
    for (const auto& file : boot.files) {
        if (file.path.find("grub") == std::string::npos || file.path.starts_with("/etc/default/")) continue;
        for (const auto& line : split(file.text, '\n')) {
            auto w = words(line);
            if (w.size() >= 2 && (w[0] == "linux" || w[0] == "linux16" || w[0] == "linuxefi" || w[0] == "kernel"))
                return w[1];
        }
    }
    return {};
}

void probe_default(Tree& tree, BootConfiguration& boot) {
    for (std::string directory : {"/boot/grub", "/boot/grub2"})
        if (boot.default_entry.empty()) boot.default_entry = value_of(tree, directory + "/grubenv", "saved_entry");
    auto asked = value_of(tree, "/etc/default/grub", "GRUB_DEFAULT");
    if (boot.default_entry.empty() && asked != "saved") boot.default_entry = asked;
    if (boot.default_entry.empty()) boot.default_entry = value_of(tree, "/boot/grub/menu.lst", "default");
    // Which kernel an entry of another name starts is the loader's business.
    if (boot.default_entry.empty() || boot.default_entry == "0") boot.default_kernel = first_kernel(boot);
}

// UEFI 2.10, 3.1.3: attributes (4 bytes), length of the path (2), the description in UTF-16.
std::string started_entry(Tree& tree) {
    constexpr std::string_view kGlobal = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    auto variable = [&](const std::string& name) {
        auto text = tree.read(fmt::format("/sys/firmware/efi/efivars/{}{}", name, kGlobal), 4096).value_or("");
        return text.size() > 4 ? text.substr(4) : "";
    };
    auto current = variable("BootCurrent");
    if (current.size() != 2) return {};
    ByteReader number(as_bytes(current));
    auto entry = variable(fmt::format("Boot{:04X}", number.le16()));
    ByteReader reader(as_bytes(entry));
    reader.skip(6);
    std::string out;
    while (reader.remaining() >= 2) {
        auto c = reader.le16();
        if (c == 0) return out;
        out += c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?';
    }
    return {};
}

}  // namespace

void probe_boot(Tree& tree, Inventory& out) {
    auto& boot = out.boot;
    boot.kernel_command_line = tree.line("/proc/cmdline");
    for (const auto& word : words(boot.kernel_command_line))
        if (word.starts_with("root=")) boot.root = word.substr(5);
    for (const auto& row : kLoaders) {
        auto before = boot.files.size();
        keep(tree, std::string(row.file), boot);
        if (boot.files.size() > before && boot.loader.empty()) boot.loader = row.loader;
    }
    for (std::string directory : {"/boot/loader/entries", "/boot/efi/loader/entries", "/efi/loader/entries"})
        for (const auto& name : tree.list(directory)) {
            keep(tree, directory + "/" + name, boot);
            if (boot.loader.empty()) boot.loader = "systemd-boot";
        }
    for (auto path : kSettings) keep(tree, std::string(path), boot);
    probe_default(tree, boot);
    for (const auto& name : tree.list("/boot"))
        for (std::string_view stem : {"vmlinuz-", "vmlinux-", "kernel-"})
            if (name.starts_with(stem)) boot.kernels.push_back(name.substr(stem.size()));
    std::sort(boot.kernels.begin(), boot.kernels.end(), [](const std::string& a, const std::string& b) {
        return ::strverscmp(a.c_str(), b.c_str()) < 0;  // 6.1.0-9 before 6.1.0-28
    });
    boot.firmware_entry = started_entry(tree);
}

}  // namespace slipway::gatherhw
