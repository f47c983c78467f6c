// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/initramfs_tools.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kFeature = "slipway";

std::string filled(std::string_view pattern, std::string_view version, std::string_view package) {
    std::string out(pattern);
    for (const auto& [key, value] : {std::pair{std::string_view("{v}"), version}, {"{n}", package}})
        if (const auto at = out.find(key); at != std::string::npos) out.replace(at, key.size(), value);
    return out;
}

std::vector<std::string> make_dracut(const MakeImage& wanted) {
    std::vector<std::string> argv{"dracut", "--force"};
    // Host-only would look at the hardware this runs on, which is not the guest's. Before 018 nothing else was made.
    if (wanted.program.empty() || wanted.program.find("no-hostonly") != std::string::npos)
        argv.push_back("--no-hostonly");
    if (wanted.unified) argv.push_back("--uefi");
    argv.insert(argv.end(), {wanted.image, wanted.version});
    return argv;
}

std::vector<std::string> make_suse(const MakeImage& wanted) {
    const auto leaf = [](const std::string& path) { return path.substr(path.find_last_of('/') + 1); };
    std::vector<std::string> argv{"mkinitrd",         "-k", leaf(wanted.kernel),      "-i",
                                  leaf(wanted.image), "-m", join(wanted.modules, " ")};
    if (wanted.root.starts_with("/dev/")) argv.insert(argv.end(), {"-d", wanted.root});
    return argv;
}

std::vector<std::string> make_red_hat(const MakeImage& wanted) {
    std::vector<std::string> argv{"mkinitrd", "-f"};
    for (const auto& name : wanted.modules) argv.push_back("--with=" + name);
    argv.insert(argv.end(), {wanted.image, wanted.version});
    return argv;
}

}  // namespace

const std::vector<InitramfsTool>& initramfs_tools() {
    static const std::vector<InitramfsTool> tools{
        {InitramfsKind::InitramfsTools,
         "initramfs-tools",
         {"/usr/sbin/update-initramfs", "/sbin/update-initramfs"},
         {"/etc/initramfs-tools/initramfs.conf"},
         {"/boot/initrd.img-{v}"},
         "lsinitramfs"},
        {InitramfsKind::Dracut,
         "dracut",
         {"/usr/bin/dracut", "/usr/sbin/dracut", "/sbin/dracut"},
         {},
         {"/boot/initramfs-{v}.img", "/boot/initrd.img-{v}", "/boot/initrd-{v}"},
         "lsinitrd"},
        {InitramfsKind::Mkinitcpio,
         "mkinitcpio",
         {"/usr/bin/mkinitcpio"},
         {"/etc/mkinitcpio.conf"},
         {"/boot/initramfs-{n}.img", "/boot/initramfs-{v}.img"},
         "lsinitcpio"},
        {InitramfsKind::Mkinitfs,
         "mkinitfs",
         {"/sbin/mkinitfs", "/usr/sbin/mkinitfs", "/usr/bin/mkinitfs"},
         {"/etc/mkinitfs/mkinitfs.conf"},
         {"/boot/initramfs-{n}", "/boot/initramfs-{v}"},
         ""},
        {InitramfsKind::SuseMkinitrd,
         "SUSE's mkinitrd",
         {"/sbin/mkinitrd"},
         {"/lib/mkinitrd", "/etc/SuSE-release"},
         {"/boot/initrd-{v}"},
         ""},
        {InitramfsKind::RedHatMkinitrd,
         "Red Hat's mkinitrd",
         {"/sbin/mkinitrd"},
         {"/etc/redhat-release"},
         {"/boot/initrd-{v}.img"},
         ""},
        {InitramfsKind::Booster, "booster", {"/usr/bin/booster"}, {}, {"/boot/booster-{n}.img"}, "booster"},
    };
    return tools;
}

const InitramfsTool* find_initramfs_tool(const std::function<bool(const std::string&)>& exists) {
    const auto any = [&](const std::vector<std::string_view>& paths) {
        return std::any_of(paths.begin(), paths.end(), [&](auto path) { return exists(std::string(path)); });
    };
    for (const auto& tool : initramfs_tools()) {
        if (!any(tool.programs) || (!tool.configuration.empty() && !any(tool.configuration))) continue;
        // Debian's dracut brings an update-initramfs of its own, and initramfs-tools' configuration may be left over.
        if (tool.kind == InitramfsKind::InitramfsTools && exists("/usr/bin/dracut") &&
            !exists("/usr/sbin/mkinitramfs") && !exists("/usr/bin/lsinitramfs"))
            continue;
        return &tool;
    }
    return nullptr;
}

std::string initramfs_tool_names() {
    std::vector<std::string> names;
    for (const auto& tool : initramfs_tools()) names.emplace_back(tool.name);
    return join(names, ", ");
}

std::vector<std::string> image_paths(const InitramfsTool& tool, std::string_view version, std::string_view package) {
    std::vector<std::string> paths;
    for (const auto pattern : tool.images)
        if (!package.empty() || pattern.find("{n}") == std::string_view::npos)
            paths.push_back(filled(pattern, version, package));
    return paths;
}

std::string flavour_of(std::string_view version) {
    const auto dash = version.find_last_of('-');
    if (dash == std::string_view::npos || dash + 1 == version.size()) return {};
    const auto word = version.substr(dash + 1);
    return word.front() >= 'a' && word.front() <= 'z' ? std::string(word) : std::string();
}

