// SPDX-License-Identifier: GPL-3.0-or-later
// Mode netascii (RFC 1350 §1, RFC 764): a line ends in CR LF on the wire and in LF here, a CR alone is CR NUL.
#pragma once

#include <string>

#include "lib/base/bytes.hpp"

namespace slipway::tftp {

void to_netascii(ByteView in, std::string& out);  // appends

// The way back, in pieces cut anywhere.
class NetasciiDecoder {
public:
    void decode(ByteView in, Bytes& out);  // appends
    void finish(Bytes& out);               // a CR at the very end stays one

private:
    bool cr_ = false;  // seen, and not yet what follows it
};

}  // namespace slipway::tftp
