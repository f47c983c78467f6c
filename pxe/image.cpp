// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/image.hpp"

#include <algorithm>
#include <array>

#include "lib/base/bytes.hpp"
#include "pxe/errors.hpp"

namespace slipway::pxe {

std::string_view name_of(ImageKind kind) { return kind == ImageKind::Floppy ? "floppy" : "iso"; }

Result<ImageKind> image_kind(ByteView head, std::uint64_t size) {
    // ECMA-119 §8.1: type, then "CD001".
    if (head.size() >= kImageHead && as_text(head.subspan(kIsoMark + 1, 5)) == "CD001") return ImageKind::Iso;
    // memdisk knows these geometries: KiB of 160 … 2,880, and the 3.5" ones formatted to more.
    static constexpr std::array<std::uint64_t, 11> kFloppies{160,  180,  320,  360,  720, 1200,
                                                             1440, 1680, 1722, 2880, 3840};
    if (size % 1024 == 0 && std::find(kFloppies.begin(), kFloppies.end(), size / 1024) != kFloppies.end())
        return ImageKind::Floppy;
    return make_error(errors::kImage, "{} bytes are no floppy's size, and there is no ISO 9660 volume", size);
}

}  // namespace slipway::pxe
