// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/distribution.hpp"

#include <openssl/rand.h>

#include <algorithm>

#include "deploy-server/distribution/route.hpp"
#include "deploy-server/errors.hpp"
#include "imagestore/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

namespace {

constexpr std::chrono::seconds kSilence{4};   // of all machines; the sender gives them up after five
constexpr std::size_t kOver = 10'000;         // tasks; no call is on its way while so many end
constexpr std::uint32_t kSymbolBytes = 1376;  // with all headers below 1500, and a multiple of 32

template <std::size_t N>
std::array<std::byte, N> secret() {
    std::array<std::byte, N> out{};
    // Without random numbers there are no keys, and nothing may be sent.
    if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) != 1)
        throw std::runtime_error("no random numbers");
    return out;
}

std::string digest_of(const imagestore::ManifestBytes& manifest) {
    Bytes digest(32);
    if (manifest.size() < digest.size() || !manifest.read(manifest.size() - digest.size(), digest)) return "";
    return to_hex(digest);
}

std::string parameter(const HeldTask& task, const char* name) {
    auto found = task.parameters.find(name);
    return found == task.parameters.end() ? "" : found->second;
}

}  // namespace

bool Distribution::is_over(const std::string& key) const {
    std::lock_guard hold(mutex_);
    return over_.contains(key);
}

// A call was let in while the task ran, and has noted something for it only now.
void Distribution::forget_if_over(const std::string& key) {
    if (is_over(key)) forget(key);
}

// However it is left, the others wait no longer.
struct Distribution::Beginning {
    Distribution& all;
    const Sessions::key_type& key;
    ~Beginning() {
        std::lock_guard hold(all.mutex_);
        all.beginning_.erase(key);
        all.begun_.notify_all();
    }
};

// It counts as `coming` in the session that is found or made.
Result<std::shared_ptr<Distribution::Session>> Distribution::session_for(const Seat& seat) {
    if (parameter(seat.task, "multicast") == "off")
        return make_error(errors::kNoMulticast, "the task says multicast=off");
    auto audience = TRY(audience_of(db_, seat.task.job));
    const Sessions::key_type key{audience.job, seat.digest};
    {
        std::unique_lock lock(mutex_);
        begun_.wait(lock, [&] { return !beginning_.contains(key); });
        if (!settings_.multicast) return make_error(errors::kNoMulticast, "multicast is switched off here");
        if (stopped_) return make_error(errors::kNoMulticast, "the server stops");
        if (auto found = sessions_.find(key); found != sessions_.end()) {
            ++found->second->coming;
            return found->second;
        }
        beginning_.insert(key);
    }
    const Beginning until_then{*this, key};
    return begin(seat, std::move(audience));
}

Result<std::shared_ptr<Distribution::Session>> Distribution::begin(const Seat& seat, Audience audience) {
    const auto machines = TRY(machines_of(db_, audience));
    if (machines < 2) return make_error(errors::kNoMulticast, "one machine alone is served by unicast");
    auto session = std::make_shared<Session>();
    session->job = audience.job;
    session->audience = std::move(audience);
    const auto ref = TRY(imagestore::ImageRef::parse(parameter(seat.task, "image")));
    session->manifest = TRY(store_.manifest(ref));
    if (digest_of(*session->manifest) != seat.digest)
        return make_error(errors::kNoMulticast, "the machine lays down another version of {}", ref.text());
    session->image = ref.text();
    session->plan = std::make_shared<const imagestore::ChunkPlan>(TRY(imagestore::ChunkPlan::of(*session->manifest)));
    session->id = ByteReader(secret<8>()).be64();
    multicast::Sending::Options o;
    auto& sender = o.session.sender;
    {
        std::lock_guard hold(mutex_);
        const auto route = TRY(route_for(settings_, seat.peer_address));
        session->interface = route.channel;
        o.on = route.on;
        o.ttl = settings_.ttl;
        o.reports = {settings_.report_first, settings_.report_last};
        o.session.start_after = std::chrono::seconds(settings_.wait_seconds);
        session->start_machines = settings_.start_machines;
        o.session.start_receivers = session->waits_for(machines);
        session->ceiling = job_rate(settings_, day_minute(clock_.wall()));
        sender.pace = {session->ceiling, settings_.adaptive, 20'000'000};
        o.group = {route.first_group.plus(next_ % multicast::kGroups), settings_.port};
        ++next_;
    }
    sender.session = session->id;
    sender.key = secret<32>();
    sender.clear = parameter(seat.task, "nonetencrypt") == "true";
    sender.chunks = session->plan->size();
    sender.symbol_bytes = kSymbolBytes;
    auto feed = [&store = store_, plan = session->plan](std::uint32_t chunk) { return store.get(plan->id(chunk)); };
    auto sending = TRY(multicast::Sending::start(std::move(o), std::move(feed), secret<32>));
    std::lock_guard hold(mutex_);
    if (stopped_) return make_error(errors::kNoMulticast, "the server stops");
    session->sending = std::move(sending);
    session->coming = 1;
    sessions_[{session->job, seat.digest}] = session;
    recall_rate(session->job);
    share(Instant::clock::now());
    look_after();
    log::info("server", "job {}: multicast of {} to {} from {} begins", session->job, session->image,
              session->sending->options().group.text(), session->sending->options().on.address.text());
    return session;
}

