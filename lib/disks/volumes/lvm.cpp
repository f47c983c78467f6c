// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/lvm.hpp"

#include <algorithm>
#include <set>

#include "lib/disks/errors.hpp"
#include "lib/disks/volumes/crc.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;
constexpr std::size_t kSector = 512, kLabelSectors = 4, kMdaHeader = 512, kMaxAreas = 16;
constexpr std::size_t kUuid = 32;
constexpr auto kMdaMagic = " LVM2 x[5A%r0N*>"sv;
constexpr std::uint32_t kIgnored = 1;  // raw_locn.flags: RAW_LOCN_IGNORED
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 60;
constexpr std::size_t kMaxLogical = 4096;

template <typename... Args>
Error damaged(fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kVolumeManager, format, std::forward<Args>(args)...);
}

// Lists of {offset, size} end with a zero offset.
std::optional<std::vector<Extent>> read_areas(ByteReader& in) {
    std::vector<Extent> out;
    for (;;) {
        Extent area{in.le64(), in.le64()};
        if (in.failed() || out.size() > kMaxAreas) return std::nullopt;
        if (area.offset == 0) return out;
        out.push_back(area);
    }
}

}  // namespace

std::string lvm_uuid(std::string_view plain) {
    static constexpr std::size_t kGroups[] = {6, 4, 4, 4, 4, 4, 6};
    std::string out;
    for (auto n : kGroups) {
        if (!out.empty()) out += '-';
        out += plain.substr(0, n);
        plain.remove_prefix(std::min(n, plain.size()));
    }
    return out;
}

std::optional<LvmLabel> parse_lvm_label(ByteView head) {
    for (std::size_t n = 0; n < kLabelSectors && head.size() >= (n + 1) * kSector; ++n) {
        auto sector = head.subspan(n * kSector, kSector);
        ByteReader in(sector);
        if (in.text(8) != "LABELONE" || in.le64() != n || in.le32() != lvm_crc(sector.subspan(20))) continue;
        auto header = in.le32();
        if (in.text(8) != "LVM2 001") continue;
        in.seek(header);
        LvmLabel label;
        label.uuid = lvm_uuid(in.text(kUuid));
        label.bytes = in.le64();
        auto data = read_areas(in);
        auto areas = data ? read_areas(in) : std::nullopt;
        if (!areas) continue;
        if (!data->empty()) label.data = data->front().offset;
        label.areas = std::move(*areas);
        return label;
    }
    return std::nullopt;
}

namespace {

// ---- the group's text as a model

Status read_stripes(const LvmSection& section, LvmSegment& segment) {
    for (auto key : {"stripes", "mirrors"}) {
        const auto* list = section.list(key);
        if (!list) continue;
        if (list->size() % 2 != 0) return damaged("a list of {} is cut", key);
        for (std::size_t i = 0; i < list->size(); i += 2) {
            const auto* of = std::get_if<std::string>(&(*list)[i]);
            const auto* extent = std::get_if<std::int64_t>(&(*list)[i + 1]);
            if (!of || !extent || *extent < 0) return damaged("an entry of {} is no place", key);
            segment.areas.push_back({*of, static_cast<std::uint64_t>(*extent)});
        }
    }
    return {};
}

using Names = std::set<std::string_view>;

// Settings whose texts are no volumes, even when a volume is called so ("striped").
const Names kFreeText{"type", "tags", "discards", "cache_mode", "cache_policy", "creation_host"};

Result<LvmSegment> read_segment(const LvmSection& section, const Names& names) {
    LvmSegment segment;
    auto start = section.number("start_extent"), extents = section.number("extent_count");
    segment.type = section.text("type");
    if (!start || !extents || *extents == 0 || segment.type.empty()) return damaged("a segment without its range");
    segment.start = *start;
    segment.extents = *extents;
    segment.stripe = section.number("stripe_size").value_or(0) * kSector;
    TRY(read_stripes(section, segment));
    for (const auto& setting : section.settings)
        for (const auto& value : setting.values) {
            const auto* text = std::get_if<std::string>(&value);
            if (text && !kFreeText.contains(setting.key) && names.contains(*text)) segment.uses.push_back(*text);
            if (setting.values.size() != 1) continue;
            const auto* number = std::get_if<std::int64_t>(&value);
            if (text) segment.texts[setting.key] = *text;
            if (number && *number >= 0) segment.numbers[setting.key] = static_cast<std::uint64_t>(*number);
        }
    return segment;
}

Result<LvmLogical> read_logical(const LvmSection& section, const Names& names) {
    LvmLogical out{section.name, section.text("id"), section.has("status", "VISIBLE"), {}};
    for (const auto& child : section.sections)
        if (child.name.starts_with("segment")) out.segments.push_back(TRY(read_segment(child, names)));
    std::sort(out.segments.begin(), out.segments.end(),
              [](const LvmSegment& a, const LvmSegment& b) { return a.start < b.start; });
    std::uint64_t at = 0;
    for (const auto& segment : out.segments) {
        if (segment.start != at || segment.extents > kMaxBytes / kSector) return damaged("{} has gaps", section.name);
        at += segment.extents;
    }
    if (out.segments.empty()) return damaged("{} has no segments", section.name);
    return out;
}

Status read_physical(const LvmSection& section, LvmGroup& group) {
    auto start = section.number("pe_start"), count = section.number("pe_count");
    LvmPhysical out{section.name, section.text("id"), start.value_or(0) * kSector, count.value_or(0)};
    if (!start || !count || out.uuid.empty() || out.start > kMaxBytes || out.extents > kMaxBytes / group.extent_bytes)
        return damaged("the physical volume {} has no range", section.name);
    group.physical[out.name] = std::move(out);
    return {};
}

// Every area of a volume over physical extents lies inside its physical volume.
Status check_areas(const LvmGroup& group, const LvmLogical& logical) {
    for (const auto& segment : logical.segments)
        for (const auto& area : segment.areas) {
            auto each = segment.type == "striped" ? segment.extents / segment.areas.size() : segment.extents;
            if (segment.type == "striped" && segment.extents % segment.areas.size() != 0)
                return damaged("{} has a torn stripe", logical.name);
            auto pv = group.physical.find(area.of);
            auto lv = group.logical.find(area.of);
            if (pv == group.physical.end() && lv == group.logical.end())
                return damaged("{} lies on {}, which does not exist", logical.name, area.of);
            auto room = pv != group.physical.end() ? pv->second.extents : lv->second.extents();
            if (area.extent > room || each > room - area.extent)
                return damaged("{} leaves the end of {}", logical.name, area.of);
        }
    return {};
}

}  // namespace

