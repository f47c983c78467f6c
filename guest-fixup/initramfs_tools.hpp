// SPDX-License-Identifier: GPL-3.0-or-later
// The distributions' initramfs tools as rows: how each is known, where its images are, how one is made and listed, and
// where extra drivers are named. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup {

enum class InitramfsKind { InitramfsTools, Dracut, Mkinitcpio, Mkinitfs, SuseMkinitrd, RedHatMkinitrd, Booster };

struct InitramfsTool {
    InitramfsKind kind;
    std::string_view name;
    std::vector<std::string_view> programs;       // one of them is there
    std::vector<std::string_view> configuration;  // and one of these; empty: not asked
    // Where its image of a kernel is: {v} the kernel's version, {n} the name of its package ("linux", "lts").
    std::vector<std::string_view> images;
    std::string_view lister;  // its own program that lists an image; empty: it has none
};

// First to last: a system that has several is taken for the first.
const std::vector<InitramfsTool>& initramfs_tools();
// exists answers for a path of the guest.
const InitramfsTool* find_initramfs_tool(const std::function<bool(const std::string&)>& exists);
// "initramfs-tools, dracut, …" for the operator.
std::string initramfs_tool_names();

// What one kernel's image is called by the tool: the name of its package beside its version.
std::vector<std::string> image_paths(const InitramfsTool& tool, std::string_view version, std::string_view package);
// Alpine: "6.6.31-0-lts" -> "lts".
std::string flavour_of(std::string_view version);

// A preset of mkinitcpio (/etc/mkinitcpio.d/linux.preset).
struct MkinitcpioPreset {
    std::string default_image, default_uki, fallback_image;
};
MkinitcpioPreset parse_mkinitcpio_preset(std::string_view text);

struct MakeImage {
    std::string version, image;
    std::vector<std::string> modules;
    std::string kernel;    // "/boot/vmlinuz-2.6.32", for SUSE's mkinitrd
    std::string root;      // what fstab calls the root, for SUSE's mkinitrd
    std::string program;   // the tool's script: old ones know fewer options
    bool unified = false;  // image is a unified kernel image
};
std::vector<std::string> make_command(const InitramfsTool& tool, const MakeImage& wanted);

// How an image is compressed, by its first bytes: the program that decompresses it.
struct Compression {
    std::string_view name, program;  // "zstd", "zstd"; both empty for a plain archive or an early one of microcode
};
std::optional<Compression> compression_of(std::string_view start);
std::vector<std::string> list_command(const InitramfsTool& tool, const std::string& image, const Compression& packed);

// Configuration: text in, text out; a second time changes nothing.
// assemble: the root is in LVM, md or LUKS and no kernel command line says which: dracut's generic image, unlike a
// host-only one, then has no rd.lvm.lv= and the like of its own and would not look.
std::string dracut_config(const std::vector<std::string>& modules, bool assemble);
std::string add_mkinitfs_feature(std::string_view text);
// paths: as modules.dep has them.
std::string mkinitfs_feature(const std::vector<std::string>& paths);
std::string add_booster_modules(std::string_view text, const std::vector<std::string>& modules);
// The paths of these modules in modules.dep.
std::vector<std::string> module_paths(std::string_view modules_dep, const std::vector<std::string>& modules);

// A dracut.conf line that leaves out a module which is needed, without it.
std::string keep_omitted_drivers(std::string_view text, const std::vector<std::string>& modules);

}  // namespace slipway::fixup
