// SPDX-License-Identifier: GPL-3.0-or-later
// The input is a hive, a log and another log, each behind its length. Whatever they hold, what is replayed is a clean
// hive no longer than all of them, or an error. Hashes of entries are put right, so that mutations reach the pages.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/marvin32.hpp"
#include "guest-fixup/windows/regf.hpp"

using namespace slipway::fixup::windows;

namespace {

std::string take(std::string_view& input) {
    const std::size_t length = std::min<std::size_t>(regf::le32(input, 0), input.size() < 4 ? 0 : input.size() - 4);
    std::string part(input.substr(std::min<std::size_t>(4, input.size()), length));
    input.remove_prefix(std::min<std::size_t>(4 + length, input.size()));
    return part;
}

void put_hash(std::string& log, std::size_t at, std::uint64_t hash) {
    regf::put_le32(log, at, static_cast<std::uint32_t>(hash));
    regf::put_le32(log, at + 4, static_cast<std::uint32_t>(hash >> 32));
}

void rehash(std::string& log) {
    if (log.size() < 512) return;
    regf::set_checksum(log);
    for (std::size_t at = 512; log.size() - at >= 40;) {
        const std::size_t size = regf::le32(log, at + 4);
        if (size < 40 || size > log.size() - at) return;
        put_hash(log, at + 24, marvin32(kLogSeed, std::string_view(log).substr(at + 40, size - 40)));
        put_hash(log, at + 32, marvin32(kLogSeed, std::string_view(log).substr(at, 32)));
        at += size;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view input(reinterpret_cast<const char*>(data), size);
    auto hive = take(input);
    std::vector<std::string> logs{take(input), take(input)};
    if (hive.size() >= 512 && regf::le32(hive, regf::kSequence1) % 2 == 0) regf::set_checksum(hive);
    for (auto& log : logs) rehash(log);
    const auto done = replay(hive, logs);
    if (!done.ok()) return 0;
    if (done->hive.size() > size) std::abort();
    if (is_dirty(done->hive)) std::abort();
    if (is_dirty(hive) && !check_hive(done->hive).ok()) std::abort();
    return 0;
}
