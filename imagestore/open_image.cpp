// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/open_image.hpp"

#include <algorithm>
#include <set>

#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::size_t kMaxFileName = 200;  // and a few more for the extension

bool may_hold_others(const VolumeInfo& volume) {
    return !volume.excluded &&
           (volume.filesystem == "lvm2" || volume.filesystem == "mdraid" || volume.filesystem == "luks");
}

VolumeState state_of(disks::VolumeState state) {
    switch (state) {
        case disks::VolumeState::Clean: return VolumeState::Clean;
        case disks::VolumeState::NeedsRecovery: return VolumeState::NeedsRecovery;
        case disks::VolumeState::Hibernated: return VolumeState::Hibernated;
        case disks::VolumeState::Unknown: break;
    }
    return VolumeState::Unknown;
}

VolumeInfo info_of(const disks::InnerVolume& inner) {
    VolumeInfo out;
    out.length = inner.device->size();
    out.used = inner.map.used.total();
    out.state = state_of(inner.map.state);
    out.every_sector = !inner.map.why_all.empty();
    out.filesystem = inner.map.filesystem;
    out.label = inner.map.label;
    out.uuid = inner.map.uuid;
    out.note = out.every_sector ? inner.map.why_all : inner.map.inside;
    return out;
}

}  // namespace

std::string file_name_of(const std::string& volume) {
    std::string out;
    bool of_group = volume.find('/') != std::string::npos;
    for (char c : volume) {
        if (out.size() >= kMaxFileName) break;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c == '/') out += '-';
        else if (c == '-' && of_group) out += "--";
        else out += plain || c == '-' || c == '+' || c == '_' || (c == '.' && !out.empty()) ? c : '_';
    }
    return out.empty() ? "_" : out;
}

Result<std::unique_ptr<OpenImage>> OpenImage::create(const ManifestBytes& manifest, ChunkSource& source,
                                                     const Options& options) {
    auto map = TRY(ImageMap::create(manifest));
    auto out = std::unique_ptr<OpenImage>(new OpenImage(std::move(map), source, options.cache_chunks));
    const auto& disks = out->summary().disks;
    for (std::uint32_t d = 0; d < disks.size(); ++d) {
        out->disks_.push_back(TRY(ImageDisk::create(out->map_, d, out->cache_)));
        for (const auto& volume : disks[d].volumes) out->add_outer(d, volume);
        if (disks[d].disk.table == TableKind::None) continue;  // the image of one volume names the partition it was
        for (const auto& partition : disks[d].partitions) {
            VolumeInfo plain;  // unless a volume of that number is there
            plain.partition = partition.number;
            plain.offset = partition.offset;
            plain.length = partition.length;
            out->add_outer(d, plain);
        }
    }
    out->cache_.read_ahead(false);
    out->look_inside(options.luks);
    out->cache_.read_ahead(true);
    return out;
}

void OpenImage::add_outer(std::uint32_t disk, const VolumeInfo& volume) {
    auto name = volume.partition ? fmt::format("{}p{}", disk, volume.partition) : std::to_string(disk);
    if (files_[name]++) return;
    windows_.push_back(std::make_unique<disks::OffsetLayer>(*disks_[disk], volume.offset, volume.length));
    volumes_.push_back({name, name, {}, volume, windows_.back().get(), {}});
}

void OpenImage::look_inside(disks::LuksOpener* luks) {
    std::vector<std::size_t> given;
    std::vector<disks::BlockDevice*> devices;
    for (std::size_t i = 0; i < volumes_.size(); ++i)
        if (may_hold_others(volumes_[i].volume)) {
            given.push_back(i);
            devices.push_back(volumes_[i].device);
        }
    if (given.empty()) return;
    disks::MapOptions options;
    options.luks = luks;
    auto set = disks::VolumeSet::assemble(devices, options);
    if (!set) {
        warnings_.push_back("what lies inside the volumes cannot be shown: " + set.error().message());
        return;
    }
    set_.emplace(std::move(*set));
    add_inner(given, *set_);
    warn(given, *set_, luks != nullptr);
}

void OpenImage::add_inner(const std::vector<std::size_t>& given, const disks::VolumeSet& set) {
    // By the set's numbers: the volumes of ours that they stand for, through parts that are none.
    std::vector<std::vector<std::size_t>> ours;
    for (auto number : given) ours.push_back({number});
    for (const auto& inner : set.inner()) {
        std::vector<std::size_t> members;
        for (auto member : inner.members)
            for (auto number : ours[member])
                if (std::find(members.begin(), members.end(), number) == members.end()) members.push_back(number);
        if (inner.hidden) {
            ours.push_back(std::move(members));
            continue;
        }
        ours.push_back({volumes_.size()});
        // '~' is in no name that file_name_of() makes.
        auto file = file_name_of(inner.name);
        if (auto before = files_[file]++) file += fmt::format("~{}", before + 1);
        volumes_.push_back({inner.name, file, inner.kind, info_of(inner), inner.device, std::move(members)});
    }
}

void OpenImage::warn(const std::vector<std::size_t>& given, const disks::VolumeSet& set, bool keys) {
    for (std::size_t i = 0; i < given.size(); ++i) {
        const auto& map = set.maps()[i];
        if (map.why_all.empty() || (map.filesystem == "luks" && !keys)) continue;
        const auto& volume = volumes_[given[i]];
        warnings_.push_back(fmt::format("{} ({}): {}", volume.name, volume.volume.filesystem, map.why_all));
    }
    // Of a volume that is shown, it does not matter that all of it was taken; an encrypted one is not shown.
    std::set<std::string> shown;
    for (const auto& inner : set.inner())
        if (inner.map.filesystem != "luks" || !keys) shown.insert(inner.name);
    for (const auto& warning : set.warnings())
        if (!shown.contains(warning.substr(0, warning.find(" (")))) warnings_.push_back(warning);
}

}  // namespace slipway::imagestore
