// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/bcd_device.hpp"

#include <algorithm>

#include "guest-fixup/windows/regf.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {
namespace {

using regf::le32;
using regf::le64;

constexpr std::size_t kOptions = 16;  // before the descriptor
constexpr std::size_t kPartitionLength = 0x48;
constexpr std::uint32_t kTypeFile = 0, kTypeBoot = 5, kTypePartition = 6;
constexpr std::uint32_t kGpt = 0, kMbr = 1;
// Order of a GUID's bytes in its text.
constexpr std::array<std::size_t, 16> kTextOrder{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

Guid guid_at(std::string_view bytes, std::size_t at) {
    Guid guid{};
    for (std::size_t i = 0; i < guid.size() && at + i < bytes.size(); ++i) guid[i] = static_cast<std::byte>(bytes[at + i]);
    return guid;
}

// A partition's descriptor that starts at `at`; of one with anything in the parts that should be zero nothing is said.
std::optional<PartitionIdentity> partition_at(std::string_view bytes, std::size_t at) {
    if (at > bytes.size() || bytes.size() - at < kPartitionLength) return std::nullopt;
    const auto record = bytes.substr(at, kPartitionLength);
    const bool plain = le32(record, 8) == kPartitionLength && le32(record, 32) == 0;
    const bool in_virtual_disk = le32(record, 8) > kPartitionLength && le32(record, 32) == kTypePartition;
    if (le32(record, 0) != kTypePartition || le32(record, 12) != 0 || (!plain && !in_virtual_disk)) return std::nullopt;
    if (le32(record, 36) == kGpt) return GptPartition{guid_at(record, 40), guid_at(record, 16)};
    if (le32(record, 36) == kMbr && le64(record, 24) == 0) return MbrPartition{le32(record, 40), le64(record, 16)};
    return std::nullopt;
}

// Places of partitions' descriptors: the element's own, and those inside.
std::vector<std::size_t> partitions_in(std::string_view element) {
    std::vector<std::size_t> places;
    if (element.size() < kOptions + 16) return places;
    if (const auto type = le32(element, kOptions); type != kTypeFile && type != kTypePartition) return places;
    for (std::size_t at = kOptions; at + kPartitionLength <= element.size();) {
        const bool found = partition_at(element, at).has_value();
        if (found) places.push_back(at);
        at += found ? kPartitionLength : 4;
    }
    return places;
}

void put(std::string& element, std::size_t at, const PartitionIdentity& partition) {
    std::string identity(16, '\0'), disk(16, '\0');
    if (const auto* gpt = std::get_if<GptPartition>(&partition)) {
        identity = as_text(gpt->partition);
        disk = as_text(gpt->disk);
        regf::put_le32(element, at + 36, kGpt);
    } else if (const auto* mbr = std::get_if<MbrPartition>(&partition)) {
        regf::put_le32(identity, 0, static_cast<std::uint32_t>(mbr->offset));
        regf::put_le32(identity, 4, static_cast<std::uint32_t>(mbr->offset >> 32));
        regf::put_le32(disk, 0, mbr->signature);
        regf::put_le32(element, at + 36, kMbr);
    }
    element.replace(at + 16, 16, identity);
    element.replace(at + 40, 16, disk);
}

}  // namespace

std::string to_text(const Guid& guid) {
    std::string text = "{";
    for (std::size_t i = 0; i < kTextOrder.size(); ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
        text += fmt::format("{:02x}", std::to_integer<unsigned>(guid[kTextOrder[i]]));
    }
    return text + '}';
}

std::optional<Guid> parse_guid(std::string_view text) {
    if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
    if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-')
        return std::nullopt;
    std::string digits(text);
    std::erase(digits, '-');
    const auto bytes = from_hex(digits);
    if (!bytes || bytes->size() != 16) return std::nullopt;
    Guid guid{};
    for (std::size_t i = 0; i < kTextOrder.size(); ++i) guid[kTextOrder[i]] = (*bytes)[i];
    return guid;
}

std::string to_text(const PartitionIdentity& partition) {
    if (const auto* gpt = std::get_if<GptPartition>(&partition))
        return fmt::format("partition {} of disk {}", to_text(gpt->partition), to_text(gpt->disk));
    const auto& mbr = *std::get_if<MbrPartition>(&partition);
    return fmt::format("partition at byte {} of disk {:08x}", mbr.offset, mbr.signature);
}

BcdDevice read_bcd_device(std::string_view element) {
    BcdDevice device;
    for (const auto at : partitions_in(element)) device.partitions.push_back(*partition_at(element, at));
    if (element.size() < kOptions + 16) return device;
    switch (le32(element, kOptions)) {
        case kTypePartition:
            if (partition_at(element, kOptions))
                device.kind = le32(element, kOptions + 8) == kPartitionLength ? BcdDeviceKind::Partition
                                                                              : BcdDeviceKind::File;
            break;
        case kTypeBoot: device.kind = BcdDeviceKind::Boot; break;
        case kTypeFile: device.kind = BcdDeviceKind::File; break;
        default: break;
    }
    return device;
}

std::string partition_device(const PartitionIdentity& partition) {
    std::string element(kOptions + kPartitionLength, '\0');
    regf::put_le32(element, kOptions, kTypePartition);
    regf::put_le32(element, kOptions + 8, kPartitionLength);
    put(element, kOptions, partition);
    return element;
}

std::string relocated(std::string_view element, const std::vector<Relocation>& moves) {
    std::string out(element);
    for (const auto at : partitions_in(element)) {
        const auto now = *partition_at(element, at);
        const auto move = std::find_if(moves.begin(), moves.end(), [&](const Relocation& m) { return m.from == now; });
        if (move != moves.end()) put(out, at, move->to);
    }
    return out;
}

}  // namespace slipway::fixup::windows
