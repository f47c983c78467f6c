// SPDX-License-Identifier: GPL-3.0-or-later
#include <map>
#include <mutex>
#include <set>

#include "vmm-target/errors.hpp"
#include "vmm-target/host.hpp"
#include "vmm-target/proof_line.hpp"

namespace slipway::vmm {

namespace {

// One black pixel.
constexpr unsigned char kPng[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
                                  0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00,
                                  0x00, 0x3a, 0x7e, 0x9b, 0x55, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78,
                                  0xda, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01, 0xe5, 0x27, 0xde, 0xfc, 0x00,
                                  0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

class NullTarget final : public Target {
public:
    NullTarget(HostResources host, std::function<std::string(const std::string&)> serial)
        : host_(std::move(host)), serial_(std::move(serial)) {}

    Status check_host(const VmDefinition& definition) override {
        std::lock_guard lock(mutex_);
        return room_for(definition);
    }
    Status create(const VmDefinition& definition) override {
        std::lock_guard lock(mutex_);
        TRY(room_for(definition));
        for (const auto& adapter : definition.adapters)
            if (!adapter.network.empty() && !networks_.contains(adapter.network))
                return make_error(errors::kNoNetwork, "there is no network {}", adapter.network);
        vms_[definition.name] = {.definition = definition};
        return {};
    }
    Status remove(const std::string& name) override {
        std::lock_guard lock(mutex_);
        TRY(find(name));
        vms_.erase(name);
        return {};
    }
    Status start(const std::string& name, const StartOptions& options) override {
        std::lock_guard lock(mutex_);
        auto& vm = *TRY(find(name));
        if (vm.state != VmState::TurnedOff) return make_error(errors::kState, "{} is on", name);
        if (vm.undo_pending && !options.undo) return make_error(errors::kUndo, "{} has undo disks", name);
        vm.state = VmState::Running;
        vm.started = options;
        vm.undo_pending = options.undo;
        return {};
    }
    Status stop(const std::string& name, std::chrono::seconds) override {
        std::lock_guard lock(mutex_);
        auto& vm = *TRY(find(name));
        vm.state = VmState::TurnedOff;
        vm.started.reset();
        return {};
    }
    Result<VmInfo> info(const std::string& name) override {
        std::lock_guard lock(mutex_);
        return *TRY(find(name));
    }
    Result<std::vector<std::string>> list() override {
        std::lock_guard lock(mutex_);
        std::vector<std::string> names;
        for (const auto& [name, vm] : vms_) names.push_back(name);
        return names;
    }
    Result<Bytes> screenshot(const std::string& name) override {
        std::lock_guard lock(mutex_);
        TRY(find_running(name));
        return to_bytes({reinterpret_cast<const char*>(kPng), sizeof kPng});
    }
    Status commit_undo(const std::string& name) override { return end_undo(name); }
    Status discard_undo(const std::string& name) override { return end_undo(name); }
    Result<BootProof> boot_proof(const std::string& name, const std::string& nonce, std::chrono::seconds timeout,
                                 const std::atomic<bool>* cancel) override {
        {
            std::lock_guard lock(mutex_);
            TRY(find_running(name));
        }
        if (cancel && *cancel) return make_error(errors::kCancelled, "waiting for {} was cancelled", name);
        // Nothing here writes later on, so there is nothing to wait for.
        if (auto reason = serial_ ? refusal(serial_(name), nonce) : std::nullopt)
            return make_error(errors::kRefused, "{}: {}", name, *reason);
        if (!serial_ || !has_proof(serial_(name), nonce))
            return make_error(errors::kNoProof, "{} wrote no proof within {} s", name, timeout.count());
        return BootProof{proof_line(nonce), TRY(screenshot(name)), 0};
    }
    Status create_network(const std::string& name, const NetworkOptions& options) override {
        std::lock_guard lock(mutex_);
        if (!valid_name(name)) return make_error(errors::kDefinition, "that is no name of a network");
        if (!networks_.emplace(name, Network{name, name, options.interface, true}).second)
            return make_error(errors::kNetworkExists, "network {} exists", name);
        return {};
    }
    Status remove_network(const std::string& name) override {
        std::lock_guard lock(mutex_);
        for (const auto& [vm_name, vm] : vms_)
            for (const auto& adapter : vm.definition.adapters)
                if (adapter.network == name)
                    return make_error(errors::kNetworkInUse, "{} is attached to {}", vm_name, name);
        if (networks_.erase(name) == 0) return make_error(errors::kNoNetwork, "there is no network {}", name);
        return {};
    }
    Result<std::vector<Network>> networks() override {
        std::lock_guard lock(mutex_);
        std::vector<Network> all;
        for (const auto& [name, network] : networks_) all.push_back(network);
        return all;
    }

private:
    Status room_for(const VmDefinition& definition) const {
        TRY(check(definition));
        if (vms_.contains(definition.name)) return make_error(errors::kVmExists, "{} exists", definition.name);
        TRY(check_memory(host_, definition));
        return check_space(host_, definition, "/");
    }
    Result<VmInfo*> find(const std::string& name) {
        auto found = vms_.find(name);
        if (found == vms_.end()) return make_error(errors::kNoVm, "there is no machine {}", name);
        return &found->second;
    }
    Status find_running(const std::string& name) {
        if (TRY(find(name))->state != VmState::Running) return make_error(errors::kState, "{} is not running", name);
        return {};
    }
    Status end_undo(const std::string& name) {
        std::lock_guard lock(mutex_);
        auto& vm = *TRY(find(name));
        if (vm.state != VmState::TurnedOff) return make_error(errors::kState, "{} is not off", name);
        vm.undo_pending = false;
        return {};
    }

    HostResources host_;
    std::function<std::string(const std::string&)> serial_;
    std::mutex mutex_;
    std::map<std::string, VmInfo> vms_;
    std::map<std::string, Network> networks_;
};

}  // namespace

std::unique_ptr<Target> make_null_target(HostResources host, std::function<std::string(const std::string&)> serial) {
    return std::make_unique<NullTarget>(std::move(host), std::move(serial));
}

}  // namespace slipway::vmm
