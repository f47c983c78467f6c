// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/vendor_agents.hpp"

namespace slipway::fixup {

namespace {

constexpr const char* kBlacklist = "/etc/modprobe.d/slipway-p2v.conf";
constexpr const char* kDracutOmit = "/etc/dracut.conf.d/91-slipway-p2v.conf";

std::string plain(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

// The modules that patterns mean: of all kernels, since a name with '*' says nothing alone.
std::set<std::string> modules_meant(const Guest& guest, const std::vector<std::string>& patterns) {
    std::set<std::string> out;
    std::set<std::string> known;
    for (const auto& pattern : patterns)
        if (pattern.find('*') == std::string::npos) out.insert(plain(pattern));
    if (out.size() == patterns.size()) return out;
    for (const auto& version : guest.list("/lib/modules"))
        if (auto dep = guest.read(fmt::format("/lib/modules/{}/modules.dep", version)); dep && *dep)
            known.merge(parse_modules(**dep, "").loadable);
    for (const auto& pattern : patterns)
        for (const auto& module : known)
            if (fits(module, plain(pattern))) out.insert(module);
    return out;
}

Status disable_drivers(Repair& repair, const std::vector<std::string>& patterns, bool& initramfs_changed) {
    const auto& own = drivers_of(repair.request.target);
    std::vector<std::string> modules;
    for (const auto& module : modules_meant(repair.guest, patterns)) {
        const bool needed = std::find(own.required.begin(), own.required.end(), module) != own.required.end() ||
                            std::find(own.optional.begin(), own.optional.end(), module) != own.optional.end();
        if (needed)
            repair.warn(fmt::format("the drivers file names {}, which the new controller needs: it stays", module));
        else modules.push_back(module);
    }
    if (modules.empty()) return {};
    auto& guest = repair.guest;
    const auto before = guest.journal().size();
    TRY(guest.write("drivers file: modules blacklisted", kBlacklist, blacklist_file(modules)));
    if (guest.exists("/etc/dracut.conf.d"))
        TRY(guest.write("drivers file: modules left out of the initramfs", kDracutOmit,
                        fmt::format("# Written by Slipway.\nomit_drivers+=\" {} \"\n", fmt::join(modules, " "))));
    // An initramfs carries a copy of modprobe.d.
    initramfs_changed = initramfs_changed || guest.journal().size() != before;
    for (const auto& module : modules)
        TRY(unlist_module_everywhere(guest, fmt::format("drivers file: module {} not loaded", module), module,
                                     initramfs_changed));
    return {};
}

}  // namespace

Status apply_drivers_file(Repair& repair, bool& initramfs_changed) {
    if (repair.request.drivers_file.empty()) return {};
    repair.note("drivers file");
    const auto file = TRY(parse_drivers_file(repair.request.drivers_file));
    repair.warn(file.warnings);
    for (const auto& service : file.services)
        TRY(disable_service(repair.guest, fmt::format("drivers file: service {} off", service), service));
    for (const auto& program : file.programs)
        TRY(remove_program(repair.guest, fmt::format("drivers file: program {} not started", program), program));
    return disable_drivers(repair, file.drivers, initramfs_changed);
}

}  // namespace slipway::fixup
