// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/ntfs_volume.hpp"

#include <algorithm>
#include <bit>

#include "lib/disks/errors.hpp"

namespace slipway::disks::ntfs {

namespace {

constexpr std::uint64_t kMaxListBytes = 256u << 10;
constexpr std::uint64_t kMaxIndexBytes = 64u << 20;  // about half a million names in the root directory
constexpr std::uint32_t kMaxIndexBlock = 64u << 10;
constexpr std::size_t kRootHeader = 16, kBlockHeader = 24;
constexpr std::string_view kDirectory = "$I30";

template <typename... Args>
Error bad(fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kFilesystem, format, std::forward<Args>(args)...);
}

}  // namespace

std::vector<ClusterRun> Stream::clusters() const {
    std::vector<ClusterRun> out;
    for (const auto& run : runs.runs())
        if (run.cluster != kHole) out.push_back({run.cluster, run.count});
    return out;
}

Result<Volume> Volume::open(BlockDevice& device, const Boot& boot) {
    Volume volume(device, boot);
    // Record 0 describes the table that it is in: until that is known, it lies where the boot sector says.
    Bytes bytes(boot.record_bytes);
    TRY(volume.read_clusters(boot.mft_cluster, 0, bytes));
    auto self = TRY(parse_record(std::move(bytes), kMft));
    if (!self.in_use || self.base != 0) return bad("the file table's own record is not in use");
    if (!TRY(volume.gather(self, kData, {}, volume.mft_)) || volume.mft_.runs.runs().empty())
        return bad("the file table has no content");
    if (volume.mft_.runs.runs().front().cluster != boot.mft_cluster)
        return bad("the file table does not begin where the boot sector says");
    return volume;
}

Status Volume::read_clusters(std::uint64_t cluster, std::uint64_t offset, std::span<std::byte> buffer) {
    auto at = cluster * boot_.cluster_bytes + offset;
    if (at > device_.size() || buffer.size() > device_.size() - at) return bad("cluster {} is past the end", cluster);
    return device_.read(at, buffer);
}

Status Volume::read(const Stream& stream, std::uint64_t offset, std::span<std::byte> buffer) {
    if (offset > stream.bytes || buffer.size() > stream.bytes - offset) return bad("a stream is shorter than expected");
    if (stream.resident) {
        std::copy_n(stream.value.begin() + static_cast<std::ptrdiff_t>(offset), buffer.size(), buffer.begin());
        return {};
    }
    while (!buffer.empty()) {
        const auto* run = stream.runs.find(offset / boot_.cluster_bytes);
        if (run == nullptr) return bad("a stream's runs end before it does");
        auto inside = offset - run->vcn * boot_.cluster_bytes;
        auto n = std::min<std::uint64_t>(buffer.size(), run->count * boot_.cluster_bytes - inside);
        bool stored = run->cluster != kHole && offset < stream.initialized;
        if (stored) n = std::min(n, stream.initialized - offset);
        auto part = buffer.first(n);
        if (stored) TRY(read_clusters(run->cluster, inside, part));
        else std::fill(part.begin(), part.end(), std::byte{0});
        buffer = buffer.subspan(n);
        offset += n;
    }
    return {};
}

Result<Bytes> Volume::read_record(std::uint64_t number) {
    if (number >= std::uint64_t{1} << 48 || (number + 1) * boot_.record_bytes > mft_.initialized)
        return bad("file record {} is outside the file table", number);
    Bytes bytes(boot_.record_bytes);
    TRY_WITH(read(mft_, number * boot_.record_bytes, bytes), fmt::format("file record {}", number));
    return bytes;
}

Result<FileRecord> Volume::record(std::uint64_t number) { return parse_record(TRY(read_record(number)), number); }

Status Volume::take(const Attribute& attribute, Stream& out) {
    if (attribute.resident) {
        if (out.runs.end() != 0) return bad("a stream is resident and is not");
        out.value.assign(attribute.value.begin(), attribute.value.end());
        out.resident = true;
        out.bytes = out.initialized = out.value.size();
        out.flags = attribute.flags;
        return {};
    }
    if (attribute.first_vcn == 0) {
        out.bytes = attribute.data_bytes;
        out.initialized = attribute.initialized_bytes;
        out.flags = attribute.flags;
    }
    return out.runs.append(attribute, boot_.clusters);
}

