// SPDX-License-Identifier: GPL-3.0-or-later
// Which Windows an inventory tells of, as numbers.
#pragma once

#include <compare>
#include <optional>

#include "gatherhw/model.hpp"

namespace slipway::vmscript {

struct NtVersion {
    unsigned major = 0, minor = 0;  // 4.0 NT 4, 5.0 2000, 5.1 XP, 5.2 2003, 6.0 Vista … 10.0
    auto operator<=>(const NtVersion&) const = default;
};
inline constexpr NtVersion kNt4{4, 0}, kWindows2000{5, 0}, kWindowsXp{5, 1}, kServer2003{5, 2}, kVista{6, 0},
    kWindows8{6, 2}, kWindows10{10, 0};

// "5.2.3790" -> 5.2; nothing when it is no Windows or does not say.
std::optional<NtVersion> nt_version(const gatherhw::OperatingSystem& os);
// "SP2", "Service Pack 2", "2" -> 2; nothing when it does not say.
std::optional<unsigned> service_pack(const gatherhw::OperatingSystem& os);
// "7601"; of os.build, else the third number of os.version.
std::optional<unsigned> nt_build(const gatherhw::OperatingSystem& os);

}  // namespace slipway::vmscript
