// SPDX-License-Identifier: GPL-3.0-or-later
// A store behind the chunk calls (docs/architecture.md, docs/protocols/rest.md) as sink of a capture and source of a
// deploy. Agent and console differ in how a call travels: that is ChunkCalls.
#pragma once

#include <string>
#include <vector>

#include "imagestore/chunk_sink.hpp"
#include "imagestore/chunk_source.hpp"
#include "lib/base/clock.hpp"

namespace slipway::channel {

// What the server says to a manifest. It is the ids of missing chunks where the status is 409 and the body no JSON.
struct CommitAnswer {
    unsigned status = 0;
    std::string content_type, body;
};

// The answer may be only the first few chunks of those asked for, as the server's rates have it; one at least. A server
// that knows no parts answers with all.
inline constexpr const char* kGet = "get?part=1";

// How a call gets to the server and its answer back; what trying again may cure has been tried again. A status of 400
// and more is the server's error, but the 409 of a commit.
class ChunkCalls {
public:
    virtual ~ChunkCalls() = default;
    // verb: "have", "flush", kGet, or "" for a put. The answer's body, of at most max_answer bytes.
    virtual Result<std::string> call(const std::string& verb, const std::string& body, std::uint64_t max_answer) = 0;
    virtual Result<CommitAnswer> commit(const std::string& name, std::string manifest, std::uint64_t max_answer) = 0;
};

class RemoteSink final : public imagestore::ChunkSink {
public:
    explicit RemoteSink(ChunkCalls& calls) : calls_(calls) {}
    // Errors besides those of ChunkSink: channel.bad-message for an answer that is none.
    Result<std::vector<bool>> have(std::span<const imagestore::ChunkId> ids) override;
    Status put(const imagestore::ChunkId& id, ByteView encoded) override;
    Status flush() override;
    Result<imagestore::CommitResult> commit(std::string_view name, const imagestore::ManifestBytes& manifest) override;

private:
    Status send();
    ChunkCalls& calls_;
    std::string body_;                          // frames not sent yet, at most kMaxBody
    std::vector<imagestore::ChunkId> waiting_;  // their ids
};

// So many chunks a call that an answer takes a second or so: one over a line of a few Mbit/s, where the next step of
// the progress and what a power cut costs hang on it; kMostAtOnce where the way there and back would count.
class RemoteSource final : public imagestore::ChunkSource {
public:
    RemoteSource(ChunkCalls& calls, const Clock& clock) : calls_(calls), clock_(clock) {}
    Result<Bytes> get(const imagestore::ChunkId& id) override;
    Status get_each(std::span<const imagestore::ChunkId> ids, const Take& take) override;

    static constexpr std::size_t kMostAtOnce = 8;  // 8 MiB an answer, so that an agent in 128 MiB lives

private:
    Result<std::string> ask(std::span<const imagestore::ChunkId> part);
    ChunkCalls& calls_;
    const Clock& clock_;
    std::size_t at_once_ = 2;
};

inline constexpr std::uint64_t kMaxManifest = 512u << 20;  // bytes of one that travels whole
// In the answer to GET /api/v1/images/{name}/manifest: NAME@VERSION of what it is.
inline constexpr const char* kImageHeader = "X-Slipway-Image";

}  // namespace slipway::channel
