// SPDX-License-Identifier: GPL-3.0-or-later
// What a repair's caller and the appliance that does it say to each other: lines of JSON over a virtio-serial port
// named kPortName. Pure. Either side may end at any byte; the bytes of the appliance, which works on a hostile disk,
// are hostile.
//   caller    -> appliance   {"slipway-fixup": 1, "request": {…}}   once
//                            {"patch_file": {"content": "HEX"}}      what it wanted; {}: there is none, {"error": "…"}
//                            {"cancel": true}                        at any time afterwards
//   appliance -> caller      {"hello": 1}                            it has the port; the request may come
//                            {"alive": true}                         every kAliveSeconds
//                            {"note": "network"}                     a step begins
//                            {"wanted": {"name": …, "version": …, "language": …}}
//                                                                    a file of the patch library, which is with the
//                                                                    caller; one at a time, at most kMostWanted
//                            {"report": {…}} or {"error": {…}}       once, the last line
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "guest-fixup/fixup.hpp"
#include "lib/patches/supply.hpp"

namespace slipway::fixup::wire {

inline constexpr std::string_view kPortName = "slipway.fixup";
inline constexpr int kVersion = 1;
inline constexpr int kAliveSeconds = 5;
inline constexpr std::size_t kMaxLine = 48u << 20;
inline constexpr std::size_t kMaxNote = 512;  // longer ones are cut
inline constexpr unsigned kMostWanted = 16;   // a set has three files

struct Hello {};
struct Alive {};
struct Note {
    std::string text;
};
struct Wanted {
    patches::FileKey key;
};
using Outcome = Result<RepairReport>;
using Message = std::variant<Hello, Alive, Note, Wanted, Outcome>;

// What the caller says after its request.
struct Cancel {};
struct PatchFile {
    Result<std::optional<std::string>> content;
};
using Saying = std::variant<Cancel, PatchFile>;

std::string request_line(const RepairRequest& request);  // but cancel_fd and patch_supply, which are of this process
std::string line_of(const Saying& saying);
std::string line_of(const Message& message);

// Errors: fixup.wire.
Result<RepairRequest> parse_request(std::string_view line);
Result<Saying> parse_saying(std::string_view line);
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
