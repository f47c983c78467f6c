// SPDX-License-Identifier: GPL-3.0-or-later
// Small helpers over Boost.JSON that the whole room uses.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "deploy-server/db/database.hpp"

namespace slipway::server {

namespace json = boost::json;

inline std::string_view view(const json::string& s) { return {s.data(), s.size()}; }
inline json::string_view jview(std::string_view s) { return {s.data(), s.size()}; }

// Hostile text -> object; nesting and size are limited. Error: server.bad-request.
Result<json::object> parse_object(std::string_view text);
// Absent or null: nullopt. Another type: server.bad-request.
Result<std::optional<std::string>> optional_text(const json::object& object, const char* name);
Result<std::optional<std::vector<std::string>>> optional_texts(const json::object& object, const char* name);
Result<std::string> required_text(const json::object& object, const char* name);
Result<std::optional<std::int64_t>> optional_number(const json::object& object, const char* name);
Result<std::optional<bool>> optional_flag(const json::object& object, const char* name);

std::string texts_to_json(const std::vector<std::string>& texts);
std::vector<std::string> texts_from_json(std::string_view text);  // ours: broken text reads as empty
std::string values_to_json(const sequences::Values& values);
sequences::Values values_from_json(std::string_view text);
std::string windows_to_json(const std::vector<RateWindow>& windows);
std::vector<RateWindow> windows_from_json(std::string_view text);
std::string limits_to_json(const std::vector<InterfaceLimit>& limits);
std::vector<InterfaceLimit> limits_from_json(std::string_view text);
std::string spec_to_json(const std::optional<DeviceSpec>& spec);
std::optional<DeviceSpec> spec_from_json(std::string_view text);

// {"error": {name, message, next_step, temporary}}
std::string error_json(const Error& error);

}  // namespace slipway::server
