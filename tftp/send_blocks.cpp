// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/send_blocks.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <netinet/udp.h>

namespace slipway::tftp {

namespace {

constexpr std::size_t kLongestDatagram = 65'507;

}  // namespace

BlockSender::Scratch& BlockSender::scratch() {
    static thread_local Scratch space;
    return space;
}

std::size_t BlockSender::room() const {
    if (!segments_) return kMost;
    return std::clamp<std::size_t>(kLongestDatagram / (kHeader + block_size_), 1, kMost);
}

void BlockSender::flush() {
    if (blocks_.empty()) return;
    if (blocks_.size() == 1 || !segments_ || !send_segmented()) send_each();
    blocks_.clear();
    scratch().parts.clear();
}

bool BlockSender::send_segmented() {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
    msghdr message{};
    message.msg_iov = scratch().parts.data();
    message.msg_iovlen = scratch().parts.size();
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    auto size = static_cast<std::uint16_t>(kHeader + block_size_);
    std::memcpy(CMSG_DATA(c), &size, sizeof size);
    if (::sendmsg(fd_, &message, MSG_DONTWAIT) >= 0) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == ECONNREFUSED) return true;
    segments_ = false;  // an interface without checksums of its own, a block longer than a frame, an old kernel
    return false;
}

void BlockSender::send_each() {
    auto& parts = scratch().parts;
    std::array<mmsghdr, kMost> messages{};
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
        auto end = i + 1 < blocks_.size() ? blocks_[i + 1].first_part : parts.size();
        messages[i].msg_hdr.msg_iov = &parts[blocks_[i].first_part];
        messages[i].msg_hdr.msg_iovlen = end - blocks_[i].first_part;
    }
    if (blocks_.size() == 1) (void)::sendmsg(fd_, &messages[0].msg_hdr, MSG_DONTWAIT);
    else (void)::sendmmsg(fd_, messages.data(), static_cast<unsigned>(blocks_.size()), MSG_DONTWAIT);
}

}  // namespace slipway::tftp
