// SPDX-License-Identifier: GPL-3.0-or-later
// Sectors, their record, boot.ini and IPv6 addresses of the registry: nothing breaks the readers, a fitted table is
// fit, a record that is read says the same when it is written again, and an address that is read is one.
#include <arpa/inet.h>
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/windows/find_windows.hpp"
#include "guest-fixup/windows/mounted_devices.hpp"
#include "guest-fixup/windows/network.hpp"
#include "guest-fixup/windows/ntfs_boot_sector.hpp"
#include "guest-fixup/windows/sectors.hpp"

using namespace slipway;
using namespace slipway::fixup::windows;

namespace {

// The input's beginning is a value's name, what follows is its data: it goes into a script that a system runs.
void read_fixed_address(std::string_view text) {
    constexpr std::string_view kLuid = "0000000600000600";
    constexpr std::size_t kName = 48;
    const auto address =
        fixed_address6(kLuid, text.substr(0, kName), std::string(text.substr(std::min(kName, text.size()))));
    if (!address) return;
    in6_addr bytes{};
    if (::inet_pton(AF_INET6, address->substr(0, address->find('/')).c_str(), &bytes) != 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto edits = parse_sectors(text)) {
        const auto again = parse_sectors(to_json(*edits));
        if (!again || *again != *edits) std::abort();
    }
    (void)named_by_boot_ini(text, {"/WINDOWS", "/WINNT"});
    (void)parse_mbr_volume(text);
    (void)parse_gpt_volume(text);
    read_fixed_address(text);
    const auto bytes = as_bytes(text);
    (void)disk_signature(bytes);
    if (const auto geometry = read_boot_geometry(bytes))
        if (with_boot_geometry(bytes, *geometry) != Bytes(bytes.begin(), bytes.end())) std::abort();
    for (std::uint64_t disk : {200ull << 20, 3ull << 30, 80ull << 30})
        if (const auto fitted = fit_partition_table(bytes, bios_geometry(disk)))
            if (fit_partition_table(*fitted, bios_geometry(disk))) std::abort();
    return 0;
}
