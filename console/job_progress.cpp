// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/job_progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "console/rest_client.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace json = boost::json;

namespace {

struct Sum {
    std::uint64_t done = 0, total = 0, rate = 0, left = 0;
    std::size_t machines = 0;  // that say how far they are
};

std::string rate_and_left(std::uint64_t rate, std::uint64_t left) {
    std::string out;
    if (rate > 0) out += "  " + human_bytes(rate) + "/s";
    if (rate > 0 && left > 0) out += "  ETA " + human_duration(left);
    return out;
}

const json::value* running_step(const json::value& job) {
    for (const auto& step : array_at(job, "steps"))
        if (text_at(step, "state") == "running") return &step;
    return nullptr;
}

std::string failure_of(const json::value& job) {
    for (const auto& step : array_at(job, "steps"))
        if (const auto* error = member(step, "error");
            error && error->is_object() && text_at(step, "state") == "failed")
            return printable(text_at(step, "type")) + ": " + printable(text_at(*error, "message")) + " [" +
                   printable(text_at(*error, "name")) + "]";
    return "";
}

// What a machine does now, without its name.
std::string doing(const json::value& job, Sum& sum) {
    const auto state = text_at(job, "state");
    if (state == "queued") return "waits";
    if (state == "failed") return "failed  " + failure_of(job);
    if (state != "running") return printable(state);
    const auto* step = running_step(job);
    if (!step) return "between steps";
    auto out = printable(text_at(*step, "type"));
    const auto* progress = member(*step, "progress");
    if (progress && progress->is_object() && number_at(*progress, "total") > 0) {
        sum.done += number_at(*progress, "done");
        sum.total += number_at(*progress, "total");
        sum.rate += number_at(*progress, "rate");
        sum.left = std::max(sum.left, number_at(*progress, "seconds_left"));
        ++sum.machines;
    }
    if (const auto text = progress_text(*step); !text.empty()) out += "  " + text;
    if (const auto* lost = member(*step, "agent_lost"); lost && lost->is_bool() && lost->get_bool())
        out += "  (its agent is silent)";
    return out;
}

// What a machine has heard up to now; nothing where it has told of nothing.
std::string heard_text(const json::value& sessions, const std::string& device) {
    for (const auto& session : sessions.get_array())
        for (const auto& d : array_at(session, "devices")) {
            if (text_at(d, "device") != device || !number_at(d, "heard_bytes")) continue;
            const auto* loss = member(d, "loss");
            return fmt::format(
                "  ({} by multicast, {:.1f} % lost, {} repairs)", human_bytes(number_at(d, "heard_bytes")),
                loss && loss->is_number() ? loss->to_number<double>() * 100 : 0.0, number_at(d, "repaired_symbols"));
        }
    return "";
}

std::string session_line(const json::value& session) {
    std::size_t there = 0, aside = 0;
    for (const auto& device : array_at(session, "devices")) {
        const auto* present = member(device, "present");
        if (!present || !present->is_bool() || !present->get_bool()) continue;
        ++there;
        aside += !text_at(device, "unicast").empty();
    }
    auto out = fmt::format("multicast of {}: {}, round {}, {:.1f} Mbit/s, {} sent",
                           printable(text_at(session, "image")), printable(text_at(session, "state")),
                           number_at(session, "round"), static_cast<double>(number_at(session, "rate")) / 1e6,
                           human_bytes(number_at(session, "sent_bytes")));
    if (aside) out += fmt::format("; {} of {} by unicast", aside, there);
    return out;
}

}  // namespace

std::string progress_text(const json::value& step) {
    const auto* progress = member(step, "progress");
    if (text_at(step, "state") != "running" || !progress || !progress->is_object()) return "";
    const auto done = number_at(*progress, "done"), total = number_at(*progress, "total");
    auto out = printable(text_at(*progress, "what"));
    if (total > 0)
        out += fmt::format("  {:>3} %  {} of {}",
                           static_cast<unsigned>(static_cast<double>(done) * 100 / static_cast<double>(total)),
                           human_bytes(done), human_bytes(total));
    return out + rate_and_left(number_at(*progress, "rate"), number_at(*progress, "seconds_left"));
}

std::vector<std::string> group_lines(const json::value& job) {
    const auto& children = array_at(job, "children");
    if (children.size() < 2) return {};
    std::vector<std::string> out;
    Sum sum;
    std::map<std::string, std::size_t> states;
    std::size_t width = fmt::format("all {}", children.size()).size();
    const auto name_of = [](const json::value& child) {
        auto name = printable(text_at(child, "device"));
        return name.empty() ? printable(text_at(child, "name")) : name;
    };
    for (const auto& child : children) width = std::max(width, name_of(child).size());
    const auto* found = member(job, "multicast");
    const auto sessions = found && found->is_array() ? *found : json::value(json::array());
    for (const auto& child : children) {
        out.push_back(fmt::format("{:<{}}  {}{}", name_of(child), width, doing(child, sum),
                                  heard_text(sessions, text_at(child, "device"))));
        ++states[text_at(child, "state")];
    }
    for (const auto& session : sessions.get_array()) out.push_back(session_line(session));
    std::vector<std::string> words;
    for (auto [state, word] : {std::pair{"done", "done"},
                               {"running", "at work"},
                               {"queued", "waiting"},
                               {"failed", "failed"},
                               {"cancelled", "cancelled"}})
        if (states[state]) words.push_back(fmt::format("{} {}", states[state], word));
    auto all = fmt::format("{:<{}}  {}", fmt::format("all {}", children.size()), width, join(words, ", "));
    if (sum.total > 0)
        all += fmt::format("  {:>3} %", static_cast<unsigned>(static_cast<double>(sum.done) * 100 /
                                                              static_cast<double>(sum.total))) +
               rate_and_left(sum.rate, sum.left);
    out.push_back(std::move(all));
    return out;
}

GroupPrinter::GroupPrinter(const Clock& clock) : clock_(clock), terminal_(::isatty(STDERR_FILENO) == 1) {}

void GroupPrinter::update(std::vector<std::string> lines) {
    lines_ = std::move(lines);
    const auto now = clock_.now();
    const auto interval = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000);
    if (!last_ || now - *last_ >= interval) draw(now);
}

void GroupPrinter::draw(Instant now) {
    last_ = now;
    std::string text;
    // A line that wraps would be two to go back over.
    winsize size{};
    const bool known = terminal_ && ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
    if (terminal_ && drawn_ > 0) text += fmt::format("\x1b[{}A", drawn_);
    for (const auto& line : lines_)
        text += (known ? line.substr(0, size.ws_col - 1u) : line) + (terminal_ ? "\x1b[K\n" : "\n");
    if (terminal_) text += "\x1b[J";
    drawn_ = lines_.size();
    (void)!::write(STDERR_FILENO, text.data(), text.size());
}

void GroupPrinter::make_way() {
    if (!terminal_ || drawn_ == 0) return;
    const auto text = fmt::format("\x1b[{}A\x1b[J", drawn_);
    (void)!::write(STDERR_FILENO, text.data(), text.size());
    drawn_ = 0;
    last_.reset();
}

void GroupPrinter::finish() {
    if (last_ && terminal_) draw(clock_.now());
    drawn_ = 0;
    last_.reset();
}

}  // namespace slipway::console
