// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <cassert>

#include "imagestore/errors.hpp"
#include "imagestore/manifest.hpp"
#include "imagestore/manifest_wire.hpp"

namespace slipway::imagestore {

using namespace wire;

std::string_view name_of(TableKind kind) {
    switch (kind) {
        case TableKind::None: return "none";
        case TableKind::Mbr: return "mbr";
        case TableKind::Gpt: return "gpt";
    }
    return "?";
}

std::string_view name_of(VolumeState state) {
    switch (state) {
        case VolumeState::Unknown: return "unknown";
        case VolumeState::Clean: return "clean";
        case VolumeState::NeedsRecovery: return "needs recovery";
        case VolumeState::Hibernated: return "hibernated";
    }
    return "?";
}

std::uint32_t DiskInfo::chunk_length(std::uint64_t n) const {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(kChunkBytes, size - n * kChunkBytes));
}

namespace {

// Longer text is cut: a label is for people, the bytes that matter are in chunks.
void put_string(ByteWriter& out, std::string_view text) {
    text = text.substr(0, 4096);
    out.le16(static_cast<std::uint16_t>(text.size())).text(text);
}

}  // namespace

Status ManifestWriter::raw(ByteView bytes) {
    hash_.update(bytes);
    written_ += bytes.size();
    return output_.write(bytes);
}

Status ManifestWriter::record(std::uint8_t type, ByteView body) {
    assert(body.size() <= kManifestRecordLimit);
    ByteWriter prefix;
    prefix.u8(type).le32(static_cast<std::uint32_t>(body.size()));
    TRY(raw(prefix.view()));
    return raw(body);
}

Status ManifestWriter::image(const ImageInfo& info) {
    assert(written_ == 0);
    ByteWriter header;
    header.text(kManifestMagic).le16(kManifestVersion).le16(0).le32(kChunkBytes);
    TRY(raw(header.view()));
    ByteWriter body;
    body.le64(info.created_ms).le32(info.inconsistent ? 1 : 0).le32(info.disk_count);
    put_string(body, info.source);
    put_string(body, info.writer);
    return record(kImage, body.view());
}

Status ManifestWriter::disk(const DiskInfo& info) {
    chunks_ = data_ = 0;
    ByteWriter body;
    body.le32(info.index).le64(info.size).le32(info.sector_size);
    body.le32(info.cylinders).le32(info.heads).le32(info.sectors).u8(static_cast<std::uint8_t>(info.table));
    for (const auto* text : {&info.name, &info.serial, &info.model, &info.table_id}) put_string(body, *text);
    return record(kDisk, body.view());
}

Status ManifestWriter::partition(const PartitionInfo& info) {
    ByteWriter body;
    body.le32(info.number).le64(info.offset).le64(info.length).le32(info.active ? 1 : 0);
    for (const auto* text : {&info.type, &info.name, &info.uuid}) put_string(body, *text);
    return record(kPartition, body.view());
}

Status ManifestWriter::volume(const VolumeInfo& info) {
    ByteWriter body;
    body.le32(info.partition).le64(info.offset).le64(info.length).le64(info.used);
    body.u8(static_cast<std::uint8_t>(info.state));
    body.le32((info.every_sector ? kEverySector : 0u) | (info.excluded ? kExcluded : 0u));
    for (const auto* text : {&info.filesystem, &info.label, &info.uuid, &info.note}) put_string(body, *text);
    return record(kVolume, body.view());
}

Status ManifestWriter::run(RunKind kind, std::uint32_t count) {
    assert(kind != RunKind::Data);
    if (count == 0) return {};
    if (kind_ != kind || count_ + count > 0xffffffffu) TRY(flush_run());
    kind_ = kind;
    count_ += count;
    chunks_ += count;
    return {};
}

Status ManifestWriter::data(const ChunkId& id) {
    if (kind_ != RunKind::Data) TRY(flush_run());
    kind_ = RunKind::Data;
    ids_.push_back(id);
    ++count_;
    ++chunks_;
    ++data_;
    if (body_.size() + kRunPrefixBytes + (ids_.size() + 1) * kIdBytes > kManifestRecordLimit) {
        TRY(flush_run());
        return flush_body();
    }
    return {};
}

Status ManifestWriter::flush_run() {
    if (count_ == 0) return {};
    if (body_.size() + kRunPrefixBytes + ids_.size() * kIdBytes > kManifestRecordLimit) TRY(flush_body());
    body_.u8(static_cast<std::uint8_t>(kind_)).le32(static_cast<std::uint32_t>(count_));
    for (const auto& id : ids_) body_.bytes(id.octets);
    ids_.clear();
    count_ = 0;
    return {};
}

Status ManifestWriter::flush_body() {
    if (body_.size() == 0) return {};
    auto body = std::move(body_).take();
    body_ = ByteWriter();
    return record(kRuns, body);
}

Status ManifestWriter::loss(const LossInfo& loss) {
    TRY(flush_run());
    TRY(flush_body());
    ByteWriter body;
    body.le64(loss.offset).le64(loss.length);
    return record(kLoss, body.view());
}

Status ManifestWriter::end_disk() {
    TRY(flush_run());
    TRY(flush_body());
    ByteWriter body;
    body.le64(chunks_).le64(data_);
    return record(kDiskEnd, body.view());
}

Status ManifestWriter::finish() {
    ByteWriter trailer;
    trailer.text(kManifestEnd).le64(written_);
    TRY(raw(trailer.view()));
    return output_.write(hash_.finish().octets);
}

}  // namespace slipway::imagestore
