// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/receiver.hpp"

#include <algorithm>
#include <utility>

namespace slipway::multicast {

namespace {

constexpr std::uint64_t kReordered = 8;  // a packet may be overtaken by so many
// Its disk's speed is that of so long, or of so many chunks: caches make the first ones fast.
constexpr std::chrono::seconds kWroteWithin{2};
constexpr std::size_t kWroteMost = 256;

std::size_t overhead_of(const Partition& partition) { return 512 + std::size_t{partition.blocks()} * 512; }

}  // namespace

ReceiverCounts& ReceiverCounts::operator+=(const ReceiverCounts& o) {
    for (auto count : {&ReceiverCounts::packets, &ReceiverCounts::bytes, &ReceiverCounts::lost, &ReceiverCounts::forged,
                       &ReceiverCounts::replayed, &ReceiverCounts::foreign, &ReceiverCounts::malformed,
                       &ReceiverCounts::useless, &ReceiverCounts::repaired, &ReceiverCounts::given_up,
                       &ReceiverCounts::refused, &ReceiverCounts::left_out, &ReceiverCounts::reports})
        this->*count += o.*count;
    return *this;
}

Receiver::Receiver(ReceiverOptions options, std::vector<bool> wanted, Instant now)
    : options_(std::move(options)),
      session_(options_.session_key),
      own_(options_.own_key),
      random_(options_.seed),
      wanted_(std::move(wanted)),
      held_(wanted_.size()),
      passed_(wanted_.size()),
      lacking_(static_cast<std::uint32_t>(std::count(wanted_.begin(), wanted_.end(), true))),
      heard_(now),
      last_report_(now),
      report_number_(options_.first_report) {}

void Receiver::on_packet(ByteView packet, Instant now) {
    const auto header = parse_header(packet);
    if (!header) {
        ++counts_.malformed;
        return;
    }
    if (header->session != options_.session || header->source != kSenderSource) {
        ++counts_.foreign;
        return;
    }
    if (!window_.fresh(header->number)) {
        ++counts_.replayed;
        return;
    }
    const auto inner = header->clear == options_.clear ? session_.open(*header, packet) : std::nullopt;
    if (!inner) {
        ++counts_.forged;
        return;
    }
    note_number(header->number);
    window_.pass(header->number);
    ++counts_.packets;
    counts_.bytes += packet.size();
    heard_ = now;
    const auto body = parse_body(header->type, *inner);
    if (!body) ++counts_.malformed;
    else if (const auto* data = std::get_if<DataBody>(&*body)) on_data(*data, now);
    else if (const auto* sync = std::get_if<SyncBody>(&*body)) on_sync(*sync, now);
    else if (const auto* aside = std::get_if<AsideBody>(&*body))
        sent_away_ |=
            std::find(aside->receivers.begin(), aside->receivers.end(), options_.number) != aside->receivers.end();
}

// Which packets came, by blocks: the sender compares them between receivers.
void Receiver::note_number(std::uint64_t number) {
    const auto before = window_.newest();
    const auto block = number / kToldPackets, bit = std::uint64_t{1} << number % kToldPackets;
    if (!before) {
        first_number_ = number;
        told_block_ = told_before_ = block;  // the rest of it went by before it listened
    } else if (number > *before) {
        for (auto b = std::max(*before / kToldPackets + 1, block - std::min<std::uint64_t>(block, kKept)); b <= block;
             ++b)
            came_[b % kKept] = 0;
        if (number > *before + 1) {
            newest_lost_block_ = (number - 1) / kToldPackets;
            if (!lost_block_) lost_block_ = (*before + 1) / kToldPackets;
        }
    } else if (*before / kToldPackets - block >= kKept) {
        return;
    }
    came_[block % kKept] |= bit;
}

// The newest of which nothing more is to come.
std::optional<std::uint64_t> Receiver::whole_block() const {
    const auto newest = window_.newest().value_or(0);
    if (newest < kToldPackets + kReordered) return std::nullopt;
    const auto block = (newest - kReordered + 1) / kToldPackets - 1;
    return block > first_number_ / kToldPackets ? std::optional(block) : std::nullopt;
}

// What the last report told as well, which may have been lost.
void Receiver::tell_losses(ReportBody& body) {
    const auto newest = whole_block();
    if (!newest) return;
    while (body.stride < kMaxStride && std::uint64_t{kToldBlocks} << body.stride < *newest - told_before_)
        ++body.stride;
    const auto step = std::uint64_t{1} << body.stride;
    const auto oldest =
        std::max(first_number_ / kToldPackets + 1, *newest - std::min<std::uint64_t>(*newest, kKept / 2));
    body.block = *newest / step * step;
    for (auto b = body.block; b >= oldest && body.lost.size() < kToldBlocks; b -= step) {
        body.lost.push_back(~came_[b % kKept]);
        if (b < step) break;
    }
    told_before_ = std::exchange(told_block_, *newest);
    if (lost_block_ && *lost_block_ <= *newest)
        lost_block_ = newest_lost_block_ > *newest ? std::optional(newest_lost_block_) : std::nullopt;
}

void Receiver::on_data(const DataBody& data, Instant now) {
    const bool sound = data.chunk < wanted_.size() && data.length > 0 && data.length <= options_.max_chunk &&
                       data.payload.size() == options_.symbol_bytes && data.symbol < kMaxSymbols;
    if (!sound) {
        ++counts_.malformed;
        return;
    }
    if (!wanted_[data.chunk] || held_[data.chunk] || passed_[data.chunk]) {
        ++counts_.useless;
        return;
    }
    if (disk_behind_ && !told_behind_ && sync_) wish_to_speak(now);
    if (room_ == 0) {
        ++counts_.left_out;
        give_up(data.chunk);
        return;
    }
    auto* open = open_for(data);
    if (!open) return;
    if (!add_symbol(*open, data)) {
        ++counts_.useless;
        return;
    }
    last_data_ = now;
    auto& block = open->blocks[data.block];
    if (block.numbers.size() == open->partition.source_symbols(data.block)) complete_block(*open, data.block);
    if (open->undone == 0) finish(data.chunk);
    else make_room(0, data.chunk);
}

Receiver::Open* Receiver::open_for(const DataBody& data) {
    if (auto found = open_.find(data.chunk); found != open_.end()) {
        auto& open = found->second;
        if (open.partition.length() == data.length && data.block < open.partition.blocks()) return &open;
        ++counts_.malformed;
        return nullptr;
    }
    Partition partition(data.length, options_.symbol_bytes);
    if (data.block >= partition.blocks()) {
        ++counts_.malformed;
        return nullptr;
    }
    const auto memory = data.length + overhead_of(partition);
    if (!make_room(memory, data.chunk)) return nullptr;
    unheard_.erase(data.chunk);
    auto& open = open_[data.chunk];
    open.partition = partition;
    open.bytes.resize(data.length);
    open.blocks.resize(partition.blocks());
    open.undone = partition.blocks();
    open.memory = memory;
    used_ += memory;
    return &open;
}

// The oldest unfinished chunk goes first, and that may be the one there is to be room for: false then.
bool Receiver::make_room(std::size_t bytes, std::uint32_t chunk) {
    while (used_ + bytes > options_.memory) {
        const bool oldest = open_.empty() || chunk <= open_.begin()->first;
        const auto victim = oldest ? chunk : open_.begin()->first;
        ++counts_.given_up;
        give_up(victim);
        if (victim == chunk) return false;
    }
    return true;
}

void Receiver::give_up(std::uint32_t chunk) {
    passed_[chunk] = true;
    unheard_.erase(chunk);
    if (auto found = open_.find(chunk); found != open_.end()) {
        used_ -= found->second.memory;
        open_.erase(found);
    }
}

bool Receiver::add_symbol(Open& open, const DataBody& data) {
    auto& block = open.blocks[data.block];
    if (block.done || std::find(block.numbers.begin(), block.numbers.end(), data.symbol) != block.numbers.end())
        return false;
    const auto k = open.partition.source_symbols(data.block);
    if (data.symbol < k) {
        std::copy_n(data.payload.begin(), open.partition.bytes(data.block, data.symbol),
                    open.bytes.begin() + open.partition.offset(data.block, data.symbol));
    } else {
        block.parity.emplace(data.symbol, Bytes(data.payload.begin(), data.payload.end()));
        open.memory += data.payload.size();
        used_ += data.payload.size();
    }
    block.numbers.push_back(data.symbol);
    return true;
}

void Receiver::complete_block(Open& open, unsigned number) {
    auto& block = open.blocks[number];
    const auto& partition = open.partition;
    const auto k = partition.source_symbols(number);
    const auto size = partition.symbol_bytes();
    // The chunk's last symbol is shorter in its place than it was sent.
    Bytes padded(size);
    auto place = [&](unsigned i) {
        auto at = std::span(open.bytes).subspan(partition.offset(number, i), partition.bytes(number, i));
        return at;
    };
    std::vector<Symbol> have;
    for (const auto symbol : block.numbers) {
        if (symbol >= k) {
            have.push_back({symbol, block.parity.at(symbol)});
        } else if (const auto at = place(symbol); at.size() == size) {
            have.push_back({symbol, at});
        } else {
            std::copy(at.begin(), at.end(), padded.begin());
            have.push_back({symbol, padded});
        }
    }
    std::vector<std::uint16_t> wanted;
    std::vector<std::span<std::byte>> out;
    for (std::uint16_t i = 0; i < k; ++i) {
        if (std::find(block.numbers.begin(), block.numbers.end(), i) != block.numbers.end()) continue;
        wanted.push_back(i);
        const auto at = place(i);
        out.push_back(at.size() == size ? at : std::span<std::byte>(padded));
    }
    (void)restore(k, have, wanted, out);  // k different symbols: it cannot fail
    if (!wanted.empty())
        if (const auto last = place(wanted.back()); last.size() < size)
            std::copy_n(padded.begin(), last.size(), last.begin());
    counts_.repaired += wanted.size();
    const auto freed = block.parity.size() * size;
    open.memory -= freed;
    used_ -= freed;
    block.parity.clear();
    block.done = true;
    --open.undone;
}

void Receiver::finish(std::uint32_t chunk) {
    auto& open = open_.at(chunk);
    used_ -= open.memory;
    used_ += open.bytes.size();
    whole_.push_back({chunk, std::move(open.bytes)});
    open_.erase(chunk);
    held_[chunk] = true;
}

std::optional<Receiver::Whole> Receiver::take() {
    if (whole_.empty()) return std::nullopt;
    auto out = std::move(whole_.front());
    whole_.pop_front();
    used_ -= out.encoded.size();
    return out;
}

void Receiver::set_room(std::size_t bytes) {
    room_ = bytes;
    most_room_ = std::max(most_room_, bytes);
    disk_behind_ |= bytes < most_room_ / 2 || bytes == 0;
}

std::vector<bool> Receiver::lacked() const {
    auto out = wanted_;
    for (std::size_t c = 0; c < out.size(); ++c) out[c] = out[c] && !held_[c];
    return out;
}

void Receiver::stored(std::uint32_t chunk) {
    if (!held_[chunk]) return;
    held_[chunk] = false;
    wanted_[chunk] = false;
    --lacking_;
}

void Receiver::refused(std::uint32_t chunk) {
    if (!held_[chunk]) return;
    held_[chunk] = false;
    passed_[chunk] = true;  // not a second time in this round
    ++counts_.refused;
}

void Receiver::begin_round() {
    std::fill(passed_.begin(), passed_.end(), false);
    unheard_.clear();
    scanned_ = 0;
    told_complete_ = false;
}

void Receiver::look_up_to(std::uint32_t next) {
    const auto end = std::min<std::uint32_t>(next, static_cast<std::uint32_t>(wanted_.size()));
    for (; scanned_ < end; ++scanned_)
        if (wanted_[scanned_] && !held_[scanned_] && !passed_[scanned_] && !open_.contains(scanned_))
            unheard_.insert(scanned_);
}

void Receiver::on_sync(const SyncBody& sync, Instant now) {
    const bool first = !sync_;
    if (!first && sync_->round != sync.round) begin_round();
    sync_ = sync;
    sync_->backoff_ms = std::max<std::uint16_t>(sync.backoff_ms, 1);
    look_up_to(sync.next);
    if (first)  // these went by before it listened
        while (!unheard_.empty()) give_up(*unheard_.begin());
    if (!deficits().empty() || (round_complete() && !told_complete_)) wish_to_speak(now);
}

bool Receiver::known(const Deficit& deficit) const {
    return std::any_of(sync_->known.begin(), sync_->known.end(), [&](const Deficit& k) {
        return k.chunk == deficit.chunk &&
               (k.block == kWholeChunk || (k.block == deficit.block && k.missing >= deficit.missing));
    });
}

// What it may ask for now, and the sender does not know yet.
std::vector<Deficit> Receiver::deficits() const {
    std::vector<Deficit> out;
    auto add = [&](const Deficit& deficit) {
        if (out.size() < kMaxDeficits && !known(deficit)) out.push_back(deficit);
    };
    for (const auto chunk : unheard_) {
        if (out.size() == kMaxDeficits) return out;
        add({chunk, kWholeChunk, 255});
    }
    for (const auto& [chunk, open] : open_) {
        if (chunk >= sync_->next || out.size() == kMaxDeficits) break;
        for (unsigned b = 0; b < open.blocks.size(); ++b)
            if (const auto& block = open.blocks[b]; !block.done)
                add({chunk, static_cast<std::uint16_t>(b),
                     static_cast<std::uint8_t>(open.partition.source_symbols(b) - block.numbers.size())});
    }
    return out;
}

bool Receiver::round_complete() const {
    return sync_ && sync_->state == SyncState::RoundEnds && unheard_.empty() && open_.empty();
}

void Receiver::wish_to_speak(Instant now) {
    if (speak_) return;
    speak_ = now + std::chrono::microseconds(random_.below(std::uint64_t{sync_->backoff_ms} * 1000));
}

Instant Receiver::next_beat() const {
    const bool has_lost = lost_block_ && lost_block_ <= whole_block();
    const auto beats = sync_->state == SyncState::RoundEnds ? kEndBeats
                       : has_lost || disk_behind_           ? kLossBeats
                                                            : kHeartbeats;
    return last_report_ + std::chrono::milliseconds(beats * sync_->backoff_ms);
}

Instant Receiver::deadline() const {
    if (!sync_ || sync_->state == SyncState::Over) return Instant::max();
    return speak_ ? std::min(*speak_, next_beat()) : next_beat();
}

std::optional<Bytes> Receiver::poll(Instant now) {
    if (now < deadline()) return std::nullopt;
    const bool beat = now >= next_beat();
    if (std::exchange(speak_, std::nullopt) && !beat && deficits().empty() && (told_complete_ || !round_complete()) &&
        (told_behind_ || !disk_behind_))
        return std::nullopt;  // another one has asked for as much
    return report(now);
}

void Receiver::add_written(std::size_t bytes, Instant::duration took, Instant now) {
    wrote_.push_back({now, bytes, took});
    if (wrote_.size() > kWroteMost) wrote_.pop_front();
}

// While it writes; so it is the disk's, however little comes. One that does not come to an end is that slow at least.
std::uint32_t Receiver::disk_kib(Instant now) {
    while (wrote_.size() > 1 && now - wrote_.front().at > kWroteWithin) wrote_.pop_front();
    if (wrote_.empty()) return 0;
    double bytes = 0, seconds = 1e-6;
    const auto in_seconds = [](Instant::duration d) { return std::chrono::duration<double>(d).count(); };
    for (const auto& w : wrote_) bytes += static_cast<double>(w.bytes), seconds += in_seconds(w.took);
    auto rate = bytes / seconds;
    const auto& last = wrote_.back();
    if (disk_behind_)
        rate = std::min(rate, static_cast<double>(last.bytes) / std::max(1e-6, in_seconds(now - last.at)));
    return static_cast<std::uint32_t>(std::clamp(rate / 1024, 1.0, 4e9));
}

Bytes Receiver::report(Instant now) {
    ReportBody body;
    body.newest = window_.newest().value_or(0);
    const auto expected = body.newest - first_number_ + 1;
    body.received = static_cast<std::uint32_t>(counts_.packets - std::exchange(packets_told_, counts_.packets));
    body.expected = static_cast<std::uint32_t>(expected - std::exchange(expected_told_, expected));
    counts_.lost = expected - std::min(expected, counts_.packets);
    tell_losses(body);
    body.held_ms = static_cast<std::uint16_t>(
        std::clamp<std::int64_t>(std::chrono::floor<std::chrono::milliseconds>(now - heard_).count(), 0, UINT16_MAX));
    body.room_kib = static_cast<std::uint32_t>(
        std::min<std::size_t>(room_, options_.memory - std::min(used_, options_.memory)) / 1024);
    last_report_ = now;
    body.written_kib = disk_kib(now);
    body.disk_behind = told_behind_ = std::exchange(disk_behind_, false);
    body.round_complete = round_complete();
    told_complete_ = body.round_complete;
    body.wanted = deficits();
    ByteWriter writer;
    write_body(body, writer);
    ++counts_.reports;
    return own_.close({PacketType::Report, false, options_.number, options_.session, report_number_++}, writer.view());
}

}  // namespace slipway::multicast
