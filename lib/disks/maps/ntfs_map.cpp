// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/ntfs_map.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/maps/ntfs_volume.hpp"
#include "lib/disks/maps/volume_head.hpp"

namespace slipway::disks {

namespace {

using namespace ntfs;

constexpr std::uint16_t kVolumeDirty = 0x0001, kChkdskUnderWay = 0x4000;
constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::size_t kMaxRestartBytes = 64u << 10;
constexpr std::uint64_t kMirroredRecords = 4;
constexpr std::array<std::string_view, 3> kPageFiles{"hiberfil.sys", "pagefile.sys", "swapfile.sys"};
constexpr std::size_t kHiberfil = 0;

enum class HiberImage { None, Present, Unknown };

Error bad(std::string_view what) { return make_error(errors::kFilesystem, "{}", what); }

class NtfsMapper {
public:
    NtfsMapper(BlockDevice& device, const Boot& boot, const MapOptions& options, UsedMap& map)
        : device_(device), boot_(boot), options_(options), map_(map) {}
    // Fills the map; kFilesystem: take everything, for that reason.
    Status fill(std::string_view other_owner);

private:
    Status read_volume_file(Volume& volume);
    Status find_page_files(Volume& volume);
    Result<HiberImage> hiber_image(Volume& volume, const FileRecord& file);
    Result<std::string> log_trouble(Volume& volume);
    Status check_mirror(Volume& volume);
    Status gather_system_clusters(Volume& volume);
    Result<std::vector<ClusterRun>> page_file_clusters(Volume& volume);
    Result<std::vector<ClusterRun>> bad_clusters(Volume& volume);
    Status read_bitmap(Volume& volume, ClusterExtents& clusters);

    struct SystemFile {
        std::string_view name;
        std::vector<ClusterRun> clusters;
    };

