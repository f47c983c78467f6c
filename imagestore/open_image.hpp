// SPDX-License-Identifier: GPL-3.0-or-later
// An image with all its disks and volumes as read-only block devices, those inside LVM, md and encrypted volumes with
// them: looked through over all disks of the image together (lib/disks/volumes/), since one may span several.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "imagestore/image_disk.hpp"
#include "lib/disks/volumes/volume_set.hpp"

namespace slipway::imagestore {

struct OpenVolume {
    std::string name;   // "0p1": disk 0, partition 1; "0" where a disk is one volume; inside: "vg0/root", "md127"
    std::string file;   // the same as one name of a file, no two alike: "0p1", and as device-mapper says it, "vg0-root"
    std::string kind;   // of one inside others: "lvm", "thin", "raid1", "luks", "partition"; else empty
    VolumeInfo volume;  // of one inside others: without partition and offset
    disks::BlockDevice* device = nullptr;  // of the image; thread-safe
    std::vector<std::size_t> members;      // what one inside others lies on: numbers of volumes()
};

class OpenImage {
public:
    struct Options {
        std::size_t cache_chunks = 64;      // of 1 MiB
        disks::LuksOpener* luks = nullptr;  // opens encrypted volumes, while create() runs
    };
    // `manifest` and `source` outlive it. Reads metadata of volumes that may have others inside, and of those, from the
    // store; starts no thread before the first read() by somebody else, so that a process may fork in between.
    // Errors: imagestore.bad-manifest, .newer-format. What cannot be looked through is a warning.
    static Result<std::unique_ptr<OpenImage>> create(const ManifestBytes& manifest, ChunkSource& source,
                                                     const Options& options);

    const ManifestSummary& summary() const { return map_.summary(); }
    const std::vector<std::unique_ptr<ImageDisk>>& disks() const { return disks_; }
    const std::vector<OpenVolume>& volumes() const { return volumes_; }  // members before what lies over them
    // Volumes whose inside is not shown, and why. One that is encrypted and has no key is none.
    const std::vector<std::string>& warnings() const { return warnings_; }

private:
    OpenImage(ImageMap map, ChunkSource& source, std::size_t chunks) : map_(std::move(map)), cache_(source, chunks) {}
    void add_outer(std::uint32_t disk, const VolumeInfo& volume);
    void look_inside(disks::LuksOpener* luks);
    void add_inner(const std::vector<std::size_t>& given, const disks::VolumeSet& set);
    void warn(const std::vector<std::size_t>& given, const disks::VolumeSet& set, bool keys);

    ImageMap map_;
    ChunkCache cache_;
    std::vector<std::unique_ptr<ImageDisk>> disks_;
    std::vector<std::unique_ptr<disks::OffsetLayer>> windows_;
    std::optional<disks::VolumeSet> set_;  // owns the inner devices
    std::vector<OpenVolume> volumes_;
    std::map<std::string, unsigned> files_;  // how many volumes wanted that name of a file
    std::vector<std::string> warnings_;
};

// "vg0/my-lv" -> "vg0-my--lv" (dm_build_dm_name of libdevmapper); what has no place in a file's name becomes '_'.
std::string file_name_of(const std::string& volume);

}  // namespace slipway::imagestore
