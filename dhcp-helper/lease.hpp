// SPDX-License-Identifier: GPL-3.0-or-later
// A lease as it is kept, its bytes in a journal, and what keeps it. docs/formats/dhcp-leases.md has the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::dhcp {

enum class LeaseState : std::uint8_t {
    Bound = 1,     // acknowledged to `client` until `expires`
    Released = 2,  // given back; remembered, so that the same client gets it again
    Declined = 3,  // someone else uses it (DHCPDECLINE, or a probe was answered): nobody's until `expires`
};
std::string_view name_of(LeaseState state);

struct Lease {
    Ipv4Address address;
    LeaseState state = LeaseState::Bound;
    std::int64_t begins = 0, expires = 0;  // Unix seconds: a lease outlives the server's process
    MacAddress mac;
    Bytes client;           // who, by ServerEngine's client_key(); empty when Declined
    std::string host_name;  // as the client said (option 12), printable, at most 63 bytes
    bool operator==(const Lease&) const = default;
};

// Where leases are kept. One writer; calls may block for a disk.
class LeaseStore {
public:
    virtual ~LeaseStore() = default;
    // The last record of each address, in order of address.
    virtual Result<std::vector<Lease>> load() = 0;
    // Durable when it returns without an error. After an error none, some or all of the batch may be found by a later
    // load(), and append() may be called again.
    virtual Status append(std::span<const Lease> batch) = 0;
};

// For tests and benchmarks: durable until the process ends.
std::unique_ptr<LeaseStore> make_memory_store();

struct JournalOptions {
    bool sync = true;                   // false: an ACK may be lost with the power (benchmarks against such servers)
    std::size_t compact_from = 10'000;  // rewritten once it has this many records and more than twice those that count
};

// An append-only file, compacted by temp + fsync + rename; holds a lock against a second server. What a crash tore off
// is cut off; damage in the middle is skipped, and the damaged file is kept beside it as PATH.damaged.
Result<std::unique_ptr<LeaseStore>> open_journal(const std::filesystem::path& path, const JournalOptions& options = {});

// The journal's bytes.
inline constexpr std::string_view kJournalMagic{"SLIPLEASE1\n\0\0\0\0\0", 16};
inline constexpr std::uint32_t kRecordMark = 0x524c5353;  // "SSLR", little endian
inline constexpr std::size_t kLargestRecord = 1024;       // payload
inline constexpr std::size_t kLargestClientKey = 256;     // tag + an option of 255 bytes

Bytes encode_lease(const Lease& lease);  // with mark, length and checksum

struct Salvage {
    std::vector<Lease> leases;  // in the order they were written
    std::size_t good_size = 0;  // end of the last whole record
    std::size_t skipped = 0;    // damaged bytes before good_size
    std::size_t torn = 0;       // bytes after it
};
// Never fails but for a wrong magic: what is whole is kept.
Result<Salvage> read_journal(ByteView bytes);

}  // namespace slipway::dhcp
