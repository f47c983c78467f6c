// SPDX-License-Identifier: GPL-3.0-or-later
// What agent and controller say to each other, as values and as JSON (docs/architecture.md, "lib/http and
// lib/channel"). Parsing takes hostile bytes: members of the wrong kind are channel.bad-message.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "lib/base/progress.hpp"
#include "lib/base/result.hpp"

namespace slipway::channel {

inline constexpr std::size_t kMaxMessage = 8u << 20;  // bytes of one JSON message (an inventory is the longest part)
inline constexpr const char* kBulkHeader = "X-Slipway-Bulk";

struct Enroll {
    std::string token, csr_pem, mac;
    boost::json::value hardware;
};
struct Enrolled {
    std::string certificate_pem, device;
};

struct Hello {
    std::string device, boot_id, version;
    std::string kind;  // "da" or "administration"
    std::uint64_t memory_bytes = 0;
    boost::json::value hardware;
};
struct HelloAnswer {
    unsigned poll_seconds = 20;
};

struct Poll {
    std::string boot_id;
};
using Parameters = std::map<std::string, std::string>;
struct Task {
    std::string key;  // JOB/RUN/STEP/ATTEMPT
    std::string type;
    Parameters parameters;
};

enum class TaskState { Running, Done, Failed, Losses };
std::string_view name_of(TaskState state);  // "running", "done", "failed", "losses"

// What a deploy has heard of its multicast sessions up to now, and what it lacks of this one.
struct MulticastCounts {
    std::uint64_t bytes = 0, packets = 0, lost = 0;  // with headers; lost: packets
    std::uint64_t repaired = 0;                      // symbols that parity gave back
    std::uint64_t lacking = 0;                       // chunks
    friend bool operator==(const MulticastCounts&, const MulticastCounts&) = default;
};

struct Report {
    std::string key, boot_id;
    TaskState state = TaskState::Running;
    std::optional<Progress> progress;
    std::optional<MulticastCounts> multicast;
    std::vector<std::string> log;  // new lines since the last report
    boost::json::object result;    // with done and losses
    std::optional<Error> error;    // with failed
};
struct ReportAnswer {
    bool cancel = false;
};

std::string render(const Enroll& message);
std::string render(const Enrolled& message);
std::string render(const Hello& message);
std::string render(const HelloAnswer& message);
std::string render(const Poll& message);
std::string render(const std::optional<Task>& task);
std::string render(const Report& message);
std::string render(const ReportAnswer& message);
std::string render_error(const Error& error);  // {"error": {name, message, next_step, temporary}}

Result<Enroll> parse_enroll(std::string_view text);
Result<Enrolled> parse_enrolled(std::string_view text);
Result<Hello> parse_hello(std::string_view text);
Result<HelloAnswer> parse_hello_answer(std::string_view text);
Result<Poll> parse_poll(std::string_view text);
Result<std::optional<Task>> parse_task(std::string_view text);
Result<Report> parse_report(std::string_view text);
Result<ReportAnswer> parse_report_answer(std::string_view text);
// The error an answer of status 400 and more carries; channel.refused when it carries none.
Error parse_error(unsigned status, std::string_view text);

}  // namespace slipway::channel
