// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/made_loaders.hpp"

#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "pxe/loaders.hpp"
#include "pxe/script.hpp"

namespace slipway::server {

namespace fs = std::filesystem;

namespace {

// What grub.cfg and the scripts it goes on to use, and what a disk needs to be looked at.
constexpr const char* kGrubModules =
    "--modules=normal configfile net efinet tftp linux chain search search_fs_file echo test sleep reboot halt "
    "part_gpt "
    "part_msdos fat all_video minicmd serial terminal";

Status run(const std::vector<std::string>& command) {
    auto done = run_checked(command, {.timeout = std::chrono::seconds(30)});
    return done ? Status() : std::move(done).error();
}

Status make_grub(const char* format, const fs::path& config, const fs::path& out, const fs::path& root) {
    return run({"grub-mkstandalone", "--directory=" + (root / "usr/lib/grub" / format).string(),
                std::string("--format=") + format, "--output=" + out.string(), "--install-modules=normal", kGrubModules,
                "--locales=", "--fonts=", "--themes=", "boot/grub/grub.cfg=" + config.string()});
}

Status make_grub_ia32(const fs::path& config, const fs::path& out, const fs::path& root) {
    return make_grub("i386-efi", config, out, root);
}

Status make_local_x64(const fs::path& config, const fs::path& out, const fs::path& root) {
    return make_grub("x86_64-efi", config, out, root);
}

// 8 MiB hold shim (1 MB), GRUB (4 MB) and what they grow by.
Status make_shim_image(const fs::path& config, const fs::path& out, const fs::path& root) {
    auto package_file = [&](const char* name) {
        const auto* row = pxe::loader_row(name);
        return (root / row->directory.substr(1) / row->file).string();
    };
    const auto image = out.string();
    TRY(run({"mformat", "-C", "-i", image, "-T", "16384", "-h", "16", "-s", "32", "::"}));
    TRY(run({"mmd", "-i", image, "::/EFI", "::/EFI/BOOT", "::/grub"}));
    TRY(run({"mcopy", "-i", image, package_file("shimx64.efi"), "::/EFI/BOOT/BOOTX64.EFI"}));
    TRY(run({"mcopy", "-i", image, package_file("grubx64.efi"), "::/EFI/BOOT/grubx64.efi"}));
    return run({"mcopy", "-i", image, config.string(), "::/grub/grub.cfg"});
}

}  // namespace

std::vector<MadeLoader> make_loaders(const fs::path& directory, Ipv4Address ours, const fs::path& root) {
    std::vector<MadeLoader> out;
    auto make = [&](const char* name, const std::string& script,
                    Status (*how)(const fs::path&, const fs::path&, const fs::path&)) {
        auto one = [&]() -> Status {
            auto work = TRY(TempDir::create("loaders"));
            auto config = work / "grub.cfg";
            TRY(write_file_atomic(config, as_bytes(script)));
            TRY(how(config, work / name, root));
            auto place = directory / ours.text();
            std::error_code ec;
            fs::create_directories(place, ec);
            return write_file_atomic(place / name, TRY(read_file(work / name)));
        };
        auto made = one();
        out.push_back({name, made ? "" : made.error().describe()});
    };
    make("grubia32.efi", pxe::first_grub_script({ours}), make_grub_ia32);
    make("localx64.efi", pxe::local_disk_grub_script(), make_local_x64);
    make("shimx64.img", pxe::first_grub_script({ours}), make_shim_image);
    return out;
}

}  // namespace slipway::server
