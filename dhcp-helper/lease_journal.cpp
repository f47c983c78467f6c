// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/lease.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::dhcp {

namespace {

constexpr std::size_t kFrame = 12;  // mark, length, checksum
constexpr std::uint64_t kLargestJournal = 1u << 30;

constexpr auto kCrcTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        auto c = i;
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
        table[i] = c;
    }
    return table;
}();

std::uint32_t crc32(ByteView bytes) {  // IEEE 802.3
    std::uint32_t c = 0xffffffff;
    for (auto b : bytes) c = kCrcTable[(c ^ std::to_integer<std::uint32_t>(b)) & 0xff] ^ (c >> 8);
    return ~c;
}

std::optional<Lease> decode_payload(ByteView payload) {
    ByteReader in(payload);
    Lease lease;
    lease.address.value = in.be32();
    lease.state = static_cast<LeaseState>(in.u8());
    lease.begins = static_cast<std::int64_t>(in.le64());
    lease.expires = static_cast<std::int64_t>(in.le64());
    auto mac = in.array<6>();
    for (std::size_t i = 0; i < mac.size(); ++i) lease.mac.octets[i] = std::to_integer<std::uint8_t>(mac[i]);
    auto client = in.take(in.le16());
    lease.client.assign(client.begin(), client.end());
    lease.host_name = in.text(in.u8());
    if (in.failed() || !in.at_end() || name_of(lease.state).empty() || lease.client.size() > kLargestClientKey)
        return std::nullopt;
    return lease;
}

// The record at offset, and its size with the frame.
std::optional<std::pair<Lease, std::size_t>> record_at(ByteView bytes, std::size_t offset) {
    ByteReader in(bytes.subspan(offset));
    auto mark = in.le32(), length = in.le32(), sum = in.le32();
    if (in.failed() || mark != kRecordMark || length > kLargestRecord) return std::nullopt;
    auto payload = in.take(length);
    if (in.failed() || crc32(payload) != sum) return std::nullopt;
    auto lease = decode_payload(payload);
    if (!lease) return std::nullopt;
    return std::pair(std::move(*lease), kFrame + length);
}

class MemoryStore final : public LeaseStore {
public:
    Result<std::vector<Lease>> load() override {
        std::vector<Lease> out;
        for (const auto& [_, lease] : leases_) out.push_back(lease);
        return out;
    }
    Status append(std::span<const Lease> batch) override {
        for (const auto& lease : batch) leases_[lease.address] = lease;
        return {};
    }

private:
    std::map<Ipv4Address, Lease> leases_;
};

class Journal final : public LeaseStore {
public:
    Journal(std::filesystem::path path, JournalOptions options, UniqueFd lock)
        : path_(std::move(path)), options_(options), lock_(std::move(lock)) {}

    Status open() {
        auto bytes = read_file(path_, kLargestJournal);
        if (!bytes.ok()) {
            if (!bytes.error().is(slipway::errors::kNotFound)) return std::move(bytes).error();
            return rewrite();
        }
        auto found = TRY_WITH(read_journal(*bytes), path_.string());
        for (auto& lease : found.leases) live_[lease.address] = std::move(lease);
        if (found.skipped) {
            log::warning("dhcp", "{}: {} damaged bytes are skipped; the file is kept as {}.damaged", path_.string(),
                         found.skipped, path_.string());
            TRY(write_file_atomic(path_.string() + ".damaged", *bytes, 0600));
        }
        // Never appended to as it is: what was torn off goes, and the directory entry is known to be on disk.
        return rewrite();
    }

    Result<std::vector<Lease>> load() override {
        std::vector<Lease> out;
        out.reserve(live_.size());
        for (const auto& [_, lease] : live_) out.push_back(lease);
        return out;
    }

