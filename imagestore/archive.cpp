// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/archive.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"
#include "imagestore/names.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::string_view kHeaderMagic = "SLIPIMAG", kEndMagic = "SLIPIEND";
constexpr std::uint16_t kArchiveVersion = 1;
constexpr std::size_t kPiece = 256u << 10;

Error bad(std::string_view what) { return make_error(errors::kBadArchive, "{}", what); }

}  // namespace

Status ArchiveWriter::put(ByteView bytes) {
    bytes_ += bytes.size();
    return output_.write(bytes);
}

Status ArchiveWriter::start(const ArchiveHeader& header, const ManifestBytes& manifest) {
    ByteWriter out;
    out.text(kHeaderMagic).le16(kArchiveVersion).le16(static_cast<std::uint16_t>(header.name.size()));
    out.le32(header.version).le64(manifest.size());
    out.le32(crc32c(as_bytes(header.name), crc32c(out.view()))).text(header.name);
    TRY(put(out.view()));
    Bytes piece(kPiece);
    for (std::uint64_t at = 0; at < manifest.size(); at += piece.size()) {
        piece.resize(std::min<std::uint64_t>(piece.size(), manifest.size() - at));
        TRY(manifest.read(at, piece));
        TRY(put(piece));
    }
    return {};
}

Status ArchiveWriter::chunk(const ChunkId& id, ByteView encoded) {
    ++records_;
    TRY(put(encode_record_header(id, encoded)));
    return put(encoded);
}

Status ArchiveWriter::finish() {
    ByteWriter out;
    out.text(kEndMagic).le64(records_).le64(bytes_);
    out.le32(crc32c(out.view()));
    return put(out.view());
}

Status ArchiveReader::load(std::span<std::byte> out) {
    if (TRY(in_.read(out)) != out.size()) return bad("it is cut: it ends before its end mark");
    bytes_ += out.size();
    return {};
}

Result<ArchiveHeader> ArchiveReader::header() {
    std::array<std::byte, kArchiveHeaderBytes> head{};
    if (TRY(in_.read(head)) != head.size()) return bad("it is too short to be an exported image");
    bytes_ += head.size();
    ByteReader in(head);
    if (in.text(8) != kHeaderMagic) return bad("it does not start as an exported image");
    auto version = in.le16();
    auto name_bytes = in.le16();
    if (version != kArchiveVersion) return make_error(errors::kNewerFormat, "exported image version {}", version);
    if (name_bytes == 0 || name_bytes > 64) return bad("its name has an impossible length");
    ArchiveHeader out;
    out.version = in.le32();
    out.manifest_bytes = in.le64();
    Bytes name(name_bytes);
    TRY(load(name));
    if (crc32c(name, crc32c(ByteView(head).first(24))) != in.le32()) return bad("its header fails its checksum");
    out.name = std::string(as_text(name));
    if (!valid_image_name(out.name)) return bad("its name is not an image's name");
    if (out.manifest_bytes > kMaxArchiveManifest) return bad("its manifest has an impossible size");
    manifest_bytes_ = out.manifest_bytes;
    return out;
}

Status ArchiveReader::manifest(ManifestOutput& spool) {
    Bytes piece;
    for (auto left = manifest_bytes_; left != 0; left -= piece.size()) {
        piece.resize(std::min<std::uint64_t>(kPiece, left));
        TRY(load(piece));
        TRY(spool.write(piece));
    }
    return {};
}

Status ArchiveReader::end(ByteView start) {
    std::array<std::byte, kArchiveEndBytes> tail{};
    std::copy(start.begin(), start.end(), tail.begin());
    auto before = bytes_ - start.size();
    TRY(load(std::span(tail).subspan(start.size())));
    ByteReader in(tail);
    in.skip(kEndMagic.size());
    auto records = in.le64(), bytes = in.le64();
    if (crc32c(ByteView(tail).first(24)) != in.le32()) return bad("its end fails its checksum");
    if (records != records_ || bytes != before) return bad("its end tells of other records than there are");
    std::byte more{};
    if (TRY(in_.read(std::span(&more, 1))) != 0) return bad("there are bytes after its end");
    return {};
}

// The walk goes forward only: a whole import passes over the manifest once.
Status ArchiveReader::check_named(const ChunkId& id, const ManifestBytes& manifest) {
    if (!walk_) walk_.emplace(manifest);
    for (;;) {
        while (at_ < run_.ids.size())
            if (run_.ids[at_++] == id) return {};
        auto event = TRY(walk_->next());
        if (!event) return bad("it has a chunk that its image does not name there");
        auto* run = std::get_if<ChunkRun>(&*event);
        if (!run) continue;
        run_ = std::move(*run);
        at_ = 0;
    }
}

Result<std::optional<ArchiveChunk>> ArchiveReader::next(const ManifestBytes& manifest) {
    std::array<std::byte, kRecordHeaderBytes> head{};
    auto start = std::span(head).first(kEndMagic.size());
    TRY(load(start));
    if (as_text(start) == kEndMagic) {
        TRY(end(start));
        return std::optional<ArchiveChunk>();
    }
    TRY(load(std::span(head).subspan(start.size())));
    auto header = parse_record_header(head);
    if (!header) return bad("there is no chunk where one should be");
    record_.resize(header->length);
    TRY(load(record_));
    if (!check_record(head, record_)) return bad("a chunk fails its checksum");
    TRY(check_named(header->id, manifest));
    ++records_;
    return std::optional(ArchiveChunk{header->id, record_});
}

}  // namespace slipway::imagestore
