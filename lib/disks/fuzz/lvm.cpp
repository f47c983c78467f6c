// SPDX-License-Identifier: GPL-3.0-or-later
// LVM's metadata text, and a hostile physical volume whose text has right checksums: no crash, no read outside, and
// maps that stay inside.
#include <cstdint>
#include <cstdlib>

#include "lib/disks/volumes/crc.hpp"
#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;

namespace {

void check(disks::BlockDevice& disk) {
    disks::BlockDevice* volumes[] = {&disk};
    auto maps = disks::map_volumes(volumes);
    if (!maps.ok()) std::abort();
    for (const auto& e : maps->front().used.extents())
        if (e.end() > disk.size() || e.length == 0) std::abort();
}

// The label of the volume `aaaaaa-…-aaaaaa` in sector 1, a metadata area at 4096, the text in it.
void make_physical(disks::MemoryDisk& disk, ByteView text) {
    constexpr std::uint64_t kArea = 4096, kAreaBytes = 1u << 20;
    ByteWriter pv;
    pv.le32(32).text("LVM2 001").text(std::string(32, 'a')).le64(disk.size());
    pv.le64(2u << 20).le64(0).zeros(16).le64(kArea).le64(kAreaBytes).zeros(16).pad_to(512 - 20);
    ByteWriter label;
    label.text("LABELONE").le64(1).le32(disks::lvm_crc(pv.view())).bytes(pv.view());
    ByteWriter rest;
    rest.text(" LVM2 x[5A%r0N*>").le32(1).le64(kArea).le64(kAreaBytes);
    rest.le64(512).le64(text.size()).le32(disks::lvm_crc(text)).le32(0).pad_to(508);
    ByteWriter header;
    header.le32(disks::lvm_crc(rest.view())).bytes(rest.view()).bytes(text);
    (void)disk.write(512, label.view());
    (void)disk.write(kArea, header.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto view = std::as_bytes(std::span(data, size));
    if (size > 256 * 1024) return 0;
    // Made once: what an input wrote is zeroed again.
    static disks::MemoryDisk raw(512u << 10), disk(4u << 20);
    (void)raw.write(0, view);
    check(raw);
    (void)raw.discard(0, size);
    make_physical(disk, view);
    check(disk);
    (void)disk.discard(0, 4096 + 512 + size);
    return 0;
}
