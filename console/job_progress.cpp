// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/job_progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "console/rest_client.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace json = boost::json;

namespace {

constexpr const char* kSilent = "  (its agent is silent)";

// Of all machines. What share is done counts them alike, whatever each of them says of itself: one that begins, or
// ends, must not take it back.
struct Sum {
    double share = 0;  // of each 0 to 1
    bool known = false;
    std::uint64_t rate = 0, left = 0;
    std::size_t unfinished = 0, foreseen = 0;  // those of them that say when they will be ready
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

bool is_true(const json::value& object, const char* name) {
    const auto* value = member(object, name);
    return value && value->is_bool() && value->get_bool();
}

bool is_silent(const json::value& job) {
    const auto* step = text_at(job, "state") == "running" ? running_step(job) : nullptr;
    return step && is_true(*step, "agent_lost");
}

// How much of a step is done. An image that is laid down and being verified is laid down.
double share_of(const json::value& step) {
    const auto state = text_at(step, "state");
    if (state == "done" || state == "skipped" || state == "failed") return 1;
    const auto* progress = member(step, "progress");
    if (state != "running" || !progress || !progress->is_object()) return 0;
    const auto what = text_at(*progress, "what");
    if (what == "verifying") return 1;
    const auto total = number_at(*progress, "total");
    if (total == 0 || what == "comparing") return 0;
    return std::min(1.0, static_cast<double>(number_at(*progress, "done")) / static_cast<double>(total));
}

// What takes the time is the image; where there is none, all steps count alike. One that has ended, ill or well, has
// nothing left to do.
void add_machine(const json::value& job, Sum& sum) {
    const auto state = text_at(job, "state");
    const auto& steps = array_at(job, "steps");
    const auto carries = [](const json::value& step) {
        const auto type = text_at(step, "type");
        return type == "deploy-image" || type == "capture-image";
    };
    const bool images = std::any_of(steps.begin(), steps.end(), carries);
    double share = 0, count = 0;
    for (const auto& step : steps) {
        const auto* progress = member(step, "progress");
        sum.known = sum.known || carries(step) || (progress && progress->is_object());
        if (images && !carries(step)) continue;
        share += share_of(step);
        ++count;
    }
    if (state != "queued" && state != "running") {
        sum.share += 1;
        return;
    }
    ++sum.unfinished;
    if (count > 0) sum.share += share / count;
    const auto* step = state == "running" && !is_silent(job) ? running_step(job) : nullptr;
    const auto* progress = step ? member(*step, "progress") : nullptr;
    if (!progress || !progress->is_object()) return;
    const auto rate = number_at(*progress, "rate"), left = number_at(*progress, "seconds_left");
    sum.rate += rate;
    sum.left = std::max(sum.left, left);
    sum.foreseen += rate > 0;
}

// "  67 %  36.0 MiB/s  ETA 2m": when the last of them is ready, if all that are not yet say so.
std::string text_of(const Sum& sum, std::size_t machines) {
    if (!sum.known || machines == 0) return "";
    auto percent = static_cast<unsigned>(sum.share * 100 / static_cast<double>(machines) + 1e-6);
    if (sum.unfinished) percent = std::min(percent, 99u);
    return fmt::format("  {:>3} %", percent) + rate_and_left(sum.rate, sum.foreseen == sum.unfinished ? sum.left : 0);
}

// What a machine does now, without its name.
std::string doing(const json::value& job) {
    const auto state = text_at(job, "state");
    if (state == "queued") return "waits";
    if (state == "failed") return "failed  " + failure_of(job);
    if (state != "running") return printable(state);
    const auto* step = running_step(job);
    if (!step) return "between steps";
    auto out = printable(text_at(*step, "type"));
    if (const auto text = progress_text(*step); !text.empty()) out += "  " + text;
    if (is_silent(job)) out += kSilent;
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

// silent: devices whose agents are; they get nothing in either way.
std::string session_line(const json::value& session, const std::set<std::string>& silent) {
    std::size_t there = 0, aside = 0, gone = 0;
    for (const auto& device : array_at(session, "devices")) {
        if (!is_true(device, "present")) continue;
        ++there;
        if (silent.contains(text_at(device, "device"))) ++gone;
        else aside += !text_at(device, "unicast").empty();
    }
    auto out = fmt::format("multicast of {}: {}, round {}, {:.1f} Mbit/s, {} sent",
                           printable(text_at(session, "image")), printable(text_at(session, "state")),
                           number_at(session, "round"), static_cast<double>(number_at(session, "rate")) / 1e6,
                           human_bytes(number_at(session, "sent_bytes")));
    if (aside) out += fmt::format("; {} of {} by unicast", aside, there);
    if (gone) out += fmt::format("; {} of {} silent", gone, there);
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
    if (is_true(step, "agent_lost")) return out;
    return out + rate_and_left(number_at(*progress, "rate"), number_at(*progress, "seconds_left"));
}

std::string one_line(const json::value& job) {
    for (const auto& child : array_at(job, "children"))
        if (auto line = one_line(child); !line.empty()) return line;
    const auto* step = running_step(job);
    auto text = step ? progress_text(*step) : std::string();
    return text.empty() ? text : printable(text_at(*step, "type")) + "  " + text + (is_silent(job) ? kSilent : "");
}

std::vector<std::string> group_lines(const json::value& job) {
    const auto& children = array_at(job, "children");
    if (children.size() < 2) return {};
    std::vector<std::string> out;
    Sum sum;
    std::set<std::string> silent;
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
        out.push_back(fmt::format("{:<{}}  {}{}", name_of(child), width, doing(child),
                                  heard_text(sessions, text_at(child, "device"))));
        ++states[text_at(child, "state")];
        if (is_silent(child)) silent.insert(text_at(child, "device"));
        add_machine(child, sum);
    }
    for (const auto& session : sessions.get_array()) out.push_back(session_line(session, silent));
    std::vector<std::string> words;
    for (auto [state, word] : {std::pair{"done", "done"},
                               {"running", "at work"},
                               {"queued", "waiting"},
                               {"failed", "failed"},
                               {"cancelled", "cancelled"}})
        if (states[state]) words.push_back(fmt::format("{} {}", states[state], word));
    const auto all = fmt::format("{:<{}}  {}", fmt::format("all {}", children.size()), width, join(words, ", "));
    out.push_back(all + text_of(sum, children.size()));
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
