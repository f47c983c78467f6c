// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/windows/drop_in.hpp"

using namespace slipway::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto inf = windows::Inf::parse(text);
    if (!inf) return 0;
    auto leads_out = [](const std::string& path) {
        return path.starts_with('/') || path.starts_with("../") || path == ".." ||
               path.find("/../") != std::string::npos || path.find('\\') != std::string::npos;
    };
    for (const auto& file : windows::files_of(*inf))
        if (leads_out(file)) std::abort();
    const windows::WindowsSystem systems[] = {
        {"/WINDOWS", "", 5, 1, 2600, 3, false, windows::Architecture::X86, "ControlSet001"},
        {"/Windows", "", 10, 0, 20348, 0, true, windows::Architecture::Amd64, "ControlSet001"}};
    for (const auto& system : systems) {
        const auto package = windows::package_for(*inf, system);
        for (const auto& device : package.devices) {
            if (device.install >= package.installs.size()) std::abort();
            for (const auto& id : windows::registered_ids(device))
                if (!id.starts_with("PCI\\") || id.size() > 128) std::abort();
        }
        for (const auto& install : package.installs)
            for (const auto& file : install.files)
                if (leads_out(file.source) || leads_out(file.target)) std::abort();
    }
    return 0;
}
