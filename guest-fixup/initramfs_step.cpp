// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/initramfs_setup.hpp"
#include "guest-fixup/loader_files.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

// MODULES=most compresses some 60 MB; in an emulated machine that takes minutes.
constexpr std::chrono::seconds kMakeLimit{3600};

// The old initramfs under a second name while a new one is made.
class KeptFile {
public:
    static Result<KeptFile> keep(fs::path file) {
        auto kept = file.parent_path() / ("." + file.filename().string() + ".slipway-old");
        ::unlink(kept.c_str());
        std::error_code failed;
        fs::create_hard_link(file, kept, failed);
        if (failed) fs::copy_file(file, kept, failed);  // FAT knows no links
        if (failed) return make_error(errors::kInitramfs, "keeping {}: {}", file.filename().string(), failed.message());
        return KeptFile(std::move(file), std::move(kept));
    }
    KeptFile(KeptFile&& other) noexcept : file_(std::move(other.file_)), kept_(std::exchange(other.kept_, {})) {}
    ~KeptFile() { restore(); }
    void accept() {
        if (!kept_.empty()) ::unlink(kept_.c_str());
        kept_.clear();
    }

private:
    KeptFile(fs::path file, fs::path kept) : file_(std::move(file)), kept_(std::move(kept)) {}
    void restore() {
        // rename(2) of two links to one file does nothing and leaves both.
        if (!kept_.empty() && ::rename(kept_.c_str(), file_.c_str()) == 0) ::unlink(kept_.c_str());
        kept_.clear();
    }
    fs::path file_, kept_;
};

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
    const auto file = repair.guest.resolve(kernel.initramfs);
    if (!file) return make_error(errors::kInitramfs, "{} is gone", kernel.initramfs);
    const auto before = TRY(file_digest(*file));
    if (repair.guest.dry_run()) {
        repair.guest.note_change({"initramfs " + kernel.version, kernel.initramfs, before, "made again"});
        return {};
    }
    auto kept = TRY(KeptFile::keep(*file));
    const auto argv = make_command(tool, TRY(image_to_make(repair, tool, kernel)));
    const auto made = TRY(repair.run(argv, kMakeLimit));
    if (!made.ok())
        return make_error(errors::kInitramfs, "`{}` ended with {}: {}", join(argv, " "), made.exit_code,
                          last_words(made));
    if (const auto listing = list_image(repair, tool, kernel); !listing.missing.empty())
        return make_error(errors::kInitramfs, "the new initramfs {} lacks {}: {}", kernel.initramfs,
                          join(listing.missing, ", "), listing.trouble.empty() ? last_words(made) : listing.trouble);
    kept.accept();
    repair.guest.note_change({"initramfs " + kernel.version, kernel.initramfs, before, TRY(file_digest(*file))});
    return {};
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
