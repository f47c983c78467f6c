// SPDX-License-Identifier: GPL-3.0-or-later
// Virtual networks as Linux bridges and taps, in the network namespace of the calling process, and their records.
#pragma once

#include <filesystem>

#include "vmm-target/target.hpp"

namespace slipway::vmm {

// Deterministic host names: at most 15 characters.
std::string bridge_name(const std::string& network);
std::string tap_name(const Uuid& vm, std::size_t adapter);

class HostNetworks {
public:
    explicit HostNetworks(std::filesystem::path directory) : directory_(std::move(directory)) {}

    Status create(const std::string& name, const NetworkOptions& options);
    Status remove(const std::string& name);
    Result<std::vector<Network>> list() const;
    Result<Network> find(const std::string& name) const;  // errors: vmm.no-network

    // A tap joined to the network's bridge, which is made again when the host has forgotten it.
    Status add_tap(const std::string& tap, const std::string& network);
    static void remove_tap(const std::string& tap);

private:
    std::filesystem::path record(const std::string& name) const { return directory_ / (name + ".json"); }
    std::filesystem::path directory_;
};

}  // namespace slipway::vmm
