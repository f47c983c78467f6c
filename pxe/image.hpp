// SPDX-License-Identifier: GPL-3.0-or-later
// What a boot image of the operator's is, by its bytes: pure.
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::pxe {

enum class ImageKind { Floppy, Iso };
std::string_view name_of(ImageKind kind);

inline constexpr std::uint64_t kIsoMark = 32768;         // ECMA-119 §6.2.1: sector 16 is the first volume descriptor
inline constexpr std::size_t kImageHead = kIsoMark + 6;  // bytes of its beginning that tell

// head: its first kImageHead bytes, or all of it. Error: pxe.image.
Result<ImageKind> image_kind(ByteView head, std::uint64_t size);

}  // namespace slipway::pxe
