// SPDX-License-Identifier: GPL-3.0-or-later
// The base room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::errors {

inline constexpr ErrorId kIo{"base.io", "Check that the path exists, is readable by this user, and that the medium is sound.", false};
inline constexpr ErrorId kNoSpace{"base.no-space", "Free space on that file system, then resume; what is stored already is kept.", true};
inline constexpr ErrorId kNotFound{"base.not-found", "Check the spelling of the path.", false};
inline constexpr ErrorId kExists{"base.exists", "Choose another name, or remove the existing one first.", false};
inline constexpr ErrorId kBadValue{"base.bad-value", "Correct the value; --help shows the accepted forms.", false};
inline constexpr ErrorId kProcess{"base.process", "See the command's own output above; check that its package is installed.", false};
inline constexpr ErrorId kXml{"base.xml", "The file is not well-formed XML of the expected kind; make it again with the program that wrote it.", false};

}  // namespace slipway::errors

namespace slipway {

// The error of a failed system call, from errno: ENOSPC, ENOENT and EEXIST get names of their own.
Error errno_error(int errno_value, std::string_view what);

}  // namespace slipway
