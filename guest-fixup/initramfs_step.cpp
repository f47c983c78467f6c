// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/initramfs_setup.hpp"
#include "guest-fixup/loader_files.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// MODULES=most compresses some 60 MB; in an emulated machine that takes minutes.
constexpr std::chrono::seconds kMakeLimit{3600};

// Configuration that the tools copy into the image or read when they make it.
bool copied_into_initramfs(const std::string& path) {
    static constexpr std::string_view kStarts[] = {"/etc/initramfs-tools/", "/etc/dracut.conf", "/etc/mkinit",
                                                   "/etc/booster",          "/etc/modprobe",    "/etc/modules",
                                                   "/etc/crypttab",         "/etc/lvm/",        "/etc/mdadm",
                                                   "/etc/sysconfig/kernel", "/etc/multipath"};
    return std::any_of(std::begin(kStarts), std::end(kStarts), [&](auto start) { return path.starts_with(start); });
}

std::string last_words(const CommandResult& result) {
    auto text = result.output + result.error_text;
    if (text.size() > 1000) text.erase(0, text.size() - 1000);
    return printable(trim(text));
}

Status make_initramfs(Repair& repair, const InitramfsTool& tool, const Kernel& kernel) {
    repair.note("initramfs " + kernel.version);
    if (repair.guest.dry_run()) {
        const auto before = TRY(repair.guest.digest(kernel.initramfs));
        repair.guest.note_change({"initramfs " + kernel.version, kernel.initramfs, before, "made again"});
        return {};
    }
    const auto argv = make_command(tool, TRY(image_to_make(repair, tool, kernel)));
    std::vector<std::string> directories{"/boot", "/var/lib/initramfs-tools"};
    for (const auto& place : boot_places())
        if (!place.empty() && place != "/boot") directories.push_back(place);
    const auto kept = TRY(repair.guest.begin_external("initramfs " + kernel.version, {kernel.initramfs}, directories));
    const auto made = TRY(repair.run(argv, kMakeLimit));
    if (!made.ok())
        return make_error(errors::kInitramfs, "`{}` ended with {}: {}", join(argv, " "), made.exit_code,
                          last_words(made));
    if (const auto listing = list_image(repair, tool, kernel); !listing.missing.empty())
        return make_error(errors::kInitramfs, "the new initramfs {} lacks {}: {}", kernel.initramfs,
                          join(listing.missing, ", "), listing.trouble.empty() ? last_words(made) : listing.trouble);
    return repair.guest.commit_external(kept);
}

}  // namespace

namespace {

using Texts = std::vector<std::pair<std::string, std::string>>;

Result<Texts> boot_entries(const Guest& guest) {
    Texts entries;
    for (const auto& place : boot_places())
        for (auto& [name, text] : TRY(read_entry_files(guest, place)))
            entries.emplace_back(place + "/loader/entries/" + name, std::move(text));
    return entries;
}

}  // namespace

Status repair_initramfs(Repair& repair, bool make_again) {
    const auto& tool = *TRY(find_tool(repair.guest));
    const auto kernels = TRY(find_kernels(repair, tool));
    TRY(configure_drivers(repair, tool, kernels));
    for (const auto& change : repair.guest.journal()) make_again = make_again || copied_into_initramfs(change.where);
    // A tool's hook may call kernel-install, which takes the command line of the kernel that runs now: ours.
    const auto entries = TRY(boot_entries(repair.guest));
    for (const auto& kernel : kernels) {
        if (make_again || !list_image(repair, tool, kernel).missing.empty()) TRY(make_initramfs(repair, tool, kernel));
        repair.report.kernels.push_back(kernel.version);
    }
    for (const auto& [path, text] : entries) TRY(repair.guest.write("boot entry as it was", path, text));
    return {};
}

Status check_initramfs(Repair& repair) {
    const auto& tool = *TRY(find_tool(repair.guest));
    const auto warnings = repair.report.warnings.size();
    TRY(find_kernels(repair, tool));
    repair.report.warnings.resize(warnings);
    return {};
}

}  // namespace slipway::fixup
