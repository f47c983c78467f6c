// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/fixup/prepare.hpp"

#include <poll.h>
#include <unistd.h>
#include <algorithm>
#include <cstdlib>
#include <thread>

#include <boost/json.hpp>

#include "console/errors.hpp"
#include "console/maker.hpp"
#include "guest-fixup/errors.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "vmm-target/accelerator.hpp"

namespace slipway::console {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

std::string text_at(const json::value& document, std::string_view key) {
    const auto* value = document.is_object() ? document.get_object().if_contains(key) : nullptr;
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

// A quarter of what is free: enough for a guest's initramfs tool, and for the key derivation of LUKS.
unsigned memory_for_guest() {
    std::uint64_t free_kib = 0;
    for (const auto& line : split(read_text_file("/proc/meminfo").value_or(""), '\n'))
        if (line.starts_with("MemAvailable:")) {
            const auto words = trim(std::string_view(line).substr(13));
            free_kib = parse_u64(words.substr(0, words.find(' '))).value_or(0);
        }
    return static_cast<unsigned>(std::clamp<std::uint64_t>(free_kib / 1024 / 4, 512, 2048));
}

std::string last_line(const std::string& text) {
    const auto trimmed = trim(text);
    const auto at = trimmed.rfind('\n');
    return printable(at == std::string_view::npos ? trimmed : trimmed.substr(at + 1));
}

Status make_ramdisk(const fs::path& cache, int cancel_fd, ApplianceMachine& machine) {
    CommandOptions options;
    options.cancel_fd = cancel_fd;
    const auto made = TRY(run_command(
        {TRY(ramdisk_maker()), "appliance", "--output", (cache / "appliance").string(), "--json"}, options));
    pollfd cancelled{cancel_fd, POLLIN, 0};
    if (::poll(&cancelled, 1, 0) > 0)
        return make_error(fixup::errors::kCancelled, "interrupted before anything was changed");
    if (!made.ok()) {
        auto words = printable(trim(made.error_text));
        return make_error(errors::kNoAppliance, "its ramdisk cannot be made: {}",
                          words.empty() ? last_line(made.output) : words);
    }
    boost::system::error_code failed;
    const auto report = json::parse(made.output, failed);
    machine.kernel = text_at(report, "kernel");
    machine.ramdisk = text_at(report, "ramdisk");
    if (failed || machine.kernel.empty() || machine.ramdisk.empty())
        return make_error(errors::kNoAppliance, "slipway-ramdisk said something else than was expected");
    return {};
}

}  // namespace

fs::path cache_directory() {
    if (const char* base = std::getenv("XDG_CACHE_HOME"); base && *base == '/') return fs::path(base) / "slipway";
    const char* home = std::getenv("HOME");
    if (::geteuid() == 0 || !home || *home != '/') return "/var/cache/slipway";
    return fs::path(home) / ".cache/slipway";
}

Result<ApplianceMachine> prepare_appliance(int cancel_fd) {
    ApplianceMachine machine;
    const auto cache = cache_directory();
    std::error_code failed;
    fs::create_directories(cache, failed);
    TRY(make_ramdisk(cache, cancel_fd, machine));
    machine.accelerator = vmm::choose_accelerator(machine.qemu, cache / "accelerator.json");
    machine.memory_mib = memory_for_guest();
    // An emulated processor more is no help.
    if (machine.accelerator == "kvm") machine.processors = std::clamp(std::thread::hardware_concurrency(), 1u, 4u);
    return machine;
}

}  // namespace slipway::console