Result<LvmGroup> parse_lvm_group(std::string_view text) {
    auto root = TRY(parse_lvm_text(text));
    if (root.sections.size() != 1) return damaged("the metadata holds {} volume groups", root.sections.size());
    const auto& section = root.sections.front();
    LvmGroup group;
    group.name = section.name;
    group.uuid = section.text("id");
    group.seqno = section.number("seqno").value_or(0);
    auto extent = section.number("extent_size").value_or(0);
    if (section.text("format") != "lvm2" || extent == 0 || extent > kMaxBytes / kSector)
        return damaged("{} is of another format", section.name);
    group.extent_bytes = extent * kSector;
    if (const auto* physical = section.section("physical_volumes"))
        for (const auto& child : physical->sections) TRY(read_physical(child, group));
    if (const auto* logical = section.section("logical_volumes")) {
        if (logical->sections.size() > kMaxLogical) return damaged("{} has too many logical volumes", section.name);
        Names names;
        for (const auto& child : logical->sections) names.insert(child.name);
        for (const auto& child : logical->sections) group.logical[child.name] = TRY(read_logical(child, names));
    }
    for (const auto& [name, logical] : group.logical) {
        if (logical.extents() > kMaxBytes / group.extent_bytes) return damaged("{} is impossibly large", name);
        TRY(check_areas(group, logical));
    }
    return group;
}

namespace {

// One metadata area: its header's committed text, out of the circular buffer. Empty: ignored, or nothing written yet.
Result<std::string> read_area(BlockDevice& volume, Extent area) {
    Bytes header(kMdaHeader);
    TRY(volume.read(area.offset, header));
    ByteReader in(header);
    auto checksum = in.le32();
    auto magic = in.text(kMdaMagic.size());
    auto version = in.le32();
    auto start = in.le64(), size = in.le64();
    auto offset = in.le64(), length = in.le64();
    auto text_crc = in.le32(), flags = in.le32();
    if (magic != kMdaMagic || version != 1 || start != area.offset ||
        checksum != lvm_crc(ByteView(header).subspan(sizeof checksum)))
        return damaged("the metadata area at byte {} is damaged", area.offset);
    if (offset == 0 || length == 0 || (flags & kIgnored)) return std::string();
    if (length > kMaxLvmText || size <= kMdaHeader || size > volume.size() - start || offset < kMdaHeader ||
        offset >= size || length > size - kMdaHeader)
        return damaged("the metadata area at byte {} names a text outside it", area.offset);
    Bytes text(length);
    // After the end of the buffer the text goes on behind the header.
    auto first = std::min<std::uint64_t>(length, size - offset);
    TRY(volume.read(start + offset, std::span(text).first(first)));
    TRY(volume.read(start + kMdaHeader, std::span(text).subspan(first)));
    if (lvm_crc(text) != text_crc) return damaged("the metadata at byte {} has a wrong checksum", start + offset);
    return std::string(as_text(text));
}

}  // namespace

Result<LvmMetadata> read_lvm_metadata(BlockDevice& volume, const LvmLabel& label) {
    LvmMetadata out;
    for (const auto& area : label.areas) {
        if (area.offset > volume.size() || volume.size() - area.offset < kMdaHeader)
            return damaged("a metadata area is past the end of the volume");
        auto text = TRY(read_area(volume, area));
        if (text.empty()) continue;
        if (!out.text.empty() && out.text != text) return damaged("the two metadata areas of a volume disagree");
        out.text = std::move(text);
    }
    if (!out.text.empty()) out.group = TRY(parse_lvm_group(out.text));
    return out;
}

}  // namespace slipway::disks
