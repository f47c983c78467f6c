// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/sender.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "imagestore/multicast/middle.hpp"

namespace slipway::multicast {

namespace {

constexpr std::chrono::milliseconds kJudge{500};
constexpr std::chrono::seconds kPatience{2};  // with one who holds the others up
constexpr std::chrono::seconds kPatienceAlone{10};
// Who is moved aside for its loss loses nine of ten of these as well: 120 kbit/s. After so long without a word it is
// assumed to have gone; with the next word it is told again.
constexpr std::chrono::milliseconds kAsideEvery{5};
constexpr std::chrono::seconds kAsideFor{3};
constexpr std::uint64_t kLeastHold = 1'000'000;  // bits a second, whatever is said of a disk
constexpr double kHopeless = 0.9;                // loss of one alone that is better served otherwise
constexpr unsigned kMaxAhead = 32;

// The chance that more than `spare` of n packets are lost.
double tail(unsigned n, unsigned spare, double loss) {
    double term = std::pow(1 - loss, n), sum = term;
    for (unsigned i = 1; i <= spare; ++i) {
        term *= loss / (1 - loss) * (n - i + 1) / i;
        sum += term;
    }
    return 1 - sum;
}

}  // namespace

Sender::Sender(SenderOptions options, ChunkFeed feed, Instant now)
    : options_(std::move(options)),
      feed_(std::move(feed)),
      seal_(options_.key),
      pace_(options_.pace, now),
      repairs_(options_.settle + options_.sync_every),
      next_sync_(now),
      next_judgement_(now + kJudge),
      next_look_(now + Pace::kReact) {}

void Sender::add_receiver(std::uint32_t number, const Key& key, Instant now) {
    forget_receiver(number);
    auto& member = audience_.emplace(number, Member{.seal = Seal(key)}).first->second;
    member.view.heard = member.telling_since = now;
    next_sync_ = std::min(next_sync_, now);
}

const ReceiverView* Sender::receiver(std::uint32_t number) const {
    for (const auto* where : {&audience_, &absent_, &parted_})
        if (auto found = where->find(number); found != where->end()) return &found->second.view;
    return nullptr;
}

void Sender::remove_receiver(std::uint32_t number) {
    for (auto* where : {&audience_, &absent_})
        if (auto member = where->extract(number)) parted_.insert(std::move(member));
    if (auto found = parted_.find(number); found != parted_.end()) found->second.sent_away = false;
    leaving_.erase(number);
}

void Sender::forget_receiver(std::uint32_t number) {
    for (auto* where : {&audience_, &absent_, &parted_}) where->erase(number);
    leaving_.erase(number);
}

// Moved aside: it is told so by multicast, which is what reaches it without delay, until it has asked its server.
void Sender::part(std::uint32_t number, Instant now) {
    remove_receiver(number);
    parted_.at(number).sent_away = true;
    leaving_[number] = now + kAsideFor;
    next_aside_ = now;
}

void Sender::begin_round(std::vector<std::uint32_t> chunks, Instant now) {
    chunks_ = std::move(chunks);
    position_ = settled_ = 0;
    once_.assign(chunks_.size(), {});
    settling_.clear();
    fresh_.reset();
    repairs_.clear();
    cursor_.clear();
    later_.clear();
    unreadable_.clear();
    ++round_;
    for (auto& [number, member] : audience_) member.view.round_complete = false;
    next_sync_ = now;
    ends_since_ = {};
}

void Sender::end(Instant now) {
    over_ = true;
    leaving_.clear();
    next_sync_ = now;
}

void Sender::pause(bool paused, Instant now) {
    if (std::exchange(paused_, paused) != paused) next_sync_ = now;
}

bool Sender::has_work() const {
    return !paused_ && !over_ && (fresh_ || position_ < chunks_.size() || repairs_.next() || !later_.empty());
}

void Sender::settle(Instant now) {
    while (!settling_.empty() && settling_.front().first + options_.settle <= now) {
        settled_ = settling_.front().second;
        settling_.pop_front();
    }
}

bool Sender::round_over(Instant now) {
    settle(now);
    if (has_work() || settled_ < chunks_.size() || !repairs_.idle(now)) {
        ends_since_ = {};
        return false;
    }
    if (ends_since_ == Instant{}) {
        ends_since_ = now;
        next_sync_ = std::min(next_sync_, now);
    }
    if (std::all_of(audience_.begin(), audience_.end(), [](auto& m) { return m.second.view.round_complete; }))
        return true;
    // Whoever lacks something has had three occasions to say so.
    return now - ends_since_ >= std::chrono::milliseconds(3 * kEndBeats * backoff());
}

std::shared_ptr<const Bytes> Sender::chunk_bytes(std::uint32_t chunk) {
    for (auto it = cache_.begin(); it != cache_.end(); ++it)
        if (it->chunk == chunk) {
            cache_.splice(cache_.begin(), cache_, it);
            return it->bytes;
        }
    auto read = feed_(chunk);
    if (!read || read->empty()) {
        unreadable_.insert(chunk);
        repairs_.drop_chunk(chunk);
        later_.erase(chunk);
        SenderEvent event{SenderEvent::Kind::Unreadable, 0, chunk, {}};
        if (!read) event.error = std::move(read).error();
        events_.push_back(std::move(event));
        return nullptr;
    }
    auto bytes = std::make_shared<const Bytes>(*std::move(read));
    cache_.push_front({chunk, bytes});
    cached_ += bytes->size();
    while (cached_ > options_.cache && cache_.size() > 1) {
        cached_ -= cache_.back().bytes->size();
        cache_.pop_back();
    }
    return bytes;
}

// As many parity symbols as nine of ten receivers will need.
unsigned Sender::ahead_of(unsigned k) const {
    std::vector<double> losses;
    for (const auto& [number, member] : audience_) losses.push_back(member.view.loss);
    if (losses.empty()) return 0;
    const auto ninth = losses.begin() + static_cast<std::ptrdiff_t>((losses.size() - 1) * 9 / 10);
    std::nth_element(losses.begin(), ninth, losses.end());
    const auto loss = std::min(*ninth, 0.3);
    if (loss < 0.001) return 0;
    unsigned ahead = 0;
    while (ahead < kMaxAhead && tail(k + ahead, ahead, loss) > 0.1) ++ahead;
    return ahead;
}

bool Sender::next_fresh() {
    while (position_ < chunks_.size()) {
        const auto chunk = chunks_[position_];
        auto bytes = chunk_bytes(chunk);
        if (!bytes) {
            ++position_;
            continue;
        }
        Partition partition(static_cast<std::uint32_t>(bytes->size()), options_.symbol_bytes);
        const auto ahead = ahead_of(partition.source_symbols(0));
        once_[position_] = {partition.length(), ahead};
        fresh_ = Fresh{chunk, std::move(bytes), partition, ahead, 0, 0};
        return true;
    }
    return false;
}

// The same symbol of each block in turn: a burst of loss is spread over them.
std::optional<Bytes> Sender::fresh_packet(Instant now) {
    while (fresh_ || next_fresh()) {
        auto& f = *fresh_;
        while (f.symbol < f.partition.source_symbols(0) + f.ahead) {
            while (f.block < f.partition.blocks()) {
                const auto block = f.block++;
                const auto k = f.partition.source_symbols(block);
                if (f.symbol >= k + f.ahead) continue;
                ++(f.symbol < k ? counts_.source_symbols : counts_.ahead_symbols);
                return data_packet(f.chunk, *f.bytes, f.partition, block, f.symbol);
            }
            f.block = 0;
            ++f.symbol;
        }
        ++position_;
        settling_.emplace_back(now, position_);
        fresh_.reset();
    }
    if (settled_ < chunks_.size() && settling_.empty()) settling_.emplace_back(now, chunks_.size());
    return std::nullopt;
}

std::optional<Bytes> Sender::repair_packet(Instant now) {
    while (const auto task = repairs_.next()) {
        const auto bytes = chunk_bytes(task->chunk);
        if (!bytes) continue;  // it was dropped
        const Partition partition(static_cast<std::uint32_t>(bytes->size()), options_.symbol_bytes);
        const auto k = partition.source_symbols(task->block);
        const auto* once = sent_once(task->chunk);
        auto [at, first] = cursor_.try_emplace({task->chunk, task->block}, k + (once ? once->ahead : 0));
        const auto symbol = at->second >= kMaxSymbols ? 0 : at->second;
        at->second = symbol + 1;
        repairs_.sent({task->chunk, task->block, 1}, now);
        ++counts_.repair_symbols;
        return data_packet(task->chunk, *bytes, partition, task->block, symbol);
    }
    return std::nullopt;
}

// Whoever stood still for seconds has missed whole chunks: the others do not wait for those.
std::optional<Bytes> Sender::later_packet(Instant now) {
    while (!later_.empty()) {
        const auto chunk = *later_.begin();
        later_.erase(later_.begin());
        const auto* once = sent_once(chunk);
        if (!once) continue;
        const Partition partition(once->length, options_.symbol_bytes);
        for (unsigned b = 0; b < partition.blocks(); ++b)
            repairs_.want(chunk, static_cast<std::uint16_t>(b), static_cast<std::uint8_t>(partition.source_symbols(b)),
                          now);
        if (auto packet = repair_packet(now)) return packet;
    }
    return std::nullopt;
}

Bytes Sender::data_packet(std::uint32_t chunk, const Bytes& bytes, const Partition& partition, unsigned block,
                          unsigned symbol) {
    const auto k = partition.source_symbols(block);
    Bytes space(options_.symbol_bytes);
    auto source = [&](unsigned i, Bytes& padded) -> ByteView {
        const auto view = ByteView(bytes).subspan(partition.offset(block, i), partition.bytes(block, i));
        if (view.size() == options_.symbol_bytes) return view;
        padded.assign(options_.symbol_bytes, std::byte{0});
        std::copy(view.begin(), view.end(), padded.begin());
        return padded;
    };
    DataBody body{chunk, static_cast<std::uint16_t>(block), static_cast<std::uint16_t>(symbol), partition.length(), {}};
    Bytes padded;
    if (symbol < k) {
        body.payload = source(symbol, padded);
    } else {
        std::vector<ByteView> all;
        for (unsigned i = 0; i < k; ++i) all.push_back(source(i, padded));  // only the chunk's last one is padded
        const std::span<std::byte> out(space);
        make_parity(all, symbol - k, std::span(&out, 1));
        body.payload = space;
    }
    ByteWriter writer;
    write_body(body, writer);
    return sealed(PacketType::Data, writer.view());
}

Bytes Sender::sealed(PacketType type, ByteView body) {
    auto packet = seal_.close({type, options_.clear, kSenderSource, options_.session, number_++}, body);
    ++counts_.packets;
    counts_.bytes += packet.size() + options_.per_packet;
    return packet;
}

std::uint16_t Sender::backoff() const {
    return static_cast<std::uint16_t>(std::clamp<std::size_t>(audience_.size(), 20, 500));
}

std::chrono::milliseconds Sender::three_beats() const { return std::chrono::milliseconds(3 * kHeartbeats * backoff()); }

Bytes Sender::sync_packet(Instant now) {
    settle(now);
    SyncBody body;
    const bool ends = round_ends();
    body.state = over_     ? SyncState::Over
                 : paused_ ? SyncState::Paused
                 : ends    ? SyncState::RoundEnds
                           : SyncState::Running;
    body.round = round_ & 0xffffff;
    body.rate_kbits = static_cast<std::uint32_t>(std::min<std::uint64_t>(pace_.rate() / 1000, UINT32_MAX));
    body.next = settled_ == chunks_.size() ? options_.chunks : settled_ == 0 ? 0 : chunks_[settled_ - 1] + 1;
    body.backoff_ms = backoff();
    body.known = repairs_.known(now);
    for (const auto chunk : later_) {
        if (body.known.size() == kMaxDeficits) break;
        body.known.push_back({chunk, kWholeChunk, 255});
    }
    next_sync_ = over_ ? Instant::max() : now + options_.sync_every;
    ByteWriter writer;
    write_body(body, writer);
    return sealed(PacketType::Sync, writer.view());
}

std::optional<Bytes> Sender::aside_packet(Instant now) {
    std::erase_if(leaving_, [&](const auto& entry) { return entry.second <= now; });
    if (leaving_.empty() || now < next_aside_) return std::nullopt;
    next_aside_ = now + kAsideEvery;
    AsideBody body;
    for (const auto& [number, until] : leaving_)
        if (body.receivers.size() < kMaxAside) body.receivers.push_back(number);
    ByteWriter writer;
    write_body(body, writer);
    return sealed(PacketType::Aside, writer.view());
}

std::optional<Bytes> Sender::poll(Instant now) {
    if (now >= next_judgement_) judge(now);
    if (now < pace_.ready()) return std::nullopt;
    std::optional<Bytes> packet;
    if (now >= next_sync_) packet = sync_packet(now);
    else if (!(packet = aside_packet(now)) && !paused_ && !over_ && !unheard_ && !(packet = repair_packet(now)) &&
             !(packet = fresh_packet(now)))
        packet = later_packet(now);
    if (!packet) return packet;
    pace_.spend(packet->size() + options_.per_packet, now);
    note_sent(now);
    return packet;
}

Instant Sender::deadline(Instant now) {
    auto next = std::min(next_sync_, next_judgement_);
    if (!leaving_.empty()) next = std::min(next, next_aside_);
    if (has_work() && !unheard_) next = now;
    else if (!settling_.empty()) next = std::min(next, settling_.front().first + options_.settle);
    return std::max(next, pace_.ready());
}

std::optional<SenderEvent> Sender::take_event() {
    if (events_.empty()) return std::nullopt;
    auto event = std::move(events_.front());
    events_.pop_front();
    return event;
}

void Sender::on_packet(ByteView packet, Instant now) {
    const auto header = parse_header(packet);
    if (!header || header->type != PacketType::Report || header->session != options_.session || header->clear) {
        ++counts_.malformed;
        return;
    }
    auto* member = speaker(*header);
    if (!member) {
        ++counts_.forged;
        return;
    }
    if (!member->window.fresh(header->number)) {
        ++counts_.replayed;
        return;
    }
    const auto inner = member->seal.open(*header, packet);
    if (!inner) {
        ++counts_.forged;
        return;
    }
    member->window.pass(header->number);
    const auto body = parse_body(header->type, *inner);
    if (!body) {
        ++counts_.malformed;
        return;
    }
    if (auto parted = parted_.find(header->source); parted != parted_.end()) {
        ++counts_.late;
        if (parted->second.sent_away && !over_) part(header->source, now);
        return;
    }
    ++counts_.reports;
    if (absent_.contains(header->source)) welcome_back(header->source, now);
    on_report(*speaker(*header), std::get<ReportBody>(*body), now);
}

Sender::Member* Sender::speaker(const Header& header) {
    for (auto* where : {&audience_, &absent_, &parted_})
        if (auto found = where->find(header.source); found != where->end()) return &found->second;
    return nullptr;
}

// Its machine stood still, or its way to us was broken. What it missed it says itself, now or at the round's end.
void Sender::welcome_back(std::uint32_t number, Instant now) {
    auto back = absent_.extract(number);
    auto& member = back.mapped();
    member.view.heard = now;
    member.bad_since.reset();
    member.slow_since.reset();
    audience_.insert(std::move(back));
    events_.push_back({SenderEvent::Kind::Back, number, 0, {}});
}

void Sender::on_report(Member& member, const ReportBody& report, Instant now) {
    auto& view = member.view;
    view.heard = now;
    note_told(member, report, now);
    if (unheard_) unheard_ = most_are_silent(now);
    view.room_kib = report.room_kib;
    view.written_kib = report.written_kib;
    view.disk_behind = report.disk_behind;
    view.round_complete = report.round_complete;
    if (report.expected > 0 && report.expected <= number_) {
        const auto received = std::min(report.received, report.expected);
        const auto loss = 1 - static_cast<double>(received) / report.expected;
        // A hundred packets say a tenth of what there is to say.
        const auto weight = std::min(0.5, report.expected / 1000.0);
        view.loss += weight * (loss - view.loss);
    }
    note_losses(member, report);
    look_at_losses(now);
    if (!report.disk_behind) member.slow_since.reset();
    else slow_for(member, now);
    // Of one who is about to be moved aside nothing is repaired.
    if (view.loss > loss_limit_) return;
    for (const auto& deficit : report.wanted) want(deficit, now);
}

// As fast as the slowest of the disks that are behind, but for those that are better served otherwise.
void Sender::slow_for(Member& behind, Instant now) {
    const auto least = (usual_take() + 1) / 2;
    if (behind.view.written_kib < least) {
        if (!behind.slow_since) behind.slow_since = now;
        return;
    }
    behind.slow_since.reset();
    auto slowest = behind.view.written_kib;
    for (const auto& [number, member] : audience_)
        if (const auto& view = member.view; view.disk_behind && view.written_kib >= least)
            slowest = std::min(slowest, view.written_kib);
    pace_.hold_to(std::max(kLeastHold, std::uint64_t{slowest} * 8192),
                  now + std::chrono::milliseconds(2 * kLossBeats * backoff()));
}

// KiB a second, that the middle disk takes: where all are slow, none of them is moved aside. Not more than there is; of
// those that have not written yet, as much.
std::uint32_t Sender::usual_take() const {
    const auto sent = static_cast<std::uint32_t>(std::min<std::uint64_t>(pace_.rate_without_hold() / 8192, UINT32_MAX));
    std::vector<std::uint32_t> takes;
    for (const auto& [number, member] : audience_)
        takes.push_back(member.view.written_kib > 0 ? std::min(member.view.written_kib, sent) : sent);
    return middle_of(std::move(takes));
}

const Sender::SentOnce* Sender::sent_once(std::uint32_t chunk) const {
    const auto end = chunks_.begin() + static_cast<std::ptrdiff_t>(position_);
    const auto at = std::lower_bound(chunks_.begin(), end, chunk);
    if (at == end || *at != chunk || unreadable_.contains(chunk)) return nullptr;
    const auto& once = once_[static_cast<std::size_t>(at - chunks_.begin())];
    return once.length ? &once : nullptr;
}

void Sender::want(const Deficit& deficit, Instant now) {
    const auto* once = sent_once(deficit.chunk);
    if (!once) return;
    const Partition partition(once->length, options_.symbol_bytes);
    bool more = false;
    if (deficit.block == kWholeChunk) {
        more = !repairs_.concerns(deficit.chunk, now) && later_.insert(deficit.chunk).second;
    } else if (deficit.block < partition.blocks()) {
        const auto k = partition.source_symbols(deficit.block);
        more =
            repairs_.want(deficit.chunk, deficit.block, std::min(deficit.missing, static_cast<std::uint8_t>(k)), now);
    }
    // Soon enough that others need not say the same.
    if (more) next_sync_ = std::min(next_sync_, now + std::chrono::milliseconds(backoff() / 4));
}

void Sender::judge(Instant now) {
    next_judgement_ = now + kJudge;
    std::vector<double> losses;
    for (const auto& [number, member] : audience_) losses.push_back(member.view.loss);
    if (losses.empty()) return;
    const bool alone = audience_.size() == 1;
    loss_limit_ = alone ? kHopeless : std::max(0.3, 2 * middle_of(std::move(losses)) + 0.1);
    const auto patience = alone ? kPatienceAlone : kPatience;
    const auto silence = std::max(options_.silence, three_beats());
    for (auto it = audience_.begin(); it != audience_.end();) {
        auto& [number, member] = *it;
        std::optional<SenderEvent::Kind> why;
        if (member.view.loss <= loss_limit_) member.bad_since.reset();
        else if (!member.bad_since) member.bad_since = now;
        if (now - member.view.heard > silence) why = SenderEvent::Kind::Gone;
        else if (member.bad_since && now - *member.bad_since >= patience) why = SenderEvent::Kind::Aside;
        else if (!alone && member.slow_since && now - *member.slow_since >= patience)
            why = SenderEvent::Kind::AsideDisk;
        if (!why) {
            ++it;
            continue;
        }
        events_.push_back({*why, number, 0, {}});
        const auto leaves = it++;
        if (why == SenderEvent::Kind::Gone) absent_.insert(audience_.extract(leaves));
        else part(leaves->first, now);
    }
    // No news is bad news: it goes on at half the rate.
    if (!std::exchange(unheard_, most_are_silent(now)) && unheard_ && pace_.on_lag(0)) rate_since_ = number_;
}

// Where most stand still for a moment, as virtual machines of one busy host do, the sender does as well, until they
// are heard or Gone.
bool Sender::most_are_silent(Instant now) const {
    const auto silent = std::count_if(audience_.begin(), audience_.end(),
                                      [&](const auto& m) { return now - m.second.view.heard > three_beats(); });
    return static_cast<std::size_t>(silent) * 2 > audience_.size();
}

}  // namespace slipway::multicast
