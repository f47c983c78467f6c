// SPDX-License-Identifier: GPL-3.0-or-later
// An image as one stream (NAME@V.slipimg): its manifest, then every chunk it names. Written and read front to back, so
// that a pipe will do. Version 1, all integers little-endian (docs/formats/slipimg.md has the same):
//   archive = header name manifest record* end
//   header  = "SLIPIMAG" version:u16=1 name:u16 (its bytes, 1..64) image:u32 (the version it had) manifest:u64 (bytes)
//             crc:u32 (CRC-32C of the 24 bytes before, then of the name)                 (28 bytes)
//   name    = the image's name (names.hpp)
//   manifest as in manifest.hpp, closed by a SHA-256 over all of it
//   record  as in pack.hpp: "CHNK" length:u32 id[32] crc:u32 zero:u32 chunk[length]
//   end     = "SLIPIEND" records:u64 bytes:u64 (of the archive before the end) crc:u32 (of the 24 bytes before)
//                                                                                        (28 bytes)
// Records come in the order in which the manifest first names their chunks; one may come again where the manifest
// names it again (a writer of small memory forgets). A record that is not named from there on, and any byte after the
// end, is an error. So every byte is under a checksum, and no reader needs to remember more than its place.
#pragma once

#include <optional>
#include <string>

#include "imagestore/manifest.hpp"
#include "imagestore/pack.hpp"

namespace slipway::imagestore {

inline constexpr std::size_t kArchiveHeaderBytes = 28, kArchiveEndBytes = 28;
inline constexpr std::uint64_t kMaxArchiveManifest = 16ull << 30;  // of half a PiB of data

struct ArchiveHeader {
    std::string name;
    std::uint32_t version = 0;
    std::uint64_t manifest_bytes = 0;
};

// Bytes that come once: a file, a pipe.
class ByteStream {
public:
    virtual ~ByteStream() = default;
    virtual Result<std::size_t> read(std::span<std::byte> out) = 0;  // fewer only at the end
};

// Calls in the order of the grammar.
class ArchiveWriter {
public:
    explicit ArchiveWriter(ManifestOutput& output) : output_(output) {}
    Status start(const ArchiveHeader& header, const ManifestBytes& manifest);
    Status chunk(const ChunkId& id, ByteView encoded);
    Status finish();
    std::uint64_t bytes() const { return bytes_; }

private:
    Status put(ByteView bytes);
    ManifestOutput& output_;
    std::uint64_t bytes_ = 0, records_ = 0;
};

struct ArchiveChunk {
    ChunkId id;
    ByteView encoded;  // until the next call; its CRC agrees, its id is not checked
};

// Pulls an archive out of hostile bytes; holds one record. Calls in this order, each to its end.
// Errors: imagestore.bad-archive, .bad-manifest, .newer-format.
class ArchiveReader {
public:
    explicit ArchiveReader(ByteStream& in) : in_(in) {}
    Result<ArchiveHeader> header();
    // Copies the manifest to `spool`. Not checked: check_manifest().
    Status manifest(ManifestOutput& spool);
    // The next record, one that `manifest` (the checked copy) names; nothing once the end was read and agrees.
    Result<std::optional<ArchiveChunk>> next(const ManifestBytes& manifest);
    std::uint64_t bytes() const { return bytes_; }

private:
    Status load(std::span<std::byte> out);
    Status end(ByteView start);
    Status check_named(const ChunkId& id, const ManifestBytes& manifest);

    ByteStream& in_;
    std::uint64_t bytes_ = 0, records_ = 0, manifest_bytes_ = 0;
    Bytes record_;
    std::optional<ManifestReader> walk_;
    ChunkRun run_;
    std::uint32_t at_ = 0;
};

}  // namespace slipway::imagestore
