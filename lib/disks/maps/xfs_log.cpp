// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/xfs_log.hpp"

#include <algorithm>
#include <optional>

namespace slipway::disks {

namespace {

constexpr std::uint64_t kBasicBlock = 512;
constexpr std::uint32_t kRecordMagic = 0xfeedbabe;
constexpr std::uint64_t kHeaderCovers = 32768;  // bytes of record one header block has the cycles of
constexpr std::uint64_t kMaxRecord = 256u << 10;
// Eight records of the largest size may be in flight: so far around the head, a torn write shows.
constexpr std::uint64_t kWindow = 8 * kMaxRecord / kBasicBlock;
constexpr std::uint64_t kFormatted = kMaxRecord / kBasicBlock;
constexpr std::uint8_t kUnmountOperation = 0x20;

struct Record {
    std::uint32_t version = 0, bytes = 0, operations = 0, size = 0;
    Uuid filesystem;

    std::uint64_t header_blocks() const {
        return version & 2 && size > kHeaderCovers ? (size + kHeaderCovers - 1) / kHeaderCovers : 1;
    }
    std::uint64_t blocks() const { return header_blocks() + (bytes + kBasicBlock - 1) / kBasicBlock; }
};

class LogReader {
public:
    explicit LogReader(BlockDevice& log) : log_(log), blocks_(log.size() / kBasicBlock) {}
    Result<std::string> unclean(const Uuid& filesystem);

private:
    Result<Bytes> read(std::uint64_t block, std::uint64_t count);  // wraps
    Result<std::uint32_t> cycle_at(std::uint64_t block);
    Result<std::uint64_t> find_head();
    Result<bool> is_even(std::uint64_t head);
    Result<std::optional<std::uint64_t>> last_record(std::uint64_t head);

    BlockDevice& log_;
    std::uint64_t blocks_;
    std::uint32_t first_ = 0, last_ = 0;  // cycles of the first and last block
    std::uint64_t old_from_ = 0;          // from here on, the last block's
};

std::uint32_t cycle_of(ByteView block) {
    ByteReader reader(block);
    auto word = reader.be32();
    return word == kRecordMagic ? reader.be32() : word;
}

Result<Bytes> LogReader::read(std::uint64_t block, std::uint64_t count) {
    block %= blocks_;
    Bytes out(count * kBasicBlock);
    auto straight = std::min(count, blocks_ - block) * kBasicBlock;
    TRY(log_.read(block * kBasicBlock, std::span(out).first(straight)));
    TRY(log_.read(0, std::span(out).subspan(straight)));
    return out;
}

Result<std::uint32_t> LogReader::cycle_at(std::uint64_t block) { return cycle_of(TRY(read(block, 1))); }

// Blocks before the head have the first block's cycle, those from it on the one before. A log formatted by xfs_repair
// or xfs_admin has one record, zeros up to `old_from_`, and then the old cycle.
Result<std::uint64_t> LogReader::find_head() {
    old_from_ = blocks_;
    if (first_ == last_) return blocks_;
    std::uint64_t below = 0;
    old_from_ = blocks_ - 1;
    while (old_from_ - below > 1) {
        auto middle = below + (old_from_ - below) / 2;
        (TRY(cycle_at(middle)) == last_ ? old_from_ : below) = middle;
    }
    auto head = old_from_;
    for (auto least = head - std::min(kFormatted, head); head > least + 1; --head)
        if (TRY(cycle_at(head - 1)) != 0) break;
    return head;
}

// No write was cut short around the head.
Result<bool> LogReader::is_even(std::uint64_t head) {
    auto span = std::min(kWindow, blocks_ / 2);
    auto around = TRY(read(head + blocks_ - span, 2 * span));
    for (std::uint64_t i = 0; i < 2 * span; ++i) {
        auto block = (head + blocks_ - span + i) % blocks_;
        auto expected = block < head ? first_ : block < old_from_ ? 0 : last_;
        if (cycle_of(ByteView(around).subspan(i * kBasicBlock, kBasicBlock)) != expected) return false;
    }
    return true;
}

Result<std::optional<std::uint64_t>> LogReader::last_record(std::uint64_t head) {
    auto span = std::min(kMaxRecord / kBasicBlock + kMaxRecord / kHeaderCovers, blocks_);
    auto before = TRY(read(head + blocks_ - span, span));
    for (auto i = span; i > 0; --i)
        if (ByteReader(ByteView(before).subspan((i - 1) * kBasicBlock)).be32() == kRecordMagic)
            return std::optional((head + blocks_ - span + i - 1) % blocks_);
    return std::optional<std::uint64_t>();
}

Record parse_record(ByteView header) {
    Record record;
    ByteReader reader(header);
    reader.seek(8);
    record.version = reader.be32();
    record.bytes = reader.be32();
    reader.seek(40);
    record.operations = reader.be32();
    reader.seek(304);
    record.filesystem = Uuid{reader.array<16>()};
    record.size = reader.be32();
    return record;
}

Result<std::string> LogReader::unclean(const Uuid& filesystem) {
    if (blocks_ < 2) return std::string("the log is too small");
    first_ = TRY(cycle_at(0));
    last_ = TRY(cycle_at(blocks_ - 1));
    if (first_ == 0) return std::string("the log holds no record");
    if (last_ != first_ && last_ != first_ - 1) return std::string("the log's cycles do not follow each other");
    auto head = TRY(find_head());
    if (!TRY(is_even(head))) return std::string("a write to the log was cut short");
    auto at = TRY(last_record(head));
    if (!at) return std::string("the log has no record before its head");
    auto record = parse_record(TRY(read(*at, 1)));
    if (record.filesystem != filesystem) return std::string("the log is of another file system");
    if (record.size > kMaxRecord || record.bytes > kMaxRecord || (*at + record.blocks()) % blocks_ != head % blocks_)
        return std::string("the log's last record does not end at its head");
    if (record.operations != 1) return std::string("the log needs recovery");
    auto operation = TRY(read(*at + record.header_blocks(), 1));
    ByteReader reader(operation);
    reader.skip(9);  // transaction, length, client
    return std::string(reader.u8() & kUnmountOperation ? "" : "the log needs recovery");
}

}  // namespace

Result<std::string> unclean_xfs_log(BlockDevice& log, const Uuid& filesystem) {
    return LogReader(log).unclean(filesystem);
}

}  // namespace slipway::disks
