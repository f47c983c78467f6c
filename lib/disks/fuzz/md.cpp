// SPDX-License-Identifier: GPL-3.0-or-later
// Hostile md superblocks, with right checksums too, on four members: no crash, no read outside, maps that stay inside.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;

namespace {

constexpr std::uint64_t kSize = 512u << 10;

void seal(Bytes& super) {
    std::fill_n(super.begin() + 216, 4, std::byte{0});
    std::uint64_t sum = 0;
    ByteReader roles(super);
    roles.seek(220);
    auto count = std::min<std::size_t>(roles.le32(), 1920);
    for (ByteReader in(ByteView(super).first(256 + count * 2)); in.remaining() >= 4;) sum += in.le32();
    auto folded = static_cast<std::uint32_t>((sum & 0xffffffff) + (sum >> 32));
    for (std::size_t i = 0; i < 4; ++i) super[216 + i] = static_cast<std::byte>(folded >> (8 * i));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto view = std::as_bytes(std::span(data, size)).first(std::min<std::size_t>(size, 4096));
    // Made once: only the superblocks differ from input to input.
    static std::vector<disks::MemoryDisk> members(4, disks::MemoryDisk(kSize));
    static disks::MemoryDisk old(kSize);
    std::vector<disks::BlockDevice*> volumes;
    Bytes super(view.begin(), view.end());
    super.resize(4096);
    (void)old.write(kSize - 65536, super);
    for (unsigned i = 0; i < 4; ++i) {
        super[160] = static_cast<std::byte>(i);  // its number, hence its role
        seal(super);
        (void)members[i].write(4096, super);
        volumes.push_back(&members[i]);
    }
    auto set = disks::VolumeSet::assemble(volumes);
    if (!set.ok()) std::abort();
    for (const auto& map : set->maps())
        for (const auto& e : map.used.extents())
            if (e.end() > kSize || e.length == 0) std::abort();
    for (const auto& inner : set->inner()) {
        Bytes end(std::min<std::uint64_t>(inner.device->size(), 65536));
        if (!inner.device->read(inner.device->size() - end.size(), end).ok()) std::abort();
    }
    // The first of them also as the old kind, at the end.
    disks::BlockDevice* one[] = {&old};
    if (!disks::map_volumes(one).ok()) std::abort();
    return 0;
}
