// SPDX-License-Identifier: GPL-3.0-or-later
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

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

std::string last_words(const CommandResult& result) {
    auto text = result.output + result.error_text;
    if (text.size() > 1000) text.erase(0, text.size() - 1000);
    return printable(trim(text));
}

Status make_initramfs(Repair& repair, InitramfsTool tool, const Kernel& kernel) {
    repair.note("initramfs " + kernel.version);
    const auto file = repair.guest.resolve(kernel.initramfs);
    if (!file) return make_error(errors::kInitramfs, "{} is gone", kernel.initramfs);
    const auto before = TRY(file_digest(*file));
    if (repair.guest.dry_run()) {
        repair.guest.note_change({"initramfs " + kernel.version, kernel.initramfs, before, "made again"});
        return {};
    }
    auto kept = TRY(KeptFile::keep(*file));
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
    kept.accept();
    repair.guest.note_change({"initramfs " + kernel.version, kernel.initramfs, before, TRY(file_digest(*file))});
    return {};
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
