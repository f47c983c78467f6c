// SPDX-License-Identifier: GPL-3.0-or-later
// BuildReport as JSON: for programs, and beside each ramdisk.
#include <boost/json.hpp>

#include "agent-ramdisk/builder/builder.hpp"
#include "agent-ramdisk/builder/drivers.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace json = boost::json;

namespace {

json::array list(const std::vector<std::string>& texts) { return json::array(texts.begin(), texts.end()); }

std::string text(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v && v->is_string() ? std::string(v->get_string()) : std::string();
}

std::uint64_t number(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v && v->is_int64() && v->get_int64() > 0 ? static_cast<std::uint64_t>(v->get_int64()) : 0;
}

std::vector<std::string> texts(const json::object& o, std::string_view key) {
    std::vector<std::string> out;
    const auto* v = o.if_contains(key);
    if (v && v->is_array())
        for (const auto& item : v->get_array())
            if (item.is_string()) out.emplace_back(item.get_string());
    return out;
}

}  // namespace

std::string to_json(const BuildReport& r) {
    json::array modules;
    for (const auto& m : r.modules) modules.push_back({{"name", m.name}, {"bytes", m.bytes}, {"why", m.why}});
    json::object out{{"kernel", r.kernel.string()},
                     {"ramdisk", r.ramdisk.string()},
                     {"key", r.key},
                     {"by", r.by},
                     {"kernel_version", r.kernel_version},
                     {"kernel_bytes", r.kernel_bytes},
                     {"ramdisk_bytes", r.ramdisk_bytes},
                     {"unpacked_bytes", r.unpacked_bytes},
                     {"agent_bytes", r.agent_bytes},
                     {"module_bytes", r.module_bytes},
                     {"firmware_bytes", r.firmware_bytes},
                     {"drop_in_bytes", r.drop_in_bytes},
                     {"modules", std::move(modules)},
                     {"libraries", list(r.libraries)},
                     {"firmware", list(r.firmware)},
                     {"notes", list(r.notes)},
                     {"built", r.built}};
    return json::serialize(out);
}

std::string to_json(const DriverCheck& check, const std::string& kernel_version) {
    json::array missing;
    for (const auto& m : check.missing)
        missing.push_back({{"kind", m.kind == MissingDriver::Kind::Network ? "network" : "storage"},
                           {"id", printable(m.id)},
                           {"modalias", printable(m.modalias)},
                           {"name", printable(m.name)},
                           {"fatal", m.fatal},
                           {"why", m.why},
                           {"advice", m.fatal ? printable(advice(m, kernel_version)) : std::string()}});
    return json::serialize(json::object{{"kernel_version", kernel_version}, {"missing", std::move(missing)}});
}

Result<BuildReport> report_from_json(std::string_view from) {
    boost::system::error_code failed;
    auto value = json::parse(from, failed);
    if (failed || !value.is_object()) return make_error(errors::kReport, "not the report of a ramdisk");
    const auto& o = value.get_object();
    BuildReport r;
    r.kernel = text(o, "kernel");
    r.ramdisk = text(o, "ramdisk");
    r.key = text(o, "key");
    r.by = text(o, "by");
    r.kernel_version = text(o, "kernel_version");
    r.kernel_bytes = number(o, "kernel_bytes");
    r.ramdisk_bytes = number(o, "ramdisk_bytes");
    r.unpacked_bytes = number(o, "unpacked_bytes");
    r.agent_bytes = number(o, "agent_bytes");
    r.module_bytes = number(o, "module_bytes");
    r.firmware_bytes = number(o, "firmware_bytes");
    r.drop_in_bytes = number(o, "drop_in_bytes");
    r.libraries = texts(o, "libraries");
    r.firmware = texts(o, "firmware");
    r.notes = texts(o, "notes");
    if (const auto* modules = o.if_contains("modules"); modules && modules->is_array())
        for (const auto& m : modules->get_array())
            if (m.is_object())
                r.modules.push_back(
                    {text(m.get_object(), "name"), number(m.get_object(), "bytes"), text(m.get_object(), "why")});
    if (r.key.empty() || r.kernel_version.empty())
        return make_error(errors::kReport, "the report of a ramdisk does not say what it is of");
    return r;
}

}  // namespace slipway::builder
