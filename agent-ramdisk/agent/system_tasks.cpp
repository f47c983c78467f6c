// SPDX-License-Identifier: GPL-3.0-or-later
// Inventory, repair, scripts and files.
#include <algorithm>
#include <filesystem>

#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/patch_files.hpp"
#include "agent-ramdisk/agent/task.hpp"
#include "gatherhw/probe.hpp"
#include "gatherhw/writer.hpp"
#include "guest-fixup/driver_directories.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/personality.hpp"
#include "guest-fixup/vendor_agents.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

namespace slipway::agent {

namespace {

namespace json = boost::json;

// "NAME=OLD-MAC=NEW-MAC", or the two-part forms of parse_nic().
Result<fixup::NicMapping> nic_mapping(const std::string& text) {
    auto parts = split(text, '=');
    if (parts.size() == 3) {
        auto old_mac = MacAddress::parse(trim(parts[1])), new_mac = MacAddress::parse(trim(parts[2]));
        if (new_mac && (old_mac || trim(parts[1]).empty()))
            return fixup::NicMapping{std::string(trim(parts[0])), old_mac, *new_mac};
    } else if (auto mapping = fixup::parse_nic(text)) {
        return *mapping;
    }
    return make_error(errors::kParameter, "'{}' is not NAME=OLD-MAC=NEW-MAC", text);
}

// A document as the parameter's text, or a file in the agent's ramdisk that says it (a drop-in of PostSystem). first:
// what a text begins with and a path does not.
Result<std::string> document(TaskContext& context, const std::string& name, std::string_view first,
                             std::uint64_t limit) {
    auto value = context.get(name);
    if (value.empty() || value.find_first_of(first) == value.find_first_not_of(" \t\r\n\xef\xbb\xbf")) return value;
    if (value[0] != '/')
        return make_error(errors::kParameter, "{} is neither a document nor a path: '{}'", name, printable(value));
    return TRY_WITH(read_text_file(value, limit), name);
}

// Leftovers, vendor agents, who the machine is.
Status read_identity(TaskContext& context, fixup::RepairRequest& request) {
    request.drivers_file = TRY(document(context, "service-driver-file", "<", fixup::kLongestDriversFile));
    if (!request.drivers_file.empty())
        (void)TRY_WITH(fixup::parse_drivers_file(request.drivers_file), "service-driver-file");
    fixup::PersonalityValues values;
    for (const char* name : fixup::kPersonalityValues) values[name] = context.get(name);
    const auto personality = TRY(document(context, "personality", "{", fixup::kLongestPersonality));
    std::vector<std::string> overruled;
    request.personality = TRY(fixup::personality_of(personality, context.get("device"), values, &overruled));
    for (const auto& text : overruled) context.log("warning: " + text);
    request.keep_leftovers = context.get("leftovers") == "keep";
    request.guest_agent = TRY(context.flag("guest-agent", false));
    for (const std::filesystem::path package : context.list("guest-agent-packages"))
        request.guest_agent_packages.push_back(
            {package.filename().string(), TRY_WITH(read_text_file(package, fixup::kLargestPackage), package.string())});
    const auto drivers = context.list("driver-directories");
    request.driver_files = TRY(fixup::read_driver_directories({drivers.begin(), drivers.end()}));
    const auto prepare = fixup::parse_template(context.get("template", "no"));
    if (!prepare)
        return make_error(errors::kParameter, "template is '{}', not no, also or only",
                          printable(context.get("template")));
    request.prepare_template = *prepare;
    return {};
}

// HAL and kernel of an old Windows.
Status read_hal(TaskContext& context, fixup::RepairRequest& request) {
    const auto fix = patches::parse_fix_hal(context.get("fix-hal", "auto"));
    const auto processors = parse_u64(context.get("processors", "1"));
    if (!fix)
        return make_error(errors::kParameter, "fix-hal is '{}', not auto, none, acpi or nacpi",
                          printable(context.get("fix-hal")));
    if (!processors || *processors < 1 || *processors > fixup::kMostProcessors)
        return make_error(errors::kParameter, "processors is '{}', not 1 to {}", printable(context.get("processors")),
                          fixup::kMostProcessors);
    request.fix_hal = *fix;
    request.processors = static_cast<unsigned>(*processors);
    for (const auto& directory : context.list("patch-directory")) request.patch_directories.emplace_back(directory);
    request.patch_supply = [&context](const patches::FileKey& key) { return patch_file(context, key); };
    return {};
}

Result<fixup::RepairRequest> repair_request(TaskContext& context) {
    fixup::RepairRequest request;
    auto target = fixup::parse_target(context.get("target-controller", "ide"));
    auto firmware = fixup::parse_firmware(context.get("firmware", "bios"));
    if (!target)
        return make_error(errors::kParameter, "unknown target-controller '{}'", context.get("target-controller"));
    if (!firmware) return make_error(errors::kParameter, "unknown firmware '{}'", context.get("firmware"));
    request.target = *target;
    request.firmware = *firmware;
    for (const auto& nic : context.list("nics")) request.nics.push_back(TRY(nic_mapping(nic)));
    request.proof_nonce = context.get("proof-nonce");
    TRY(read_identity(context, request));
    TRY(read_hal(context, request));
    request.cancel_fd = context.cancel_fd;
    // Files in this ramdisk, from a drop-in or an earlier step: parameters are kept and shown.
    request.luks_keys = TRY(fixup::read_luks_keys(context.list("luks-key-files")));
    request.root_volume = context.get("root-volume");
    return request;
}

bool names_disk(const std::string& word, const disks::DiskDevice& disk) {
    return word == disk.name || word == disk.path || (!disk.serial.empty() && word == disk.serial);
}

// The disks to try, each with those beside it. Named ones are meant together; otherwise each is a system of its own,
// and after that all of them are one: arrays and groups over several, a /boot on another.
Result<std::vector<std::vector<std::filesystem::path>>> disks_to_try(TaskContext& context) {
    const auto all = TRY(context.machine.disks());
    std::vector<std::vector<std::filesystem::path>> out;
    if (const auto wanted = context.get("disk"); !wanted.empty()) {
        auto words = context.list("more-disks");
        words.insert(words.begin(), wanted);
        std::vector<std::filesystem::path> together;
        for (const auto& word : words) {
            auto disk = std::find_if(all.begin(), all.end(), [&](const auto& d) { return names_disk(word, d); });
            if (disk == all.end()) return make_error(errors::kNoDisk, "no disk to repair: no '{}'", word);
            together.emplace_back(disk->path);
        }
        out.push_back(std::move(together));
        return out;
    }
    std::vector<std::filesystem::path> together;
    for (const auto& disk : all) {
        out.push_back({disk.path});
        together.emplace_back(disk.path);
    }
    if (together.size() > 1) out.push_back(std::move(together));
    return out;
}

bool more_disks_may_help(const Error& error) {
    return error.is(fixup::errors::kNoRoot) || error.is(fixup::errors::kIncomplete);
}

}  // namespace

// The system disk is the one named, or the first on which a root is found.
Result<TaskOutcome> repair_task(TaskContext& context) {
    auto request = TRY(repair_request(context));
    std::optional<Error> last;
    for (const auto& disks : TRY(disks_to_try(context))) {
        request.disk = disks.front();
        request.more_disks.assign(disks.begin() + 1, disks.end());
        auto report = fixup::repair(request, [&](const std::string& note) { context.log("repair: " + note); });
        if (!report && context.cancel)
            return make_error(errors::kCancelled, "cancelled: {}", report.error().describe());
        if (!report && more_disks_may_help(report.error())) {
            last = report.error();
            continue;
        }
        auto done = TRY(std::move(report));
        for (const auto& warning : done.warnings) context.log("warning: " + warning);
        boost::system::error_code failed;
        auto document = json::parse(fixup::to_json(done), failed);
        TaskOutcome outcome;
        outcome.result = {{"report", failed ? json::value() : document},
                          {"disk", request.disk.string()},
                          {"summary", fmt::format("{} on {}: {} changes", done.distribution, request.disk.string(),
                                                  done.journal.size())}};
        return outcome;
    }
    if (last) return *last;
    return make_error(errors::kNoDisk, "no disk to repair");
}

Result<TaskOutcome> inventory_task(TaskContext&) {
    SystemClock clock;
    auto inventory = TRY(gatherhw::linux_probe({}, clock)->collect());
    TaskOutcome outcome;
    outcome.result = {{"inventory", gatherhw::to_xml(inventory)}, {"summary", "inventory taken"}};
    return outcome;
}

Result<TaskOutcome> script_task(TaskContext& context) {
    auto script = TRY(context.need("script"));
    CommandOptions options;
    options.input = script;
    options.output_limit = 1u << 20;
    // The step's timeout is the controller's, which cancels the task then.
    options.cancel_fd = context.cancel_fd;
    auto done = TRY(run_command({"/bin/sh", "-s"}, options));
    for (const auto& text : {done.output, done.error_text})
        for (const auto& line : split(text, '\n'))
            if (!line.empty()) context.log(printable(line));
    if (context.cancel) return make_error(errors::kCancelled, "the script was ended");
    if (!done.ok()) return make_error(errors::kScript, "the script ended with {}", done.exit_code);
    TaskOutcome outcome;
    outcome.result = {{"summary", "script ended with 0"}};
    return outcome;
}

// Within the machine: from a mounted share or the running system to another place.
Result<TaskOutcome> copy_task(TaskContext& context) {
    auto source = TRY(context.need("source")), destination = TRY(context.need("destination"));
    auto content = TRY_WITH(read_file(source, 1u << 30), "reading " + source);
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(destination).parent_path(), failed);
    TRY_WITH(write_file_atomic(destination, content), "writing " + destination);
    TaskOutcome outcome;
    outcome.result = {{"bytes", content.size()}, {"summary", fmt::format("{} copied", human_bytes(content.size()))}};
    return outcome;
}

}  // namespace slipway::agent
