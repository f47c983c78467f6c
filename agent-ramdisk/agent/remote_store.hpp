// SPDX-License-Identifier: GPL-3.0-or-later
// How an agent's chunk calls travel (lib/channel/remote_store.hpp makes a store of them).
#pragma once

#include "agent-ramdisk/agent/controller_link.hpp"
#include "lib/channel/remote_store.hpp"

namespace slipway::agent {

// Chunk calls go by the TLS link, or with a bulk key by the clear listener (contents are still verified by hash).
class BulkLink final : public channel::ChunkCalls {
public:
    static Result<BulkLink> open(const LinkOptions& options, const Self& self, const std::string& bulk_key);
    Result<std::string> call(const std::string& verb, const std::string& body, std::uint64_t max_answer) override;
    // Manifests go by TLS, always.
    Result<channel::CommitAnswer> commit(const std::string& name, std::string manifest,
                                         std::uint64_t max_answer) override;
    Result<Bytes> manifest(const std::string& image);  // of NAME[@VERSION]
    ControllerLink& control() { return control_; }

private:
    BulkLink(ControllerLink control, std::optional<ControllerLink> clear, std::string key)
        : control_(std::move(control)), clear_(std::move(clear)), key_(std::move(key)) {}
    ControllerLink control_;
    std::optional<ControllerLink> clear_;
    std::string key_;
};

}  // namespace slipway::agent
