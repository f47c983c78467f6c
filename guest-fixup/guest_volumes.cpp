// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/guest_volumes.hpp"

#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr int kMaxRounds = 8;
constexpr std::size_t kMaxVolumes = 1024;

// What is told first when a root is missing.
int weight(const Error& error) {
    int rank = 0;
    for (const auto* id :
         {&errors::kNeedsAgent, &errors::kInUse, &errors::kIncomplete, &errors::kLocked, &errors::kActivate}) {
        if (error.is(*id)) return rank;
        ++rank;
    }
    return rank;
}

}  // namespace

Result<std::unique_ptr<GuestVolumes>> GuestVolumes::open(const RepairRequest& request) {
    std::unique_ptr<GuestVolumes> out(new GuestVolumes(request));
    std::vector<fs::path> paths{request.disk};
    paths.insert(paths.end(), request.more_disks.begin(), request.more_disks.end());
    for (std::size_t i = 0; i < paths.size(); ++i) {
        auto disk = TRY(GuestDisk::open(paths[i], request.dry_run));
        for (auto volume : disk.volumes()) {
            volume.disk = static_cast<unsigned>(i);
            out->volumes_.push_back(std::move(volume));
        }
        out->disks_.push_back(std::move(disk));
    }
    out->settled_.resize(out->volumes_.size());
    return out;
}

Status GuestVolumes::look_through() {
    for (int round = 0; round < kMaxRounds; ++round) {
        bool more = TRY(start_arrays());
        more = TRY(open_luks()) || more;
        // A group may lie over several of those.
        if (!more) more = TRY(start_groups());
        if (!more) break;
    }
    if (lacking_md_) troubles_.push_back(*lacking_md_);
    if (lacking_dm_) troubles_.push_back(*lacking_dm_);
    return {};
}

std::optional<Error> GuestVolumes::worst_trouble() const {
    auto worst = std::min_element(troubles_.begin(), troubles_.end(),
                                  [](const auto& a, const auto& b) { return weight(a) < weight(b); });
    return worst == troubles_.end() ? std::nullopt : std::optional(*worst);
}

std::optional<Error> GuestVolumes::cut_short() const {
    for (const auto& disk : disks_)
        if (!disk.cut().empty()) return make_error(errors::kCutShort, "{}", disk.cut());
    return std::nullopt;
}

bool GuestVolumes::pending(std::size_t volume, std::string_view filesystem) const {
    return !settled_[volume] && volumes_[volume].filesystem == filesystem;
}

bool GuestVolumes::enough(VolumeKind kind) {
    auto& lacking = kind == VolumeKind::Md ? lacking_md_ : lacking_dm_;
    if (lacking) return false;
    if (auto there = stacks_.need(kind); !there) lacking = std::move(there).error();
    return !lacking;
}

Result<fs::path> GuestVolumes::device_of(std::size_t number) {
    auto& volume = volumes_[number];
    if (volume.device.empty()) volume.device = TRY(disks_[volume.disk].device_of(volume));
    return volume.device;
}

// What is activated over a device that may not be written to writes nothing, whatever it thinks of its superblocks.
Result<fs::path> GuestVolumes::member_device(std::size_t number) {
    const auto& volume = volumes_[number];
    if (volume.kind != VolumeKind::Partition) return device_of(number);
    if (auto kernels = kernel_partition(disks_[volume.disk].path(), volume)) TRY(check_unused(*kernels));
    return request_.dry_run ? disks_[volume.disk].read_only_device_of(volume) : device_of(number);
}

Result<std::vector<fs::path>> GuestVolumes::member_devices(const std::vector<std::size_t>& members) {
    std::vector<fs::path> out;
    for (auto member : members) out.push_back(TRY(member_device(member)));
    return out;
}

