// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/initramfs_setup.hpp"

#include <fcntl.h>
#include <algorithm>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/edits.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/loader_files.hpp"
#include "guest-fixup/storage_edits.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::chrono::seconds kListLimit{600};
constexpr const char* kModulesFile = "/etc/initramfs-tools/modules";
constexpr const char* kPolicyFile = "/etc/initramfs-tools/conf.d/zz-slipway";
constexpr const char* kDracutFile = "/etc/dracut.conf.d/90-slipway.conf";
constexpr const char* kMkinitcpioFile = "/etc/mkinitcpio.conf";
constexpr const char* kMkinitfsFile = "/etc/mkinitfs/mkinitfs.conf";
constexpr const char* kFeatureFile = "/etc/mkinitfs/features.d/slipway.modules";
constexpr const char* kSuseFile = "/etc/sysconfig/kernel";
constexpr const char* kBoosterFile = "/etc/booster.yaml";

// Part of a path: of a package's name no more is believed.
bool plain_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && name.front() != '.' &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-") == name.npos;
}

Result<std::string> package_of(const Guest& guest, const InitramfsTool& tool, const std::string& version) {
    if (tool.kind == InitramfsKind::Mkinitfs) return flavour_of(version);
    const auto name = std::string(trim(TRY(guest.read("/lib/modules/" + version + "/pkgbase")).value_or("")));
    return plain_name(name) ? name : std::string();
}

// kernel-install keeps the image beside the kernel on the EFI system partition: an entry says where.
Result<std::string> image_of_entry(const Guest& guest, const std::string& version) {
    for (const auto& place : boot_places())
        for (const auto& entry : read_entries_for_systemd_boot(TRY(read_entry_files(guest, place)), "").entries) {
            if (version_in_path(entry.kernel) != version) continue;
            if (auto path = path_in_guest(guest, place, entry.initrd); !path.empty()) return path;
        }
    return std::string();
}

// Where its image is; an empty path when there is none.
Status find_image(const Guest& guest, const InitramfsTool& tool, Kernel& kernel) {
    if (tool.kind == InitramfsKind::Mkinitcpio && !kernel.package.empty()) {
        const auto text = TRY(guest.read("/etc/mkinitcpio.d/" + kernel.package + ".preset"));
        const auto preset = parse_mkinitcpio_preset(text.value_or(""));
        for (const auto& [path, unified] :
             {std::pair{preset.default_uki, true}, std::pair{preset.default_image, false}}) {
            if (!path.starts_with('/') || !guest.exists(path)) continue;
            kernel.initramfs = path;
            kernel.unified = unified;
            return {};
        }
    }
    for (const auto& path : image_paths(tool, kernel.version, kernel.package)) {
        if (!guest.exists(path)) continue;
        kernel.initramfs = path;
        return {};
    }
    // These make their image where they are told; the others have one place for it.
    if (tool.kind != InitramfsKind::InitramfsTools && tool.kind != InitramfsKind::SuseMkinitrd)
        kernel.initramfs = TRY(image_of_entry(guest, kernel.version));
    return {};
}

Status configure_initramfs_tools(Repair& repair, const std::vector<std::string>& modules) {
    auto& guest = repair.guest;
    const auto listed = TRY(guest.read(kModulesFile)).value_or("");
    TRY(guest.write("initramfs: drivers of the target", kModulesFile, add_modules(listed, modules)));
    auto policy = modules_policy(TRY(guest.read("/etc/initramfs-tools/initramfs.conf")).value_or(""));
    for (const auto& name : guest.list("/etc/initramfs-tools/conf.d")) {
        const auto own = modules_policy(TRY(guest.read("/etc/initramfs-tools/conf.d/" + name)).value_or(""));
        if (!own.empty()) policy = own;
    }
    if (policy != "dep") return {};
    // "dep" looks at the hardware it runs on, which here is not the guest's.
    repair.warn(std::string("MODULES=dep was set to most in ") + kPolicyFile +
                "; the file may be removed once the system runs on its new hardware");
    return guest.write("initramfs: modules for any hardware", kPolicyFile, "MODULES=most\n");
}

