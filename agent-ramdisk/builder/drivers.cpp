// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/drivers.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace {

using Kind = MissingDriver::Kind;

// "pci:v00008086d00001533sv…sd…bc02sc00i00": vendor, device and class of it.
struct PciAlias {
    std::string id;
    std::string base, sub;  // class and subclass, two hex digits; empty when it does not say
};

std::optional<PciAlias> parse_pci(std::string_view alias) {
    constexpr std::string_view kFront = "pci:v0000";
    if (!alias.starts_with(kFront) || alias.size() < 22 || alias.substr(13, 5) != "d0000") return std::nullopt;
    PciAlias out;
    out.id = to_lower(alias.substr(9, 4)) + ":" + to_lower(alias.substr(18, 4));
    auto at = alias.find("bc", 22);
    if (at != std::string_view::npos && alias.size() >= at + 6 && alias.substr(at + 4, 2) == "sc") {
        out.base = to_lower(alias.substr(at + 2, 2));
        out.sub = to_lower(alias.substr(at + 6, 2));
    }
    return out;
}

struct Candidate {
    Kind kind;
    std::string modalias, name;
    std::string mac;     // of a card
    bool other = false;  // "other" storage or network controller: often no such thing
};

void add(std::map<std::string, Candidate>& all, Candidate c) {
    auto pci = parse_pci(c.modalias);
    if (!pci) return;
    auto [it, fresh] = all.emplace(pci->id, c);
    // The same model twice: the one we boot from counts.
    if (!fresh && it->second.mac.empty() && !c.mac.empty()) it->second = std::move(c);
}

// By "vvvv:dddd": a model has a driver or it has none.
std::map<std::string, Candidate> candidates(const gatherhw::Inventory& machine, const std::vector<std::string>& macs) {
    std::map<std::string, Candidate> all;
    for (const auto& a : machine.network) {
        if (!a.pci || a.kind == gatherhw::AdapterKind::Wireless) continue;
        bool ours = std::find(macs.begin(), macs.end(), to_lower(a.mac)) != macs.end();
        add(all, {Kind::Network, modalias_of(*a.pci), a.mac.empty() ? a.name : a.name + " " + a.mac,
                  ours ? a.mac : std::string()});
    }
    for (const auto& c : machine.controllers)
        if (c.pci && c.kind != gatherhw::ControllerKind::Usb) add(all, {Kind::Storage, modalias_of(*c.pci), c.id, {}});
    for (const auto& alias : machine.modaliases) {
        auto pci = parse_pci(alias);
        if (!pci || all.contains(pci->id)) continue;
        if (pci->base == "01") add(all, {Kind::Storage, alias, {}, {}, pci->sub == "80"});
        if (pci->base == "02" && (pci->sub == "00" || pci->sub == "80"))
            add(all, {Kind::Network, alias, {}, {}, pci->sub == "80"});
    }
    return all;
}

}  // namespace

bool DriverCheck::may_boot() const {
    return std::none_of(missing.begin(), missing.end(), [](const auto& m) { return m.fatal; });
}

std::string DriverCheck::text() const {
    std::vector<std::string> parts;
    for (const auto& m : missing)
        if (m.fatal)
            parts.push_back(fmt::format("{} {}{}", m.kind == Kind::Network ? "network card" : "disk controller", m.id,
                                        m.name.empty() ? "" : " (" + m.name + ")"));
    return parts.empty() ? std::string() : "no driver for " + join(parts, ", ");
}

DriverCheck check_drivers(const ModuleIndex& index, const gatherhw::Inventory& machine,
                          const std::vector<std::string>& macs, const std::set<std::string>& accepted) {
    DriverCheck check;
    bool some_card = false;
    auto all = candidates(machine, macs);
    for (const auto& [id, c] : all) some_card |= c.kind == Kind::Network && index.drives(c.modalias, Purpose::Network);
    for (const auto& [id, c] : all) {
        if (index.drives(c.modalias, c.kind == Kind::Network ? Purpose::Network : Purpose::Storage)) continue;
        MissingDriver m{c.kind, id, c.modalias, c.name, true, {}};
        if (accepted.contains(id)) {
            m.fatal = false;
            m.why = "the operator does without it";
        } else if (c.other) {
            m.fatal = false;
            m.why = "of the class 'other': it may be no such device";
        } else if (c.kind == Kind::Storage) {
            m.why = "its disks would be left out without a word";
        } else if (!c.mac.empty()) {
            m.why = "the device boots from this card";
        } else if (!some_card) {
            m.why = "no card of the machine has a driver";
        } else {
            m.fatal = false;
            m.why = "another card has a driver";
        }
        check.missing.push_back(std::move(m));
    }
    return check;
}

std::string advice(const MissingDriver& m, const std::string& kernel_version) {
    return fmt::format(
        "Put a module for Linux {} with an alias for {} into repository/user/PreSystem/modules (and its firmware into "
        "PreSystem/firmware), or write {} into repository/user/PreSystem/without-driver to do without it.",
        kernel_version, m.modalias, m.id);
}

std::set<std::string> read_accepted(std::string_view text) {
    std::set<std::string> out;
    for (const auto& line : split(text, '\n')) {
        auto id = to_lower(trim(std::string_view(line).substr(0, line.find('#'))));
        bool sound = id.size() == 9 && id[4] == ':' && id.find_first_not_of("0123456789abcdef:") == std::string::npos &&
                     std::count(id.begin(), id.end(), ':') == 1;
        if (sound) out.insert(id);
    }
    return out;
}

}  // namespace slipway::builder
