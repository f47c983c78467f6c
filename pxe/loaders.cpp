// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/loaders.hpp"

#include <algorithm>

#include "pxe/errors.hpp"

namespace slipway::pxe {

const LoaderRow* loader_row(std::string_view name) {
    auto it = std::find_if(kLoaders.begin(), kLoaders.end(), [&](const LoaderRow& r) { return r.name == name; });
    return it == kLoaders.end() ? nullptr : &*it;
}

std::string_view name_of(SecureBoot state) { return kSecureBootNames[static_cast<std::size_t>(state)]; }

SecureBoot secure_boot_from(std::string_view name) {
    auto it = std::find(kSecureBootNames.begin(), kSecureBootNames.end(), name);
    return it == kSecureBootNames.end() ? SecureBoot::Unknown : static_cast<SecureBoot>(it - kSecureBootNames.begin());
}

// It becomes a file name in DHCP's 128 bytes, and a segment of a URL.
bool valid_loader(std::string_view text) {
    return !text.empty() && text.size() <= 64 && text[0] != '.' && text[0] != '-' &&
           std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '-' || c == '_'; });
}

Result<Chain> choose_chain(const ArchRow& client, SecureBoot secure_boot, std::string_view wanted) {
    using Kind = Chain::Kind;
    if (client.firmware == Firmware::None)
        return make_error(errors::kArchitecture, "nothing here boots {}", client.name);
    if (!wanted.empty() && wanted != kAuto && wanted != kIpxe && wanted != kShim)
        return Chain{std::string(wanted), Kind::Own};
    const bool shim = wanted == kShim || (wanted != kIpxe && secure_boot != SecureBoot::Off);
    switch (client.firmware) {
        case Firmware::Bios:
            if (wanted == kShim) return make_error(errors::kShimOnBios, "shim is a program for UEFI, this is a BIOS");
            return Chain{"undionly.kpxe", Kind::Ipxe};
        case Firmware::EfiX64:
            if (!shim) return Chain{"snponly.efi", Kind::Ipxe};
            return Chain{client.medium == Medium::Http ? "shimx64.img" : "shimx64.efi", Kind::Grub};
        case Firmware::EfiIa32: return Chain{"grubia32.efi", Kind::Grub};
        default: return Chain{"arm64.efi", Kind::Own};
    }
}

}  // namespace slipway::pxe
