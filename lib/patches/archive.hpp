// SPDX-License-Identifier: GPL-3.0-or-later
// Files out of Microsoft's archives, by libmspack: cabinets (driver.cab, sp2.cab, and what CDs call HALACPI.DL_), also
// sets of them and those inside a program (a service pack's .exe), SZDD and KWAJ (HAL.DL_ of NT 4's CDs). In memory;
// the archives are hostile: no path is taken from them, output, memory and the number of files are bounded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/result.hpp"

namespace slipway::patches {

// Where an archive's bytes come from: a driver.cab need not be in memory.
class ArchiveBytes {
public:
    virtual ~ArchiveBytes() = default;
    virtual std::uint64_t size() const = 0;
    // Fewer at the end alone; -1: the medium failed.
    virtual std::int64_t read(std::uint64_t offset, std::span<std::byte> into) const = 0;
};
std::unique_ptr<ArchiveBytes> bytes_in_memory(ByteView bytes);  // which outlive it
Result<std::unique_ptr<ArchiveBytes>> bytes_in_file(const std::filesystem::path& path);
// A part of another one, which outlives it.
std::unique_ptr<ArchiveBytes> bytes_within(const ArchiveBytes& whole, std::uint64_t offset, std::uint64_t size);

struct ExtractLimits {
    std::uint64_t file = 16u << 20;     // of a file that comes out
    std::uint64_t total = 256u << 20;   // of all of them
    std::uint64_t folder = 1ull << 30;  // how far into a compressed run the last wanted file may end
    std::size_t files = 64;             // that are wanted
};

struct Extracted {
    std::string name;  // in the cabinet, lower case, its last part; "" of SZDD and KWAJ
    std::string content;
};
struct Extraction {
    std::vector<Extracted> files;
    std::vector<std::string> notes;  // of wanted files that did not come out, and why
};

// ---- cabinets in a program file, which unpacks them when it is run

struct CabinetPlace {
    std::uint64_t offset = 0, size = 0;
    bool follows = false, goes_on = false;  // as a part of a set: behind another one, into the next
    bool operator==(const CabinetPlace&) const = default;
};
inline constexpr std::size_t kMostCabinets = 32;  // in a program, and in a set
// By the cabinets' own headers, wherever in the file they are: each byte is read once, but for the few that two blocks
// share. What lies in a cabinet is not looked into. Source: Microsoft, "Microsoft Cabinet Format" (CFHEADER).
std::vector<CabinetPlace> find_cabinets(const ArchiveBytes& program);

// A Program begins as one; whether cabinets are in it is not known yet.
enum class ArchiveKind { None, Cabinet, Szdd, Kwaj, Program };
ArchiveKind kind_of_archive(const ArchiveBytes& archive);  // by its first bytes

// The files of a cabinet whose name (its last part, lower case) is wanted, also of those in a program; the one file of
// SZDD and KWAJ. Errors: patches.archive.
Result<Extraction> extract(const ArchiveBytes& archive, const std::function<bool(std::string_view)>& wanted,
                           const ExtractLimits& limits = {});

// The names of the cabinets before and behind it in its set, last parts in lower case; "" where there is none. Errors:
// patches.archive.
struct CabinetLinks {
    std::string previous, next;
};
Result<CabinetLinks> links_of(const ArchiveBytes& cabinet);
// Of a set of cabinets in their order: a file may begin in one and end in another. Errors: patches.archive.
Result<Extraction> extract_set(const std::vector<const ArchiveBytes*>& cabinets,
                               const std::function<bool(std::string_view)>& wanted, const ExtractLimits& limits = {});

}  // namespace slipway::patches
