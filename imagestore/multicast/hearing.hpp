// SPDX-License-Identifier: GPL-3.0-or-later
// A receiver at work: joins a session over the agent channel, listens to its group, hands on whole chunks from a thread
// of its own, so that a slow disk never keeps packets waiting.
#pragma once

#include <atomic>

#include "imagestore/broadcast.hpp"
#include "imagestore/multicast/group_socket.hpp"
#include "imagestore/multicast/receiver.hpp"
#include "imagestore/multicast/session.hpp"

namespace slipway::multicast {

// What a receiver is told when it joins.
struct Invitation {
    GroupAddress group;
    IpEndpoint sender;  // where reports go
    IpAddress you;      // the receiver's address as the agent channel has it; none: not known
    std::uint64_t session = 0;
    std::uint32_t number = 0, symbol_bytes = 0;
    bool clear = false;
    Key session_key{}, own_key{};
};

// The agent channel. Each call may take its time; packets that come meanwhile wait in the kernel.
class SessionCalls {
public:
    virtual ~SessionCalls() = default;
    // Nothing: there is no session for this receiver.
    virtual Result<std::optional<Invitation>> join(const std::vector<bool>& wanted) = 0;
    virtual Result<Advice> tell(std::uint32_t number, const std::vector<bool>& wanted, bool asks_unicast) = 0;
};

struct HearingOptions {
    IpAddress interface;             // of this machine, on the segment of the group; none: the one towards the sender
    std::size_t memory = 16u << 20;  // for unfinished chunks; as much again may wait for the disk
    std::uint64_t seed = 0;
    const std::atomic<bool>* cancel = nullptr;
    // What a person should know: "no multicast is heard …".
    std::function<void(const std::string&)> note;
    std::function<void(const ReceiverCounts&, std::uint32_t lacking)> progress;  // once a second
};

class Hearing final : public imagestore::ChunkBroadcast {
public:
    Hearing(SessionCalls& calls, HearingOptions options) : calls_(calls), options_(std::move(options)) {}
    // Ends well also when the session leaves something to unicast. Errors are of the target, and imagestore.cancelled.
    Status receive(const imagestore::ChunkPlan& plan, std::vector<bool> wanted, const Take& take) override;
    const ReceiverCounts& counts() const { return counts_; }

private:
    static constexpr int kMostSessions = 5;  // a server that starts again more often has other troubles
    Result<bool> hear(std::vector<bool>& wanted, const Take& take);
    Result<GroupReceiver> socket_for(const Invitation& invitation) const;
    SessionCalls& calls_;
    HearingOptions options_;
    ReceiverCounts counts_;
};

}  // namespace slipway::multicast
