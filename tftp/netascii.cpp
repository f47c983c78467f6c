// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/netascii.hpp"

#include <utility>

namespace slipway::tftp {

void to_netascii(ByteView in, std::string& out) {
    for (char c : as_text(in)) {
        if (c == '\n') out += '\r';
        out += c;
        if (c == '\r') out += '\0';
    }
}

void NetasciiDecoder::decode(ByteView in, Bytes& out) {
    for (auto byte : in) {
        auto c = static_cast<char>(byte);
        if (cr_) {
            cr_ = false;
            if (c == '\n' || c == '\0') {
                out.push_back(static_cast<std::byte>(c == '\n' ? '\n' : '\r'));
                continue;
            }
            out.push_back(std::byte{'\r'});  // quirk: a CR that says nothing stands for itself
        }
        if (c == '\r') cr_ = true;
        else out.push_back(byte);
    }
}

void NetasciiDecoder::finish(Bytes& out) {
    if (std::exchange(cr_, false)) out.push_back(std::byte{'\r'});
}

}  // namespace slipway::tftp
