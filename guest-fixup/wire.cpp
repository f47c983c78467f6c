// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/wire.hpp"

#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/network.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::wire {

namespace {

namespace json = boost::json;

std::string line(const json::object& object) { return json::serialize(object) + "\n"; }

// A member of the kind that is wanted, or nothing.
const json::value* find(const json::object& object, std::string_view key, json::kind kind) {
    const auto* value = object.if_contains(key);
    return value && value->kind() == kind ? value : nullptr;
}

// Reads members in turn; one that is missing or of another kind is remembered.
class Members {
public:
    explicit Members(const json::object& object) : object_(object) {}
    void read(std::string_view key, std::string& out) {
        if (const auto* v = find(key, json::kind::string)) out = v->get_string();
    }
    void read(std::string_view key, bool& out) {
        if (const auto* v = find(key, json::kind::bool_)) out = v->get_bool();
    }
    void read(std::string_view key, std::vector<std::string>& out) {
        for (const auto& item : array(key)) {
            if (item.is_string()) out.emplace_back(item.get_string());
            else bad(key);
        }
    }
    const json::array& array(std::string_view key) {
        static const json::array kNone;
        const auto* v = find(key, json::kind::array);
        return v ? v->get_array() : kNone;
    }
    void bad(std::string_view key) {
        if (bad_.empty()) bad_ = key;
    }
    Status status(std::string_view of) const {
        if (!bad_.empty()) return make_error(errors::kWire, "{}: no good '{}'", of, bad_);
        return {};
    }

private:
    const json::value* find(std::string_view key, json::kind kind) {
        const auto* value = wire::find(object_, key, kind);
        if (!value) bad(key);
        return value;
    }
    const json::object& object_;
    std::string bad_;
};

Result<json::object> parse_object(std::string_view text) {
    if (text.size() > kMaxLine) return make_error(errors::kWire, "a line of {} bytes", text.size());
    boost::system::error_code failed;
    auto value = json::parse(text, failed);
    if (failed) return make_error(errors::kWire, "a line that is no JSON: {}", failed.message());
    if (!value.is_object()) return make_error(errors::kWire, "a line that is no object");
    return std::move(value.get_object());
}

json::value json_of(const NicMapping& nic) {
    const auto& [old_name, old_mac, new_mac] = nic;
    return {{"old_name", old_name}, {"old_mac", old_mac ? old_mac->text() : ""}, {"new_mac", new_mac.text()}};
}

Result<NicMapping> nic_of(const json::value& value) {
    if (!value.is_object()) return make_error(errors::kWire, "request: an adapter is no object");
    NicMapping nic;
    std::string old_mac, new_mac;
    Members in(value.get_object());
    in.read("old_name", nic.old_name);
    in.read("old_mac", old_mac);
    in.read("new_mac", new_mac);
    TRY(in.status("request: adapter"));
    const auto mac = MacAddress::parse(new_mac);
    if (!old_mac.empty()) nic.old_mac = MacAddress::parse(old_mac);
    if (!mac || (!old_mac.empty() && !nic.old_mac) || (!nic.old_name.empty() && !valid_adapter_name(nic.old_name)))
        return make_error(errors::kWire, "request: an adapter with a bad name or address");
    nic.new_mac = *mac;
    return nic;
}

Result<PackageFile> package_of(const json::value& value) {
    if (!value.is_object()) return make_error(errors::kWire, "request: a package is no object");
    PackageFile package;
    std::string content;
    Members in(value.get_object());
    in.read("name", package.name);
    in.read("content", content);
    TRY(in.status("request: package"));
    const auto bytes = from_hex(content);
    if (!bytes) return make_error(errors::kWire, "request: a package whose content is not hexadecimal");
    package.content = as_text(*bytes);
    return package;
}

Result<RepairReport> report_of(const json::object& object) {
    RepairReport report;
    Members in(object);
    in.read("distribution", report.distribution);
    in.read("root_device", report.root_device);
    in.read("kernels", report.kernels);
    in.read("warnings", report.warnings);
    in.read("dry_run", report.dry_run);
    in.read("undo", report.undo);
    in.read("unchanged", report.unchanged);
    in.read("inputs", report.inputs);
    for (const auto& item : in.array("journal")) {
        if (!item.is_object()) return make_error(errors::kWire, "report: a change is no object");
        auto& [what, where, before, after] = report.journal.emplace_back();
        Members change(item.get_object());
        change.read("what", what);
        change.read("where", where);
        change.read("before", before);
        change.read("after", after);
        TRY(change.status("report: change"));
    }
    TRY(in.status("report"));
    return report;
}

Result<Message> wanted_of(const json::object& object) {
    std::string name, version, language;
    Members in(object);
    in.read("name", name);
    in.read("version", version);
    in.read("language", language);
    TRY(in.status("wanted"));
    auto key = patches::parse_key(name, version, language);
    if (!key) return make_error(errors::kWire, "a wanted file that no patch library has");
    return Message(Wanted{*std::move(key)});
}

Result<Message> error_of(const json::object& object) {
    std::string name, message, next_step;
    bool temporary = false;
    Members in(object);
    in.read("name", name);
    in.read("message", message);
    in.read("next_step", next_step);
    in.read("temporary", temporary);
    TRY(in.status("error"));
    return Message(Outcome(Error(printable(name), printable(message), printable(next_step), temporary)));
}

}  // namespace