// Nobody waits for machines that do not come any more.
void Distribution::look_in_on_sessions(Instant now) {
    std::vector<std::shared_ptr<Session>> all;
    {
        std::lock_guard hold(mutex_);
        for (const auto& [key, session] : sessions_) all.push_back(session);
    }
    for (const auto& session : all) {
        note_silence(*session, now);
        if (session->sending->pulse().state != multicast::SessionState::Waiting) continue;
        if (const auto machines = machines_of(db_, session->audience))
            session->sending->expect(session->waits_for(*machines));
    }
}

// Who hears the group reports within a second, and who does not says so by the agent channel after three.
void Distribution::note_silence(Session& session, Instant now) {
    const auto pulse = session.sending->pulse();
    if (pulse.listeners == 0 || pulse.reports > 0) session.silent_since.reset();
    else if (!session.silent_since) session.silent_since = now;
    if (!session.silent_since || now - *session.silent_since < kSilence || session.noted_silence || !note_) return;
    session.noted_silence = true;
    note_(session.job, "warning",
          fmt::format("no machine's report has arrived at UDP port {} of {}: a firewall may keep them away (see "
                      "`slipway distribution set --report-ports`), or the multicast of {} reaches none of them",
                      session.sending->report_port(), session.sending->options().on.address.text(), session.image));
}

Status Distribution::take_seat(const Seat& seat, Session& session, std::string_view wanted,
                               multicast::Session::Grant& grant) {
    auto bits = channel::parse_bitmap(wanted, session.plan->size());
    if (bits) grant = session.sending->join(seat.device, std::move(*bits));
    std::shared_ptr<Session> ended;  // goes without the lock
    std::lock_guard hold(mutex_);
    --session.coming;
    if (bits) session.seats[seat.task.key] = grant.number;
    else ended = drop_if_empty(session);
    if (!bits) return std::move(bits).error();
    return {};
}

std::shared_ptr<Distribution::Session> Distribution::drop_if_empty(const Session& session) {
    if (!session.seats.empty() || session.coming > 0) return nullptr;
    const auto found =
        std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& s) { return s.second.get() == &session; });
    if (found == sessions_.end()) return nullptr;
    auto out = std::move(found->second);
    sessions_.erase(found);
    return out;
}

Result<channel::MulticastInvitation> Distribution::join(const Seat& seat, std::string_view wanted) {
    auto session = TRY(session_for(seat));
    multicast::Session::Grant grant;
    auto seated = take_seat(seat, *session, wanted, grant);
    forget_if_over(seat.task.key);
    if (!seated) return std::move(seated).error();
    const auto& o = session->sending->options();
    return channel::MulticastInvitation{o.group.group,
                                        o.on.address,
                                        o.group.port,
                                        session->sending->report_port(),
                                        session->id,
                                        grant.number,
                                        kSymbolBytes,
                                        o.session.sender.clear,
                                        o.session.sender.key,
                                        grant.key,
                                        address_of_peer(seat.peer_address)};
}

