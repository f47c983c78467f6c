// SPDX-License-Identifier: GPL-3.0-or-later
// The interface of a VM host, and its drivers. Calls block and may come from several processes: the state is in the
// state directory and in the machines themselves, never only in this object.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "vmm-target/definition.hpp"

namespace slipway::vmm {

// Invalid: the machine's own record cannot be read.
enum class VmState { Invalid, TurnedOff, Running, Paused };
std::string_view name_of(VmState state);  // "invalid", "turned-off", "running", "paused"

enum class BootFrom { Disk, Network };
std::optional<BootFrom> parse_boot(std::string_view name);  // disk, network
std::string_view name_of(BootFrom boot);

struct StartOptions {
    BootFrom boot = BootFrom::Disk;  // Network: PXE first, then the disk
    bool undo = false;               // writes go to undo disks until they are committed or discarded
    bool operator==(const StartOptions&) const = default;
};

struct VmInfo {
    VmDefinition definition;
    VmState state = VmState::TurnedOff;
    std::optional<StartOptions> started;  // how, when it is not off
    bool undo_pending = false;            // undo disks exist
};

struct NetworkOptions {
    // A bridge of the host (used as it is) or a network card (joined to the network's bridge); empty: guests only.
    std::string interface;
    bool operator==(const NetworkOptions&) const = default;
};

struct Network {
    std::string name;
    std::string bridge;     // the host's name of it
    std::string interface;  // as asked for
    bool made = false;      // the bridge is ours to remove
};

struct BootProof {
    std::string line;    // "SLIPWAY-UP NONCE"
    Bytes screenshot;    // PNG, taken after the line was seen and in the same boot
    double seconds = 0;  // from power-on to the line
};

class Target {
public:
    virtual ~Target() = default;

    // What create() would refuse, but for the networks: those may be made between. Makes nothing.
    virtual Status check_host(const VmDefinition& definition) = 0;
    // The host's memory and disk are checked before anything is made; a failure leaves nothing behind.
    // Errors: vmm.definition, .vm-exists, .disk-exists, .disk-missing, .linked-disk, .memory, .space, .no-network.
    virtual Status create(const VmDefinition& definition) = 0;
    // Turns it off, removes it, its undo disks and the disks that were made for it.
    virtual Status remove(const std::string& name) = 0;
    // Errors: vmm.state when it is on, vmm.undo when undo disks exist and options.undo is not set, vmm.linked-disk when
    // a disk of this host that is to be one of its own is not free.
    virtual Status start(const std::string& name, const StartOptions& options) = 0;
    // Asks the guest to shut down, and after grace takes its power. Off already: nothing.
    virtual Status stop(const std::string& name, std::chrono::seconds grace) = 0;
    virtual Result<VmInfo> info(const std::string& name) = 0;
    virtual Result<std::vector<std::string>> list() = 0;
    virtual Result<Bytes> screenshot(const std::string& name) = 0;  // PNG
    // The machine is off. Without undo disks: nothing.
    virtual Status commit_undo(const std::string& name) = 0;
    virtual Status discard_undo(const std::string& name) = 0;
    // Waits for the line on the second serial port, written since the last start. Errors: vmm.no-proof after timeout or
    // when the guest restarts after its line, vmm.proof-refused with the guest's own reason, vmm.ended when the machine
    // goes off, vmm.cancelled.
    virtual Result<BootProof> boot_proof(const std::string& name, const std::string& nonce,
                                         std::chrono::seconds timeout, const std::atomic<bool>* cancel = nullptr) = 0;

    virtual Status create_network(const std::string& name, const NetworkOptions& options) = 0;
    virtual Status remove_network(const std::string& name) = 0;
    virtual Result<std::vector<Network>> networks() = 0;

    Result<VmState> state(const std::string& name);
};

// What the host has to give; a parameter so that tests can be poor.
struct HostResources {
    std::function<Result<std::uint64_t>()> free_memory;                             // bytes
    std::function<Result<std::uint64_t>(const std::filesystem::path&)> free_space;  // bytes on the path's file system
    static HostResources of_this_machine();
};

// In memory: for tests and dry runs. `serial` gives what a machine has written to its second serial port.
std::unique_ptr<Target> make_null_target(HostResources host = HostResources::of_this_machine(),
                                         std::function<std::string(const std::string& vm)> serial = {});

struct QemuOptions {
    std::filesystem::path state_dir;  // STATE/vm
    std::string program = "qemu-system-x86_64";
    // "kvm", "tcg", or empty: KVM when a probe guest boots under it (tried once for each kernel release).
    std::string accelerator;
    HostResources host = HostResources::of_this_machine();
};
// State directory: DIR/NAME/{vm.xml, run.json, qmp.sock, watch.sock, pid, serial0.log, serial1.log, undo-N.qcow2,
// vars.fd} and DIR/.networks/NAME.json. QEMU runs on when this process ends; it is found again by its pid file.
Result<std::unique_ptr<Target>> make_qemu_target(QemuOptions options);

// "null" or "qemu": the one place that names all drivers.
Result<std::unique_ptr<Target>> select_target(std::string_view driver, const QemuOptions& options);

}  // namespace slipway::vmm
