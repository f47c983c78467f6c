// SPDX-License-Identifier: GPL-3.0-or-later
// A second repair with nothing new to look at runs no step and no tool of the guest: what the first looked at is kept
// beside the journal, with its digest after that repair. Idempotent steps then find nothing to do, so none is asked.
#include <boost/json.hpp>

#include "guest-fixup/steps.hpp"
#include "lib/base/sha256.hpp"
#include "slipway_version.hpp"

namespace slipway::fixup {

namespace {

namespace json = boost::json;

constexpr const char* kNote = "inputs";

std::vector<std::string> texts_in(const json::object& object, std::string_view key) {
    std::vector<std::string> out;
    const auto* value = object.if_contains(key);
    if (const auto* list = value ? value->if_array() : nullptr)
        for (const auto& item : *list)
            if (const auto* text = item.if_string()) out.emplace_back(text->data(), text->size());
    return out;
}

std::string text_in(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    const auto* text = value ? value->if_string() : nullptr;
    return text ? std::string(text->data(), text->size()) : "";
}

}  // namespace

std::string request_digest(const RepairRequest& request, const std::vector<Volume>& volumes) {
    // Each field has a name here, so that a new one cannot be forgotten: it is either hashed or it is none of the
    // inputs.
    const auto& [disk, root, target, firmware, nics, serial_console, proof_nonce, dry_run, undo, personality,
                 drivers_file, keep_leftovers, guest_agent, guest_agent_packages, prepare_template, driver_files,
                 more_disks, luks_keys, root_volume, fix_hal, patch_directories, processors, patch_supply, cancel_fd] =
        request;
    (void)disk, (void)root, (void)dry_run, (void)undo, (void)patch_supply, (void)cancel_fd, (void)more_disks,
        (void)luks_keys;
    json::array adapters, seen, packages, drivers, libraries;
    for (const auto& path : patch_directories) libraries.push_back(json::value(path.string()));
    for (const auto& nic : nics)
        adapters.push_back({nic.old_name, nic.old_mac ? nic.old_mac->text() : "", nic.new_mac.text()});
    for (const auto& package : guest_agent_packages)
        packages.push_back({package.name, sha256(as_bytes(package.content)).text()});
    for (const auto& file : driver_files) drivers.push_back({file.name, sha256(as_bytes(file.content)).text()});
    for (const auto& volume : volumes)
        seen.push_back({volume.index, volume.filesystem, volume.uuid, volume.label, volume.partuuid});
    const json::array all{kVersion,
                          name_of(target),
                          name_of(firmware),
                          adapters,
                          serial_console,
                          proof_nonce,
                          personality,
                          drivers_file,
                          keep_leftovers,
                          guest_agent,
                          packages,
                          static_cast<int>(prepare_template),
                          drivers,
                          root_volume,
                          seen,
                          patches::name_of(fix_hal),
                          std::move(libraries),
                          processors};
    return sha256(as_bytes(json::serialize(all))).text();
}

bool as_the_last_repair_left_it(const Guest& guest, const std::string& request, RepairReport& report) {
    const auto text = guest.read_repair_note(kNote);
    if (!text) return false;
    json::parse_options options;
    options.max_depth = 3;
    options.allow_invalid_utf8 = true;
    boost::system::error_code bad;
    const auto value = json::parse(*text, bad, {}, options);
    const auto* known = bad ? nullptr : value.if_object();
    if (!known || text_in(*known, "request") != request) return false;
    const auto looked_at = texts_in(*known, "looked_at");
    const auto inputs = guest.inputs_digest({looked_at.begin(), looked_at.end()});
    if (inputs.empty() || inputs != text_in(*known, "inputs")) return false;
    report.inputs = inputs;
    report.unchanged = true;
    report.kernels = texts_in(*known, "kernels");
    report.warnings = texts_in(*known, "warnings");
    return true;
}

Status remember_inputs(Guest& guest, const std::string& request, RepairReport& report) {
    if (guest.dry_run()) return {};
    report.inputs = guest.inputs_digest(guest.looked_at());
    if (report.inputs.empty()) return {};
    const json::object out{{"request", request},
                           {"inputs", report.inputs},
                           {"looked_at", json::value_from(guest.looked_at())},
                           {"kernels", json::value_from(report.kernels)},
                           {"warnings", json::value_from(report.warnings)}};
    return guest.write_repair_note(kNote, json::serialize(out) + "\n");
}

}  // namespace slipway::fixup
