// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/jobs/migration.hpp"

namespace slipway::server {

using sequences::OnError;
using sequences::Sequence;

namespace {

JobRequest child(const Migration& m, Sequence sequence, const std::string& device) {
    JobRequest request;
    request.name = m.name + ": " + sequence.description;
    request.sequence_name = sequence.name;
    request.sequence_xml = sequences::render_sequence(sequence);
    request.device = device;
    return request;
}

Sequence begin(const char* name, const char* description) {
    Sequence s;
    s.name = name;
    s.description = description;
    return s;
}

// Before the source is touched, and again before anything is made.
void add_host_check(Sequence& s, const char* if_exists) {
    s.add("check-vmhost", {{"definition", "${definition}"}, {"if_exists", if_exists}, {"vmhost", "${vmhost}"}});
}

JobRequest capture(const Migration& m) {
    auto s = begin("migrate-capture", "capture");
    add_host_check(s, "fail");
    s.add("take-control");
    s.add("boot-to-da");
    s.add("inventory").on_error = OnError::Continue;
    auto& task = s.add("capture-image", {{"image", "${image}"}, {"nonetencrypt", "${nonetencrypt}"}});
    task.retry = 3;
    task.parameters["disks"] = "${disks}";
    task.parameters["exclude"] = "${exclude}";
    s.add("shutdown");
    s.add("wait-off");
    s.add("release-control");
    s.add("delete-device");
    auto source = source_spec(m);
    auto job = child(m, std::move(s), source.name);
    job.make_device = std::move(source);
    return job;
}

JobRequest create(const Migration& m) {
    auto s = begin("migrate-create", "create VM");
    add_host_check(s, "same");
    s.add("create-network", {{"network", "${network}"}, {"vmhost", "${vmhost}"}});
    s.add("create-vm", {{"definition", "${definition}"}, {"vmhost", "${vmhost}"}});
    return child(m, std::move(s), "");
}

JobRequest deploy(const Migration& m) {
    auto s = begin("migrate-deploy", "deploy");
    s.add("take-control");
    s.add("boot-to-da");
    s.add("deploy-image", {{"image", "${image}"}, {"nonetencrypt", "${nonetencrypt}"}}).retry = 3;
    auto& repair = s.add("repair", {{"target-controller", "${target-controller}"},
                                    {"firmware", "${firmware}"},
                                    {"nics", "${nics}"},
                                    {"proof-nonce", "${nonce}"}});
    if (!m.service_driver_file.empty()) repair.parameters["service-driver-file"] = "${service-driver-file}";
    for (const char* name : {"driver-directories", "fix-hal", "patch-directory", "processors"})
        if (m.carried.contains(name)) repair.parameters[name] = fmt::format("${{{}}}", name);
    s.add("shutdown");
    s.add("wait-off");
    auto job = child(m, std::move(s), m.name);
    DeviceSpec device{.name = m.name, .description = "virtual machine", .power_driver = "vm", .vmhost = m.vmhost};
    for (const auto& nic : m.nics)
        if (!nic.new_mac.empty()) device.macs.push_back(nic.new_mac);
    if (device.macs.empty()) device.macs = m.source_macs;
    if (m.firmware == "uefi") device.secure_boot = "off";  // the VMM's firmware has no keys
    job.make_device = std::move(device);
    return job;
}

JobRequest first_boot(const Migration& m) {
    auto s = begin("migrate-first-boot", "first boot");
    sequences::Values vm{{"vm", "${vm}"}, {"vmhost", "${vmhost}"}};
    auto with = [&](sequences::Values more) {
        more.insert(vm.begin(), vm.end());
        return more;
    };
    s.add("stop-vm", with({{"grace", "0"}}));  // a resume after a bad first boot begins here
    s.add("discard-undo", vm);
    s.add("start-vm", with({{"boot", "disk"}, {"undo", "true"}}));
    s.add("boot-proof", with({{"nonce", "${nonce}"}, {"timeout", "1200"}}));
    s.add("stop-vm", vm);
    s.add("commit-undo", vm);
    if (m.postdeployaction != 1) s.add("start-vm", with({{"boot", "disk"}, {"undo", "false"}}));
    s.add("release-control");
    return child(m, std::move(s), m.name);
}

}  // namespace

DeviceSpec source_spec(const Migration& m) {
    return {.name = m.source_device.empty() ? m.name : m.source_device,
            .description = "source of the migration of " + m.name,
            .macs = m.source_macs,
            .power_driver = m.source_power_driver,
            .vmhost = m.source_vmhost,
            .power_command = m.source_power_command,
            .secure_boot = m.source_secure_boot};
}

JobRequest plan_migration(const Migration& m) {
    JobRequest parent;
    parent.name = "migrate " + m.name;
    parent.mode = JobMode::Serial;
    std::string nics;
    for (const auto& nic : m.nics) {
        if (!nics.empty()) nics += ";";
        nics += nic.name + "=" + nic.old_mac + "=" + nic.new_mac;
    }
    parent.variables = {{"image", m.image.empty() ? m.name : m.image},
                        {"nonetencrypt", m.nonetencrypt ? "true" : "false"},
                        {"disks", m.disks},
                        {"exclude", m.exclude},
                        {"definition", m.vm_definition},
                        {"vmhost", m.vmhost},
                        {"network", m.network},
                        {"vm", m.name},
                        {"target-controller", m.target_controller},
                        {"firmware", m.firmware},
                        {"nics", nics}};
    if (!m.service_driver_file.empty()) parent.variables["service-driver-file"] = m.service_driver_file;
    parent.variables.insert(m.carried.begin(), m.carried.end());
    parent.children = {capture(m), create(m), deploy(m), first_boot(m)};
    return parent;
}

}  // namespace slipway::server
