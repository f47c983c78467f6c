// SPDX-License-Identifier: GPL-3.0-or-later
#include <boost/json.hpp>

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

std::optional<NicMapping> parse_nic(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const auto old = text.substr(0, equals);
    const auto mac = MacAddress::parse(text.substr(equals + 1));
    if (!mac || mac->is_multicast() || mac->is_zero()) return std::nullopt;
    NicMapping nic{.new_mac = *mac};
    nic.old_mac = MacAddress::parse(old);
    if (!nic.old_mac) {
        if (!valid_adapter_name(old)) return std::nullopt;
        nic.old_name = old;
    }
    return nic;
}

Result<std::vector<std::string>> read_luks_keys(const std::vector<std::string>& files) {
    std::vector<std::string> keys;
    for (const auto& file : files) {
        keys.push_back(TRY_WITH(read_text_file(file, 8u << 20), "the LUKS key"));
        if (keys.back().ends_with('\n')) keys.push_back(keys.back().substr(0, keys.back().size() - 1));
    }
    return keys;
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
