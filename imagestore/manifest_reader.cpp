// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "imagestore/errors.hpp"
#include "imagestore/manifest.hpp"
#include "imagestore/manifest_wire.hpp"

namespace slipway::imagestore {

using namespace wire;

namespace {

// Places of the grammar; a record may not come earlier than the one before it allows.
enum Stage { kAtStart, kBetweenDisks, kInPartitions, kInVolumes, kInRuns, kInLosses };

Error bad(std::string_view what) { return make_error(errors::kBadManifest, "{}", what); }

std::string get_string(ByteReader& in) {
    auto length = in.le16();
    return std::string(in.text(length));
}

bool inside(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
    return offset <= size && length <= size - offset;
}

ImageInfo read_image(ByteReader& in) {
    ImageInfo info;
    info.created_ms = in.le64();
    info.inconsistent = in.le32() & 1;
    info.disk_count = in.le32();
    info.source = get_string(in);
    info.writer = get_string(in);
    return info;
}

Result<DiskInfo> read_disk(ByteReader& in) {
    DiskInfo info;
    info.index = in.le32();
    info.size = in.le64();
    info.sector_size = in.le32();
    info.cylinders = in.le32();
    info.heads = in.le32();
    info.sectors = in.le32();
    auto table = in.u8();
    for (auto* text : {&info.name, &info.serial, &info.model, &info.table_id}) *text = get_string(in);
    if (table > static_cast<std::uint8_t>(TableKind::Gpt))
        return make_error(errors::kNewerFormat, "partition table kind {}", table);
    info.table = static_cast<TableKind>(table);
    bool power_of_two = info.sector_size && (info.sector_size & (info.sector_size - 1)) == 0;
    if (!power_of_two || info.sector_size < 512 || info.sector_size > kChunkBytes)
        return bad("a disk of impossible sector size");
    if (info.size == 0 || info.size > kMaxDiskBytes) return bad("a disk of impossible size");
    return info;
}

PartitionInfo read_partition(ByteReader& in) {
    PartitionInfo info;
    info.number = in.le32();
    info.offset = in.le64();
    info.length = in.le64();
    info.active = in.le32() & 1;
    for (auto* text : {&info.type, &info.name, &info.uuid}) *text = get_string(in);
    return info;
}

Result<VolumeInfo> read_volume(ByteReader& in) {
    VolumeInfo info;
    info.partition = in.le32();
    info.offset = in.le64();
    info.length = in.le64();
    info.used = in.le64();
    auto state = in.u8();
    auto flags = in.le32();
    for (auto* text : {&info.filesystem, &info.label, &info.uuid, &info.note}) *text = get_string(in);
    if (state > static_cast<std::uint8_t>(VolumeState::Hibernated))
        return make_error(errors::kNewerFormat, "volume state {}", state);
    info.state = static_cast<VolumeState>(state);
    info.every_sector = flags & kEverySector;
    info.excluded = flags & kExcluded;
    return info;
}

}  // namespace

Status ManifestReader::load(std::span<std::byte> out) {
    if (out.size() > end_ - offset_) return bad("it ends inside a record");
    TRY(bytes_.read(offset_, out));
    offset_ += out.size();
    hash_.update(out);
    return {};
}

Status ManifestReader::header() {
    if (bytes_.size() < kManifestHeaderBytes + kManifestTrailerBytes) return bad("it is too short to be a manifest");
    end_ = bytes_.size() - kManifestTrailerBytes;
    std::array<std::byte, kManifestHeaderBytes> head;
    TRY(load(head));
    ByteReader in(head);
    if (in.text(8) != kManifestMagic) return bad("it does not start as a manifest");
    auto version = in.le16();
    if (version != kManifestVersion) return make_error(errors::kNewerFormat, "manifest version {}", version);
    in.skip(2);
    auto chunk = in.le32();
    if (chunk != kChunkBytes) return make_error(errors::kNewerFormat, "chunks of {} bytes", chunk);
    started_ = true;
    return {};
}

Status ManifestReader::trailer() {
    if (stage_ != kBetweenDisks || disks_seen_ != disks_told_) return bad("it ends before its last disk");
    std::array<std::byte, kManifestTrailerBytes> tail;
    TRY(bytes_.read(end_, tail));
    hash_.update(ByteView(tail).first(16));
    ByteReader in(tail);
    if (in.text(8) != kManifestEnd || in.le64() != end_) return bad("its end is missing");
    if (hash_.finish().octets != in.array<32>()) return bad("its SHA-256 does not agree: bytes were changed");
    done_ = true;
    return {};
}

Result<std::optional<ManifestEvent>> ManifestReader::next() {
    if (done_) return std::optional<ManifestEvent>();
    if (!started_) TRY(header());
    if (in_runs_) return run_event();
    for (;;) {
        if (offset_ == end_) {
            TRY(trailer());
            return std::optional<ManifestEvent>();
        }
        record_at_ = offset_;
        std::array<std::byte, kRecordPrefixBytes> prefix;
        TRY(load(prefix));
        ByteReader in(prefix);
        auto type = in.u8();
        auto length = in.le32();
        if (length > kManifestRecordLimit) return bad("a record is longer than records are");
        record_.resize(length);
        TRY(load(record_));
        if (type >= kSkippable) continue;
        return event(type, record_);
    }
}

Result<std::optional<ManifestEvent>> ManifestReader::event(std::uint8_t type, ByteView body) {
    ByteReader in(body);
    auto known = [&](auto value) -> Result<std::optional<ManifestEvent>> {
        if (in.failed()) return bad("a record is shorter than its fields");
        return std::optional<ManifestEvent>(std::move(value));
    };
    bool in_disk = stage_ >= kInPartitions;
    if (type == kImage) {
        if (stage_ != kAtStart) return bad("a second image record");
        auto info = read_image(in);
        if (info.disk_count == 0 || info.disk_count > kMaxDisks) return bad("an impossible number of disks");
        disks_told_ = info.disk_count;
        stage_ = kBetweenDisks;
        return known(std::move(info));
    }
    if (stage_ == kAtStart) return bad("it does not start with its image record");
    if (type == kDisk) {
        if (in_disk || disks_seen_ == disks_told_) return bad("a disk record out of place");
        auto info = read_disk(in);
        if (in.failed()) return bad("a record is shorter than its fields");
        disk_ = TRY(std::move(info));
        if (disk_.index != disks_seen_++) return bad("disks are not numbered in order");
        chunks_ = data_ = 0;
        stage_ = kInPartitions;
        return known(disk_);
    }
    if (!in_disk) return bad("a record outside a disk");
    if (type == kPartition) {
        if (stage_ > kInPartitions) return bad("a partition record out of place");
        auto info = read_partition(in);
        if (!inside(info.offset, info.length, disk_.size)) return bad("a partition outside its disk");
        return known(std::move(info));
    }
    if (type == kVolume) {
        if (stage_ > kInVolumes) return bad("a volume record out of place");
        stage_ = kInVolumes;
        auto info = TRY(read_volume(in));
        if (!inside(info.offset, info.length, disk_.size)) return bad("a volume outside its disk");
        return known(std::move(info));
    }
    if (type == kRuns) {
        if (stage_ > kInRuns) return bad("a runs record out of place");
        if (body.empty()) return bad("an empty runs record");
        stage_ = kInRuns;
        in_runs_ = true;
        run_offset_ = 0;
        return run_event();
    }
    if (type == kLoss) {
        stage_ = kInLosses;
        LossInfo info;
        info.offset = in.le64();
        info.length = in.le64();
        if (!inside(info.offset, info.length, disk_.size)) return bad("a loss outside its disk");
        return known(info);
    }
    if (type == kDiskEnd) {
        DiskEnd info{in.le64(), in.le64()};
        if (in.failed() || info.chunks != chunks_ || info.data != data_)
            return bad("a disk's end disagrees with its runs");
        if (chunks_ != disk_.chunk_count()) return bad("the runs do not cover their disk");
        stage_ = kBetweenDisks;
        return known(info);
    }
    return make_error(errors::kNewerFormat, "manifest record type {}", type);
}

Result<std::optional<ManifestEvent>> ManifestReader::run_event() {
    ByteReader in(record_);
    in.seek(run_offset_);
    ChunkRun run;
    auto kind = in.u8();
    run.count = in.le32();
    run.first = chunks_;
    if (in.failed() || run.count == 0) return bad("a cut or empty run");
    if (kind > static_cast<std::uint8_t>(RunKind::Data)) return make_error(errors::kNewerFormat, "run kind {}", kind);
    run.kind = static_cast<RunKind>(kind);
    if (run.count > disk_.chunk_count() - chunks_) return bad("the runs go past the end of their disk");
    if (run.kind == RunKind::Data) {
        if (run.count > in.remaining() / kIdBytes) return bad("a data run without its ids");
        run.ids.resize(run.count);
        for (auto& id : run.ids) id.octets = in.array<32>();
        data_ += run.count;
    }
    chunks_ += run.count;
    run_offset_ = in.offset();
    in_runs_ = !in.at_end();
    return std::optional<ManifestEvent>(std::move(run));
}

Result<ManifestSummary> summarize(const ManifestBytes& bytes, const ManifestObserver& each) {
    ManifestSummary out;
    out.manifest_bytes = bytes.size();
    ManifestReader reader(bytes);
    auto add = [&](auto& event) {
        using T = std::decay_t<decltype(event)>;
        if constexpr (std::is_same_v<T, ImageInfo>) out.image = std::move(event);
        if constexpr (std::is_same_v<T, DiskInfo>) out.disks.push_back({std::move(event), {}, {}, {}});
        if constexpr (std::is_same_v<T, PartitionInfo>) out.disks.back().partitions.push_back(std::move(event));
        if constexpr (std::is_same_v<T, VolumeInfo>) out.disks.back().volumes.push_back(std::move(event));
        if constexpr (std::is_same_v<T, LossInfo>) out.disks.back().losses.push_back(event);
        if constexpr (std::is_same_v<T, ChunkRun>) {
            auto& disk = out.disks.back();
            (event.kind == RunKind::Data   ? disk.data_chunks
             : event.kind == RunKind::Zero ? disk.zero_chunks
                                           : disk.unused_chunks) += event.count;
        }
    };
    while (auto event = TRY(reader.next())) {
        if (each) each(*event, reader.record_offset());
        std::visit(add, *event);
    }
    return out;
}

Status check_manifest(const ManifestBytes& bytes) {
    ManifestReader reader(bytes);
    while (TRY(reader.next())) continue;
    return {};
}

}  // namespace slipway::imagestore