// Is something below the root that a generic image only looks for when the kernel's command line says so?
Result<bool> must_assemble(Repair& repair) {
    auto& guest = repair.guest;
    bool layered = !TRY(guest.read("/etc/crypttab")).value_or("").empty();
    for (const auto& volume : repair.names.volumes())
        for (const char* kind : {"LVM2_member", "linux_raid_member", "crypto_LUKS"})
            layered = layered || volume.filesystem == kind;
    for (const auto& entry : parse_fstab(TRY(guest.read("/etc/fstab")).value_or("")))
        if (entry.mount_point == "/")
            layered = layered || entry.spec.starts_with("/dev/mapper/") || entry.spec.starts_with("/dev/md");
    if (!layered) return false;
    for (const auto& path : command_line_files(guest)) {
        if (path == kDracutFile) continue;
        const auto text = TRY(guest.read(path)).value_or("");
        for (const char* word :
             {"rd.auto", "rd.lvm.lv=", "rd.lvm.vg=", "rd.md.uuid=", "rd.luks.uuid=", "rd.luks.name="})
            if (text.find(word) != std::string::npos) return false;
    }
    return true;
}

Status configure_dracut(Repair& repair, const std::vector<std::string>& modules) {
    auto& guest = repair.guest;
    std::vector<std::string> files{"/etc/dracut.conf"};
    for (const auto& name : guest.list("/etc/dracut.conf.d")) files.push_back("/etc/dracut.conf.d/" + name);
    for (const auto& path : files)
        if (const auto text = TRY(guest.read(path)))
            TRY(guest.write("dracut: drivers left out", path, keep_omitted_drivers(*text, modules)));
    return guest.write("dracut: drivers of the target", kDracutFile,
                       dracut_config(modules, TRY(must_assemble(repair))));
}

Status configure_mkinitfs(Repair& repair, const std::vector<Kernel>& kernels) {
    std::vector<std::string> paths;
    for (const auto& kernel : kernels)
        for (const auto& path : kernel.paths)
            if (std::find(paths.begin(), paths.end(), path) == paths.end()) paths.push_back(path);
    TRY(repair.guest.write("mkinitfs: drivers of the target", kFeatureFile, mkinitfs_feature(paths)));
    const auto text = TRY(repair.guest.read(kMkinitfsFile)).value_or("");
    return repair.guest.write("mkinitfs: drivers of the target", kMkinitfsFile, add_mkinitfs_feature(text));
}

// blacklist, install and alias lines of the old machine. All that the controller needs, also what is built in.
Status edit_modprobe_files(Repair& repair) {
    auto& guest = repair.guest;
    const auto& drivers = drivers_of(repair.request.target);
    auto modules = drivers.required;
    modules.insert(modules.end(), drivers.optional.begin(), drivers.optional.end());
    std::vector<std::string> files{"/etc/modprobe.conf", "/etc/modprobe.conf.local", "/etc/modules.conf"};
    for (const auto& name : guest.list("/etc/modprobe.d")) files.push_back("/etc/modprobe.d/" + name);
    for (const auto& path : files) {
        const auto text = TRY(guest.read(path));
        if (!text) continue;
        auto edited = edit_modprobe(*text, path, modules);
        repair.warn(edited.warnings);
        TRY(guest.write("modprobe: the old machine's drivers", path, edited.text));
    }
    return {};
}

Status configure_tool(Repair& repair, const InitramfsTool& tool, const std::vector<Kernel>& kernels,
                      const std::vector<std::string>& modules) {
    constexpr const char* kWhat = "initramfs: drivers of the target";
    auto& guest = repair.guest;
    const auto old = [&](const char* path) -> Result<std::string> { return TRY(guest.read(path)).value_or(""); };
    switch (tool.kind) {
        case InitramfsKind::InitramfsTools: return configure_initramfs_tools(repair, modules);
        case InitramfsKind::Dracut: return configure_dracut(repair, modules);
        case InitramfsKind::Mkinitfs: return configure_mkinitfs(repair, kernels);
        case InitramfsKind::Mkinitcpio:
            return guest.write(kWhat, kMkinitcpioFile,
                               add_to_list(TRY(old(kMkinitcpioFile)), "MODULES", modules, ListSyntax::Array));
        case InitramfsKind::SuseMkinitrd:
            return guest.write(kWhat, kSuseFile, add_initrd_modules(TRY(old(kSuseFile)), modules));
        case InitramfsKind::Booster:
            return guest.write(kWhat, kBoosterFile, add_booster_modules(TRY(old(kBoosterFile)), modules));
        case InitramfsKind::RedHatMkinitrd: return {};  // by --with= and modprobe.conf's scsi_hostadapter
    }
    return {};
}

}  // namespace

