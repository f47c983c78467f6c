// SPDX-License-Identifier: GPL-3.0-or-later
// Arrays, volume groups and encrypted volumes of the guest, active on this host for as long as the repair runs: by
// mdadm, lvm and cryptsetup of this host, with this run's devices named one by one.
//
// What is about to be activated is written to /run/slipway/fixup-active first, so that the run after one that was
// killed can take it down: one line each, KIND NAME ID [DEVICE…], in the order of activation.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/stack_plan.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"

namespace slipway::fixup {

struct ActiveRecord {
    std::string kind, name, id;  // "array", "md0", "ad3e…"; "luks", mapping, UUID; "group", name, UUID
    std::vector<std::string> devices;
};
std::string format_records(const std::vector<ActiveRecord>& records);
std::vector<ActiveRecord> parse_records(std::string_view text);  // lines of another form are dropped

class ActiveStacks {
public:
    ActiveStacks(bool read_only, int cancel_fd) : read_only_(read_only), cancel_fd_(cancel_fd) {}
    ActiveStacks(const ActiveStacks&) = delete;
    ActiveStacks& operator=(const ActiveStacks&) = delete;
    ~ActiveStacks() { (void)stop_all(); }

    // Has this host the tool, and its kernel the driver? errors::kNeedsAgent. Also takes down what a killed run left,
    // before anybody looks whether the members are in use. errors::kInUse.
    Status need(VolumeKind kind);
    // The node of the array, "/dev/md0": the guest's own number where that is free.
    Result<std::filesystem::path> start_array(const ArrayPlan& plan, const std::vector<std::filesystem::path>& members);
    // "/dev/mapper/slipway-UUID". errors::kLocked: none of the keys opens it.
    Result<std::filesystem::path> open_luks(const std::string& uuid, const std::filesystem::path& device,
                                            const std::vector<std::string>& keys);
    // As the guest's crypttab calls it: tools in the guest look for it by that name.
    Result<std::filesystem::path> rename_luks(const std::filesystem::path& mapping, const std::string& name);
    // The logical volumes that are active now; complaint: what lvm said of others, which are not.
    struct StartedGroup {
        std::vector<Mapping> volumes;
        std::string complaint;
    };
    Result<StartedGroup> start_group(const GroupPlan& plan, const std::vector<std::filesystem::path>& devices);

    // In reverse order. What could not be stopped is named, and stays on the list.
    std::vector<std::string> stop_all();

private:
    Status begin();  // with the first: this host's lock, and what a killed run left is taken down
    Status record(ActiveRecord entry);
    Result<CommandResult> run(const std::vector<std::string>& argv, const std::string& input = {}, bool ending = false);
    Status stop(const ActiveRecord& entry);

    bool read_only_;
    int cancel_fd_;
    UniqueFd lock_;
    std::vector<ActiveRecord> active_;
};

// All device-mapper devices of this host.
std::vector<Mapping> host_mappings();
// errors::kInUse when this host has it mounted, or something over it.
Status check_unused(const std::filesystem::path& device);

}  // namespace slipway::fixup