    Status append(std::span<const Lease> batch) override {
        for (const auto& lease : batch) live_[lease.address] = lease;
        // A failed write or fsync says nothing about what is on the disk; only a new file does.
        if (broken_) return rewrite();
        ByteWriter out;
        for (const auto& lease : batch) out.bytes(encode_lease(lease));
        broken_ = true;
        TRY(pwrite_full(fd_.get(), out.view(), size_));
        if (options_.sync && ::fdatasync(fd_.get()) != 0) return errno_error(errno, "fdatasync of " + path_.string());
        broken_ = false;
        size_ += out.size();
        records_ += batch.size();
        if (records_ < options_.compact_from || records_ <= 2 * live_.size()) return {};
        // The batch is on disk already: a failure here is the next append's.
        auto done = rewrite();
        if (!done.ok()) log::warning("dhcp", "compacting {}: {}", path_.string(), done.error().describe());
        return {};
    }

private:
    Status rewrite() {
        ByteWriter out;
        out.text(kJournalMagic);
        for (const auto& [_, lease] : live_) out.bytes(encode_lease(lease));
        broken_ = true;
        TRY(write_file_atomic(path_, out.view(), 0600));
        fd_ = TRY(open_fd(path_, O_WRONLY));
        size_ = out.size();
        records_ = live_.size();
        broken_ = false;
        return {};
    }

    std::filesystem::path path_;
    JournalOptions options_;
    UniqueFd lock_, fd_;
    std::map<Ipv4Address, Lease> live_;
    std::uint64_t size_ = 0;
    std::size_t records_ = 0;  // in the file
    bool broken_ = true;       // fd_ is not to be appended to
};

}  // namespace

std::string_view name_of(LeaseState state) {
    switch (state) {
        case LeaseState::Bound: return "bound";
        case LeaseState::Released: return "released";
        case LeaseState::Declined: return "declined";
    }
    return {};
}

Bytes encode_lease(const Lease& lease) {
    ByteWriter payload;
    payload.be32(lease.address.value).u8(static_cast<std::uint8_t>(lease.state));
    payload.le64(static_cast<std::uint64_t>(lease.begins)).le64(static_cast<std::uint64_t>(lease.expires));
    payload.bytes(std::as_bytes(std::span(lease.mac.octets)));
    auto client = ByteView(lease.client).first(std::min(lease.client.size(), kLargestClientKey));
    auto name = std::string_view(lease.host_name).substr(0, 63);
    payload.le16(static_cast<std::uint16_t>(client.size())).bytes(client);
    payload.u8(static_cast<std::uint8_t>(name.size())).text(name);
    ByteWriter out;
    out.le32(kRecordMark).le32(static_cast<std::uint32_t>(payload.size())).le32(crc32(payload.view()));
    return std::move(out.bytes(payload.view())).take();
}

Result<Salvage> read_journal(ByteView bytes) {
    if (bytes.size() < kJournalMagic.size() || as_text(bytes.first(kJournalMagic.size())) != kJournalMagic)
        return make_error(errors::kJournal, "not a lease journal");
    Salvage out;
    out.good_size = kJournalMagic.size();
    for (auto at = out.good_size; at + kFrame <= bytes.size();) {
        auto record = record_at(bytes, at);
        if (!record) {  // on to the next mark
            static constexpr std::array mark{std::byte{0x53}, std::byte{0x53}, std::byte{0x4c}, std::byte{0x52}};
            auto next =
                std::search(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 1, bytes.end(), mark.begin(), mark.end());
            at = static_cast<std::size_t>(next - bytes.begin());
            continue;
        }
        out.skipped += at - out.good_size;
        out.leases.push_back(std::move(record->first));
        at += record->second;
        out.good_size = at;
    }
    out.torn = bytes.size() - out.good_size;
    return out;
}

std::unique_ptr<LeaseStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

Result<std::unique_ptr<LeaseStore>> open_journal(const std::filesystem::path& path, const JournalOptions& options) {
    // A file of its own: the journal's inode changes with each compaction.
    auto lock = TRY(open_fd(path.string() + ".lock", O_RDWR | O_CREAT, 0600));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return make_error(errors::kJournal, "{} is in use by another server", path.string());
    auto journal = std::make_unique<Journal>(path, options, std::move(lock));
    TRY(journal->open());
    return std::unique_ptr<LeaseStore>(std::move(journal));
}

}  // namespace slipway::dhcp