Result<const InitramfsTool*> find_tool(const Guest& guest) {
    if (const auto* tool = find_initramfs_tool([&](const std::string& path) { return guest.exists(path); }))
        return tool;
    return make_error(errors::kDistribution, "this system has none of {}", initramfs_tool_names());
}

Result<std::vector<Kernel>> find_kernels(Repair& repair, const InitramfsTool& tool) {
    auto& guest = repair.guest;
    std::vector<Kernel> kernels;
    std::string lacking;
    for (const auto& version : guest.list("/lib/modules")) {
        Kernel kernel{.version = version};
        kernel.package = TRY(package_of(guest, tool, version));
        TRY(find_image(guest, tool, kernel));
        if (kernel.initramfs.empty()) continue;
        const auto directory = "/lib/modules/" + version;
        const auto dep = TRY(guest.read(directory + "/modules.dep")).value_or("");
        const auto builtin = TRY(guest.read(directory + "/modules.builtin")).value_or("");
        auto needed = needed_modules(drivers_of(repair.request.target), parse_modules(dep, builtin));
        if (!needed.missing.empty()) {
            lacking = fmt::format("kernel {} has no {}", version, join(needed.missing, ", "));
            repair.warn(lacking);
            continue;
        }
        kernel.paths = module_paths(dep, needed.in_initramfs);
        kernel.modules = std::move(needed.in_initramfs);
        kernels.push_back(std::move(kernel));
    }
    if (kernels.empty() && !lacking.empty()) return make_error(errors::kNoDriver, "{}", lacking);
    if (kernels.empty()) return make_error(errors::kNoKernel, "no kernel with modules and an initramfs was found");
    return kernels;
}

Status configure_drivers(Repair& repair, const InitramfsTool& tool, const std::vector<Kernel>& kernels) {
    std::vector<std::string> modules;
    for (const auto& kernel : kernels)
        for (const auto& name : kernel.modules)
            if (std::find(modules.begin(), modules.end(), name) == modules.end()) modules.push_back(name);
    TRY(edit_modprobe_files(repair));
    return configure_tool(repair, tool, kernels, modules);
}

Result<MakeImage> image_to_make(Repair& repair, const InitramfsTool& tool, const Kernel& kernel) {
    MakeImage wanted{.version = kernel.version,
                     .image = kernel.initramfs,
                     .modules = kernel.modules,
                     .kernel = "/boot/vmlinuz-" + kernel.version,
                     .root = {},
                     .program = {},
                     .unified = kernel.unified};
    if (tool.kind == InitramfsKind::SuseMkinitrd)
        for (const auto& entry : parse_fstab(TRY(repair.guest.read("/etc/fstab")).value_or("")))
            if (entry.mount_point == "/") wanted.root = entry.spec;
    for (const auto program : tool.programs)
        if (wanted.program.empty() && tool.kind == InitramfsKind::Dracut)
            wanted.program = TRY(repair.guest.read(std::string(program))).value_or("");
    return wanted;
}

Listing list_image(Repair& repair, const InitramfsTool& tool, const Kernel& kernel) {
    Listing out{kernel.modules, ""};
    if (kernel.modules.empty()) return out;
    Compression packed{"gzip", "gzip"};
    if (const auto file = repair.guest.resolve(kernel.initramfs))
        if (auto fd = open_fd(*file, O_RDONLY | O_NONBLOCK)) {
            Bytes start(16);
            start.resize(pread_full(fd->get(), start, 0).value_or(0));
            if (const auto found = compression_of(as_text(start))) packed = *found;
        }
    const auto argv = list_command(tool, kernel.initramfs, packed);
    const auto listing = repair.run(argv, kListLimit);
    if (!listing) out.trouble = listing.error().describe();
    else if (!listing->ok()) out.trouble = fmt::format("`{}` ended with {}", argv[0], listing->exit_code);
    if (out.trouble.empty()) {
        const auto held = modules_in_listing(listing->output);
        std::erase_if(out.missing, [&](const auto& name) { return held.contains(name); });
    }
    if (out.missing.empty() || packed.program.empty()) return out;
    // lsinitrd and others are silent about it.
    const auto there = [&](const char* directory) {
        return repair.guest.exists(directory + std::string(packed.program));
    };
    if (!there("/usr/bin/") && !there("/bin/") && !there("/usr/sbin/") && !there("/sbin/"))
        out.trouble = fmt::format("it is compressed by {}, and the guest has no program `{}` to look into it",
                                  packed.name, packed.program);
    return out;
}

}  // namespace slipway::fixup
