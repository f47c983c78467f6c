// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/distribution.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>

#include "deploy-server/distribution/route.hpp"
#include "deploy-server/errors.hpp"
#include "imagestore/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

namespace {

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

// The job that the machines of a group have in common, and how many of them may come at a time. Jobs that run one after
// the other, as those of a migration do, are of one machine.
static Result<std::pair<std::int64_t, unsigned>> audience_of(Database& db, const HeldTask& task) {
    const auto job = TRY(db.job(task.job));
    if (!job || job->parent == 0) return std::pair{task.job, 1u};
    const auto parent = TRY(db.job(job->parent));
    if (!parent || parent->mode != JobMode::Parallel) return std::pair{task.job, 1u};
    const auto most = parent->max_parallel ? parent->max_parallel : UINT_MAX;
    unsigned machines = 0;
    for (const auto id : TRY(db.children(job->parent))) {
        const auto child = TRY(db.job(id));
        using sequences::RunState;
        machines += child && (child->state == RunState::Queued || child->state == RunState::Running);
    }
    return std::pair{job->parent, std::min(machines, most)};
}

Result<std::shared_ptr<Distribution::Session>> Distribution::session_for(const Seat& seat) {
    if (parameter(seat.task, "multicast") == "off")
        return make_error(errors::kNoMulticast, "the task says multicast=off");
    const auto [job, machines] = TRY(audience_of(db_, seat.task));
    {
        std::lock_guard hold(mutex_);
        if (!settings_.multicast) return make_error(errors::kNoMulticast, "multicast is switched off here");
        if (stopped_) return make_error(errors::kNoMulticast, "the server stops");
        if (auto found = sessions_.find({job, seat.digest}); found != sessions_.end()) return found->second;
    }
    if (machines < 2) return make_error(errors::kNoMulticast, "one machine alone is served by unicast");
    return begin(seat, job, machines);
}

Result<std::shared_ptr<Distribution::Session>> Distribution::begin(const Seat& seat, std::int64_t job,
                                                                   unsigned machines) {
    auto session = std::make_shared<Session>();
    session->job = job;
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
        o.session.start_after = std::chrono::seconds(settings_.wait_seconds);
        o.session.start_receivers = settings_.start_machines ? std::min(settings_.start_machines, machines) : machines;
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
    // Two of a job may have come at once: the first one's session is everybody's.
    auto& place = sessions_[{job, seat.digest}];
    if (!place) {
        session->sending = std::move(sending);
        place = session;
        share(Instant::clock::now());
        look_after();
        log::info("server", "job {}: multicast of {} to {} from {} begins", job, session->image,
                  session->sending->options().group.text(), session->sending->options().on.address.text());
    }
    return place;
}

Result<channel::MulticastInvitation> Distribution::join(const Seat& seat, std::string_view wanted) {
    auto session = TRY(session_for(seat));
    auto bits = TRY(channel::parse_bitmap(wanted, session->plan->size()));
    const auto grant = session->sending->join(seat.device, std::move(bits));
    {
        std::lock_guard hold(mutex_);
        session->seats[seat.task.key] = grant.number;
    }
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
        number = session->seats[task.key];
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
    heard_.forget(key);
    std::shared_ptr<Session> session, ended;
    std::uint32_t number = 0;
    {
        std::lock_guard hold(mutex_);
        if (auto found = unicasts_.find(key); found != unicasts_.end()) found->second.over = true;
        for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
            auto seat = it->second->seats.find(key);
            if (seat == it->second->seats.end()) continue;
            session = it->second;
            number = seat->second;
            session->seats.erase(seat);
            if (session->seats.empty()) {
                ended = session;
                sessions_.erase(it);
            }
            break;
        }
        share(Instant::clock::now());
    }
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
                       s->plan->size(), ceiling, s->sending->look()});
    }
    std::lock_guard hold(mutex_);
    for (std::size_t i = 0; i < all.size(); ++i)
        for (const auto& [key, number] : all[i].first->seats) out[i].tasks[number] = key;
    return out;
}

}  // namespace slipway::server