Status GuestVolumes::add_over(std::vector<std::size_t> parents, Volume volume) {
    if (volumes_.size() >= kMaxVolumes) return make_error(errors::kActivate, "there are too many volumes");
    volume.disk = volumes_[parents.front()].disk;
    volume.parents = std::move(parents);
    volumes_.push_back(std::move(volume));
    settled_.push_back(0);
    return {};
}

Status GuestVolumes::add_array(const ArrayPlan& plan, const fs::path& node) {
    auto device = TRY(disks::FileDisk::open(node, disks::OpenMode::ReadOnly));
    Volume whole{.length = device->size(), .kind = VolumeKind::Md, .id = plan.id, .device = node};
    whole.names.push_back("/dev/" + plan.name);
    if (plan.name.starts_with("md") && !plan.name.starts_with("md/"))
        whole.names.push_back("/dev/md/" + plan.name.substr(2));
    TRY(identify_device(*device, whole));
    const auto name = whole.names.front();
    TRY(add_over(plan.members, whole));
    if (!whole.filesystem.empty()) return {};
    const auto parent = volumes_.size() - 1;
    for (const auto& partition : TRY(disks::read_layout(*device)).partitions) {
        Volume part{
            .index = partition.index, .offset = partition.offset, .length = partition.length, .kind = VolumeKind::Md};
        disks::OffsetLayer window(*device, part.offset, part.length);
        TRY(identify_device(window, part));
        const bool digit = name.back() >= '0' && name.back() <= '9';
        part.names.push_back(fmt::format("{}{}{}", name, digit ? "p" : "", part.index));
        if (auto kernels = kernel_partition(node, part)) {
            part.device = *kernels;
        } else {
            auto loop = TRY(LoopDevice::attach(node, part.offset, part.length, request_.dry_run));
            part.device = loop.path();
            loops_.push_back(std::move(loop));
        }
        TRY(add_over({parent}, std::move(part)));
    }
    return {};
}

Result<bool> GuestVolumes::start_arrays() {
    std::vector<MdMember> members;
    for (std::size_t i = 0; i < volumes_.size(); ++i) {
        if (!pending(i, "linux_raid_member")) continue;
        if (!enough(VolumeKind::Md)) return false;
        auto device = TRY(disks::FileDisk::open(TRY(device_of(i)), disks::OpenMode::ReadOnly));
        if (auto super = TRY(disks::read_md_super(*device))) members.push_back({i, std::move(*super)});
        else settled_[i] = 1;
    }
    bool more = false;
    std::erase_if(troubles_, [](const Error& e) { return e.is(errors::kIncomplete); });  // said anew each round
    for (const auto& plan : plan_arrays(members)) {
        if (!plan.refused.empty()) {
            troubles_.push_back(
                make_error(errors::kIncomplete, "the array {}: {}", printable(plan.name), plan.refused));
            continue;
        }
        for (auto member : plan.members) settled_[member] = 1;
        auto started = [&]() -> Status {
            const auto node = TRY(stacks_.start_array(plan, TRY(member_devices(plan.members))));
            return add_array(plan, node);
        }();
        if (!started) {
            troubles_.push_back(std::move(started).error().with("the array " + printable(plan.name)));
            continue;
        }
        if (plan.degraded)
            warnings_.push_back("the array " + printable(plan.name) + " is degraded: it lost a disk before");
        more = true;
    }
    return more;
}

Result<bool> GuestVolumes::open_luks() {
    bool more = false;
    for (std::size_t i = 0; i < volumes_.size(); ++i) {
        if (!pending(i, "crypto_LUKS")) continue;
        if (request_.luks_keys.empty()) {
            settled_[i] = 1;
            troubles_.push_back(
                make_error(errors::kLocked, "{} is encrypted, and no key is given", describe(volumes_[i])));
            continue;
        }
        if (!enough(VolumeKind::Luks)) return more;
        settled_[i] = 1;
        auto opened = [&]() -> Status {
            const auto node = TRY(stacks_.open_luks(volumes_[i].uuid, TRY(member_device(i)), request_.luks_keys));
            auto device = TRY(disks::FileDisk::open(node, disks::OpenMode::ReadOnly));
            Volume plain{.length = device->size(),
                         .kind = VolumeKind::Luks,
                         .names = {node.string()},
                         .id = volumes_[i].uuid,
                         .device = node};
            TRY(identify_device(*device, plain));
            return add_over({i}, std::move(plain));
        }();
        if (!opened) troubles_.push_back(std::move(opened).error().with(describe(volumes_[i])));
        else more = true;
    }
    return more;
}

