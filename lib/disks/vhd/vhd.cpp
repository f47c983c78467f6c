// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/vhd.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <shared_mutex>

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/errors.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::disks {

namespace {

constexpr std::size_t kFooterBytes = 512, kHeaderBytes = 1024;
constexpr std::uint32_t kFeatures = 2, kVersion = 0x00010000, kUnallocated = 0xffffffff;
constexpr std::uint64_t kNoHeader = ~std::uint64_t{0};
constexpr std::uint64_t kDynamicHeaderAt = kFooterBytes;
constexpr std::uint64_t kTableAt = kFooterBytes + kHeaderBytes;
constexpr std::int64_t kEpoch2000 = 946684800;

struct Footer {
    std::uint64_t data_offset = kNoHeader;
    std::uint32_t timestamp = 0;
    std::string creator = "win ";
    std::uint64_t size = 0;
    Chs geometry;
    VhdKind kind = VhdKind::Fixed;
    Uuid id;
};

// The ones' complement of the sum of all bytes with the checksum field taken as zero.
std::uint32_t checksum_of(ByteView bytes, std::size_t checksum_at) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        if (i < checksum_at || i >= checksum_at + 4) sum += std::to_integer<std::uint32_t>(bytes[i]);
    return ~sum;
}

void put_checksum(Bytes& bytes, std::size_t at) {
    auto sum = checksum_of(bytes, at);
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
}

Bytes encode_footer(const Footer& f) {
    ByteWriter w;
    w.text("conectix").be32(kFeatures).be32(kVersion).be64(f.data_offset).be32(f.timestamp).text(f.creator);
    w.be32(0x000a0000).text("Wi2k").be64(f.size).be64(f.size);
    w.be16(f.geometry.cylinders).u8(f.geometry.heads).u8(f.geometry.sectors);
    w.be32(static_cast<std::uint32_t>(f.kind)).be32(0).bytes(f.id.octets).u8(0).pad_to(kFooterBytes);
    auto bytes = std::move(w).take();
    put_checksum(bytes, 64);
    return bytes;
}

Result<Footer> parse_footer(ByteView bytes) {
    ByteReader r(bytes);
    if (r.text(8) != "conectix") return make_error(errors::kVhdFooter, "no VHD footer");
    Footer f;
    r.skip(8);
    f.data_offset = r.be64();
    f.timestamp = r.be32();
    f.creator = std::string(r.text(4));
    r.skip(8 + 8);
    f.size = r.be64();
    f.geometry.cylinders = r.be16();
    f.geometry.heads = r.u8();
    f.geometry.sectors = r.u8();
    auto kind = r.be32();
    auto checksum = r.be32();
    f.id = Uuid{r.array<16>()};
    if (r.failed()) return make_error(errors::kVhdFooter, "the footer is cut");
    if (auto want = checksum_of(bytes.first(kFooterBytes), 64); want != checksum)
        return make_error(errors::kVhdFooter, "the footer's checksum is {:#010x}, its bytes give {:#010x}", checksum,
                          want);
    if (kind < 2 || kind > 4) return make_error(errors::kVhdUnsupported, "disk type {}", kind);
    f.kind = static_cast<VhdKind>(kind);
    if (f.size > kVhdMaxBytes) return make_error(errors::kVhdFooter, "a size of {} bytes is over 2040 GiB", f.size);
    return f;
}

struct DynamicHeader {
    std::uint64_t table_offset = 0;
    std::uint32_t entries = 0, block_bytes = kVhdBlockBytes;
    std::string parent_name;
};

Bytes encode_header(const DynamicHeader& h) {
    ByteWriter w;
    w.text("cxsparse")
        .be64(kNoHeader)
        .be64(h.table_offset)
        .be32(kVersion)
        .be32(h.entries)
        .be32(h.block_bytes)
        .pad_to(kHeaderBytes);
    auto bytes = std::move(w).take();
    put_checksum(bytes, 36);
    return bytes;
}

std::string parent_name_of(ByteView utf16be) {
    std::string out;
    ByteReader r(utf16be);
    while (r.remaining() >= 2) {
        auto c = r.be16();
        if (c == 0) break;
        out += c < 0x80 ? static_cast<char>(c) : '?';
    }
    return out;
}

Result<DynamicHeader> parse_header(ByteView bytes, const Footer& footer) {
    ByteReader r(bytes);
    if (r.text(8) != "cxsparse") return make_error(errors::kVhdHeader, "no dynamic disk header");
    r.skip(8);
    DynamicHeader h;
    h.table_offset = r.be64();
    r.skip(4);
    h.entries = r.be32();
    h.block_bytes = r.be32();
    auto checksum = r.be32();
    r.seek(64);
    h.parent_name = parent_name_of(r.take(512));
    if (r.failed()) return make_error(errors::kVhdHeader, "the dynamic disk header is cut");
    if (checksum_of(bytes.first(kHeaderBytes), 36) != checksum)
        return make_error(errors::kVhdHeader, "the dynamic disk header's checksum is wrong");
    bool power = h.block_bytes && (h.block_bytes & (h.block_bytes - 1)) == 0;
    if (!power || h.block_bytes < 4096 || h.block_bytes > (256u << 20))
        return make_error(errors::kVhdHeader, "a block size of {} bytes", h.block_bytes);
    if (std::uint64_t{h.entries} * h.block_bytes < footer.size)
        return make_error(errors::kVhdHeader, "{} blocks of {} bytes do not reach {} bytes", h.entries, h.block_bytes,
                          footer.size);
    return h;
}

std::uint32_t now_since_2000() {
    auto now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return static_cast<std::uint32_t>(now - kEpoch2000);
}

// Afterwards the range of the file reads as zero; sparse where the file system can.
Status clear_range(int fd, std::uint64_t offset, std::uint64_t length) {
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) == 0)
        return {};
    Bytes zero(length);
    return pwrite_full(fd, zero, offset);
}

