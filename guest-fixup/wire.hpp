// SPDX-License-Identifier: GPL-3.0-or-later
// What a repair's caller and the appliance that does it say to each other: lines of JSON over a virtio-serial port
// named kPortName. Pure. Either side may end at any byte; the bytes of the appliance, which works on a hostile disk,
// are hostile.
//   caller    -> appliance   {"slipway-fixup": 1, "request": {…}}   once
//                            {"cancel": true}                        at any time afterwards
//   appliance -> caller      {"hello": 1}                            it has the port; the request may come
//                            {"alive": true}                         every kAliveSeconds
//                            {"note": "network"}                     a step begins
//                            {"report": {…}} or {"error": {…}}       once, the last line
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "guest-fixup/fixup.hpp"

namespace slipway::fixup::wire {

inline constexpr std::string_view kPortName = "slipway.fixup";
inline constexpr int kVersion = 1;
inline constexpr int kAliveSeconds = 5;
inline constexpr std::size_t kMaxLine = 48u << 20;
inline constexpr std::size_t kMaxNote = 512;  // longer ones are cut

struct Hello {};
struct Alive {};
struct Note {
    std::string text;
};
using Outcome = Result<RepairReport>;
using Message = std::variant<Hello, Alive, Note, Outcome>;

std::string request_line(const RepairRequest& request);  // but cancel_fd, which is of this process
std::string cancel_line();
std::string line_of(const Message& message);

// Errors: fixup.wire.
Result<RepairRequest> parse_request(std::string_view line);
bool is_cancel(std::string_view line);
Result<Message> parse_message(std::string_view line);

// Cuts a stream into lines.
class Lines {
public:
    // fixup.wire when no line ends within kMaxLine.
    Status feed(std::string_view bytes);
    std::optional<std::string> next();  // without its end

private:
    std::string buffer_;
    std::size_t searched_ = 0;
};

}  // namespace slipway::fixup::wire
