// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network/plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "guest-fixup/network.hpp"
#include "guest-fixup/network/advice.hpp"
#include "guest-fixup/network/names_unit.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kOurLink = "/etc/systemd/network/10-slipway-";
constexpr std::size_t kMostInterfaces = 4096;

bool ours(const Interface& interface) { return interface.path.starts_with(kOurLink); }

void fill(Interface& into, const Interface& piece) {
    if (piece.name_is_id ? into.name.empty() : !piece.name.empty() && (into.name.empty() || into.name_is_id)) {
        into.name = piece.name;
        into.name_is_id = piece.name_is_id;
    }
    if (piece.selects) into.selects = piece.selects;
    if (piece.sets) into.sets = piece.sets;
    if (!piece.hardware.empty()) into.hardware = piece.hardware;
    if (!piece.upper.empty()) into.upper = piece.upper;
    into.lower.insert(into.lower.end(), piece.lower.begin(), piece.lower.end());
    into.dhcp = into.dhcp || piece.dhcp;
    into.any = into.any && piece.any;
}

// Pieces with one id are one interface; a netplan key is a name only when no piece of it matches a card.
std::vector<Interface> merged(const std::vector<Reading>& readings) {
    std::vector<Interface> all;
    std::map<std::string, std::size_t> by_id;
    for (const auto& reading : readings)
        for (const auto& interface : reading.interfaces) {
            if (all.size() == kMostInterfaces) return all;
            const bool unit = interface.id.find('.') != std::string::npos && interface.selects;  // one card of several
            const auto [at, fresh] = by_id.try_emplace(interface.id, all.size());
            if (interface.id.empty() || fresh || (unit && all[at->second].selects)) all.push_back(interface);
            else fill(all[at->second], interface);
        }
    for (auto& interface : all)
        if (interface.name_is_id && (interface.selects || !interface.hardware.empty())) interface.name.clear();
    return all;
}

void append_line(std::string& text, const std::string& line) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += line;
}

bool names_in_rules(std::string_view text, std::string_view name) {
    const auto rules = read_udev_rules(text).interfaces;
    return std::any_of(rules.begin(), rules.end(), [&](const auto& rule) { return rule.name == name && rule.selects; });
}

class Planner {
public:
    Planner(const std::vector<ConfigFile>& files, const std::vector<NicMapping>& nics, const GuestTraits& traits)
        : files_(files), traits_(traits) {
        for (const auto& file : files) readings_.push_back(read_config(file));
        interfaces_ = merged(readings_);
        for (const auto& nic : nics) nics_.push_back({nic.old_name, nic.old_mac, nic.new_mac});
    }
    NetworkPlan plan();

private:
    void find_names();
    void find_macs();
    bool moved_already(const KnownNic& nic) const;
    const std::string* text_of(std::string_view path) const;
    void set(const std::string& what, const std::string& path, std::optional<std::string> text);
    void edit_files();
    void name_by_links();
    void name_by_rules();
    void name_by_mactab();
    void put_kernel_names_right();
    bool named_by_guest(const KnownNic& nic) const;
    bool stacked() const;

    const std::vector<ConfigFile>& files_;
    const GuestTraits& traits_;
    std::vector<Reading> readings_;
    std::vector<Interface> interfaces_;
    std::vector<KnownNic> nics_;
    MacMap macs_;
    NetworkPlan plan_;
};

const std::string* Planner::text_of(std::string_view path) const {
    for (const auto& edit : plan_.edits)
        if (edit.path == path && edit.text) return &*edit.text;
    for (const auto& file : files_)
        if (file.path == path) return &file.text;
    return nullptr;
}

void Planner::set(const std::string& what, const std::string& path, std::optional<std::string> text) {
    std::erase_if(plan_.edits, [&](const FileEdit& edit) { return edit.path == path; });
    for (const auto& file : files_)
        if (file.path == path && text == file.text) return;
    plan_.edits.push_back({what, path, std::move(text)});
}

