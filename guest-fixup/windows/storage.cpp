// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/storage_plan.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

Status repair_storage(WindowsRepair& repair) {
    const auto& windows = repair.windows;
    const HasFile has_file = [&](const std::string& path) {
        return find_path(repair.guest, windows.root + "/" + path).has_value();
    };
    const auto services = TRY(set_up_storage(repair.system, windows, repair.request.target, has_file));
    repair.note("starts from " + std::string(name_of(repair.request.target)) + " by " + join(services, ", "));
    return {};
}

}  // namespace slipway::fixup::windows
