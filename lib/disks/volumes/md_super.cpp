// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <set>

#include "lib/disks/volumes/md.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint32_t kMagic = 0xa92b4efc;
constexpr std::uint64_t kSector = 512, kNever = UINT64_MAX;
constexpr std::size_t kSuperBytes = 4096;
constexpr std::size_t kRoles = 256;  // where 1.x keeps the roles; 0xfffe faulty, 0xffff spare, 0xfffd journal
constexpr std::uint32_t kMaxRoles = 1920;
constexpr std::uint16_t kMaxRole = 0xff00;

// Feature bits of 1.x.
constexpr std::uint32_t kBitmap = 1, kRecovering = 2, kReshape = 4, kBadBlocks = 8, kReplacement = 16, kNewOffset = 64,
                        kRecoveryBitmap = 128, kBitmapVersioned = 256, kRaid0Layout = 4096;
constexpr std::uint32_t kKnownFeatures = kBitmap | kRecovering | kReshape | kBadBlocks | kReplacement | kNewOffset |
                                         kRecoveryBitmap | kBitmapVersioned | kRaid0Layout;

std::string text_of(std::string_view field) { return std::string(field.substr(0, field.find('\0'))); }

// Little-endian words added up, the carry folded in once; the field of the checksum itself counts as zero.
std::uint32_t md_checksum(ByteView bytes, std::size_t field) {
    std::uint64_t sum = 0;
    ByteReader in(bytes);
    while (in.remaining() >= 4) {
        auto at = in.offset();
        auto word = in.le32();
        if (at != field) sum += word;
    }
    if (in.remaining() == 2) sum += in.le16();
    return static_cast<std::uint32_t>((sum & 0xffffffff) + (sum >> 32));
}

// The write-intent bitmap: 256 bytes of header, a bit a chunk. All up to `limit` when it is of a kind unknown here.
Result<Extent> bitmap_extent(BlockDevice& volume, std::uint64_t at, std::uint64_t limit) {
    if (at >= limit || limit - at < 256) return Extent{at, 0};
    Bytes header(256);
    TRY(volume.read(at, header));
    ByteReader in(header);
    auto magic = in.le32(), version = in.le32();
    in.seek(40);
    auto sectors = in.le64();
    in.seek(52);
    std::uint64_t chunk = in.le32() / kSector;
    in.seek(68);
    auto nodes = in.le32();
    if (magic != 0x6d746962 || version < 3 || version > 5 || chunk == 0 || nodes != 0) return Extent{at, limit - at};
    auto bytes = 256 + sectors / chunk / 8 + 2;
    return Extent{at, std::min((bytes + kSuperBytes - 1) / kSuperBytes * kSuperBytes, limit - at)};
}

struct Place {
    std::string_view version;
    std::uint64_t at;
};

std::vector<Place> places_of_1(std::uint64_t bytes) {
    std::vector<Place> out;
    if (bytes >= 2 * kSuperBytes) out.push_back({"1.2", 4096});
    out.push_back({"1.1", 0});
    if (bytes >= 4 * kSuperBytes) out.push_back({"1.0", ((bytes / kSector - 16) & ~std::uint64_t{7}) * kSector});
    return out;
}

// A place in sectors, signed, relative to the superblock.
std::uint64_t beside(std::uint64_t super, std::uint32_t sectors) {
    return super + static_cast<std::uint64_t>(std::int64_t{static_cast<std::int32_t>(sectors)} * 512);
}

std::string trouble_of_1(const MdSuper& super, std::uint32_t features, std::uint64_t resync) {
    if (features & ~kKnownFeatures) return "it has a journal, a parity log or another feature unknown here";
    if (features & (kReshape | kNewOffset)) return "it is being reshaped";
    if (features & (kRecovering | kRecoveryBitmap | kReplacement)) return "a member of it is being rebuilt";
    if (features & kBadBlocks) return "it has known bad blocks";
    if (super.level > 0 && resync != kNever) return "it was not stopped cleanly, or is being resynchronized";
    return {};
}

Status add_metadata_1(BlockDevice& volume, MdSuper& super, ByteReader& in, std::uint32_t features) {
    in.seek(96);
    auto bitmap = in.le32();
    in.seek(186);
    std::uint64_t log_bytes = in.le16() * kSector;
    auto log = in.le32();
    // Metadata lies before the data, or behind it.
    auto limit = super.super < super.data ? super.data : volume.size();
    auto first = super.super < super.data ? 0 : super.super;  // in front of a 1.2 there is room for boot code
    super.metadata.push_back({first, std::min(super.super + kSuperBytes, volume.size()) - first});
    if (features & kBitmap) {
        auto at = beside(super.super, bitmap);
        super.metadata.push_back(TRY(bitmap_extent(volume, at, at < super.super ? super.super : limit)));
    }
    if (log != 0 && log_bytes != 0) {
        auto at = beside(super.super, log);
        if (at < volume.size()) super.metadata.push_back({at, std::min(log_bytes, volume.size() - at)});
    }
    return {};
}

