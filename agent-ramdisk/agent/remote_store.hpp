// SPDX-License-Identifier: GPL-3.0-or-later
// The server's image store as sink of a capture and source of a deploy, by the chunk calls of the channel.
#pragma once

#include "agent-ramdisk/agent/controller_link.hpp"
#include "imagestore/chunk_sink.hpp"
#include "imagestore/chunk_source.hpp"

namespace slipway::agent {

// Where chunk calls go: the TLS link, or with a bulk key the clear listener (contents are still verified by hash).
class BulkLink {
public:
    static Result<BulkLink> open(const LinkOptions& options, const Self& self, const std::string& bulk_key);
    Result<http::ClientResponse> call(const std::string& verb, const std::string& body, std::uint64_t max_answer);
    ControllerLink& control() { return control_; }  // manifests go here, always encrypted

private:
    BulkLink(ControllerLink control, std::optional<ControllerLink> clear, std::string key)
        : control_(std::move(control)), clear_(std::move(clear)), key_(std::move(key)) {}
    ControllerLink control_;
    std::optional<ControllerLink> clear_;
    std::string key_;
};

class RemoteSink final : public imagestore::ChunkSink {
public:
    explicit RemoteSink(BulkLink& link) : link_(link) {}
    Result<std::vector<bool>> have(std::span<const imagestore::ChunkId> ids) override;
    Status put(const imagestore::ChunkId& id, ByteView encoded) override;
    Status flush() override;
    Result<imagestore::CommitResult> commit(std::string_view name, const imagestore::ManifestBytes& manifest) override;

private:
    Status send();
    BulkLink& link_;
    std::string body_;                          // frames not sent yet
    std::vector<imagestore::ChunkId> waiting_;  // their ids
};

class RemoteSource final : public imagestore::ChunkSource {
public:
    explicit RemoteSource(BulkLink& link) : link_(link) {}
    Result<Bytes> get(const imagestore::ChunkId& id) override;
    Result<std::vector<Bytes>> get_many(std::span<const imagestore::ChunkId> ids) override;

private:
    BulkLink& link_;
};

// The manifest of NAME[@VERSION].
Result<Bytes> fetch_manifest(ControllerLink& link, const std::string& image);

}  // namespace slipway::agent