// The footer at the end, else its copy at the start of a dynamic disk.
struct FoundFooter {
    Footer footer;
    bool copy_used = false;
};

Result<FoundFooter> read_footer(BlockDevice& file) {
    Bytes bytes(kFooterBytes);
    if (file.size() < kFooterBytes) return make_error(errors::kVhdFooter, "{} bytes cannot hold a footer", file.size());
    TRY(file.read(file.size() - kFooterBytes, bytes));
    auto last = parse_footer(bytes);
    if (last.ok()) return FoundFooter{*last, false};
    TRY(file.read(0, bytes));
    auto first = parse_footer(bytes);
    if (first.ok() && first->kind != VhdKind::Fixed) return FoundFooter{*first, true};
    return std::move(last).error();
}

Result<DynamicHeader> read_header(BlockDevice& file, const Footer& footer) {
    Bytes bytes(kHeaderBytes);
    if (footer.data_offset > file.size() || file.size() - footer.data_offset < kHeaderBytes)
        return make_error(errors::kVhdHeader, "the dynamic disk header lies behind the end of the file");
    TRY(file.read(footer.data_offset, bytes));
    return parse_header(bytes, footer);
}

Result<std::vector<std::uint32_t>> read_table(BlockDevice& file, const DynamicHeader& header) {
    auto bytes = std::uint64_t{header.entries} * 4;
    if (header.table_offset > file.size() || bytes > file.size() - header.table_offset)
        return make_error(errors::kVhdHeader, "the block table lies behind the end of the file");
    Bytes raw(bytes);
    TRY(file.read(header.table_offset, raw));
    std::vector<std::uint32_t> table;
    table.reserve(header.entries);
    ByteReader r(raw);
    while (!r.at_end()) table.push_back(r.be32());
    return table;
}

// A fixed VHD is the raw disk with a footer behind it.
class FixedVhd final : public BlockDevice {
public:
    FixedVhd(std::unique_ptr<FileDisk> file, std::uint64_t size, bool fresh)
        : file_(std::move(file)), size_(size), fresh_(fresh) {}
    std::uint64_t size() const override { return size_; }
    bool writable() const override { return file_->writable(); }
    bool reads_zero_when_new() const override { return fresh_; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        return file_->read(offset, buffer);
    }
    Status write(std::uint64_t offset, ByteView data) override {
        TRY(check_range(offset, data.size()));
        return file_->write(offset, data);
    }
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override {
        TRY(check_range(offset, length));
        return file_->discard(offset, length);
    }
    Status flush() override { return file_->flush(); }

private:
    std::unique_ptr<FileDisk> file_;
    std::uint64_t size_;
    bool fresh_;
};

// Grows by whole blocks: sector bitmap (rounded up to 512 bytes) and data. A block is made whole in the file, with a
// new footer behind it, before the table names it, so that a crash leaves a valid disk that lacks at most the last
// block.
class DynamicVhd final : public BlockDevice {
public:
    DynamicVhd(int fd, UniqueFd owner, bool writable, bool fresh, Footer footer, DynamicHeader header,
               std::vector<std::uint32_t> table, std::uint64_t end)
        : fd_(fd),
          owner_(std::move(owner)),
          writable_(writable),
          fresh_(fresh),
          footer_(std::move(footer)),
          header_(std::move(header)),
          table_(std::move(table)),
          end_(end),
          bitmap_bytes_((std::uint64_t{header_.block_bytes} / 512 / 8 + 511) / 512 * 512) {}