    BlockDevice& device_;
    const Boot& boot_;
    const MapOptions& options_;
    UsedMap& map_;
    bool dirty_ = false;
    HiberImage image_ = HiberImage::None;
    std::array<std::optional<FileRecord>, kPageFiles.size()> page_files_;
    std::vector<SystemFile> system_files_;
};

Status NtfsMapper::read_volume_file(Volume& volume) {
    auto file = TRY(volume.record(kVolume));
    auto name = TRY(volume.stream(file, kVolumeName));
    auto information = TRY(volume.stream(file, kVolumeInformation));
    if (!file.in_use || (name && !name->resident) || !information || !information->resident)
        return bad("$Volume is damaged");
    if (name) map_.label = utf16_label(name->value);
    ByteReader reader(information->value);
    reader.skip(8);
    unsigned major = reader.u8(), minor = reader.u8();
    auto flags = reader.le16();
    if (reader.failed()) return bad("$Volume is damaged");
    dirty_ = flags & (kVolumeDirty | kChkdskUnderWay);
    if (dirty_) map_.state = VolumeState::NeedsRecovery;
    if (!(major == 3 && minor <= 1) && !(major == 1 && minor == 2))
        return bad(fmt::format("NTFS version {}.{} is not known", major, minor));
    return {};
}

Result<HiberImage> NtfsMapper::hiber_image(Volume& volume, const FileRecord& file) {
    auto content = TRY(volume.stream(file, kData));
    if (!content || content->bytes < 4) return HiberImage::None;
    if (content->flags & (kCompressed | kEncrypted)) return HiberImage::Unknown;
    Bytes head(4);
    TRY(volume.read(*content, 0, head));
    auto signature = to_lower(as_text(head));
    if (signature == "hibr" || signature == "rstr") return HiberImage::Present;
    return signature == "wake" || all_zero(head) ? HiberImage::None : HiberImage::Unknown;
}

Status NtfsMapper::find_page_files(Volume& volume) {
    page_files_ = TRY(volume.find_in_root(kPageFiles));
    if (!page_files_[kHiberfil]) return {};
    image_ = TRY(hiber_image(volume, *page_files_[kHiberfil]));
    if (image_ == HiberImage::Present) map_.state = VolumeState::Hibernated;
    return {};
}

// Empty: closed properly. Two restart pages stand at the log's beginning, written in turn.
Result<std::string> NtfsMapper::log_trouble(Volume& volume) {
    auto log = TRY(volume.needed_stream(kLogFile));
    Bytes head(std::min<std::uint64_t>(log.bytes, 2 * kMaxRestartBytes));
    TRY(volume.read(log, 0, head));
    // mkntfs and ntfs-3g leave an emptied log, and Windows starts a new one.
    if (std::all_of(head.begin(), head.end(), [](std::byte b) { return b == std::byte{0xff}; })) return std::string();
    auto latest = parse_restart_page(ByteView(head).first(std::min(head.size(), kMaxRestartBytes)));
    for (std::size_t at = 512; at <= kMaxRestartBytes && at < head.size(); at *= 2) {
        auto page = parse_restart_page(ByteView(head).subspan(at, std::min(head.size() - at, kMaxRestartBytes)));
        if (page && (!latest || page->lsn > latest->lsn)) latest = page;
    }
    if (!latest) return std::string("the log has no sound restart page");
    if (latest->major >= 2)
        return std::string(
            "Windows still held metadata in memory (log version 2): shut it down with shutdown /s /f /t 0 and "
            "capture again");
    if (!latest->clean) return std::string("the log was not closed: let Windows mount it and shut down");
    return std::string();
}

Status NtfsMapper::check_mirror(Volume& volume) {
    auto mirror = TRY(volume.needed_stream(kMftMirror));
    auto clusters = mirror.clusters();
    if (mirror.resident || clusters.empty() || clusters[0].first != boot_.mirror_cluster)
        return bad("$MFTMirr does not begin where the boot sector says");
    for (std::uint64_t i = 0; i < kMirroredRecords; ++i) {
        Bytes bytes(boot_.record_bytes);
        TRY(volume.read(mirror, i * boot_.record_bytes, bytes));
        auto copy = TRY_WITH(parse_record(std::move(bytes), i), "$MFTMirr");
        auto record = TRY(volume.record(i));
        auto in_use = [](const FileRecord& r) { return ByteView(r.bytes).first(r.bytes_in_use); };
        if (!std::ranges::equal(in_use(record), in_use(copy)))
            return bad(fmt::format("$MFT and $MFTMirr differ in record {}", i));
    }
    return {};
}

Status NtfsMapper::gather_system_clusters(Volume& volume) {
    constexpr std::array<std::pair<std::uint64_t, std::string_view>, 5> kFiles{
        {{kMft, "$MFT"}, {kMftMirror, "$MFTMirr"}, {kLogFile, "$LogFile"}, {kBitmap, "$Bitmap"}, {kBoot, "$Boot"}}};
    for (const auto& [number, name] : kFiles)
        system_files_.push_back({name, TRY(volume.needed_stream(number)).clusters()});
    return {};
}

Result<std::vector<ClusterRun>> NtfsMapper::page_file_clusters(Volume& volume) {
    std::vector<ClusterRun> all;
    for (std::size_t i = 0; i < kPageFiles.size(); ++i) {
        if (!page_files_[i] || (i == kHiberfil && image_ != HiberImage::None)) continue;
        auto content = TRY(volume.stream(*page_files_[i], kData));
        if (!content || content->flags & (kCompressed | kEncrypted | kSparse)) continue;
        auto clusters = content->clusters();
        all.insert(all.end(), clusters.begin(), clusters.end());
    }
    return all;
}

// $BadClus has a stream as long as the volume with a hole wherever the disk is good.
Result<std::vector<ClusterRun>> NtfsMapper::bad_clusters(Volume& volume) {
    auto runs = TRY(volume.needed_stream(kBadClusters, kData, "$Bad")).clusters();
    std::uint64_t count = 0;
    for (const auto& run : runs) count += run.count;
    if (count != 0) map_.notes.push_back(fmt::format("clusters marked bad, not read: {}", count));
    return runs;
}

Status NtfsMapper::read_bitmap(Volume& volume, ClusterExtents& clusters) {
    auto bitmap = TRY(volume.needed_stream(kBitmap));
    auto bytes = (boot_.clusters + 7) / 8;
    if (bitmap.flags & (kCompressed | kEncrypted | kSparse)) return bad("$Bitmap is not stored as it is");
    if (bitmap.initialized < bytes) return bad("$Bitmap is shorter than the volume");
    Bytes piece(std::min<std::uint64_t>(kPieceBytes, bytes));
    for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
        piece.resize(std::min<std::uint64_t>(piece.size(), bytes - at));
        TRY_WITH(volume.read(bitmap, at, piece), "$Bitmap");
        clusters.add_bitmap(piece, at * 8);
    }
    return {};
}

Status NtfsMapper::fill(std::string_view other_owner) {
    if (!boot_.flaw.empty()) return bad(boot_.flaw);
    if (!other_owner.empty()) return bad(fmt::format("it carries the signature of {} as well", other_owner));
    if (boot_.clusters > device_.size() / boot_.cluster_bytes) return bad("the file system is larger than its volume");
    auto volume = TRY(Volume::open(device_, boot_));
    TRY(read_volume_file(volume));
    TRY(find_page_files(volume));
    if (map_.state == VolumeState::Hibernated)
        return bad(
            "Windows is hibernated on it or uses fast startup (hiberfil.sys holds a session): shut it down "
            "with shutdown /s /f /t 0 and capture again");
    if (dirty_) return bad("Windows marked it dirty: run chkdsk");
    if (auto trouble = TRY(log_trouble(volume)); !trouble.empty()) {
        map_.state = VolumeState::NeedsRecovery;
        return bad(trouble);
    }
    TRY(check_mirror(volume));
    TRY(gather_system_clusters(volume));

    ClusterExtents clusters({0, boot_.cluster_bytes, boot_.clusters});
    auto left_out = TRY(bad_clusters(volume));
    if (options_.drop_page_files) {
        auto runs = TRY(page_file_clusters(volume));
        left_out.insert(left_out.end(), runs.begin(), runs.end());
    }
    if (!sort_disjoint(left_out)) return bad("page files or bad clusters overlap");
    std::uint64_t expected = 0;
    for (const auto& run : left_out) expected += run.count;
    clusters.leave_out(std::move(left_out));
    TRY(read_bitmap(volume, clusters));
    if (clusters.left_out() != expected) return bad("$Bitmap calls clusters of a page file, or bad ones, free");
    for (const auto& file : system_files_)
        for (const auto& run : file.clusters)
            if (!clusters.has(run)) return bad(fmt::format("$Bitmap calls clusters of {} free", file.name));
    map_.state = VolumeState::Clean;
    map_.used = clusters.extents(device_.size());
    return {};
}

}  // namespace

Result<UsedMap> map_ntfs(BlockDevice& volume, ByteView head, const Boot& boot, const MapOptions& options) {
    UsedMap map;
    map.filesystem = "ntfs";
    map.uuid = fmt::format("{:016X}", boot.serial);
    auto filled = NtfsMapper(volume, boot, options, map).fill(other_owner(head));
    if (filled.ok()) return map;
    if (!filled.error().is(errors::kFilesystem)) return std::move(filled).error();
    map.notes.clear();  // of clusters left out
    map.why_all = reason_of(filled.error());
    map.used.add({0, volume.size()});
    return map;
}

}  // namespace slipway::disks
