// SPDX-License-Identifier: GPL-3.0-or-later
// Where a capture puts chunks. Implemented by the local store's StoreWriter (store.hpp) and by the
// remote sink of an agent, which wraps the same four calls in HTTP.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "imagestore/chunk.hpp"

namespace slipway::imagestore {

// The bytes of a manifest, wherever they are (memory, a spool file, a file of the store). Read in
// pieces, since the manifest of a full 8 TiB disk has 256 MiB.
class ManifestBytes {
public:
    virtual ~ManifestBytes() = default;
    virtual std::uint64_t size() const = 0;
    // Fills all of `out` from `offset`; an error when fewer bytes are there.
    virtual Status read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

// A manifest in memory; the view must outlive it.
class ManifestView final : public ManifestBytes {
public:
    explicit ManifestView(ByteView bytes) : bytes_(bytes) {}
    std::uint64_t size() const override { return bytes_.size(); }
    Status read(std::uint64_t offset, std::span<std::byte> out) const override;

private:
    ByteView bytes_;
};

// commit()'s answer: either the image exists, durably, as NAME@version, or chunks are missing.
struct CommitResult {
    std::uint32_t version = 0;     // 0 while chunks are missing
    std::vector<ChunkId> missing;  // at most kMissingLimit of them, each once
};
inline constexpr std::size_t kMissingLimit = 65536;

// One capture's connection to a store. Calls come from one thread at a time.
class ChunkSink {
public:
    virtual ~ChunkSink() = default;
    // One answer an id, in order: true = stored, or accepted by an earlier put() of this sink.
    virtual Result<std::vector<bool>> have(std::span<const ChunkId> ids) = 0;
    // Accepts a chunk; durable only after flush(). Putting a known chunk again is harmless.
    // Errors: imagestore.bad-chunk (not what the id says), base.no-space (temporary).
    virtual Status put(const ChunkId& id, ByteView encoded) = 0;
    // Everything accepted so far is durable when this returns.
    virtual Status flush() = 0;
    // Adds the image as the next version of `name` if every chunk it names is stored (after an
    // implied flush); the same manifest again is the version it is already. The manifest is checked whole first.
    // Errors: imagestore.bad-name, .bad-manifest.
    virtual Result<CommitResult> commit(std::string_view name, const ManifestBytes& manifest) = 0;
};

}  // namespace slipway::imagestore