// The names stand for all members, here and below: a new one does not compile until it crosses as well.
std::string request_line(const RepairRequest& request) {
    const auto& [disk, root, target, firmware, nics, serial_console, proof_nonce, dry_run, undo, personality,
                 drivers_file, keep_leftovers, guest_agent, guest_agent_packages, prepare_template, driver_files,
                 more_disks, luks_keys, root_volume, fix_hal, patch_directories, processors, patch_supply, cancel_fd] =
        request;
    (void)patch_supply, (void)cancel_fd;
    json::array adapters, packages, drivers, keys, others, libraries;
    for (const auto& path : patch_directories) libraries.push_back(json::value(path.string()));
    for (const auto& nic : nics) adapters.push_back(json_of(nic));
    for (const auto& key : luks_keys) keys.push_back(json::value(to_hex(as_bytes(key))));
    for (const auto& path : more_disks) others.push_back(json::value(path.string()));
    // A package is no text.
    for (const auto& package : guest_agent_packages)
        packages.push_back({{"name", package.name}, {"content", to_hex(as_bytes(package.content))}});
    for (const auto& file : driver_files)
        drivers.push_back({{"name", printable(file.name)}, {"content", to_hex(as_bytes(file.content))}});
    return line({{"slipway-fixup", kVersion},
                 {"request",
                  {{"disk", disk.string()},
                   {"root", root.string()},
                   {"target", name_of(target)},
                   {"firmware", name_of(firmware)},
                   {"nics", std::move(adapters)},
                   {"serial_console", serial_console},
                   {"proof_nonce", proof_nonce},
                   {"dry_run", dry_run},
                   {"undo", undo},
                   {"personality", personality},
                   {"drivers_file", drivers_file},
                   {"keep_leftovers", keep_leftovers},
                   {"guest_agent", guest_agent},
                   {"guest_agent_packages", std::move(packages)},
                   {"prepare_template", static_cast<int>(prepare_template)},
                   {"driver_files", std::move(drivers)},
                   {"more_disks", std::move(others)},
                   {"luks_keys", std::move(keys)},
                   {"root_volume", root_volume},
                   {"fix_hal", patches::name_of(fix_hal)},
                   {"patch_directories", std::move(libraries)},
                   {"processors", processors}}}});
}

Result<RepairRequest> parse_request(std::string_view text) {
    const auto object = TRY(parse_object(text));
    const auto* version = find(object, "slipway-fixup", json::kind::int64);
    const auto* body = find(object, "request", json::kind::object);
    if (!version || version->get_int64() != kVersion || !body)
        return make_error(errors::kWire, "no request of version {}", kVersion);
    RepairRequest request;
    auto& [disk, root, target, firmware, nics, serial_console, proof_nonce, dry_run, undo, personality, drivers_file,
           keep_leftovers, guest_agent, guest_agent_packages, prepare_template, driver_files, more_disks, luks_keys,
           root_volume, fix_hal, patch_directories, processors, patch_supply, cancel_fd] = request;
    patch_supply = {};
    cancel_fd = -1;
    std::string disk_text, root_text, target_text, firmware_text;
    Members in(body->get_object());
    in.read("disk", disk_text);
    in.read("root", root_text);
    in.read("target", target_text);
    in.read("firmware", firmware_text);
    in.read("serial_console", serial_console);
    in.read("proof_nonce", proof_nonce);
    in.read("dry_run", dry_run);
    in.read("undo", undo);
    in.read("personality", personality);
    in.read("drivers_file", drivers_file);
    in.read("keep_leftovers", keep_leftovers);
    in.read("guest_agent", guest_agent);
    for (const auto& package : in.array("guest_agent_packages"))
        guest_agent_packages.push_back(TRY(package_of(package)));
    for (const auto& file : in.array("driver_files")) driver_files.push_back(TRY(package_of(file)));
    const auto* clearing = find(body->get_object(), "prepare_template", json::kind::int64);
    if (!clearing || clearing->get_int64() < 0 || clearing->get_int64() > static_cast<int>(Template::Only))
        return make_error(errors::kWire, "request: no good 'prepare_template'");
    prepare_template = static_cast<Template>(clearing->get_int64());
    std::vector<std::string> others, keys;
    in.read("more_disks", others);
    in.read("luks_keys", keys);
    in.read("root_volume", root_volume);
    more_disks.assign(others.begin(), others.end());
    for (const auto& key : keys) {
        const auto bytes = from_hex(key);
        if (!bytes) return make_error(errors::kWire, "request: a key that is not hexadecimal");
        luks_keys.emplace_back(as_text(*bytes));
    }
    std::string fix_hal_text;
    std::vector<std::string> libraries;
    in.read("fix_hal", fix_hal_text);
    in.read("patch_directories", libraries);
    patch_directories.assign(libraries.begin(), libraries.end());
    const auto hal = patches::parse_fix_hal(fix_hal_text);
    const auto* count = find(body->get_object(), "processors", json::kind::int64);
    if (!hal || !count || count->get_int64() < 1 || count->get_int64() > kMostProcessors)
        return make_error(errors::kWire, "request: no good 'fix_hal' or 'processors'");
    fix_hal = *hal;
    processors = static_cast<unsigned>(count->get_int64());
    for (const auto& nic : in.array("nics")) nics.push_back(TRY(nic_of(nic)));
    TRY(in.status("request"));
    disk = disk_text;
    root = root_text;
    const auto controller = parse_target(target_text);
    const auto kind = parse_firmware(firmware_text);
    if (!controller || !kind) return make_error(errors::kWire, "request: unknown target or firmware");
    target = *controller;
    firmware = *kind;
    return request;
}

