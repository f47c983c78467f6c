// SPDX-License-Identifier: GPL-3.0-or-later
// What the initramfs step works on: the guest's kernels with their images, and the tool's configuration.
#pragma once

#include "guest-fixup/initramfs_tools.hpp"
#include "guest-fixup/steps.hpp"

namespace slipway::fixup {

struct Kernel {
    std::string version;
    std::string package;               // "linux", "lts": what Arch and Alpine name its files by
    std::string initramfs;             // path in the guest
    bool unified = false;              // that is a unified kernel image
    std::vector<std::string> modules;  // that it must hold
    std::vector<std::string> paths;    // of these, as modules.dep has them
};

Result<const InitramfsTool*> find_tool(const Guest& guest);
// The kernels that have the target's drivers; the others are warned of. None: an error.
Result<std::vector<Kernel>> find_kernels(Repair& repair, const InitramfsTool& tool);
// The tool's own configuration, and modprobe's: the drivers are in every image made from now on.
Status configure_drivers(Repair& repair, const InitramfsTool& tool, const std::vector<Kernel>& kernels);
Result<MakeImage> image_to_make(Repair& repair, const InitramfsTool& tool, const Kernel& kernel);

struct Listing {
    std::vector<std::string> missing;  // modules that the image lacks; all of them when it cannot be listed
    std::string trouble;               // why it cannot
};
Listing list_image(Repair& repair, const InitramfsTool& tool, const Kernel& kernel);

}  // namespace slipway::fixup