MkinitcpioPreset parse_mkinitcpio_preset(std::string_view text) {
    MkinitcpioPreset preset;
    for (const auto& line : split(text, '\n')) {
        const auto words = trim(line);
        for (auto [key, value] : {std::pair{std::string_view("default_image="), &preset.default_image},
                                  {"default_uki=", &preset.default_uki},
                                  {"fallback_image=", &preset.fallback_image}})
            if (words.starts_with(key) && words.size() < kLongestLine)
                *value = without_quotes(trim(words.substr(key.size())));
    }
    return preset;
}

std::vector<std::string> make_command(const InitramfsTool& tool, const MakeImage& wanted) {
    const auto& [version, image] = std::tie(wanted.version, wanted.image);
    switch (tool.kind) {
        case InitramfsKind::InitramfsTools: return {"update-initramfs", "-u", "-k", version};
        case InitramfsKind::Dracut: return make_dracut(wanted);
        // autodetect would keep what the hardware needs that this runs on.
        case InitramfsKind::Mkinitcpio:
            return {"mkinitcpio", "-k", version, wanted.unified ? "-U" : "-g", image, "-S", "autodetect"};
        case InitramfsKind::Mkinitfs: return {"mkinitfs", "-o", image, version};
        case InitramfsKind::SuseMkinitrd: return make_suse(wanted);
        case InitramfsKind::RedHatMkinitrd: return make_red_hat(wanted);
        case InitramfsKind::Booster:
            return {"booster", "build", "--force", "--universal", "--kernel-version", version, image};
    }
    return {};
}

std::optional<Compression> compression_of(std::string_view start) {
    using namespace std::string_view_literals;
    struct Row {
        std::string_view magic;
        Compression how;
    };
    static constexpr Row kRows[] = {
        {"\x1f\x8b"sv, {"gzip", "gzip"}},
        {"\xfd"
         "7zXZ\0"sv,
         {"xz", "xz"}},
        {"\x28\xb5\x2f\xfd"sv, {"zstd", "zstd"}},
        {"BZh"sv, {"bzip2", "bzip2"}},
        {"\x02\x21\x4c\x18"sv, {"lz4", "lz4"}},
        {"\x04\x22\x4d\x18"sv, {"lz4", "lz4"}},
        {"\x5d\0\0"sv, {"lzma", "xz"}},
        {"\x89LZO"sv, {"lzo", "lzop"}},
        {"070701"sv, {"", ""}},
        {"070702"sv, {"", ""}},
    };
    for (const auto& row : kRows)
        if (start.starts_with(row.magic)) return row.how;
    return std::nullopt;
}

std::vector<std::string> list_command(const InitramfsTool& tool, const std::string& image, const Compression& packed) {
    if (tool.kind == InitramfsKind::Booster) return {"booster", "ls", image};
    if (!tool.lister.empty()) return {std::string(tool.lister), image};
    const auto unpack = packed.program.empty() ? std::string("cat") : std::string(packed.program) + " -dc";
    return {"/bin/sh", "-c", unpack + " \"$1\" | cpio -it", "sh", image};
}

std::string dracut_config(const std::vector<std::string>& modules, bool assemble) {
    auto text = "# Written by Slipway: the drivers of this machine's disk controller.\nadd_drivers+=\" " +
                join(modules, " ") + " \"\n";
    if (assemble)
        text +=
            "# The root is in LVM, md or LUKS, and no kernel command line names it.\nkernel_cmdline+=\" rd.auto=1 \"\n";
    return text;
}

std::string add_mkinitfs_feature(std::string_view text) {
    return add_to_list(text, "features", {std::string(kFeature)}, ListSyntax::Quoted);
}

std::string mkinitfs_feature(const std::vector<std::string>& paths) { return join(paths, "\n") + "\n"; }

std::string add_booster_modules(std::string_view text, const std::vector<std::string>& modules) {
    constexpr std::string_view kKey = "modules:";
    bool found = false;
    auto out = map_lines(text, [&](std::string_view line) {
        std::string changed(line);
        if (!line.starts_with(kKey) || found) return changed;
        found = true;
        std::vector<std::string> listed;
        for (const auto& name : split(line.substr(kKey.size()), ','))
            if (!trim(name).empty()) listed.emplace_back(trim(name));
        const auto before = listed.size();
        for (const auto& name : modules)
            if (std::find(listed.begin(), listed.end(), name) == listed.end()) listed.push_back(name);
        return listed.size() == before ? changed : std::string(kKey) + " " + join(listed, ",");
    });
    if (found || modules.empty()) return out;
    if (!out.empty() && out.back() != '\n') out += '\n';
    return out + std::string(kKey) + " " + join(modules, ",") + "\n";
}

std::vector<std::string> module_paths(std::string_view modules_dep, const std::vector<std::string>& modules) {
    std::vector<std::string> paths;
    for (const auto& line : split(modules_dep, '\n')) {
        const auto path = line.substr(0, line.find(':'));
        if (const auto name = module_name(path); std::find(modules.begin(), modules.end(), name) != modules.end())
            paths.push_back(path);
    }
    return paths;
}

std::string keep_omitted_drivers(std::string_view text, const std::vector<std::string>& modules) {
    return map_lines(text, [&](std::string_view line) {
        std::string out(line);
        if (!trim(line).starts_with("omit_drivers")) return out;
        for (const auto& name : modules)
            for (std::size_t at = 0; (at = out.find(name, at)) != std::string::npos;) {
                const auto end = at + name.size();
                const auto ends_word = [&](std::size_t i) {
                    return i >= out.size() || std::string_view(" \t\"'").find(out[i]) != std::string_view::npos;
                };
                if (at > 0 && ends_word(at - 1) && ends_word(end)) out.erase(at, name.size());
                else at = end;
            }
        return out;
    });
}

}  // namespace slipway::fixup
