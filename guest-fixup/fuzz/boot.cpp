// SPDX-License-Identifier: GPL-3.0-or-later
// Menus of the boot loaders, kernel command lines, and the configuration of md, LVM, modprobe and the initramfs tools:
// no text breaks a reader, and what a transformer has changed it leaves alone the second time.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <source_location>

#include "guest-fixup/boot_menu.hpp"
#include "guest-fixup/edits.hpp"
#include "guest-fixup/firmware.hpp"
#include "guest-fixup/grub_environment.hpp"
#include "guest-fixup/initramfs_tools.hpp"
#include "guest-fixup/kernel_arguments.hpp"
#include "guest-fixup/kernel_choice.hpp"
#include "guest-fixup/storage_edits.hpp"

using namespace slipway;
using namespace slipway::fixup;

namespace {

template <typename Edit>
void settles(std::string_view text, Edit&& edit, std::source_location where = std::source_location::current()) {
    const std::string once = edit(text);
    const std::string twice = edit(once);
    if (twice == once) return;
    std::fprintf(stderr, "line %u: once:\n%s\ntwice:\n%s\n", where.line(), once.c_str(), twice.c_str());
    std::abort();
}

void menus(std::string_view text) {
    const EntryFiles files{{"a+1.conf", std::string(text)}, {std::string(text.substr(0, 64)) + ".conf", ""}};
    const BootMenu all[] = {read_grub2(text, text), read_grub_legacy(text, text), read_extlinux(text),
                            read_entries_for_grub(files, text), read_entries_for_systemd_boot(files, text)};
    for (const auto& menu : all) {
        if (menu.chosen && *menu.chosen >= menu.entries.size()) std::abort();
        FitKernels kernels;
        for (const auto& entry : menu.entries) kernels[version_in_path(entry.kernel)] = kernels.size() % 2;
        if (const auto choice = choose_entry(menu, kernels); choice && choice->entry >= menu.entries.size())
            std::abort();
    }
    (void)grub2_reads_entries(text);
    const auto half = text.size() / 2;
    if (compare_versions(text.substr(0, half), text.substr(half)) !=
        -compare_versions(text.substr(half), text.substr(0, half)))
        std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    menus(text);
    settles(text, [](auto t) { return set_default_grub2(t, "a>b"); });
    settles(text, [](auto t) { return set_default_grub_defaults(t, "a>b"); });
    settles(text, [](auto t) { return set_default_grub_legacy(t, "2"); });
    settles(text, [](auto t) { return set_default_loader_conf(t, "a"); });
    for (const auto& entry : read_extlinux(text).entries)
        settles(text, [&](auto t) { return set_default_extlinux(t, entry.id); });
    settles(text, [](auto t) { return set_environment(t, "saved_entry", "x"); });
    const std::vector<std::string> modules{"virtio_pci", "virtio_blk"};
    for (const auto syntax :
         {LoaderSyntax::Grub2, LoaderSyntax::Defaults, LoaderSyntax::GrubLegacy, LoaderSyntax::Entry,
          LoaderSyntax::CommandLine, LoaderSyntax::Extlinux, LoaderSyntax::Environment})
        settles(text, [&](auto t) {
            return map_arguments(t, syntax, [&](auto arguments, bool whole) {
                return edit_consoles(allow_modules(arguments, modules), true, whole);
            });
        });
    settles(text, [](auto t) { return edit_inittab(t, true, false); });
    settles(text, [](auto t) { return edit_securetty(t); });
    settles(text, [](auto t) { return edit_mdadm(t).text; });
    settles(text, [](auto t) { return edit_lvm_filter(t).text; });
    settles(text, [&](auto t) { return edit_modprobe(t, "f", modules).text; });
    settles(text, [&](auto t) { return add_initrd_modules(t, modules); });
    settles(text, [&](auto t) { return add_to_list(t, "MODULES", modules, ListSyntax::Array); });
    settles(text, [](auto t) { return add_mkinitfs_feature(t); });
    settles(text, [&](auto t) { return add_booster_modules(t, modules); });
    settles(text, [&](auto t) { return keep_omitted_drivers(t, modules); });
    (void)devices_file_is_stale(text);
    (void)names_old_disks(text);
    (void)parse_mkinitcpio_preset(text);
    (void)compression_of(text);
    (void)boot_code_in(as_bytes(text));
    return 0;
}
