// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hive_log.hpp"

#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/marvin32.hpp"
#include "guest-fixup/windows/regf.hpp"

namespace slipway::fixup::windows {
namespace {

using namespace regf;

constexpr std::size_t kSector = 512;
constexpr std::size_t kEntryHeader = 40;
constexpr std::uint32_t kNewLog = 6;
constexpr std::uint32_t kLocked = 1;  // of the base block's flags, the one that entries carry

struct Page {
    std::size_t offset = 0;  // from the end of the base block
    std::string_view bytes;
};

struct Entry {
    std::uint32_t sequence = 0, flags = 0, bins_size = 0;
    std::vector<Page> pages;
};

struct Log {
    std::size_t number = 0;  // as given, from 1
    std::string_view bytes;
    BaseBlock base;
    std::vector<Entry> entries;  // of a new log: those that follow one another from the base block's number on
};

// ---- New logs: "HvLE" entries

// nullopt: there is none, or it was not written to its end.
std::optional<Entry> read_entry(std::string_view bytes) {
    if (bytes.size() < kEntryHeader || !bytes.starts_with("HvLE")) return std::nullopt;
    const std::size_t size = le32(bytes, 4);
    Entry entry;
    entry.flags = le32(bytes, 8);
    entry.sequence = le32(bytes, 12);
    entry.bins_size = le32(bytes, 16);
    const std::size_t pages = le32(bytes, 20);
    if (size < kEntryHeader || size % kSector != 0 || size > bytes.size()) return std::nullopt;
    bytes = bytes.substr(0, size);
    if (entry.bins_size == 0 || entry.bins_size % kBinUnit != 0 || entry.bins_size > kLargestHive) return std::nullopt;
    if (marvin32(kLogSeed, bytes.substr(kEntryHeader)) != le64(bytes, 24) ||
        marvin32(kLogSeed, bytes.substr(0, 32)) != le64(bytes, 32))
        return std::nullopt;
    if (pages > (size - kEntryHeader) / 8) return std::nullopt;
    auto data = bytes.substr(kEntryHeader + pages * 8);
    for (std::size_t i = 0; i < pages; ++i) {
        const std::size_t offset = le32(bytes, kEntryHeader + i * 8);
        const std::size_t length = le32(bytes, kEntryHeader + i * 8 + 4);
        if (length > data.size() || offset > entry.bins_size || length > entry.bins_size - offset) return std::nullopt;
        entry.pages.push_back({offset, data.substr(0, length)});
        data.remove_prefix(length);
    }
    return entry;
}

std::size_t size_of_entry(std::string_view bytes) { return le32(bytes, 4); }

void read_entries(Log& log) {
    auto rest = log.bytes.substr(kSector);
    while (auto entry = read_entry(rest)) {
        const auto due = log.entries.empty() ? log.base.sequence1 : log.entries.back().sequence + 1;
        if (entry->sequence != due) return;
        rest.remove_prefix(size_of_entry(rest));
        log.entries.push_back(std::move(*entry));
    }
}

// false: the hive would grow by more than is written into it.
bool write_pages(std::string& hive, std::size_t bins_size, const std::vector<Page>& pages) {
    std::size_t written = 0;
    for (const auto& page : pages) written += page.bytes.size();
    if (kBaseBlock + bins_size > hive.size() + written) return false;
    if (hive.size() < kBaseBlock + bins_size) hive.resize(kBaseBlock + bins_size);
    for (const auto& page : pages)
        std::copy(page.bytes.begin(), page.bytes.end(), hive.begin() + static_cast<long>(kBaseBlock + page.offset));
    put_le32(hive, kBinsSize, static_cast<std::uint32_t>(bins_size));
    return true;
}

void set_sequence(std::string& hive, std::uint32_t sequence) {
    put_le32(hive, kSequence1, sequence);
    put_le32(hive, kSequence2, sequence);
    set_checksum(hive);
}

// The base block that a log keeps, in place of one that cannot be read.
void restore_base_block(std::string& hive, std::string_view log) {
    std::copy_n(log.begin(), kSector, hive.begin());
    put_le32(hive, kFileType, 0);
}

std::string counted(std::size_t entries) { return entries == 1 ? "1 entry" : fmt::format("{} entries", entries); }

std::string of(std::size_t number, std::size_t count) { return fmt::format("log {} of {}", number, count); }

std::string note_of(const Log& log, std::size_t count, std::size_t entries, std::uint32_t first, std::uint32_t last) {
    return fmt::format("{}: {}, sequence {} to {}", of(log.number, count), counted(entries), first, last);
}

// Entries of both logs, each following the one before; the base block of the hive stays, or comes from the log with the
// latest ones, which is then the only one. nullopt: no entry follows.
std::optional<Replayed> replay_new(std::string hive, std::vector<Log> logs, std::size_t count) {
    const auto base = read_base_block(hive);
    const bool readable = base && base->checksum_right;
    std::erase_if(logs, [](const Log& log) { return log.base.type != kNewLog || log.entries.empty(); });
    std::sort(logs.begin(), logs.end(), [](const Log& a, const Log& b) {
        return a.entries.front().sequence < b.entries.front().sequence;
    });
    if (!readable) {
        if (logs.empty()) return std::nullopt;
        logs.erase(logs.begin(), logs.end() - 1);
        restore_base_block(hive, logs.front().bytes);
    }
    Replayed done;
    std::optional<std::uint32_t> last;
    for (const auto& log : logs) {
        const auto first = log.entries.front().sequence;
        if (last ? first != *last + 1 : readable && first < base->sequence2) continue;
        std::size_t applied = 0;
        for (const auto& entry : log.entries) {
            if (!write_pages(hive, entry.bins_size, entry.pages)) break;
            put_le32(hive, kFlags, (le32(hive, kFlags) & ~kLocked) | (entry.flags & kLocked));
            last = entry.sequence;
            ++applied;
        }
        if (applied > 0) done.notes.push_back(note_of(log, count, applied, first, *last));
        if (applied < log.entries.size()) break;
    }
    if (!last) return std::nullopt;
    set_sequence(hive, *last + 1);
    done.hive = std::move(hive);
    return done;
}

// ---- Old logs: a bitmap of 512-byte pages, and the pages

// Written for this state of the hive: the times agree. Of a hive with an unreadable base block its first bin has a copy.
bool is_for(const Log& log, std::string_view hive) {
    if (log.base.type != 1 && log.base.type != 2) return false;
    if (log.base.sequence1 != log.base.sequence2) return false;
    const auto base = read_base_block(hive);
    return log.base.written == (base && base->checksum_right ? base->written : le64(hive, kBaseBlock + 20));
}

std::optional<std::vector<Page>> read_dirty_pages(const Log& log) {
    const std::size_t bins_size = log.base.bins_size;
    const auto vector = log.bytes.substr(std::min(kSector, log.bytes.size()));
    const std::size_t bitmap = (bins_size / kSector + 7) / 8;
    if (bins_size == 0 || bins_size % kBinUnit != 0 || !vector.starts_with("DIRT") || vector.size() < 4 + bitmap)
        return std::nullopt;
    std::size_t at = (4 + bitmap + kSector - 1) / kSector * kSector;
    std::vector<Page> pages;
    for (std::size_t i = 0; i < bins_size / kSector; ++i) {
        if ((static_cast<std::uint8_t>(vector[4 + i / 8]) >> (i % 8) & 1) == 0) continue;
        if (at > vector.size() || vector.size() - at < kSector) return std::nullopt;
        pages.push_back({i * kSector, vector.substr(at, kSector)});
        at += kSector;
    }
    return pages;
}

std::optional<Replayed> replay_old(const std::string& hive, const Log& log, std::size_t count) {
    const auto pages = is_for(log, hive) ? read_dirty_pages(log) : std::nullopt;
    if (!pages) return std::nullopt;
    auto bytes = hive;
    const auto base = read_base_block(bytes);
    if (!base || !base->checksum_right) restore_base_block(bytes, log.bytes);
    if (!write_pages(bytes, log.base.bins_size, *pages)) return std::nullopt;
    set_sequence(bytes, std::max(log.base.sequence1, base && base->checksum_right ? base->sequence1 : 0) + 1);
    return Replayed{std::move(bytes), {fmt::format("{}: {} pages of 512 bytes", of(log.number, count), pages->size())}};
}

std::vector<Log> readable_logs(const std::vector<std::string>& logs) {
    std::vector<Log> found;
    for (std::size_t i = 0; i < logs.size(); ++i) {
        const auto base = read_base_block(logs[i]);
        if (!base || !base->checksum_right || base->major != 1) continue;
        Log log{i + 1, logs[i], *base, {}};
        if (base->type == kNewLog) read_entries(log);
        found.push_back(std::move(log));
    }
    return found;
}

}  // namespace

bool is_dirty(std::string_view hive) {
    const auto base = read_base_block(hive);
    return !base || !base->whole();
}

Result<Replayed> replay(std::string hive, const std::vector<std::string>& logs) {
    if (!is_dirty(hive)) return Replayed{std::move(hive), {}};
    if (hive.size() < kBaseBlock + kBinUnit)
        return make_error(errors::kHive, "of {} bytes; no hive is that short", hive.size());
    const auto found = readable_logs(logs);
    if (!read_base_block(hive) && found.empty()) return make_error(errors::kHive, "it does not start as a registry file");
    std::string why;
    const auto fits = [&](const std::optional<Replayed>& done) {
        if (!done) return false;
        const auto status = check_hive(done->hive);
        if (!status) why = fmt::format("; what its log makes of it is damaged: {}", status.error().message());
        return status.ok();
    };
    if (auto done = replay_new(hive, found, logs.size()); fits(done)) return std::move(*done);
    for (const auto& log : found)
        if (auto done = replay_old(hive, log, logs.size()); fits(done)) return std::move(*done);
    return make_error(errors::kHiveLog, "it was not written to its end, and {}{}",
                      logs.empty() ? "it has no log" : "none of its logs completes it", why);
}

}  // namespace slipway::fixup::windows
