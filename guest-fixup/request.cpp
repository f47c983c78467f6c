// SPDX-License-Identifier: GPL-3.0-or-later
#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/network.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

struct TargetName {
    std::string_view name;
    TargetController target;
};
// The first name of each is the one that is written.
constexpr TargetName kTargets[] = {
    {"ide", TargetController::Ide},          {"sata", TargetController::Sata},
    {"ahci", TargetController::Sata},        {"scsi-lsi", TargetController::ScsiLsi},
    {"lsi", TargetController::ScsiLsi},      {"scsi", TargetController::ScsiLsi},
    {"megasas", TargetController::Megasas},  {"virtio-blk", TargetController::VirtioBlk},
    {"virtio", TargetController::VirtioBlk}, {"virtio-scsi", TargetController::VirtioScsi},
    {"nvme", TargetController::Nvme},
};

// A guest's text as JSON wants it: UTF-8, with its lines and tabs.
std::string clean(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto end = std::min(text.find_first_of("\n\t"), text.size());
        out += printable(text.substr(0, end));
        if (end == text.size()) break;
        out += text[end];
        text.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace

std::optional<TargetController> parse_target(std::string_view name) {
    for (const auto& row : kTargets)
        if (iequals(row.name, name)) return row.target;
    return std::nullopt;
}

std::string_view name_of(TargetController target) {
    for (const auto& row : kTargets)
        if (row.target == target) return row.name;
    return "";
}

std::optional<Firmware> parse_firmware(std::string_view name) {
    if (iequals(name, "bios")) return Firmware::Bios;
    if (iequals(name, "uefi")) return Firmware::Uefi;
    return std::nullopt;
}

std::string_view name_of(Firmware firmware) { return firmware == Firmware::Uefi ? "uefi" : "bios"; }

std::optional<Template> parse_template(std::string_view name) {
    for (auto prepare : {Template::No, Template::Also, Template::Only})
        if (name_of(prepare) == name) return prepare;
    return std::nullopt;
}

std::string_view name_of(Template prepare) {
    return prepare == Template::No ? "no" : prepare == Template::Also ? "also" : "only";
}

Result<NicMapping> read_nic(std::string_view text) {
    const auto wrong = [&](const std::string& why) {
        return make_error(errors::kRequest, "'{}' is not OLD=NEW: {}", printable(text), why);
    };
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return wrong("it has no '='");
    const auto old = text.substr(0, equals), fresh = text.substr(equals + 1);
    const auto mac = MacAddress::parse(fresh);
    if (!mac) return wrong(fmt::format("NEW, '{}', is no MAC address such as 52:54:00:12:34:56", printable(fresh)));
    if (mac->is_zero()) return wrong("NEW is all zeros, which no adapter has");
    if (mac->is_multicast()) return wrong(fmt::format("NEW, {}, is a group's address and no adapter's", mac->text()));
    NicMapping nic{.new_mac = *mac};
    nic.old_mac = MacAddress::parse(old);
    if (nic.old_mac) return nic;
    if (!valid_adapter_name(old))
        return wrong(fmt::format("OLD, '{}', is neither a MAC address nor an adapter's name", printable(old)));
    nic.old_name = old;
    return nic;
}

std::optional<NicMapping> parse_nic(std::string_view text) {
    auto nic = read_nic(text);
    return nic ? std::optional(*std::move(nic)) : std::nullopt;
}

Result<std::vector<std::string>> read_luks_keys(const std::vector<std::string>& files) {
    std::vector<std::string> keys;
    for (const auto& file : files) {
        keys.push_back(TRY_WITH(read_text_file(file, 8u << 20), "the LUKS key"));
        if (keys.back().ends_with('\n')) keys.push_back(keys.back().substr(0, keys.back().size() - 1));
    }
    return keys;
}

std::string to_json(const Error& error) {
    return boost::json::serialize(boost::json::object{{"error",
                                                       {{"name", clean(error.name())},
                                                        {"message", clean(error.describe())},
                                                        {"next_step", clean(error.next_step())}}}});
}

std::string to_json(const RepairReport& report) {
    boost::json::object out;
    out["distribution"] = clean(report.distribution);
    out["root_device"] = report.root_device;
    out["kernels"] = boost::json::value_from(report.kernels);
    auto& journal = (out["journal"] = boost::json::array()).as_array();
    for (const auto& change : report.journal)
        journal.push_back({{"what", change.what},
                           {"where", clean(change.where)},
                           {"before", clean(change.before)},
                           {"after", clean(change.after)}});
    out["warnings"] = boost::json::value_from(report.warnings);
    out["dry_run"] = report.dry_run;
    out["undo"] = report.undo;
    out["unchanged"] = report.unchanged;
    out["inputs"] = report.inputs;
    return boost::json::serialize(out);
}

}  // namespace slipway::fixup