// Fills `out` as it goes, since for the file table itself later parts are found through the earlier ones.
Result<bool> Volume::gather(const FileRecord& file, std::uint32_t type, std::string_view name, Stream& out) {
    bool any = false;
    if (const auto* list = file.find(kAttributeList, {}); list == nullptr) {
        if (const auto* attribute = file.find(type, name)) {
            TRY(take(*attribute, out));
            any = true;
        }
    } else {
        Stream listed;
        TRY(take(*list, listed));
        if (listed.bytes > kMaxListBytes) return bad("the attribute list of file record {} is too long", file.number);
        Bytes bytes(listed.bytes);
        TRY(read(listed, 0, bytes));
        for (const auto& entry : TRY(parse_attribute_list(bytes))) {
            if (entry.type != type || !entry.named(name)) continue;
            FileRecord other;
            auto number = number_of(entry.record);
            if (number != file.number) other = TRY(record(number));
            const auto& holder = number == file.number ? file : other;
            if (holder.sequence != sequence_of(entry.record) ||
                (number != file.number && (!other.in_use || number_of(other.base) != file.number)))
                return bad("file record {} does not belong to {}, which lists it", number, file.number);
            auto part = std::find_if(holder.attributes.begin(), holder.attributes.end(), [&](const Attribute& a) {
                return a.type == type && a.named(name) && (a.resident ? 0 : a.first_vcn) == entry.first_vcn;
            });
            if (part == holder.attributes.end())
                return bad("file record {} lacks an attribute that {} lists", number, file.number);
            TRY(take(*part, out));
            any = true;
        }
    }
    if (any && !out.resident && (out.initialized > out.bytes || out.bytes > out.runs.end() * boot_.cluster_bytes))
        return bad("a stream of file record {} is longer than its clusters", file.number);
    return any;
}

Result<std::optional<Stream>> Volume::stream(const FileRecord& file, std::uint32_t type, std::string_view name) {
    Stream out;
    if (!TRY(gather(file, type, name, out))) return std::optional<Stream>();
    return std::optional<Stream>(std::move(out));
}

Result<Stream> Volume::needed_stream(std::uint64_t number, std::uint32_t type, std::string_view name) {
    auto file = TRY(record(number));
    if (!file.in_use || file.base != 0) return bad("file record {} is not in use", number);
    auto found = TRY(stream(file, type, name));
    if (!found) return bad("file record {} lacks its stream", number);
    return std::move(*found);
}

Status Volume::search_index(ByteView header, std::span<const std::string_view> names,
                            std::span<std::optional<FileRecord>> found) {
    for (const auto& entry : TRY(parse_index(header)))
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (!name_is(entry.name, names[i])) continue;
            auto file = TRY(record(number_of(entry.record)));
            if (!file.in_use || file.base != 0 || file.sequence != sequence_of(entry.record))
                return bad("the root directory's {} is not a file in use", names[i]);
            if (!file.directory) found[i] = std::move(file);
        }
    return {};
}

// Every block is searched rather than the tree descended: that needs no upper-case table, and misses nothing.
Status Volume::search_root(std::span<const std::string_view> names, std::span<std::optional<FileRecord>> found) {
    auto directory = TRY(record(kRoot));
    if (!directory.in_use || !directory.directory || directory.base != 0) return bad("there is no root directory");
    auto root = TRY(stream(directory, kIndexRoot, kDirectory));
    if (!root || !root->resident || root->value.size() < kRootHeader) return bad("the root directory has no index");
    ByteReader reader(root->value);
    reader.seek(8);
    auto block_bytes = reader.le32();
    TRY_WITH(search_index(ByteView(root->value).subspan(kRootHeader), names, found), "the root directory");
    auto blocks = TRY(stream(directory, kIndexAllocation, kDirectory));
    if (!blocks || blocks->bytes == 0) return {};
    auto in_use = TRY(stream(directory, kBitmapAttribute, kDirectory));
    if (!std::has_single_bit(block_bytes) || block_bytes < 512 || block_bytes > kMaxIndexBlock)
        return bad("the root directory has an impossible block size");
    if (blocks->bytes > kMaxIndexBytes) return bad("the root directory is too large to be searched");
    auto count = blocks->bytes / block_bytes;
    if (!in_use || in_use->bytes < (count + 7) / 8 || in_use->bytes > kMaxIndexBytes / 512)
        return bad("the root directory's bitmap does not fit its blocks");
    Bytes bits(in_use->bytes), block(block_bytes);
    TRY(read(*in_use, 0, bits));
    for (std::uint64_t i = 0; i < count; ++i) {
        if ((bits[i / 8] >> static_cast<int>(i % 8) & std::byte{1}) == std::byte{0}) continue;
        TRY(read(*blocks, i * block_bytes, block));
        TRY_WITH(unprotect(block, "INDX"), "the root directory");
        TRY_WITH(search_index(ByteView(block).subspan(kBlockHeader), names, found), "the root directory");
    }
    return {};
}

}  // namespace slipway::disks::ntfs
