// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "deploy-server/distribution/distribution.hpp"
#include "deploy-server/distribution/errors.hpp"
#include "deploy-server/errors.hpp"

namespace slipway::server {

namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 250ms;   // at the clock, and at who is at work
constexpr auto kLongest = 40s;  // a question waits; agents take a silence of 60 s for death

}  // namespace

void Distribution::ask(Question q) {
    const auto now = Instant::clock::now();
    const auto key = q.task.key;
    Waiting answer{key, std::move(q.asker), q.bytes, 0, now + kLongest, std::move(q.send), std::move(q.refuse), false};
    std::optional<Waiting> former;
    std::optional<Error> refused;
    {
        std::lock_guard hold(mutex_);
        if (stopped_) {
            refused = make_error(errors::kBusy, "the server stops");
        } else if (!under_way_.may_ask(key)) {
            refused =
                make_error(errors::kStillAnswering, "{} answers for {} are still on their way", UnderWay::kOfOne, key);
        } else {
            auto& machine = unicast_of(q.task, q.peer_address, now);
            auto& row = rows_.at({machine.job, machine.interface});
            former = give_up_former(row, machine, key, now);
            const bool was_idle = !machine.active(now);
            machine.last = now;
            machine.bytes += answer.bytes;
            if (was_idle) share(now);
            answer.place = row.meter.add(answer.bytes, now);
            if (row.waiting.empty() && row.meter.due(answer.place, now) <= now && under_way_.has_room(answer.bytes)) {
                row.bytes += answer.bytes;
                under_way_.begin(key, answer.asker, answer.bytes);
            } else {
                row.use.held();
                ++machine.waiting;
                row.waiting.push_back(std::move(answer));
                answer.send = nullptr;
                wake_.notify_all();
            }
        }
    }
    if (former) former->refuse(make_error(errors::kAskedAgain, "the machine has asked again meanwhile"));
    if (refused) answer.refuse(*refused);
    else if (answer.send) hand_over(answer);
    forget_if_over(key);
}

// An agent has one question at a time: the former one's connection is dead, or it is somebody else's.
std::optional<Distribution::Waiting> Distribution::give_up_former(Row& row, Unicast& machine, const std::string& key,
                                                                  Instant now) {
    const auto former =
        std::find_if(row.waiting.begin(), row.waiting.end(), [&](const auto& w) { return w.key == key; });
    if (former == row.waiting.end()) return std::nullopt;
    auto out = std::move(*former);
    for (auto behind = row.waiting.erase(former); behind != row.waiting.end(); ++behind)
        behind->place -= static_cast<double>(out.bytes);
    row.meter.take_back(out.bytes, now);
    --machine.waiting;
    machine.bytes -= out.bytes;
    return out;
}

std::vector<Distribution::Waiting> Distribution::take_due(Instant now) {
    std::vector<Waiting> out;
    for (auto& [key, row] : rows_)
        while (!row.waiting.empty()) {
            auto& first = row.waiting.front();
            const bool late = first.latest <= now;
            const bool room = under_way_.has_room(first.bytes);
            if (!late && (!room || row.meter.due(first.place, now) > now)) break;
            auto& machine = unicasts_.at(first.key);
            machine.last = now;
            --machine.waiting;
            first.no_room = !room;
            if (room) {
                row.bytes += first.bytes;
                under_way_.begin(first.key, first.asker, first.bytes);
            }
            out.push_back(std::move(first));
            row.waiting.pop_front();
        }
    forget_those_that_are_over();
    return out;
}

std::vector<Distribution::Waiting> Distribution::take_all() {
    std::vector<Waiting> out;
    for (auto& [key, row] : rows_) {
        for (auto& w : row.waiting) {
            --unicasts_.at(w.key).waiting;
            out.push_back(std::move(w));
        }
        row.waiting.clear();
    }
    return out;
}

// Who waits for memory is looked at when an answer has been delivered.
Instant Distribution::next_due(Instant now) {
    if (sessions_.empty() && unicasts_.empty()) return now + 3600s;
    auto next = now + kLook;
    for (auto& [key, row] : rows_) {
        if (row.waiting.empty()) continue;
        const auto& first = row.waiting.front();
        next = std::min(next, first.latest);
        if (under_way_.has_room(first.bytes)) next = std::min(next, row.meter.due(first.place, now));
    }
    return next;
}

void Distribution::delivered(const std::string& asker) {
    std::lock_guard hold(mutex_);
    under_way_.end(asker);
    wake_.notify_all();
}

void Distribution::hand_over(Waiting& answer) {
    if (answer.no_room) answer.refuse(make_error(errors::kBusy, "the answers to other machines are not read"));
    else if (!answer.send()) delivered(answer.asker);
}

void Distribution::read() {
    std::unique_lock lock(mutex_);
    while (true) {
        read_wake_.wait(lock, [this] { return stopped_ || !reads_.empty(); });
        if (reads_.empty()) return;
        auto next = std::move(reads_.front());
        reads_.pop_front();
        lock.unlock();
        hand_over(next);
        lock.lock();
    }
}

}  // namespace slipway::server
