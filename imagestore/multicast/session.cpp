// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/session.hpp"

#include <algorithm>

namespace slipway::multicast {

namespace {

constexpr unsigned kMostVain = 2;

}  // namespace

Session::Session(SessionOptions options, ChunkFeed feed, std::function<Key()> key, Instant now)
    : options_(std::move(options)), key_(std::move(key)), sender_(options_.sender, std::move(feed), now) {}

Session::Grant Session::join(const std::string& name, std::vector<bool> wanted, Instant now) {
    for (auto& [number, place] : places_)
        if (place.name == name) sender_.forget_receiver(number);
    std::erase_if(places_, [&](const auto& p) { return p.second.name == name; });
    const auto number = ++numbers_;
    auto& place = places_[number];
    place.name = name;
    place.wanted = std::move(wanted);
    place.wanted.resize(options_.sender.chunks);
    place.lacking = static_cast<std::uint32_t>(std::count(place.wanted.begin(), place.wanted.end(), true));
    place.told = state_ != SessionState::Sending;  // while a round runs it hears the rest of it
    const Grant grant{number, key_()};
    sender_.add_receiver(number, grant.key, now);
    if (state_ == SessionState::Waiting) {
        if (options_.start_after) start_at_ = std::min(start_at_, now + *options_.start_after);
        start_if_all_are_here(now);
    } else if (state_ == SessionState::Idle && place.lacking > 0) {
        start_at_ = std::min(start_at_, now + options_.gather);
    }
    return grant;
}

void Session::start_if_all_are_here(Instant now) {
    if (state_ != SessionState::Waiting || options_.start_receivers == 0) return;
    const auto here = std::count_if(places_.begin(), places_.end(), [](const auto& p) { return p.second.present; });
    if (here > 0 && static_cast<std::size_t>(here) >= options_.start_receivers) start_at_ = std::min(start_at_, now);
}

void Session::expect(unsigned receivers, Instant now) {
    options_.start_receivers = receivers;
    start_if_all_are_here(now);
}

Advice Session::tell(std::uint32_t number, std::vector<bool> wanted, bool asks_unicast, Instant now) {
    take_events(now);  // that it is moved aside may be the reason for which it speaks
    auto found = places_.find(number);
    if (found == places_.end() || !found->second.present) return Advice::Unicast;
    auto& place = found->second;
    place.wanted = std::move(wanted);
    place.wanted.resize(options_.sender.chunks);
    place.lacking = static_cast<std::uint32_t>(std::count(place.wanted.begin(), place.wanted.end(), true));
    // While a round runs it hears the rest of it, and tells again.
    place.told = state_ != SessionState::Sending || sender_.round_ends();
    if (place.lacking == 0) {
        sender_.remove_receiver(number);
        return Advice::Done;
    }
    if (place.aside == AsideReason::Silent)  // it was slow, and is there
        place.aside = mute() ? AsideReason::Mute : AsideReason::None;
    if (!asks_unicast) count_vain_rounds(place);
    if ((asks_unicast || place.vain >= kMostVain) && place.aside == AsideReason::None) {
        place.aside = asks_unicast ? AsideReason::Asked : AsideReason::Vain;
        sender_.remove_receiver(number);
    }
    if (place.aside != AsideReason::None) sender_.remove_receiver(number);
    // What the server cannot read the others lack as well: asking for it by name says what is wrong.
    bool only_unreadable = true;
    for (std::uint32_t c = 0; c < place.wanted.size(); ++c)
        if (place.wanted[c] && !unreadable_.contains(c)) only_unreadable = false;
    if (place.aside != AsideReason::None || only_unreadable || state_ == SessionState::Over) return Advice::Unicast;
    if (state_ == SessionState::Idle) start_at_ = std::min(start_at_, now + options_.gather);
    return Advice::Listen;
}

// Who hears that there is a session, but nothing of what is sent, would be sent to for ever.
void Session::count_vain_rounds(Place& place) {
    const auto lacked = std::exchange(place.lacked, 0);
    if (lacked > 0) place.vain = place.lacking < lacked ? 0 : place.vain + 1;
}

// Where one was heard, another gets in rounds what is sent. Of none there is no word of the line, so no rate.
bool Session::mute() const { return sender_.counts().reports == 0; }

void Session::leave(std::uint32_t number) {
    sender_.remove_receiver(number);
    if (auto found = places_.find(number); found != places_.end()) found->second.present = false;
}

void Session::finish(Instant now) {
    finishing_ = true;
    turn(now);
}

void Session::take_events(Instant now) {
    while (auto event = sender_.take_event()) {
        if (event->kind == SenderEvent::Kind::Unreadable) {
            unreadable_.insert(event->chunk);
            bad_.push_back({event->chunk, std::move(event->error)});
            continue;
        }
        auto found = places_.find(event->receiver);
        if (found == places_.end()) continue;
        auto& place = found->second;
        switch (event->kind) {
            case SenderEvent::Kind::Aside: place.aside = AsideReason::Loss; break;
            case SenderEvent::Kind::AsideDisk: place.aside = AsideReason::Disk; break;
            case SenderEvent::Kind::Gone: place.aside = AsideReason::Silent; break;
            case SenderEvent::Kind::Back:
                if (place.aside == AsideReason::Silent) place.aside = AsideReason::None;
                // What it lacks it has told before it fell silent; else it tells now.
                if (state_ == SessionState::Idle && place.told && place.lacking > 0)
                    start_at_ = std::min(start_at_, now + options_.gather);
                break;
            case SenderEvent::Kind::Unreadable: break;
        }
    }
}

unsigned Session::listeners() const {
    return static_cast<unsigned>(std::count_if(places_.begin(), places_.end(), [](const auto& p) {
        return p.second.present && p.second.aside == AsideReason::None && p.second.lacking > 0;
    }));
}

bool Session::anybody_told() const {
    return std::any_of(places_.begin(), places_.end(), [](const auto& p) {
        const auto& place = p.second;
        return place.present && place.told && place.aside == AsideReason::None && place.lacking > 0;
    });
}

bool Session::everybody_told() const {
    return std::all_of(places_.begin(), places_.end(), [](const auto& p) {
        const auto& place = p.second;
        return !place.present || place.told || place.aside != AsideReason::None || place.lacking == 0;
    });
}

std::vector<std::uint32_t> Session::union_of_wanted() const {
    std::vector<std::uint32_t> out;
    for (std::uint32_t c = 0; c < options_.sender.chunks; ++c) {
        if (unreadable_.contains(c)) continue;
        for (const auto& [number, place] : places_)
            if (place.present && place.told && place.aside == AsideReason::None && place.wanted[c]) {
                out.push_back(c);
                break;
            }
    }
    return out;
}

void Session::begin(Instant now) {
    auto chunks = union_of_wanted();
    start_at_ = Instant::max();
    if (chunks.empty()) {
        if (state_ == SessionState::Sending) sender_.begin_round({}, now);  // nothing of it goes on
        state_ = finishing_ ? SessionState::Over : SessionState::Idle;
        if (state_ == SessionState::Over) sender_.end(now);
        return;
    }
    for (auto& [number, place] : places_) {
        place.lacked = place.told && place.aside == AsideReason::None ? place.lacking : 0;
        place.told = false;
    }
    sender_.begin_round(std::move(chunks), now);
    state_ = SessionState::Sending;
}

void Session::turn(Instant now) {
    take_events(now);
    switch (state_) {
        case SessionState::Waiting:
        case SessionState::Idle:
            if (now >= start_at_ || finishing_) begin(now);
            break;
        case SessionState::Sending:
            if (listeners() == 0) {
                begin(now);  // the rest of this round is for nobody
                break;
            }
            if (!sender_.round_over(now)) break;
            state_ = SessionState::Asking;
            answers_until_ = now + options_.answer_within;
            [[fallthrough]];
        case SessionState::Asking:
            if (!everybody_told()) {
                if (now < answers_until_) break;
                answers_until_ = now + options_.answer_within;
                // Who is heard and has not told yet is slow: a later round has what it lacks. Who is not heard is
                // Gone before long.
                if (!anybody_told()) break;
            }
            begin(now);
            break;
        case SessionState::Over: break;
    }
}

std::optional<Bytes> Session::poll(Instant now) {
    turn(now);
    return sender_.poll(now);
}

Instant Session::deadline(Instant now) {
    auto next = std::min(sender_.deadline(now), start_at_);
    if (state_ == SessionState::Asking) next = std::min(next, answers_until_);
    return next;
}

std::vector<Session::Member> Session::members() const {
    std::vector<Member> out;
    for (const auto& [number, place] : places_) {
        const auto* view = sender_.receiver(number);
        out.push_back({place.name, number, place.lacking, place.aside, place.present, view ? *view : ReceiverView{}});
    }
    return out;
}

}  // namespace slipway::multicast