    std::uint64_t size() const override { return footer_.size; }
    bool writable() const override { return writable_; }
    bool reads_zero_when_new() const override { return fresh_; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override;

private:
    Status read_block(std::uint32_t entry, std::uint64_t within, std::span<std::byte> out);
    Result<std::uint32_t> allocate(std::size_t block);
    std::uint64_t data_at(std::uint32_t entry) const { return std::uint64_t{entry} * 512 + bitmap_bytes_; }
    // Calls step(block, within, buffer offset, length) for each block's part of a range.
    template <typename Step>
    Status each_block(std::uint64_t offset, std::uint64_t length, Step step);

    int fd_;
    UniqueFd owner_;
    bool writable_, fresh_;
    Footer footer_;
    DynamicHeader header_;
    std::vector<std::uint32_t> table_;
    std::uint64_t end_;  // where the footer stands and the next block will
    std::uint64_t bitmap_bytes_;
    std::shared_mutex mutex_;  // guards table_ and end_
};

template <typename Step>
Status DynamicVhd::each_block(std::uint64_t offset, std::uint64_t length, Step step) {
    for (std::uint64_t done = 0; done < length;) {
        auto block = static_cast<std::size_t>((offset + done) / header_.block_bytes);
        auto within = (offset + done) % header_.block_bytes;
        auto n = std::min(length - done, header_.block_bytes - within);
        TRY(step(block, within, done, n));
        done += n;
    }
    return {};
}

// Sectors whose bitmap bit is clear read as zero in a dynamic disk, whatever the file holds there.
Status DynamicVhd::read_block(std::uint32_t entry, std::uint64_t within, std::span<std::byte> out) {
    Bytes bitmap(bitmap_bytes_);
    if (TRY(pread_full(fd_, bitmap, std::uint64_t{entry} * 512)) != bitmap.size() ||
        TRY(pread_full(fd_, out, data_at(entry) + within)) != out.size())
        return make_error(errors::kRange, "a block of the VHD lies behind the end of the file");
    for (std::size_t at = 0; at < out.size();) {
        auto sector = (within + at) / 512;
        auto n = std::min<std::size_t>(out.size() - at, (sector + 1) * 512 - (within + at));
        if (!(std::to_integer<unsigned>(bitmap[sector / 8]) >> (7 - sector % 8) & 1))
            std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(at), n, std::byte{0});
        at += n;
    }
    return {};
}

Status DynamicVhd::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    std::shared_lock lock(mutex_);
    return each_block(offset, buffer.size(),
                      [&](std::size_t block, std::uint64_t within, std::uint64_t done, std::uint64_t n) -> Status {
                          auto part = buffer.subspan(done, n);
                          if (table_[block] == kUnallocated) {
                              std::fill(part.begin(), part.end(), std::byte{0});
                              return {};
                          }
                          return read_block(table_[block], within, part);
                      });
}

Result<std::uint32_t> DynamicVhd::allocate(std::size_t block) {
    auto start = (end_ + 511) / 512 * 512;
    auto next = start + bitmap_bytes_ + header_.block_bytes;
    // All sectors of the block are marked present: the hole behind the bitmap reads as zero.
    Bytes bitmap(bitmap_bytes_, std::byte{0xff});
    auto footer = encode_footer(footer_);
    TRY(pwrite_full(fd_, footer, next));
    // What lies there (the old footer, or junk behind a damaged end) must not show as data.
    TRY(clear_range(fd_, start + bitmap_bytes_, header_.block_bytes));
    TRY(pwrite_full(fd_, bitmap, start));
    auto entry = static_cast<std::uint32_t>(start / 512);
    ByteWriter w;
    w.be32(entry);
    TRY(pwrite_full(fd_, w.view(), header_.table_offset + 4 * block));
    table_[block] = entry;
    end_ = next;
    return entry;
}

