// SPDX-License-Identifier: GPL-3.0-or-later
// Small chunks and manifests for the tests.
#pragma once

#include "imagestore/codec.hpp"
#include "imagestore/manifest.hpp"

namespace slipway::imagestore::samples {

inline Bytes sample_chunk(unsigned seed, std::size_t size = kChunkBytes) {
    Bytes out(size);
    // 512 odd bytes and zeros, over and over: it compresses, and a look at 4 KiB shows that.
    for (std::size_t i = 0; i < size; ++i) {
        if (i < 512) seed = seed * 1103515245u + 12345u;
        out[i] = i < 512 ? static_cast<std::byte>(seed >> 16) : i < 4096 ? std::byte{0} : out[i - 4096];
    }
    return out;
}

inline Bytes encoded(ByteView chunk) {
    Bytes out;
    ChunkEncoder(1).encode(chunk, out);
    return out;
}

// One disk, these data chunks, then three unused and one zero.
inline Bytes sample_manifest(const std::vector<ChunkId>& ids) {
    MemoryManifest out;
    ManifestWriter writer(out);
    bool ok = writer.image({1'000'000'000'000, false, 1, "poseidon", "test"}).ok();
    DiskInfo disk;
    disk.size = (ids.size() + 4) * kChunkBytes;
    disk.name = "sda";
    disk.serial = "S1";
    disk.table = TableKind::Mbr;
    disk.table_id = "12345678";
    ok = ok && writer.disk(disk).ok() && writer.partition({1, kChunkBytes, 2 * kChunkBytes, true, "83", "", ""}).ok();
    VolumeInfo volume;
    volume.partition = 1;
    volume.offset = kChunkBytes;
    volume.length = 2 * kChunkBytes;
    volume.filesystem = "ext4";
    ok = ok && writer.volume(volume).ok();
    for (const auto& id : ids) ok = ok && writer.data(id).ok();
    ok = ok && writer.run(RunKind::Unused, 3).ok() && writer.run(RunKind::Zero, 1).ok() && writer.end_disk().ok() &&
         writer.finish().ok();
    return ok ? out.bytes() : Bytes();
}

}  // namespace slipway::imagestore::samples
