// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/accelerator.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <algorithm>

#include <boost/json.hpp>

#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "vmm-target/command_line.hpp"

namespace slipway::vmm {

namespace {

namespace fs = std::filesystem;

std::string release() {
    utsname name{};
    return ::uname(&name) == 0 ? name.release : "unknown";
}

// The running kernel's own image, else any.
fs::path some_kernel() {
    std::error_code none;
    fs::path own = "/boot/vmlinuz-" + release();
    if (fs::exists(own, none)) return own;
    fs::path found;
    for (const auto& entry : fs::directory_iterator("/boot", none))
        if (entry.path().filename().string().starts_with("vmlinuz-")) found = std::max(found, entry.path());
    return found;
}

bool guest_boots(const std::string& qemu) {
    const auto kernel = some_kernel();
    if (::access("/dev/kvm", R_OK | W_OK) != 0 || kernel.empty()) return false;
    std::vector<std::string> argv{qemu,       "-nodefaults", "-no-user-config", "-machine", "pc",   "-m", "256",
                                  "-display", "none",        "-no-reboot",      "-serial",  "stdio"};
    for (auto& word : accelerator_arguments("kvm")) argv.push_back(std::move(word));
    argv.insert(argv.end(), {"-kernel", kernel.string(), "-append", "console=ttyS0 panic=-1"});
    CommandOptions options;
    options.timeout = std::chrono::seconds(30);
    const auto ran = run_command(argv, options);
    // It has no root file system: having come as far as missing it, a kernel has booted.
    return ran && ran->exit_code == 0 && ran->output.find("VFS: Unable to mount root") != std::string::npos;
}

}  // namespace

std::string choose_accelerator(const std::string& qemu, const fs::path& cache) {
    boost::system::error_code bad;
    if (auto text = read_text_file(cache, 4096)) {
        const auto kept = boost::json::parse(*text, bad);
        if (!bad && kept.is_object())
            if (auto *of = kept.as_object().if_contains("release"), *kvm = kept.as_object().if_contains("kvm");
                of && kvm && of->is_string() && kvm->is_bool() && of->as_string() == release())
                return kvm->as_bool() ? "kvm" : "tcg";
    }
    const bool boots = guest_boots(qemu);
    log::info("vmm", "acceleration: {}", boots ? "KVM (a probe guest booted)" : "TCG (no guest boots under KVM here)");
    const auto text = boost::json::serialize(boost::json::object{{"release", release()}, {"kvm", boots}}) + "\n";
    if (auto kept = write_file_atomic(cache, as_bytes(text)); !kept)
        log::warning("vmm", "the choice is not kept: {}", kept.error().describe());
    return boots ? "kvm" : "tcg";
}

}  // namespace slipway::vmm
