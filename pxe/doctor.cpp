// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/doctor.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "pxe/errors.hpp"
#include "pxe/loaders.hpp"

namespace slipway::pxe {

using dhcp::MessageType;
using std::chrono::seconds;

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::Booted: return "booted";
        case Outcome::LocalDisk: return "local-disk";
        case Outcome::Underway: return "underway";
        case Outcome::Failed: return "failed";
    }
    return "?";
}

namespace {

// How long the next hop may take before it counts as failed.
constexpr seconds kNone{0}, kAgain{5}, kDhcp{15}, kStall{10}, kStart{30}, kKernelStart{120};
constexpr seconds kPause{60};       // without a packet: what comes then is another boot
constexpr seconds kClockError{60};  // of a machine's clock: more is worth saying

// A link that loses more than this is sick; the odd lost block is not.
constexpr std::uint64_t kLostBlocks = 10, kLostPercent = 3;

enum class FileKind { Loader, Script, Kernel, Ramdisk };
FileKind kind_of_file(std::string_view file) {
    if (file.starts_with("boot/kernel")) return FileKind::Kernel;
    if (file.starts_with("boot/ramdisk")) return FileKind::Ramdisk;
    if (file.starts_with("boot/script") || file.starts_with("grub/")) return FileKind::Script;
    return FileKind::Loader;
}

bool is_uefi(Arch arch) { return arch != Arch::Bios; }

// Whether firmware of that architecture can start a file of that name; true when the name does not say.
bool suits(std::string_view file, Arch arch) {
    auto name = to_lower(file.substr(file.rfind('/') + 1));
    if (const auto* loader = loader_row(name)) {
        const auto* client = row_of(arch);
        return client && client->firmware == loader->firmware;
    }
    auto ends = [&](std::string_view end) { return name.ends_with(end); };
    if (!is_uefi(arch)) return !ends(".efi");
    return !ends(".kpxe") && !ends(".pxe") && !ends(".0") && !ends(".kkpxe") && !ends(".bin");
}

bool lossy(const Transfer& t) { return t.lost_blocks >= kLostBlocks && t.lost_blocks * 100 >= t.blocks * kLostPercent; }

// Quirk: EDK2 ends its first read with error 8 as soon as it knows the size, others with 0; then it asks again.
bool is_question_of_size(const Transfer& t) {
    return t.stage == Stage::Broken && t.bytes == 0 && t.why.starts_with("the client ended it");
}

template <typename T>
struct Seen {
    const T* what = nullptr;
    std::uint64_t id = 0;
    WallTime time{};
    explicit operator bool() const { return what != nullptr; }
    const T* operator->() const { return what; }
};

// One boot, digested.
struct Story {
    WallTime first, last;
    Seen<Heard> discover, request, chosen, ipxe_chose, kernel_spoke, system;
    Seen<Overheard> other_pxe, address;
    Seen<Answered> answered, ipxe_answered;
    Seen<Silence> silence;
    Seen<ScriptGiven> script;
    Seen<TlsRefused> tls;
    Seen<Trouble> trouble;
    Seen<Enrolment> enrolment;
    Seen<Ready> ready;
    std::optional<Arch> arch;  // of the firmware
    bool ipxe = false;
    std::vector<Seen<Transfer>> transfers;  // the last word on each file, in the order they were first asked for

    Seen<Transfer> last_of(FileKind kind) const {
        Seen<Transfer> out;
        for (const auto& t : transfers)
            if (kind_of_file(t->file) == kind && (!out || t.id > out.id)) out = t;
        return out;
    }
    bool whole(FileKind kind) const {
        return std::any_of(transfers.begin(), transfers.end(),
                           [&](const auto& t) { return kind_of_file(t->file) == kind && t->stage == Stage::Whole; });
    }
    // The newest one that is not whole.
    Seen<Transfer> open() const {
        Seen<Transfer> out;
        for (const auto& t : transfers)
            if (!out || t.id > out.id) out = t;
        return out && out->stage != Stage::Whole ? out : Seen<Transfer>{};
    }
};

bool contains(const std::vector<Ipv4Address>& list, Ipv4Address address) {
    return std::find(list.begin(), list.end(), address) != list.end();
}

class Digest {
public:
    Digest(Story& story, const BootContext& context) : s_(story), context_(context) {}