std::string line_of(const Saying& saying) {
    const auto* file = std::get_if<PatchFile>(&saying);
    if (!file) return line({{"cancel", true}});
    json::object body;
    if (!file->content) body["error"] = printable(file->content.error().message());
    else if (*file->content) body["content"] = to_hex(as_bytes(**file->content));
    return line({{"patch_file", std::move(body)}});
}

Result<Saying> parse_saying(std::string_view text) {
    const auto object = TRY(parse_object(text));
    if (const auto* cancel = find(object, "cancel", json::kind::bool_); cancel && cancel->get_bool())
        return Saying(Cancel{});
    const auto* body = find(object, "patch_file", json::kind::object);
    if (!body) return make_error(errors::kWire, "a line of an unknown kind");
    if (const auto* why = find(body->get_object(), "error", json::kind::string))
        return Saying(PatchFile{make_error(errors::kPatches, "{}", printable(why->get_string()))});
    if (body->get_object().empty()) return Saying(PatchFile{std::optional<std::string>()});
    const auto* hex = find(body->get_object(), "content", json::kind::string);
    const auto bytes = hex ? from_hex(hex->get_string()) : std::nullopt;
    if (!bytes) return make_error(errors::kWire, "a patch file whose content is not hexadecimal");
    return Saying(PatchFile{std::optional(std::string(as_text(*bytes)))});
}

std::string line_of(const Message& message) {
    if (std::holds_alternative<Hello>(message)) return line({{"hello", kVersion}});
    if (std::holds_alternative<Alive>(message)) return line({{"alive", true}});
    if (const auto* note = std::get_if<Note>(&message))
        return line({{"note", printable(std::string_view(note->text).substr(0, kMaxNote))}});
    if (const auto* wanted = std::get_if<Wanted>(&message))
        return line({{"wanted",
                      {{"name", wanted->key.name},
                       {"version", wanted->key.version.text()},
                       {"language", patches::language_code(wanted->key.language)}}}});
    const auto& outcome = std::get<Outcome>(message);
    if (outcome) return "{\"report\":" + to_json(*outcome) + "}\n";
    const auto& error = outcome.error();
    auto text = error.describe();
    // The name stands in it at the end, and again where it is shown.
    if (const auto tail = fmt::format(" [{}]", error.name()); text.ends_with(tail))
        text.resize(text.size() - tail.size());
    return line({{"error",
                  {{"name", error.name()},
                   {"message", printable(text)},
                   {"next_step", error.next_step()},
                   {"temporary", error.temporary()}}}});
}

Result<Message> parse_message(std::string_view text) {
    const auto object = TRY(parse_object(text));
    if (const auto* hello = find(object, "hello", json::kind::int64)) {
        if (hello->get_int64() == kVersion) return Message(Hello{});
        return make_error(errors::kWire, "the appliance speaks version {}", hello->get_int64());
    }
    if (find(object, "alive", json::kind::bool_)) return Message(Alive{});
    if (const auto* note = find(object, "note", json::kind::string))
        return Message(Note{printable(std::string_view(note->get_string()).substr(0, kMaxNote))});
    if (const auto* wanted = find(object, "wanted", json::kind::object)) return wanted_of(wanted->get_object());
    if (const auto* error = find(object, "error", json::kind::object)) return error_of(error->get_object());
    if (const auto* report = find(object, "report", json::kind::object))
        return Message(Outcome(TRY(report_of(report->get_object()))));
    return make_error(errors::kWire, "a line of an unknown kind");
}

Status Lines::feed(std::string_view bytes) {
    buffer_ += bytes;
    if (buffer_.size() <= kMaxLine || buffer_.find('\n', searched_) != std::string::npos) return {};
    return make_error(errors::kWire, "a line of more than {}", human_bytes(kMaxLine));
}

std::optional<std::string> Lines::next() {
    const auto end = buffer_.find('\n', searched_);
    if (end == std::string::npos) {
        searched_ = buffer_.size();
        return std::nullopt;
    }
    auto out = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    searched_ = 0;
    return out;
}

}  // namespace slipway::fixup::wire
