// SPDX-License-Identifier: GPL-3.0-or-later
// DATA packets out of a connected socket, from where their bytes are, with as few system calls as the kernel allows: a
// run of whole blocks is one message that the kernel cuts (UDP_SEGMENT), or one sendmmsg where it cannot.
#pragma once

#include <array>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

#include "tftp/codec.hpp"

namespace slipway::tftp {

class BlockSender {
public:
    explicit BlockSender(int fd) : fd_(fd) {}

    void begin(std::uint32_t block_size) { block_size_ = block_size; }
    // append puts the payload's places, which stay until flush(), behind the header.
    template <typename Append>
    void add(std::uint16_t block, std::uint32_t length, Append append) {
        if (blocks_.size() == room()) flush();
        auto& space = scratch();
        auto from = space.parts.size();
        auto& header = space.headers[blocks_.size()] = data_header(block);
        space.parts.push_back({header.data(), header.size()});
        append(space.parts);
        blocks_.push_back({from, kHeader + length});
    }
    // What cannot be sent now counts as lost.
    void flush();

private:
    static constexpr std::size_t kMost = 64;  // segments of one message, by any kernel that has them
    struct Block {
        std::size_t first_part, bytes;
    };
    struct Scratch {
        std::array<std::array<std::byte, kHeader>, kMost> headers;
        std::vector<iovec> parts;
    };
    static Scratch& scratch();  // of the thread: nothing is in it between begin() and the next one's flush()
    std::size_t room() const;
    bool send_segmented();
    void send_each();

    int fd_;
    std::uint32_t block_size_ = kDefaultBlock;
    bool segments_ = true;  // until the way to this client has refused it
    std::vector<Block> blocks_;
};

}  // namespace slipway::tftp
