// SPDX-License-Identifier: GPL-3.0-or-later
// The image commands on the server's store.
#pragma once

#include "console/command.hpp"

namespace slipway::console {

Result<ExitCode> server_image_list(const Context& context);
Result<ExitCode> server_image_show(const std::string& name, const Context& context);
Result<ExitCode> server_image_delete(const std::string& name, const Context& context);

}  // namespace slipway::console
