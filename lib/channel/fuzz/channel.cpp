// SPDX-License-Identifier: GPL-3.0-or-later
// Hostile messages and chunk bodies; what is accepted renders and parses again.
#include <cstdlib>

#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/messages.hpp"
#include "lib/channel/multicast_messages.hpp"

using namespace slipway;
using namespace slipway::channel;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)parse_enroll(text).ok();
    (void)parse_hello(text).ok();
    (void)parse_poll(text).ok();
    (void)parse_error(400, text);
    if (auto task = parse_task(text)) {
        auto again = parse_task(render(*task));
        if (!again.ok() || again->has_value() != task->has_value()) std::abort();
    }
    if (auto report = parse_report(text))
        if (!parse_report(render(*report)).ok()) std::abort();
    if (auto invitation = parse_multicast_invitation(text))
        if (render(parse_multicast_invitation(render(*invitation)).value()) != render(*invitation)) std::abort();
    (void)parse_ids(text).ok();
    if (auto frames = parse_frames(text)) {
        std::string again;
        for (const auto& f : *frames) append_frame(again, f.id, f.encoded);
        if (again != text) std::abort();
    }
    return 0;
}
