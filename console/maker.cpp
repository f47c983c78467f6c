// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/maker.hpp"

#include <filesystem>

#include "console/errors.hpp"

namespace slipway::console {

Result<std::string> ramdisk_maker() {
    std::error_code failed;
    auto here = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
    for (const auto& directory : {here, here / "../sbin"})
        if (std::filesystem::exists(directory / "slipway-ramdisk")) return (directory / "slipway-ramdisk").string();
    return make_error(errors::kNoProgram, "slipway-ramdisk is not beside this program");
}

}  // namespace slipway::console