std::shared_ptr<Distribution::Session> Distribution::session_of(const std::string& key) {
    std::lock_guard hold(mutex_);
    for (auto& [name, session] : sessions_)
        if (session->seats.contains(key)) return session;
    return nullptr;
}

void Distribution::note_bad_chunks(Session& session) {
    for (const auto& bad : session.sending->take_bad_chunks())
        if (note_)
            note_(session.job, "error",
                  fmt::format("chunk {} of {} cannot be read; the multicast goes on without it, each machine asks for "
                              "it once more: {}",
                              session.plan->id(bad.chunk).text(), session.image,
                              bad.error ? bad.error->describe() : "it is empty"));
}

Result<std::string> Distribution::tell(const HeldTask& task, std::string_view wanted, bool asks_unicast) {
    const auto session = session_of(task.key);
    if (!session) return std::string("join");  // the server has started again
    auto bits = TRY(channel::parse_bitmap(wanted, session->plan->size()));
    std::uint32_t number = 0;
    {
        std::lock_guard hold(mutex_);
        const auto seat = session->seats.find(task.key);
        if (seat == session->seats.end()) return std::string("join");  // the task has ended meanwhile
        number = seat->second;
    }
    note_bad_chunks(*session);
    switch (session->sending->tell(number, std::move(bits), asks_unicast)) {
        case multicast::Advice::Listen: return std::string("listen");
        case multicast::Advice::Unicast: return std::string("unicast");
        case multicast::Advice::Done: return std::string("done");
        case multicast::Advice::Join: return std::string("join");
    }
    return std::string("unicast");
}

void Distribution::task_over(const std::string& key) {
    {
        std::lock_guard hold(mutex_);
        if (over_.insert(key).second) over_in_order_.push_back(key);
        if (over_in_order_.size() > kOver) {
            over_.erase(over_in_order_.front());
            over_in_order_.pop_front();
        }
    }
    forget(key);
}

void Distribution::forget(const std::string& key) {
    heard_.forget(key);
    std::shared_ptr<Session> session, ended;
    std::optional<Waiting> question;
    std::uint32_t number = 0;
    {
        std::lock_guard hold(mutex_);
        const auto now = Instant::clock::now();
        if (auto found = unicasts_.find(key); found != unicasts_.end()) {
            auto& machine = found->second;
            machine.over = true;
            question = give_up_former(rows_.at({machine.job, machine.interface}), machine, key, now);
        }
        for (const auto& [name, one] : sessions_) {
            auto seat = one->seats.find(key);
            if (seat == one->seats.end()) continue;
            session = one;
            number = seat->second;
            session->seats.erase(seat);
            break;
        }
        if (session) ended = drop_if_empty(*session);
        forget_those_that_are_over();
        share(now);
    }
    if (question) question->refuse(make_error(errors::kNotYourTask, "the task has ended"));
    if (session) {
        session->sending->leave(number);
        note_bad_chunks(*session);
    }
    if (ended) log::info("server", "job {}: the multicast of {} is over", ended->job, ended->image);
}

std::vector<Distribution::View> Distribution::sessions() {
    std::vector<std::pair<std::shared_ptr<Session>, std::uint64_t>> all;
    {
        std::lock_guard hold(mutex_);
        for (const auto& [key, session] : sessions_) all.emplace_back(session, session->ceiling);
    }
    std::vector<View> out;
    for (const auto& [s, ceiling] : all) {
        note_bad_chunks(*s);
        out.push_back({s->id, s->job, s->image, s->sending->options().group, s->sending->options().on.address,
                       s->sending->report_port(), s->plan->size(), ceiling, s->sending->look()});
    }
    std::lock_guard hold(mutex_);
    for (std::size_t i = 0; i < all.size(); ++i)
        for (const auto& [key, number] : all[i].first->seats) out[i].tasks[number] = key;
    return out;
}

}  // namespace slipway::server
