// SPDX-License-Identifier: GPL-3.0-or-later
// What validation knows besides the inventory: all of it was given by switches, so that nothing is asked of a network
// and nothing is guessed. What is absent here is "not checked".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "vmscript/switches.hpp"

namespace slipway::vmscript {

// A device record, as `slipway device list --json` has them.
struct KnownDevice {
    std::string name, kind, state, power_driver, agent_state;
    std::vector<std::string> macs;  // lower case
};

// What `slipway-ramdisk drivers --json` and `slipway agent ramdisk show --json` say is missing.
struct AgentDrivers {
    struct Missing {
        std::string kind, id, name, why;  // "network" or "storage", "8086:1533", "eth0 52:54:…"
        bool fatal = false;
    };
    std::string kernel;
    std::vector<Missing> missing;
};

// What the folders of --hwdriverdir have for this Windows on the VM.
struct DropInDrivers {
    std::string storage, adapter;      // the INF files that the repair will take; "": none
    std::vector<std::string> why_not;  // of those that it will not take, or of the folders
};

struct DriversFileEntry {
    enum class Kind { Service, Driver, Program };
    Kind kind = Kind::Service;
    std::string name;  // '*' stands for any characters
};

// What the repair of an old Windows takes from the patch library.
struct PatchFiles {
    std::string why;                        // what becomes of the HAL, in a sentence
    std::size_t wanted = 0;                 // files that it will install
    std::vector<std::string> missing;       // of these: "halacpi.dll 5.2.3790.3959 (0409, English)"
    std::string refused = {};               // why it will not do what --fixhal asks for; "": it will
    std::vector<std::string> unknown = {};  // "the version of system32\\hal.dll": the answer is not whole without it
};

struct Surroundings {
    std::optional<std::vector<KnownDevice>> devices;
    std::optional<AgentDrivers> agent_drivers;
    std::optional<std::vector<DriversFileEntry>> drivers_file;
    std::optional<PatchFiles> patch_files;  // nothing: nobody looked, or it takes none
    std::optional<DropInDrivers> drop_ins;  // nothing: no folder was given
    std::optional<std::uint64_t> now;       // seconds since 1970
};

// From what load_files() read. Errors: vmscript.bad-value.
Result<Surroundings> read_surroundings(const Switches& switches);

// ---- hostile texts
Result<std::vector<KnownDevice>> read_device_list(std::string_view json);
Result<AgentDrivers> read_agent_drivers(std::string_view json);
Result<std::vector<DriversFileEntry>> read_drivers_file(std::string_view xml);

// '*' stands for any characters; case does not matter.
bool name_matches(std::string_view pattern, std::string_view name);

}  // namespace slipway::vmscript