Result<std::optional<MdSuper>> read_1(BlockDevice& volume, const Place& place) {
    Bytes block(std::min<std::uint64_t>(kSuperBytes, volume.size() - place.at));
    TRY(volume.read(place.at, block));
    ByteReader in(block);
    auto magic = in.le32(), major = in.le32(), features = in.le32();
    in.seek(216);
    auto checksum = in.le32(), roles = in.le32();
    if (magic != kMagic || major != 1 || roles > kMaxRoles || kRoles + roles * 2 > block.size() ||
        checksum != md_checksum(ByteView(block).first(kRoles + roles * 2), 216))
        return std::optional<MdSuper>();
    MdSuper out;
    out.version = place.version;
    out.super = place.at;
    in.seek(16);
    out.set = Uuid{in.array<16>()};
    out.name = text_of(in.text(32));
    in.seek(72);
    out.level = static_cast<std::int32_t>(in.le32());
    out.layout = in.le32();
    out.component = in.le64();
    out.chunk = in.le32() * kSector;
    out.disks = in.le32();
    in.seek(128);
    out.data = in.le64();
    out.room = in.le64();
    auto super_sector = in.le64();
    in.seek(160);
    auto number = in.le32();
    in.seek(200);
    out.events = in.le64();
    auto resync = in.le64();
    if (super_sector != place.at / kSector) return std::optional<MdSuper>();
    // In sectors until here.
    auto sectors = volume.size() / kSector;
    if (out.data > sectors || out.room > sectors - out.data || out.component > sectors) {
        out.trouble = "its superblock names places past the end of the member";
        return std::optional(out);
    }
    out.data *= kSector;
    out.room *= kSector;
    out.component *= kSector;
    out.trouble = trouble_of_1(out, features, resync);
    if (number < roles) {
        in.seek(kRoles + number * 2);
        if (auto role = in.le16(); role < kMaxRole) out.role = role;
    }
    std::set<std::uint16_t> active;
    in.seek(kRoles);
    for (std::uint32_t n = 0; n < roles; ++n)
        if (auto role = in.le16(); role < out.disks) active.insert(role);
    out.active = static_cast<std::uint32_t>(active.size());
    // RAID0_LAYOUT: the layout concerns members of different sizes, which are not looked through anyway.
    TRY(add_metadata_1(volume, out, in, features));
    return std::optional(out);
}

// In words of 4 bytes, of the machine that wrote it; only little-endian ones are known here.
Result<std::optional<MdSuper>> read_090(BlockDevice& volume) {
    constexpr std::uint64_t kReserved = 65536;
    if (volume.size() < 2 * kReserved) return std::optional<MdSuper>();
    auto at = volume.size() / kReserved * kReserved - kReserved;
    Bytes block(kSuperBytes);
    TRY(volume.read(at, block));
    auto word = [&](std::size_t n) {
        ByteReader in(block);
        in.seek(n * 4);
        return in.le32();
    };
    if (word(0) != kMagic || word(1) != 0 || word(38) != md_checksum(block, 38 * 4)) return std::optional<MdSuper>();
    MdSuper out;
    out.version = "0.90";
    out.super = at;
    ByteWriter id;
    for (auto n : {5, 13, 14, 15}) id.be32(word(static_cast<std::size_t>(n)));
    std::copy(id.view().begin(), id.view().end(), out.set.octets.begin());
    out.name = std::to_string(word(11));
    out.level = static_cast<std::int32_t>(word(7));
    out.layout = word(64);
    out.chunk = word(65);
    out.disks = word(10);
    out.component = word(8) * std::uint64_t{1024};
    out.room = at;
    out.active = std::min(word(34), out.disks);
    out.events = word(39) | std::uint64_t{word(40)} << 32;
    if (word(2) != 90) out.trouble = "it is being reshaped";
    else if (word(36) != 0) out.trouble = "a member of it has failed";
    else if (out.level > 0 && !(word(33) & 1)) out.trouble = "it was not stopped cleanly";
    constexpr std::uint32_t kFaulty = 1, kActive = 2, kSync = 4;
    auto state = word(996);
    if ((state & kActive) && (state & kSync) && !(state & kFaulty)) out.role = word(995);
    // The bitmap lies behind the superblock, in the reserved end.
    out.metadata.push_back({at, volume.size() - at});
    return std::optional(out);
}

}  // namespace

Result<std::optional<MdSuper>> read_md_super(BlockDevice& volume) {
    if (volume.size() < kSuperBytes) return std::optional<MdSuper>();
    for (const auto& place : places_of_1(volume.size()))
        if (auto super = TRY(read_1(volume, place))) return super;
    return read_090(volume);
}

std::string md_name(const MdSuper& super) {
    auto name = super.name.substr(super.name.find(':') == std::string::npos ? 0 : super.name.find(':') + 1);
    bool number = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
    return (number ? "md" : "md/") + name;
}

std::string md_level(const MdSuper& super) {
    return super.level == -1 ? "linear" : "raid" + std::to_string(super.level);
}

}  // namespace slipway::disks
