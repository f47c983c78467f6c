// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/pack_file.hpp"

#include <sys/file.h>
#include <sys/stat.h>
#include <algorithm>
#include <array>

#include "imagestore/errors.hpp"
#include "lib/base/errors.hpp"

namespace slipway::imagestore {

Result<std::uint64_t> file_size(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return errno_error(errno, "fstat");
    return static_cast<std::uint64_t>(info.st_size);
}

namespace {

Status read_exactly(Files& files, int fd, std::span<std::byte> out, std::uint64_t offset) {
    if (TRY(files.read(fd, out, offset)) == out.size()) return {};
    return make_error(errors::kBadPack, "it ends before byte {}", offset + out.size());
}

}  // namespace

Result<std::uint64_t> walk_records(Files& files, int fd, std::uint64_t end,
                                   const std::function<void(const PackEntry&, bool good)>& each) {
    std::array<std::byte, kRecordHeaderBytes> head;
    Bytes chunk;
    std::uint64_t at = kPackHeaderBytes;
    while (at + kRecordHeaderBytes <= end) {
        TRY(read_exactly(files, fd, head, at));
        auto header = parse_record_header(head);
        if (!header) break;
        PackEntry entry{header->id, at, header->length};
        if (entry.end() > end) break;
        chunk.resize(entry.length);
        TRY(read_exactly(files, fd, chunk, at + kRecordHeaderBytes));
        each(entry, check_record(head, chunk).ok());
        at = entry.end();
    }
    return at;
}

Result<PackContents> read_contents(Files& files, int fd) {
    auto size = TRY(file_size(fd));
    if (size < kPackHeaderBytes + kPackFooterBytes) return make_error(errors::kBadPack, "only {} bytes long", size);
    std::array<std::byte, kPackHeaderBytes> head;
    TRY(read_exactly(files, fd, head, 0));
    PackContents out;
    out.id = TRY(parse_pack_header(head));
    std::array<std::byte, kPackFooterBytes> tail;
    TRY(read_exactly(files, fd, tail, size - tail.size()));
    auto footer = TRY(parse_footer(tail, size));
    if (footer.id != out.id) return make_error(errors::kBadPack, "header and footer are of different packs");
    Bytes index(footer.count * kIndexEntryBytes);
    TRY(read_exactly(files, fd, index, footer.index_offset));
    out.entries = TRY(parse_index(index, footer));
    out.index_offset = footer.index_offset;
    return out;
}

Result<std::vector<PackEntry>> find_entries(Files& files, int fd) {
    auto contents = read_contents(files, fd);
    if (contents) return std::move(contents->entries);
    if (!contents.error().is(errors::kBadPack)) return std::move(contents).error();
    std::vector<PackEntry> out;
    auto take = [&](const PackEntry& entry, bool good) {
        if (good) out.push_back(entry);
    };
    TRY(walk_records(files, fd, std::min(TRY(file_size(fd)), kMaxPackBytes), take));
    return out;
}

namespace {

// flock(2) tells a living writer from a dead one. The lock comes after the file's creation, so who
// has it looks whether the name still means this file.
bool lock_and_check(int fd, const std::filesystem::path& path) {
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
    struct stat ours {
    }, named{};
    return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_ino == named.st_ino &&
           ours.st_dev == named.st_dev;
}

}  // namespace

Result<PackWriter> PackWriter::create(std::shared_ptr<Files> files, const std::filesystem::path& directory,
                                      std::uint64_t created_ms) {
    PackWriter out;
    out.files_ = std::move(files);
    out.directory_ = directory;
    do {
        out.id_ = Uuid::random();
        out.temp_ = directory / (to_hex(out.id_.octets) + ".tmp");
        out.fd_ = TRY(out.files_->create(out.temp_));
    } while (!lock_and_check(out.fd_.get(), out.temp_));
    auto header = encode_pack_header(out.id_, created_ms);
    if (auto written = out.files_->write(out.fd_.get(), header, 0); !written) {
        out.discard();
        return std::move(written).error();
    }
    out.size_ = header.size();
    return out;
}

Result<std::optional<PackWriter>> PackWriter::adopt(std::shared_ptr<Files> files, const std::filesystem::path& temp) {
    PackWriter out;
    auto fd = files->open(temp, true);
    if (!fd && fd.error().is(slipway::errors::kNotFound)) return std::optional<PackWriter>();
    out.fd_ = TRY(std::move(fd));
    if (!lock_and_check(out.fd_.get(), temp)) return std::optional<PackWriter>();
    out.files_ = std::move(files);
    out.temp_ = temp;
    out.directory_ = temp.parent_path();
    auto size = TRY(file_size(out.fd_.get()));
    Bytes head(std::min<std::uint64_t>(size, kPackHeaderBytes));
    TRY(out.files_->read(out.fd_.get(), head, 0));
    auto id = parse_pack_header(head);
    if (!id) return std::optional(std::move(out));  // no records: the caller discards it
    out.id_ = *id;
    out.size_ = kPackHeaderBytes;
    bool all_good = true;
    TRY(walk_records(*out.files_, out.fd_.get(), std::min(size, kMaxPackBytes), [&](const PackEntry& e, bool good) {
        all_good = all_good && good;
        if (!all_good) return;
        out.entries_.push_back(e);
        out.ids_.insert(e.id);
        out.size_ = e.end();
    }));
    TRY(out.files_->truncate(out.fd_.get(), out.size_));
    return std::optional(std::move(out));
}

Status PackWriter::append(const ChunkId& id, ByteView encoded) {
    auto header = encode_record_header(id, encoded);
    auto write = [&]() -> Status {
        TRY(files_->write(fd_.get(), header, size_));
        return files_->write(fd_.get(), encoded, size_ + header.size());
    };
    if (auto written = write(); !written) {
        // A full disk leaves half a record: cut it, so that what came before can still be sealed.
        (void)files_->truncate(fd_.get(), size_).ok();
        return std::move(written).error();
    }
    entries_.push_back({id, size_, static_cast<std::uint32_t>(encoded.size())});
    ids_.insert(id);
    size_ += header.size() + encoded.size();
    if (size_ - hinted_ >= kWritebackBytes) {
        files_->start_writeback(fd_.get(), hinted_, size_ - hinted_);
        hinted_ = size_;
    }
    return {};
}

Status PackWriter::sync() {
    TRY(files_->sync(fd_.get()));
    if (!directory_synced_) TRY(files_->sync_directory(directory_));
    directory_synced_ = true;
    synced_ = size_;
    return {};
}

Result<std::filesystem::path> PackWriter::seal() {
    PackFooter footer{id_, static_cast<std::uint32_t>(entries_.size()), size_, 0};
    auto index = encode_index(entries_);
    footer.index_crc = crc32c(index);
    auto tail = encode_footer(footer);
    index.insert(index.end(), tail.begin(), tail.end());
    TRY(files_->write(fd_.get(), index, size_));
    TRY(files_->sync(fd_.get()));
    auto path = directory_ / (to_hex(id_.octets) + ".pack");
    TRY(files_->rename(temp_, path));
    TRY(files_->sync_directory(directory_));
    fd_.reset();
    return path;
}

void PackWriter::discard() {
    (void)files_->remove(temp_).ok();
    fd_.reset();
}

}  // namespace slipway::imagestore