    void take(const BootEvent& e) {
        if (std::holds_alternative<Uploaded>(e.detail)) return;
        id_ = e.id;
        time_ = s_.last = e.time;
        std::visit([this](const auto& d) { on(d); }, e.detail);
    }

private:
    template <typename T>
    Seen<T> seen(const T& what) const {
        return {&what, id_, time_};
    }

    void on(const Heard& h) {
        if (!h.boots) {
            s_.system = seen(h);
            if (s_.whole(FileKind::Kernel)) s_.kernel_spoke = seen(h);
            return;
        }
        if (h.ipxe) s_.ipxe = true;
        else if (h.arch) s_.arch = h.arch;
        if (h.type == MessageType::Discover && (!s_.discover || !h.ipxe)) s_.discover = seen(h);
        if (h.type != MessageType::Request) return;
        (h.port == 67 ? s_.chosen : s_.request) = seen(h);
        if (h.ipxe) s_.ipxe_chose = seen(h);
    }
    void on(const Overheard& o) {
        if (!o.given.is_zero()) s_.address = seen(o);
        bool ours = contains(context_.ours, o.server) || contains(context_.ours, o.next_server);
        if (o.pxe && !ours && !s_.other_pxe) s_.other_pxe = seen(o);
    }
    void on(const Answered& a) {
        s_.silence = {};
        (s_.ipxe ? s_.ipxe_answered : s_.answered) = seen(a);
    }
    void on(const Silence& a) { s_.silence = seen(a); }
    void on(const Transfer& t) {
        if (is_question_of_size(t)) {
            std::erase_if(s_.transfers, [&](const auto& have) { return same(*have.what, t); });
            return;
        }
        auto have = std::find_if(s_.transfers.begin(), s_.transfers.end(),
                                 [&](const auto& other) { return same(*other.what, t); });
        if (have == s_.transfers.end()) s_.transfers.push_back(seen(t));
        else *have = seen(t);
    }
    void on(const ScriptGiven& g) {
        s_.script = seen(g);
        s_.tls = {};
        s_.trouble = {};
        s_.enrolment = {};
    }
    void on(const TlsRefused& t) { s_.tls = seen(t); }
    void on(const Trouble& t) { s_.trouble = seen(t); }
    void on(const Enrolment& e) {
        s_.enrolment = seen(e);
        s_.tls = {};
        s_.trouble = {};
    }
    void on(const Ready& r) { s_.ready = seen(r); }
    void on(const Uploaded&) {}

    static bool same(const Transfer& a, const Transfer& b) { return a.file == b.file && a.http == b.http; }