// As given; else by its address, old or (the second time) new; else the only card there is is the only one configured.
void Planner::find_names() {
    for (auto& nic : nics_) {
        for (const bool names_only : {true, false})
            for (const auto& interface : interfaces_)
                if (nic.name.empty() && interface.names_only == names_only && interface.selects &&
                    interface.kind == InterfaceKind::Ethernet && valid_interface(interface.name) &&
                    (interface.selects == nic.old_mac || interface.selects == nic.new_mac))
                    nic.name = interface.name;
        if (!nic.name.empty()) continue;
        std::set<std::string> names;
        for (const auto& interface : interfaces_)
            if (interface.kind == InterfaceKind::Ethernet && valid_interface(interface.name))
                names.insert(interface.name);
        if (nics_.size() == 1 && names.size() == 1) nic.name = *names.begin();
    }
    std::set<std::string> taken;
    for (auto& nic : nics_)
        if (!nic.name.empty() && !taken.insert(nic.name).second) {
            plan_.warnings.push_back(fmt::format("two adapters would be {}: {} gets no name, look at the mapping",
                                                 nic.name, nic.new_mac.text()));
            nic.name.clear();
        }
}

// Where one adapter's old address is another's new one, a second pass must not move it on: our own files say so.
bool Planner::moved_already(const KnownNic& nic) const {
    if (nic.name.empty()) return false;
    const auto line = was_line(nic.name, *nic.old_mac, nic.new_mac);
    for (const auto& path :
         {fmt::format("{}{}.link", kOurLink, nic.name), std::string(kPersistentRules), std::string(kMactab)})
        if (const auto* text = text_of(path); text && text->find(line) != std::string::npos) return true;
    return false;
}

void Planner::find_macs() {
    auto is_known = [&](const MacAddress& mac) {
        return std::any_of(nics_.begin(), nics_.end(),
                           [&](const auto& nic) { return nic.old_mac == mac || nic.new_mac == mac; });
    };
    for (const auto& nic : nics_) {
        if (nic.old_mac && *nic.old_mac != nic.new_mac && !moved_already(nic)) macs_[*nic.old_mac] = nic.new_mac;
        // A card replaced long ago is still named by its address.
        for (const auto& interface : interfaces_)
            if (!nic.name.empty() && interface.name == nic.name && interface.selects && !is_known(*interface.selects))
                macs_.try_emplace(*interface.selects, nic.new_mac);
    }
}

void Planner::edit_files() {
    for (std::size_t i = 0; i < files_.size(); ++i) {
        if (files_[i].path.starts_with(kOurLink)) continue;
        auto text = move_macs(files_[i].text, readings_[i].selectors, macs_);
        if (files_[i].path == kPersistentRules)
            for (const auto& nic : nics_)
                if (!nic.name.empty()) text = edit_persistent_rules(text, nic.name, nic.new_mac);
        set("new MAC address", files_[i].path, std::move(text));
        for (const auto& note : readings_[i].notes) plan_.warnings.push_back(files_[i].path + " " + note);
    }
}

// The guest has its own .link file that calls this card so.
bool Planner::named_by_guest(const KnownNic& nic) const {
    return std::any_of(interfaces_.begin(), interfaces_.end(), [&](const Interface& interface) {
        if (!interface.names_only || ours(interface) || !interface.path.ends_with(".link") || !interface.selects)
            return false;
        const auto moved = macs_.find(*interface.selects);
        return interface.name == nic.name && (moved == macs_.end() ? *interface.selects : moved->second) == nic.new_mac;
    });
}

// VLANs, bonds and bridges have the address of a card below them. Our own files have none, and change what is made of
// the others' names.
bool Planner::stacked() const {
    std::vector<Reading> theirs;
    for (std::size_t i = 0; i < files_.size(); ++i)
        if (!files_[i].path.starts_with(kOurLink)) theirs.push_back(readings_[i]);
    const auto interfaces = merged(theirs);
    return std::any_of(interfaces.begin(), interfaces.end(), [](const Interface& interface) {
        return interface.kind == InterfaceKind::Bond || interface.kind == InterfaceKind::Vlan ||
               interface.kind == InterfaceKind::Bridge;
    });
}

