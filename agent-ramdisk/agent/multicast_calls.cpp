// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/multicast_calls.hpp"

#include "lib/channel/errors.hpp"
#include "lib/channel/multicast_messages.hpp"

namespace slipway::agent {

namespace {

constexpr std::uint64_t kMaxAnswer = 4096;
constexpr std::string_view kNoSession = "server.no-multicast";  // a machine alone, or switched off

}  // namespace

Result<std::optional<multicast::Invitation>> MulticastCalls::join(const std::vector<bool>& wanted) {
    const auto digest = to_hex(manifest_.last(std::min<std::size_t>(32, manifest_.size())));
    const auto body = channel::render_bitmap(wanted);
    const auto answer = link_.bytes("/agent/v1/multicast/join?manifest=" + digest, &body, kMaxAnswer);
    if (!answer && answer.error().name() == kNoSession) return std::optional<multicast::Invitation>();
    if (!answer) return answer.error();
    const auto i = TRY(channel::parse_multicast_invitation(answer->body));
    return std::optional(multicast::Invitation{{i.group, i.port},
                                               {i.sender, i.report_port},
                                               i.you,
                                               i.session,
                                               i.number,
                                               i.symbol_bytes,
                                               i.clear,
                                               i.session_key,
                                               i.own_key});
}

Result<multicast::Advice> MulticastCalls::tell(std::uint32_t, const std::vector<bool>& wanted, bool asks_unicast) {
    const auto body = channel::render_bitmap(wanted);
    const auto path = std::string("/agent/v1/multicast/tell") + (asks_unicast ? "?unicast=1" : "");
    const auto answer = TRY(link_.bytes(path, &body, kMaxAnswer));
    boost::system::error_code failed;
    const auto value = boost::json::parse(answer.body, failed);
    const auto* object = failed ? nullptr : value.if_object();
    const auto* advice = object ? object->if_contains("advice") : nullptr;
    if (advice && advice->is_string()) {
        if (advice->as_string() == "listen") return multicast::Advice::Listen;
        if (advice->as_string() == "unicast") return multicast::Advice::Unicast;
        if (advice->as_string() == "done") return multicast::Advice::Done;
        if (advice->as_string() == "join") return multicast::Advice::Join;
    }
    return make_error(channel::errors::kBadMessage, "no advice");
}

}  // namespace slipway::agent