    Story& s_;
    const BootContext& context_;
    std::uint64_t id_ = 0;
    WallTime time_;
};

// ---- the rules: from the last hop to the first, and the first rule that speaks is right

struct Verdict {
    const FindingRow* row;
    std::string text;
    std::vector<std::uint64_t> evidence;
    seconds patience = kNone;
};
using Rule = std::optional<Verdict> (*)(const Story&, const BootContext&);

std::vector<std::uint64_t> ids(std::initializer_list<std::uint64_t> list) {
    std::vector<std::uint64_t> out;
    for (auto id : list)
        if (id) out.push_back(id);
    return out;
}

std::optional<Verdict> token_refused(const Story& s, const BootContext&) {
    if (!s.enrolment || s.enrolment->error.empty()) return std::nullopt;
    const auto& error = s.enrolment->error;
    const auto& row = error == "server.not-controlled"   ? findings::kNotControlled
                      : error == "server.unknown-device" ? findings::kUnknownDevice
                                                         : findings::kToken;
    return Verdict{&row, s.enrolment->text, ids({s.script.id, s.enrolment.id})};
}

std::string span_text(std::chrono::milliseconds off) {
    auto length = static_cast<std::uint64_t>(std::abs(std::chrono::duration_cast<seconds>(off).count()));
    constexpr std::uint64_t kDay = 86400;
    if (length >= 2 * kDay) return fmt::format("{} days", length / kDay);
    return human_duration(length);
}

bool mentions(const std::string& text, std::initializer_list<std::string_view> words) {
    auto lower = to_lower(text);
    return std::any_of(words.begin(), words.end(), [&](auto w) { return lower.find(w) != std::string::npos; });
}

std::optional<std::string> clock_error(const Story& s) {
    if (!s.trouble || !s.trouble->clock) return std::nullopt;
    auto off = std::chrono::duration_cast<std::chrono::milliseconds>(*s.trouble->clock - s.trouble.time);
    if (std::chrono::abs(off) < kClockError) return std::nullopt;
    return fmt::format("the machine's clock is off by {}: it says {}, {} the server's clock", span_text(off),
                       iso8601(*s.trouble->clock), off.count() < 0 ? "behind" : "ahead of");
}

std::optional<Verdict> tls_failed(const Story& s, const BootContext&) {
    if (!s.tls && !s.trouble) return std::nullopt;
    auto evidence = ids({s.tls.id, s.trouble.id});
    auto text = (s.tls ? s.tls->why : std::string()) + (s.tls && s.trouble ? "; " : "") +
                (s.trouble ? s.trouble->text : std::string());
    if (auto off = clock_error(s)) return Verdict{&findings::kClock, *off + " (" + text + ")", evidence};
    if (mentions(text, {"not yet valid", "expired"})) return Verdict{&findings::kClock, text, evidence};
    if (mentions(text, {"unknown ca", "self-signed", "self signed", "local issuer"}))
        return Verdict{&findings::kOtherCa, text, evidence};
    // Half a handshake may be anybody who looks at the port.
    return Verdict{&findings::kTls, text, evidence, s.trouble ? kNone : kKernelStart};
}

std::optional<Verdict> kernel_without_agent(const Story& s, const BootContext& c) {
    if (!s.whole(FileKind::Kernel) || !s.whole(FileKind::Ramdisk)) return std::nullopt;
    auto kernel = s.last_of(FileKind::Kernel), ramdisk = s.last_of(FileKind::Ramdisk);
    if (s.open()) return std::nullopt;
    if (s.kernel_spoke)
        return Verdict{&findings::kNoAgent,
                       fmt::format("'{}' and '{}' were fetched and the machine asked for an address since ({}), but no "
                                   "agent called",
                                   kernel->file, ramdisk->file, describe(*s.kernel_spoke.what)),
                       ids({kernel.id, ramdisk.id, s.kernel_spoke.id}), kKernelStart};
    auto text = fmt::format("'{}' and '{}' were fetched whole, and its network card was not heard since", kernel->file,
                            ramdisk->file);
    if (!c.without_driver.empty()) text += "; the ramdisk has no driver for " + join(c.without_driver, ", ");
    else if (!c.cards.empty()) text += "; its inventory has the cards " + join(c.cards, ", ");
    else text += "; there is no inventory of it, so its ids are not known";
    return Verdict{&findings::kNoDriver, text, ids({kernel.id, ramdisk.id}), kKernelStart};
}

std::optional<std::string> sick_link(const BootContext& c) {
    for (const auto& link : c.links) {
        if (link.half_duplex)
            return fmt::format("the server's {} runs at half duplex ({} Mbit/s)", link.interface, link.speed_mbit);
        if (link.speed_mbit > 0 && link.speed_mbit < 100)
            return fmt::format("the server's {} runs at {} Mbit/s", link.interface, link.speed_mbit);
    }
    return std::nullopt;
}

std::string loss_text(const Transfer& t) {
    return fmt::format("'{}': {} of {} blocks had to be sent again on the way", t.file, t.lost_blocks, t.blocks);
}

std::optional<Verdict> transfer_failed(const Story& s, const BootContext& c) {
    auto t = s.open();
    if (!t) return std::nullopt;
    auto evidence = ids({t.id});
    if (t->stage == Stage::Refused)
        return Verdict{&findings::kFileNotFound, fmt::format("{} '{}': {}", t->http ? "HTTP" : "TFTP", t->file, t->why),
                       evidence, kAgain};
    auto patience = t->stage == Stage::Broken ? kAgain : kStall;
    if (lossy(*t.what)) return Verdict{&findings::kLink, loss_text(*t.what), evidence, patience};
    if (auto link = sick_link(c)) return Verdict{&findings::kLink, *link, evidence, patience};
    auto text = fmt::format("{} '{}' stopped at byte {}", t->http ? "HTTP" : "TFTP", t->file, t->bytes);
    if (t->size) text += fmt::format(" of {}", t->size);
    if (!t->why.empty()) text += ": " + t->why;
    return Verdict{&findings::kStalled, text, evidence, patience};
}

std::optional<Verdict> wrong_file(const Story& s, const BootContext&) {
    auto loader = s.last_of(FileKind::Loader);
    if (!loader || !s.arch || s.script || s.ipxe || loader->stage == Stage::Refused || suits(loader->file, *s.arch))
        return std::nullopt;
    const auto* row = row_of(*s.arch);
    auto text = fmt::format("firmware of {} asked for '{}'", row ? row->name : "another architecture", loader->file);
    if (s.other_pxe) text += fmt::format(", which {} names", s.other_pxe->server.text());
    return Verdict{&findings::kWrongArchitecture, text, ids({s.discover.id, s.other_pxe.id, loader.id}), kAgain};
}

std::optional<Verdict> script_without_kernel(const Story& s, const BootContext&) {
    if (!s.script || !s.script->agent) return std::nullopt;
    auto kernel = s.last_of(FileKind::Kernel);
    auto text = kernel ? fmt::format("'{}' was fetched, and then no ramdisk was asked for", kernel->file)
                       : std::string("the script was given, and then nothing was asked for");
    return Verdict{&findings::kNoKernel, text, ids({s.script.id, kernel.id}), kStart};
}

std::optional<Verdict> loader_not_started(const Story& s, const BootContext&) {
    auto loader = s.last_of(FileKind::Loader);
    if (!loader || s.ipxe) return std::nullopt;
    auto evidence = ids({s.discover.id, loader.id});
    if (lossy(*loader.what)) return Verdict{&findings::kLink, loss_text(*loader.what), evidence, kStart};
    bool uefi = s.arch ? is_uefi(*s.arch) : loader->file.ends_with(".efi");
    // Shim and what it starts are signed: whatever ended them, Secure Boot did not.
    auto name = std::string_view(loader->file).substr(loader->file.rfind('/') + 1);
    bool signed_chain = name.starts_with("shim") || name.starts_with("grubx64");
    return Verdict{
        uefi && !signed_chain ? &findings::kSecureBoot : &findings::kLoaderDied,
        fmt::format("'{}' was fetched whole ({} bytes), and nothing came of it", loader->file, loader->bytes), evidence,
        kStart};
}

// Somebody was answered, and no file was asked for: by whom was it lost?
Verdict not_taken(const Story& s, const Seen<Answered>& answered, const FindingRow& otherwise) {
    auto told = fmt::format("we answered '{}'", answered->file);
    if (s.other_pxe)
        return {&findings::kOtherPxeServer,
                fmt::format("{} answered too ({}), and nothing was asked of us", s.other_pxe->server.text(),
                            describe(*s.other_pxe.what)),
                ids({s.other_pxe.id, answered.id}), kDhcp};
    auto evidence = ids({s.discover.id, answered.id, s.chosen.id, s.request.id, s.address.id});
    if (!s.chosen && !s.request) {
        auto text = s.address ? fmt::format("{}, and it did not take the address {} of {}", told,
                                            s.address->given.text(), s.address->server.text())
                              : told + ", and nobody was heard to give it an address";
        return {&findings::kNoAddress, text, evidence, kDhcp};
    }
    auto taken =
        s.chosen ? fmt::format("it took {} of the DHCP server {}", s.chosen->address.text(), s.chosen->server.text())
                 : std::string("it asked the boot server port");
    if (s.discover && !s.discover->relay.is_zero())
        return {&findings::kRelayDropsPxe,
                fmt::format("{} through the relay {}; {} and never came for the file", told, s.discover->relay.text(),
                            taken),
                evidence, kDhcp};
    return {&otherwise, fmt::format("{}; {} and never came for the file", told, taken), evidence, kStart};
}

std::optional<Verdict> answer_not_taken(const Story& s, const BootContext&) {
    if (!s.answered || !s.transfers.empty()) return std::nullopt;
    return not_taken(s, s.answered, findings::kOfferNotTaken);
}

// iPXE is the firmware's own, or came by a loader: then it asks for an address again.
std::optional<Verdict> script_not_fetched(const Story& s, const BootContext&) {
    if (!s.ipxe_answered || s.script) return std::nullopt;
    if (s.transfers.empty()) return not_taken(s, s.ipxe_answered, findings::kNoScript);
    auto told = fmt::format("iPXE was told '{}'", s.ipxe_answered->file);
    if (!s.ipxe_chose)
        return Verdict{&findings::kNoAddress, told + ", and took no address", ids({s.ipxe_answered.id}), kStart};
    return Verdict{&findings::kNoScript, told, ids({s.ipxe_chose.id, s.ipxe_answered.id}), kStart};
}

std::optional<Verdict> not_answered(const Story& s, const BootContext& c) {
    if (!s.silence) return std::nullopt;
    auto evidence = ids({s.discover.id, s.silence.id});
    if (!c.known) return Verdict{&findings::kUnknownDevice, s.silence->why, evidence};
    if (!c.controlled)
        return Verdict{&findings::kNotControlled, fmt::format("the device '{}' is released", c.device), evidence};
    const auto& error = s.silence->error;
    bool without = error == errors::kNoLoader.name || error == errors::kArchitecture.name;
    return Verdict{without ? &findings::kNoLoader : &findings::kIgnored, s.silence->why, evidence};
}

bool in_our_subnets(Ipv4Address address, const BootContext& c) {
    return std::any_of(c.subnets.begin(), c.subnets.end(), [&](const auto& subnet) {
        auto mask = subnet.second == 0 ? 0 : ~std::uint32_t{0} << (32 - std::min(32u, subnet.second));
        return (subnet.first.value & mask) == (address.value & mask);
    });
}

std::optional<Verdict> not_heard(const Story& s, const BootContext& c) {
    if (s.discover) return std::nullopt;
    auto evidence = ids({s.system.id});
    auto far = std::find_if(c.addresses.rbegin(), c.addresses.rend(), [](Ipv4Address a) { return !a.is_zero(); });
    if (!s.system && far != c.addresses.rend() && !c.subnets.empty() && !in_our_subnets(*far, c))
        return Verdict{
            &findings::kRelayMissing,
            fmt::format("the machine was last seen as {}, which is in no subnet of this server", far->text()),
            {}};
    if (s.system)
        return Verdict{&findings::kNoDiscover,
                       "only its operating system was heard, so cable and VLAN are right: " + describe(*s.system.what),
                       evidence};
    return Verdict{&findings::kNoDiscover, "nothing of it was heard", {}};
}

constexpr Rule kRules[] = {
    token_refused,      tls_failed,         kernel_without_agent, transfer_failed, wrong_file, script_without_kernel,
    script_not_fetched, loader_not_started, answer_not_taken,     not_answered,    not_heard,
};

Hop reached(const Story& s) {
    if (s.ready) return Hop::Ready;
    if (s.enrolment) return s.enrolment->error.empty() ? Hop::Enrolment : Hop::Tls;
    if (s.tls || s.trouble) return Hop::Agent;
    if (s.whole(FileKind::Kernel)) return Hop::Kernel;
    if (s.script) return Hop::Script;
    if (s.whole(FileKind::Loader) || s.ipxe) return Hop::Loader;
    if (s.chosen || s.request) return Hop::Address;
    if (s.answered) return Hop::Offer;
    return Hop::Discover;
}

// How far a boot came: who asks for an address after that, begins another.
struct Came {
    bool files = false, script = false;
    bool firmware_chose = false, ipxe_chose = false;  // a DHCP server's offer

