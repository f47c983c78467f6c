// SPDX-License-Identifier: GPL-3.0-or-later
// The image commands on the server's store.
#pragma once

#include "console/command.hpp"

namespace slipway::console {

// server: its URL; empty: the one logged in to.
Result<ExitCode> server_image_list(const std::string& server, const Context& context);
Result<ExitCode> server_image_show(const std::string& server, const std::string& name, const Context& context);
Result<ExitCode> server_image_delete(const std::string& server, const std::string& name, const Context& context);
// What the server's verify or gc found (`result` of docs/protocols/rest.md, "The store"). A
// cancelled verify is cancelled on the server too.
Result<boost::json::value> server_store_work(const std::string& server, const std::string& what,
                                             const boost::json::value& options, const Context& context);

}  // namespace slipway::console
