// SPDX-License-Identifier: GPL-3.0-or-later
// Filter drivers that are named and are not there any more: a device with such a one does not start, and with the disk
// or the volume Windows does not (stop error 0x7B).
#include <algorithm>

#include "guest-fixup/windows/storage_plan.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::uint32_t kDisabled = 4;
constexpr std::size_t kMostClasses = 4096;

// Why a filter cannot start; empty: it can.
std::string why_gone(const WindowsRepair& repair, const std::string& filter) {
    const auto services = repair.windows.services();
    const auto key = services + "\\" + filter;
    if (filter.empty() || filter.find('\\') != std::string::npos) return {};
    if (!repair.system.has(key)) return "there is no such service";
    if (repair.system.number(key, "Start") == kDisabled) return "it is disabled";
    const auto file = driver_file(repair.system, services, filter);
    if (!file.empty() && !find_path(repair.guest, repair.windows.root + "/" + file)) return "its file is missing";
    return {};
}

Status clean(WindowsRepair& repair, const std::string& key, const char* name) {
    const auto filters = repair.system.strings(key, name);
    if (!filters) return {};
    std::vector<std::string> kept;
    std::string gone;
    for (const auto& filter : *filters) {
        const auto why = why_gone(repair, filter);
        if (why.empty()) kept.push_back(filter);
        else gone += fmt::format("{}{} ({})", gone.empty() ? "" : ", ", printable(filter), why);
    }
    if (gone.empty()) return {};
    const auto what = "filters: without " + gone;
    return kept.empty() ? repair.system.remove_value(what, key, name)
                        : repair.system.set(what, key, name, reg_multi_sz(kept));
}

}  // namespace

Status repair_filters(WindowsRepair& repair) {
    const auto classes = repair.windows.control_set + "\\Control\\Class";
    auto names = repair.system.keys(classes);
    if (names.size() > kMostClasses) names.resize(kMostClasses);
    for (const auto& name : names)
        for (const char* filters : {"UpperFilters", "LowerFilters"}) TRY(clean(repair, classes + "\\" + name, filters));
    return {};
}

}  // namespace slipway::fixup::windows