    void on(const EventDetail& d) {
        files |= std::holds_alternative<Transfer>(d);
        script |= std::holds_alternative<ScriptGiven>(d) || std::holds_alternative<Ready>(d) ||
                  std::holds_alternative<Enrolment>(d) || std::holds_alternative<Trouble>(d);
        const auto* h = std::get_if<Heard>(&d);
        if (h && h->boots && h->type == MessageType::Request) (h->ipxe ? ipxe_chose : firmware_chose) = true;
    }
};

// A later boot of the machine: after a pause, or when its firmware asks again after more than DHCP. iPXE asks once more
// after a loader; after its script it is another boot that asks, also where iPXE is the firmware. Nobody asks anew who
// has taken an address: then that boot was dead, and this is another.
bool begins_boot(const BootEvent& e, const BootEvent* before, const Came& came) {
    const auto* h = std::get_if<Heard>(&e.detail);
    if (!h || !h->boots || h->type != MessageType::Discover) return false;
    if (before && e.time - before->time > kPause) return true;
    if (came.script || (came.files && !h->ipxe)) return true;
    return h->ipxe ? came.ipxe_chose : came.firmware_chose || came.ipxe_chose;
}

std::vector<std::span<const BootEvent>> boots_in(std::span<const BootEvent> events) {
    std::vector<std::span<const BootEvent>> out;
    std::size_t from = 0;
    Came came;
    for (std::size_t i = 0; i < events.size(); ++i) {
        if (i > from && begins_boot(events[i], &events[i - 1], came)) {
            out.push_back(events.subspan(from, i - from));
            from = i;
            came = {};
        }
        came.on(events[i].detail);
    }
    out.push_back(events.subspan(from));
    return out;
}

// over: no hop is waited for any more.
Diagnosis diagnose_boot(std::span<const BootEvent> events, WallTime now, const BootContext& context, bool over) {
    Story story;
    Digest digest(story, context);
    for (const auto& e : events) digest.take(e);
    if (events.empty()) story.last = now;
    else story.first = events.front().time;
    Diagnosis out;
    out.reached = reached(story);
    if (!events.empty()) out.begun = story.first;
    if (story.ready) out.outcome = Outcome::Booted;
    else if (story.script && !story.script->agent) out.outcome = Outcome::LocalDisk;
    if (out.outcome != Outcome::Underway) return out;
    for (auto rule : kRules) {
        auto verdict = rule(story, context);
        if (!verdict) continue;
        if (!over && now - story.last < verdict->patience) return out;
        out.outcome = Outcome::Failed;
        out.finding = Finding{verdict->row, printable(verdict->text), std::move(verdict->evidence)};
        return out;
    }
    return out;
}

}  // namespace

Diagnosis diagnose(std::span<const BootEvent> all, WallTime now, const BootContext& context) {
    auto first = std::find_if(all.begin(), all.end(),
                              [&](const BootEvent& e) { return !context.since || e.time >= *context.since; });
    auto boots = boots_in(all.subspan(static_cast<std::size_t>(first - all.begin())));
    auto last = diagnose_boot(boots.back(), now, context, false);
    if (last.outcome == Outcome::Underway) {
        Diagnosis before;
        if (last.reached <= Hop::Address && boots.size() > 1)
            before = diagnose_boot(boots[boots.size() - 2], now, context, true);
        if (before.outcome == Outcome::Failed) last = std::move(before);
        else if (context.stopped) last = diagnose_boot(boots.back(), now, context, true);
    }
    last.attempts = static_cast<unsigned>(boots.size());
    return last;
}

}  // namespace slipway::pxe
