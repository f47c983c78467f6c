// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile exported image: no crash, no more chunks than the manifest names, and a map of the manifest that agrees
// with the reader at every chunk. The manifest's digest is made right first, so that what it guards is reached.
#include <algorithm>
#include <cstdlib>

#include "imagestore/archive.hpp"
#include "imagestore/image_map.hpp"
#include "imagestore/manifest_wire.hpp"

using namespace slipway;
using namespace slipway::imagestore;

namespace {

class MemoryStream final : public ByteStream {
public:
    explicit MemoryStream(ByteView bytes) : left_(bytes) {}
    Result<std::size_t> read(std::span<std::byte> out) override {
        auto n = std::min(out.size(), left_.size());
        std::copy_n(left_.begin(), n, out.begin());
        left_ = left_.subspan(n);
        return n;
    }

private:
    ByteView left_;
};

Bytes with_its_digest(Bytes manifest) {
    if (manifest.size() < wire::kManifestTrailerBytes) return manifest;
    auto end = manifest.size() - wire::kManifestTrailerBytes;
    ByteWriter size;
    size.le64(end);
    std::copy(size.view().begin(), size.view().end(), manifest.begin() + static_cast<std::ptrdiff_t>(end) + 8);
    auto digest = sha256(ByteView(manifest).first(end + 16));
    std::copy(digest.octets.begin(), digest.octets.end(), manifest.begin() + static_cast<std::ptrdiff_t>(end) + 16);
    return manifest;
}

// Every run by a walk over the disk, and again by a look-up of its middle.
void check_map(const ImageMap& map) {
    for (std::uint32_t disk = 0; disk < map.summary().disks.size(); ++disk) {
        auto walk = map.from(disk);
        std::uint64_t chunk = 0;
        for (;;) {
            auto run = walk.next();
            if (!run.ok()) std::abort();
            if (!*run) break;
            auto middle = (*run)->first + (*run)->count / 2;
            auto again = map.from(disk, middle).next();
            if (!again.ok() || !*again || (*again)->first != middle || (*again)->kind != (*run)->kind) std::abort();
            if ((*run)->kind == RunKind::Data && (*again)->ids[0] != (*run)->ids[(*run)->count / 2]) std::abort();
            chunk += (*run)->count;
        }
        if (chunk != map.summary().disks[disk].disk.chunk_count()) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    MemoryStream in(std::as_bytes(std::span(data, size)));
    ArchiveReader reader(in);
    MemoryManifest spool;
    if (!reader.header().ok() || !reader.manifest(spool).ok()) return 0;
    auto bytes = with_its_digest(spool.bytes());
    ManifestView manifest(bytes);
    auto map = ImageMap::create(manifest);
    if (!map.ok()) return 0;
    check_map(*map);
    std::uint64_t named = 0, records = 0;
    for (const auto& disk : map->summary().disks) named += disk.data_chunks;
    for (;;) {
        auto chunk = reader.next(manifest);
        if (!chunk.ok() || !*chunk) break;
        if (++records > named) std::abort();
    }
    return 0;
}