Status DynamicVhd::write(std::uint64_t offset, ByteView data) {
    if (!writable_) return make_error(errors::kReadOnly, "a write to a VHD opened read-only");
    TRY(check_range(offset, data.size()));
    std::unique_lock lock(mutex_);
    return each_block(offset, data.size(),
                      [&](std::size_t block, std::uint64_t within, std::uint64_t done, std::uint64_t n) -> Status {
                          auto part = data.subspan(done, n);
                          auto entry = table_[block];
                          if (entry == kUnallocated) {
                              if (all_zero(part)) return {};
                              entry = TRY(allocate(block));
                          } else {
                              // Sectors of a foreign file's block may be unmarked; whole sectors written here become
                              // present.
                              auto first = within / 512, last = (within + n - 1) / 512;
                              Bytes bitmap(bitmap_bytes_);
                              if (TRY(pread_full(fd_, bitmap, std::uint64_t{entry} * 512)) != bitmap.size())
                                  return make_error(errors::kRange, "a block bitmap lies behind the end of the file");
                              bool changed = false;
                              for (auto s = first; s <= last; ++s) {
                                  auto mask = std::byte{0x80} >> static_cast<int>(s % 8);
                                  if ((bitmap[s / 8] & mask) != std::byte{0}) continue;
                                  Bytes zero(512);
                                  TRY(pwrite_full(fd_, zero, data_at(entry) + s * 512));
                                  bitmap[s / 8] |= mask;
                                  changed = true;
                              }
                              if (changed) TRY(pwrite_full(fd_, bitmap, std::uint64_t{entry} * 512));
                          }
                          return pwrite_full(fd_, part, data_at(entry) + within);
                      });
}

Result<bool> DynamicVhd::discard(std::uint64_t offset, std::uint64_t length) {
    if (!writable_) return make_error(errors::kReadOnly, "a discard on a VHD opened read-only");
    TRY(check_range(offset, length));
    Bytes zero(std::min<std::uint64_t>(header_.block_bytes, length));
    std::unique_lock lock(mutex_);
    TRY(each_block(offset, length,
                   [&](std::size_t block, std::uint64_t within, std::uint64_t, std::uint64_t n) -> Status {
                       if (table_[block] == kUnallocated) return {};
                       return pwrite_full(fd_, ByteView(zero).first(n), data_at(table_[block]) + within);
                   }));
    return true;
}

Status DynamicVhd::flush() { return fsync_fd(fd_, "the VHD"); }

Result<std::unique_ptr<BlockDevice>> create_fixed(const std::filesystem::path& path, const Footer& footer) {
    auto file = TRY(FileDisk::create(path, footer.size + kFooterBytes));
    TRY(file->write(footer.size, encode_footer(footer)));
    TRY(file->flush());
    return std::unique_ptr<BlockDevice>(new FixedVhd(std::move(file), footer.size, true));
}

Result<std::unique_ptr<BlockDevice>> create_dynamic(const std::filesystem::path& path, Footer footer) {
    footer.data_offset = kDynamicHeaderAt;
    DynamicHeader header;
    header.table_offset = kTableAt;
    header.entries = static_cast<std::uint32_t>((footer.size + kVhdBlockBytes - 1) / kVhdBlockBytes);
    std::vector<std::uint32_t> table(header.entries, kUnallocated);
    Bytes table_bytes((std::uint64_t{header.entries} * 4 + 511) / 512 * 512, std::byte{0xff});
    ByteWriter start;
    start.bytes(encode_footer(footer)).bytes(encode_header(header)).bytes(table_bytes);
    auto end = std::uint64_t{start.size()};
    start.bytes(encode_footer(footer));
    auto fd = TRY(open_fd(path, O_RDWR | O_CREAT | O_EXCL));
    TRY(pwrite_full(fd.get(), start.view(), 0));
    TRY(fsync_fd(fd.get(), path.string()));
    int raw = fd.get();
    return std::unique_ptr<BlockDevice>(
        new DynamicVhd(raw, std::move(fd), true, true, std::move(footer), std::move(header), std::move(table), end));
}

}  // namespace

std::string_view name_of(VhdKind kind) {
    switch (kind) {
        case VhdKind::Fixed: return "fixed";
        case VhdKind::Dynamic: return "dynamic";
        case VhdKind::Differencing: return "differencing";
    }
    return "?";
}

Chs chs_of(std::uint64_t sectors) {
    sectors = std::min<std::uint64_t>(sectors, 65535ull * 16 * 255);
    std::uint64_t per_track = 0, heads = 0, cylinders_times_heads = 0;
    if (sectors >= 65535ull * 16 * 63) {
        per_track = 255;
        heads = 16;
        cylinders_times_heads = sectors / per_track;
    } else {
        per_track = 17;
        cylinders_times_heads = sectors / per_track;
        heads = std::max<std::uint64_t>(4, (cylinders_times_heads + 1023) / 1024);
        if (cylinders_times_heads >= heads * 1024 || heads > 16) {
            per_track = 31;
            heads = 16;
            cylinders_times_heads = sectors / per_track;
        }
        if (cylinders_times_heads >= heads * 1024) {
            per_track = 63;
            heads = 16;
            cylinders_times_heads = sectors / per_track;
        }
    }
    return {static_cast<std::uint16_t>(cylinders_times_heads / heads), static_cast<std::uint8_t>(heads),
            static_cast<std::uint8_t>(per_track)};
}