void Planner::name_by_links() {
    for (const auto& file : files_) {
        if (!file.path.starts_with(kOurLink)) continue;
        for (const auto& known : read_config(file).interfaces)
            for (const auto& nic : nics_)
                if (known.selects == nic.new_mac && known.name != nic.name && !nic.name.empty())
                    set("an earlier repair's name", file.path, std::nullopt);
    }
    for (const auto& nic : nics_) {
        if (nic.name.empty() || named_by_guest(nic)) continue;
        auto text = link_file(nic.name, nic.new_mac, stacked());
        if (nic.old_mac && *nic.old_mac != nic.new_mac) text += was_line(nic.name, *nic.old_mac, nic.new_mac);
        set("interface name " + nic.name, fmt::format("{}{}.link", kOurLink, nic.name), std::move(text));
    }
}

void Planner::name_by_rules() {
    const auto* old = text_of(kPersistentRules);
    auto text = old ? *old : std::string();
    for (const auto& nic : nics_) {
        if (nic.name.empty()) continue;
        if (!names_in_rules(text, nic.name)) append_line(text, persistent_rule(nic.name, nic.new_mac));
        if (!nic.old_mac || *nic.old_mac == nic.new_mac) continue;
        const auto line = was_line(nic.name, *nic.old_mac, nic.new_mac);
        if (text.find(line) == std::string::npos) append_line(text, line);
    }
    if (old || !text.empty()) set("interface names", kPersistentRules, std::move(text));
}

// One card needs no table: the kernel calls it eth0.
void Planner::name_by_mactab() {
    const auto* old = text_of(kMactab);
    const auto named = std::count_if(nics_.begin(), nics_.end(), [](const auto& nic) { return !nic.name.empty(); });
    if (!old && named < 2 &&
        std::all_of(nics_.begin(), nics_.end(), [](const auto& nic) { return nic.name.empty() || nic.name == "eth0"; }))
        return;
    auto text = old ? *old : std::string();
    for (const auto& nic : nics_) {
        if (nic.name.empty()) continue;
        const auto rows = read_table(text).interfaces;
        if (std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.name == nic.name; })) continue;
        append_line(text, fmt::format("{} {}\n", nic.name, nic.new_mac.text()));
        if (nic.old_mac && *nic.old_mac != nic.new_mac) text += was_line(nic.name, *nic.old_mac, nic.new_mac);
    }
    set("interface names", kMactab, std::move(text));
}

void Planner::put_kernel_names_right() {
    std::vector<NamedCard> cards;
    for (const auto& nic : nics_)
        if (kernel_reserved(nic.name)) cards.push_back({nic.name, nic.new_mac});
    if (cards.size() > 1) {
        set("interface names of the kernel's kind", kNamesUnit, names_unit(cards));
        set("interface names of the kernel's kind", kNamesWanted, names_wanted());
    } else if (!nics_.empty())
        for (const char* path : {kNamesUnit, kNamesWanted})
            if (text_of(path)) set("an earlier repair's interface names", path, std::nullopt);
}

NetworkPlan Planner::plan() {
    find_names();
    find_macs();
    edit_files();
    if (traits_.naming == Naming::Links) name_by_links();
    if (traits_.naming == Naming::Rules) name_by_rules();
    if (traits_.naming == Naming::Mactab) name_by_mactab();
    if (traits_.systemd && !traits_.swaps_names) put_kernel_names_right();
    const Situation now{files_, interfaces_, nics_, macs_, traits_};
    if (traits_.cloud_init && written_by_cloud_init(files_))
        set("cloud-init leaves the network as it is", kCloudInitOff,
            "# Written by Slipway: without this cloud-init makes a new configuration on a new machine.\n"
            "network: {config: disabled}\n");
    std::vector<ConfigFile> after = files_;
    for (auto& file : after)
        if (const auto* text = text_of(file.path)) file.text = *text;
    for (auto& text : advice(now, after)) plan_.warnings.push_back(printable(text));
    return std::move(plan_);
}

}  // namespace

NetworkPlan plan_network(const std::vector<ConfigFile>& files, const std::vector<NicMapping>& nics,
                         const GuestTraits& traits) {
    return Planner(files, nics, traits).plan();
}

}  // namespace slipway::fixup
