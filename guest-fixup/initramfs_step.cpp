// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// MODULES=most compresses some 60 MB; in an emulated machine that takes minutes.
constexpr std::chrono::seconds kMakeLimit{3600};
constexpr std::chrono::seconds kListLimit{600};
constexpr const char* kModulesFile = "/etc/initramfs-tools/modules";
constexpr const char* kPolicyFile = "/etc/initramfs-tools/conf.d/zz-slipway";
constexpr const char* kDracutFile = "/etc/dracut.conf.d/90-slipway.conf";

struct Kernel {
    std::string version;
    std::string initramfs;             // path in the guest
    std::vector<std::string> modules;  // that it must hold
};

Result<InitramfsTool> find_tool(const Guest& guest) {
    if (guest.exists("/etc/initramfs-tools/initramfs.conf")) return InitramfsTool::InitramfsTools;
    for (const char* path : {"/usr/bin/dracut", "/usr/sbin/dracut", "/sbin/dracut"})
        if (guest.exists(path)) return InitramfsTool::Dracut;
    return make_error(errors::kDistribution, "this system has neither initramfs-tools nor dracut");
}

std::string initramfs_of(const Guest& guest, const std::string& version) {
    for (const auto& path :
         {"/boot/initrd.img-" + version, "/boot/initramfs-" + version + ".img", "/boot/initrd-" + version})
        if (guest.exists(path)) return path;
    return {};
}

Result<std::vector<Kernel>> find_kernels(Repair& repair) {
    std::vector<Kernel> kernels;
    std::string lacking;
    for (const auto& version : repair.guest.list("/lib/modules")) {
        const auto image = initramfs_of(repair.guest, version);
        if (image.empty()) continue;
        const auto directory = "/lib/modules/" + version;
        const auto dep = TRY(repair.guest.read(directory + "/modules.dep"));
        const auto builtin = TRY(repair.guest.read(directory + "/modules.builtin"));
        auto needed =
            needed_modules(drivers_of(repair.request.target), parse_modules(dep.value_or(""), builtin.value_or("")));
        if (needed.missing.empty()) kernels.push_back({version, image, std::move(needed.in_initramfs)});
        else {
            lacking = fmt::format("kernel {} has no {}", version, join(needed.missing, ", "));
            repair.warn(lacking);
        }
    }
    if (kernels.empty() && !lacking.empty()) return make_error(errors::kNoDriver, "{}", lacking);
    if (kernels.empty()) return make_error(errors::kNoKernel, "no kernel with modules and an initramfs was found");
    return kernels;
}

Status configure(Repair& repair, InitramfsTool tool, const std::vector<Kernel>& kernels) {
    std::vector<std::string> modules;
    for (const auto& kernel : kernels)
        for (const auto& name : kernel.modules)
            if (std::find(modules.begin(), modules.end(), name) == modules.end()) modules.push_back(name);
    if (tool == InitramfsTool::Dracut)
        return repair.guest.write("dracut: drivers of the target", kDracutFile, dracut_config(modules));
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

// The modules that the initramfs lacks; all of them when it cannot be listed.
std::vector<std::string> lacking(Repair& repair, InitramfsTool tool, const Kernel& kernel) {
    const char* program = tool == InitramfsTool::Dracut ? "lsinitrd" : "lsinitramfs";
    auto listing = repair.run({program, kernel.initramfs}, kListLimit);
    if (!listing || !listing->ok()) return kernel.modules;
    const auto held = modules_in_listing(listing->output);
    std::vector<std::string> out;
    for (const auto& name : kernel.modules)
        if (!held.contains(name)) out.push_back(name);
    return out;
}

std::string last_words(const CommandResult& result) {
    auto text = result.output + result.error_text;
    if (text.size() > 1000) text.erase(0, text.size() - 1000);
    return printable(trim(text));
}

Status make_initramfs(Repair& repair, InitramfsTool tool, const Kernel& kernel) {
    repair.note("initramfs " + kernel.version);
    if (repair.guest.dry_run()) {
        const auto before = TRY(repair.guest.digest(kernel.initramfs));
        repair.guest.note_change({"initramfs " + kernel.version, kernel.initramfs, before, "made again"});
        return {};
    }
    const auto kept = TRY(repair.guest.begin_external("initramfs " + kernel.version, {kernel.initramfs},
                                                      {"/boot", "/var/lib/initramfs-tools"}));
    const std::vector<std::string> argv =
        tool == InitramfsTool::Dracut
            ? std::vector<std::string>{"dracut", "--force", "--no-hostonly", "--kver", kernel.version, kernel.initramfs}
            : std::vector<std::string>{"update-initramfs", "-u", "-k", kernel.version};
    const auto made = TRY(repair.run(argv, kMakeLimit));
    if (!made.ok())
        return make_error(errors::kInitramfs, "`{}` ended with {}: {}", join(argv, " "), made.exit_code,
                          last_words(made));
    if (const auto missing = lacking(repair, tool, kernel); !missing.empty())
        return make_error(errors::kInitramfs, "the new initramfs {} lacks {}: {}", kernel.initramfs,
                          join(missing, ", "), last_words(made));
    return repair.guest.commit_external(kept);
}

}  // namespace

Status repair_initramfs(Repair& repair, bool make_again) {
    const auto tool = TRY(find_tool(repair.guest));
    const auto kernels = TRY(find_kernels(repair));
    const auto before = repair.guest.journal().size();
    TRY(configure(repair, tool, kernels));
    make_again = make_again || repair.guest.journal().size() != before;
    for (const auto& kernel : kernels) {
        if (make_again || !lacking(repair, tool, kernel).empty()) TRY(make_initramfs(repair, tool, kernel));
        repair.report.kernels.push_back(kernel.version);
    }
    return {};
}

Status check_initramfs(Repair& repair) {
    TRY(find_tool(repair.guest));
    const auto warnings = repair.report.warnings.size();
    TRY(find_kernels(repair));
    repair.report.warnings.resize(warnings);
    return {};
}

}  // namespace slipway::fixup