bool looks_like_vhd(const std::filesystem::path& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < static_cast<off_t>(kFooterBytes))
        return false;
    auto file = FileDisk::open(path, OpenMode::ReadOnly);
    if (!file.ok()) return false;
    Bytes cookie(8);
    for (auto at : {(*file)->size() - kFooterBytes, std::uint64_t{0}})
        if ((*file)->read(at, cookie).ok() && as_text(cookie) == "conectix") return true;
    return false;
}

Result<VhdInfo> inspect_vhd(const std::filesystem::path& path) {
    auto file = TRY(FileDisk::open(path, OpenMode::ReadOnly));
    auto found = TRY_WITH(read_footer(*file), path.string());
    const auto& f = found.footer;
    VhdInfo info{f.kind, f.size, file->size(), f.geometry, f.id, f.creator, f.timestamp, 0, 0, {}, found.copy_used};
    if (f.kind == VhdKind::Fixed) {
        if (f.size + kFooterBytes > file->size())
            return make_error(errors::kVhdFooter, "{}: the file is cut: {} bytes hold no disk of {}", path.string(),
                              file->size(), f.size);
        return info;
    }
    auto header = TRY_WITH(read_header(*file, f), path.string());
    auto table = TRY_WITH(read_table(*file, header), path.string());
    info.block_bytes = header.block_bytes;
    info.allocated_blocks =
        table.size() - static_cast<std::uint64_t>(std::count(table.begin(), table.end(), kUnallocated));
    if (f.kind == VhdKind::Differencing) info.parent_name = header.parent_name;
    return info;
}

Result<std::unique_ptr<BlockDevice>> create_vhd(const std::filesystem::path& path, VhdKind kind, std::uint64_t size) {
    if (size == 0 || size > kVhdMaxBytes) return make_error(errors::kVhdTooLarge, "{} bytes", size);
    Footer footer;
    footer.size = (size + 511) / 512 * 512;
    footer.timestamp = now_since_2000();
    footer.geometry = chs_of(footer.size / 512);
    footer.kind = kind;
    footer.id = Uuid::random();
    if (kind == VhdKind::Fixed) return create_fixed(path, std::move(footer));
    if (kind == VhdKind::Dynamic) return create_dynamic(path, std::move(footer));
    return make_error(errors::kVhdUnsupported, "differencing disks are not made in this version");
}

Result<std::unique_ptr<BlockDevice>> open_vhd(const std::filesystem::path& path, OpenMode mode) {
    auto file = TRY(FileDisk::open(path, mode));
    auto found = TRY_WITH(read_footer(*file), path.string());
    auto& footer = found.footer;
    if (footer.kind == VhdKind::Differencing)
        return make_error(errors::kVhdUnsupported, "{} is a differencing disk", path.string());
    if (footer.kind == VhdKind::Fixed) {
        auto size = footer.size;
        if (size + kFooterBytes > file->size())
            return make_error(errors::kVhdFooter, "{}: the file is cut: {} bytes hold no disk of {}", path.string(),
                              file->size(), size);
        return std::unique_ptr<BlockDevice>(new FixedVhd(std::move(file), size, false));
    }
    auto header = TRY_WITH(read_header(*file, footer), path.string());
    auto table = TRY_WITH(read_table(*file, header), path.string());
    auto bitmap = (std::uint64_t{header.block_bytes} / 512 / 8 + 511) / 512 * 512;
    // New blocks go behind everything the table names, so a damaged end of file never makes two blocks share bytes.
    std::uint64_t end = (header.table_offset + std::uint64_t{header.entries} * 4 + 511) / 512 * 512;
    for (auto entry : table) {
        if (entry == kUnallocated) continue;
        auto stop = std::uint64_t{entry} * 512 + bitmap + header.block_bytes;
        if (stop > file->size())
            return make_error(errors::kVhdHeader, "{}: the file is cut inside a block", path.string());
        end = std::max(end, stop);
    }
    auto fd = TRY(open_fd(path, mode == OpenMode::ReadWrite ? O_RDWR : O_RDONLY));
    int raw = fd.get();
    return std::unique_ptr<BlockDevice>(new DynamicVhd(raw, std::move(fd), mode == OpenMode::ReadWrite, false,
                                                       std::move(footer), std::move(header), std::move(table), end));
}

}  // namespace slipway::disks