Result<bool> GuestVolumes::start_groups() {
    std::vector<PhysicalVolume> physical;
    for (std::size_t i = 0; i < volumes_.size(); ++i) {
        if (!pending(i, "LVM2_member")) continue;
        if (!enough(VolumeKind::Lvm)) return false;
        auto device = TRY(disks::FileDisk::open(TRY(device_of(i)), disks::OpenMode::ReadOnly));
        Bytes head(std::min<std::uint64_t>(device->size(), 4096));
        TRY(device->read(0, head));
        auto label = disks::parse_lvm_label(head);
        if (!label) continue;
        auto metadata = disks::read_lvm_metadata(*device, *label);
        if (!metadata) {
            settled_[i] = 1;
            troubles_.push_back(
                make_error(errors::kActivate, "{}: {}", describe(volumes_[i]), metadata.error().message()));
            continue;
        }
        physical.push_back({i, std::move(*label), std::move(*metadata)});
    }
    bool more = false;
    for (const auto& plan : plan_groups(physical)) {
        if (!plan.refused.empty()) {
            troubles_.push_back(
                make_error(errors::kIncomplete, "the volume group {}: {}", printable(plan.name), plan.refused));
            continue;
        }
        for (auto member : plan.members) settled_[member] = 1;
        auto started = [&]() -> Status {
            const auto group = TRY(stacks_.start_group(plan, TRY(member_devices(plan.members))));
            if (!group.complaint.empty())
                troubles_.push_back(
                    make_error(errors::kActivate, "the volume group {}: {}", plan.name, group.complaint));
            for (const auto& mapping : group.volumes) {
                const auto name = parse_mapping_name(mapping.name);
                if (plan.snapshots.contains(name->volume)) continue;
                const auto node = fs::path("/dev/mapper") / mapping.name;
                auto device = TRY(disks::FileDisk::open(node, disks::OpenMode::ReadOnly));
                Volume volume{.length = device->size(),
                              .kind = VolumeKind::Lvm,
                              .names = {node.string(), "/dev/" + name->group + "/" + name->volume},
                              .id = plan.uuid,
                              .device = node};
                TRY(identify_device(*device, volume));
                TRY(add_over(plan.members, std::move(volume)));
            }
            return {};
        }();
        if (!started) troubles_.push_back(std::move(started).error().with("the volume group " + plan.name));
        else more = true;
    }
    return more;
}

Status GuestVolumes::rename_luks(std::size_t number, const std::string& name) {
    auto& volume = volumes_[number];
    auto node = TRY(stacks_.rename_luks(volume.device, name));
    volume.device = node;
    volume.names = {node.string()};
    return {};
}

void GuestVolumes::add_name(std::size_t number, std::string name) {
    auto& names = volumes_[number].names;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
}

void GuestVolumes::set_subvolumes(std::size_t number, std::vector<std::string> names) {
    volumes_[number].subvolumes = std::move(names);
}

Result<SandboxDevices> GuestVolumes::sandbox_devices() {
    for (std::size_t i = 0; i < volumes_.size(); ++i) TRY(device_of(i));
    return devices_for_sandbox(volumes_);
}

Result<std::vector<std::string>> GuestVolumes::close() {
    if (std::exchange(closed_, true)) return std::vector<std::string>();
    auto left = stacks_.stop_all();
    loops_.clear();
    for (auto& disk : disks_) TRY(disk.flush());
    return left;
}

}  // namespace slipway::fixup
