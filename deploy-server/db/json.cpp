// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/db/json.hpp"

#include "deploy-server/errors.hpp"

namespace slipway::server {

Result<json::object> parse_object(std::string_view text) {
    json::error_code ec;
    json::parse_options options;
    options.max_depth = 32;
    auto value = json::parse(jview(text.empty() ? "{}" : text), ec, {}, options);
    if (ec) return make_error(errors::kBadRequest, "the body is not JSON: {}", ec.message());
    if (!value.is_object()) return make_error(errors::kBadRequest, "the body is not a JSON object");
    return std::move(value.get_object());
}

static const json::value* present(const json::object& object, const char* name) {
    const auto* value = object.if_contains(name);
    return value && !value->is_null() ? value : nullptr;
}

Result<std::optional<std::string>> optional_text(const json::object& object, const char* name) {
    const auto* value = present(object, name);
    if (!value) return std::optional<std::string>();
    if (!value->is_string()) return make_error(errors::kBadRequest, "'{}' is not a string", name);
    return std::optional(std::string(view(value->get_string())));
}

Result<std::string> required_text(const json::object& object, const char* name) {
    auto text = TRY(optional_text(object, name));
    if (!text || text->empty()) return make_error(errors::kBadRequest, "'{}' is missing", name);
    return std::move(*text);
}

Result<std::optional<std::vector<std::string>>> optional_texts(const json::object& object, const char* name) {
    const auto* value = present(object, name);
    if (!value) return std::optional<std::vector<std::string>>();
    if (!value->is_array()) return make_error(errors::kBadRequest, "'{}' is not a list", name);
    std::vector<std::string> out;
    for (const auto& item : value->get_array()) {
        if (!item.is_string()) return make_error(errors::kBadRequest, "'{}' holds something that is no string", name);
        out.emplace_back(view(item.get_string()));
    }
    return std::optional(std::move(out));
}

Result<std::optional<std::int64_t>> optional_number(const json::object& object, const char* name) {
    const auto* value = present(object, name);
    if (!value) return std::optional<std::int64_t>();
    json::error_code ec;
    auto number = value->to_number<std::int64_t>(ec);
    if (ec) return make_error(errors::kBadRequest, "'{}' is not a whole number", name);
    return std::optional(number);
}

Result<std::optional<bool>> optional_flag(const json::object& object, const char* name) {
    const auto* value = present(object, name);
    if (!value) return std::optional<bool>();
    if (!value->is_bool()) return make_error(errors::kBadRequest, "'{}' is not true or false", name);
    return std::optional(value->get_bool());
}

std::string texts_to_json(const std::vector<std::string>& texts) {
    json::array array;
    for (const auto& text : texts) array.emplace_back(text);
    return json::serialize(array);
}

std::vector<std::string> texts_from_json(std::string_view text) {
    json::error_code ec;
    auto value = json::parse(jview(text), ec);
    std::vector<std::string> out;
    if (ec || !value.is_array()) return out;
    for (const auto& item : value.get_array())
        if (item.is_string()) out.emplace_back(view(item.get_string()));
    return out;
}

std::string values_to_json(const sequences::Values& values) {
    json::object object;
    for (const auto& [name, value] : values) object[name] = value;
    return json::serialize(object);
}

sequences::Values values_from_json(std::string_view text) {
    sequences::Values out;
    auto object = parse_object(text);
    if (!object) return out;
    for (const auto& item : *object)
        if (item.value().is_string())
            out[std::string(item.key().data(), item.key().size())] = view(item.value().get_string());
    return out;
}

// Rows of numbers; what is no such row is left out.
static std::vector<std::vector<std::uint64_t>> rows_of_numbers(std::string_view text, std::size_t columns) {
    std::vector<std::vector<std::uint64_t>> out;
    json::error_code failed;
    const auto value = json::parse(json::string_view(text.data(), text.size()), failed);
    if (failed || !value.is_array()) return out;
    for (const auto& row : value.get_array()) {
        if (!row.is_array() || row.get_array().size() != columns) continue;
        std::vector<std::uint64_t> numbers;
        for (const auto& n : row.get_array()) {
            json::error_code wrong;
            if (const auto number = n.to_number<std::uint64_t>(wrong); !wrong) numbers.push_back(number);
        }
        if (numbers.size() == columns) out.push_back(std::move(numbers));
    }
    return out;
}

std::string windows_to_json(const std::vector<RateWindow>& windows) {
    json::array out;
    for (const auto& w : windows) out.push_back(json::array{w.from, w.to, w.rate});
    return json::serialize(out);
}

std::vector<RateWindow> windows_from_json(std::string_view text) {
    std::vector<RateWindow> out;
    for (const auto& row : rows_of_numbers(text, 3))
        out.push_back({static_cast<unsigned>(row[0]), static_cast<unsigned>(row[1]), row[2]});
    return out;
}

std::string limits_to_json(const std::vector<InterfaceLimit>& limits) {
    json::array out;
    for (const auto& l : limits) out.push_back(json::array{l.interface.text(), l.rate});
    return json::serialize(out);
}

std::vector<InterfaceLimit> limits_from_json(std::string_view text) {
    std::vector<InterfaceLimit> out;
    json::error_code failed;
    const auto value = json::parse(json::string_view(text.data(), text.size()), failed);
    if (failed || !value.is_array()) return out;
    for (const auto& row : value.get_array()) {
        if (!row.is_array() || row.get_array().size() != 2 || !row.at(0).is_string()) continue;
        const auto address = IpAddress::parse(std::string_view(row.at(0).get_string()));
        json::error_code wrong;
        const auto rate = row.at(1).to_number<std::uint64_t>(wrong);
        if (address && !wrong) out.push_back({*address, rate});
    }
    return out;
}

std::string spec_to_json(const std::optional<DeviceSpec>& spec) {
    if (!spec) return {};
    return json::serialize(json::object{{"name", spec->name},
                                        {"description", spec->description},
                                        {"macs", json::value_from(spec->macs)},
                                        {"kind", spec->kind},
                                        {"power_driver", spec->power_driver},
                                        {"power_command", json::value_from(spec->power_command)},
                                        {"vmhost", spec->vmhost},
                                        {"secure_boot", spec->secure_boot}});
}

std::optional<DeviceSpec> spec_from_json(std::string_view text) {
    auto object = parse_object(text);
    if (!object || !object->contains("name")) return std::nullopt;
    auto get = [&](const char* name) { return optional_text(*object, name).value_or(std::nullopt).value_or(""); };
    auto list = [&](const char* name) {
        return optional_texts(*object, name).value_or(std::nullopt).value_or(std::vector<std::string>());
    };
    DeviceSpec spec;
    spec.name = get("name");
    spec.description = get("description");
    spec.macs = list("macs");
    spec.kind = get("kind");
    spec.power_driver = get("power_driver");
    spec.power_command = list("power_command");
    spec.vmhost = get("vmhost");
    if (auto state = get("secure_boot"); !state.empty()) spec.secure_boot = state;  // not in those of earlier versions
    return spec;
}

std::string error_json(const Error& error) {
    auto parts = sequences::step_error(error);
    return json::serialize(json::object{{"error",
                                         {{"name", parts.name},
                                          {"message", parts.message},
                                          {"next_step", parts.next_step},
                                          {"temporary", parts.temporary}}}});
}

}  // namespace slipway::server
