// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/host_network.hpp"

#include <net/if.h>
#include <unistd.h>
#include <algorithm>
#include <cctype>

#include <boost/json.hpp>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

namespace {

namespace fs = std::filesystem;

Status ip(std::vector<std::string> words) {
    words.insert(words.begin(), "ip");
    CommandOptions options;
    options.timeout = std::chrono::seconds(20);
    TRY(run_checked(words, options));
    return {};
}

// Not by /sys, which shows the network namespace in which it was mounted.
bool exists(const std::string& interface) { return ::if_nametoindex(interface.c_str()) != 0; }

bool valid_interface(std::string_view name) {
    return !name.empty() && name.size() <= 15 && name[0] != '.' && name[0] != '-' &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return c < 128 && (std::isalnum(c) || c == '.' || c == '_' || c == '-');
           });
}

struct LinkFacts {
    bool bridge = false, addresses = false;
};

Result<LinkFacts> facts_of(const std::string& interface) {
    const auto text = TRY(run_checked({"ip", "-j", "-d", "addr", "show", "dev", interface}));
    boost::system::error_code bad;
    const auto value = boost::json::parse(text, bad);
    LinkFacts facts;
    if (bad || !value.is_array() || value.as_array().empty() || !value.as_array()[0].is_object())
        return make_error(errors::kInterface, "`ip` says nothing of {}", interface);
    const auto& link = value.as_array()[0].as_object();
    if (const auto* info = link.if_contains("linkinfo"); info && info->is_object())
        if (const auto* kind = info->as_object().if_contains("info_kind"))
            facts.bridge = *kind == boost::json::value("bridge");
    if (const auto* list = link.if_contains("addr_info"); list && list->is_array())
        for (const auto& address : list->as_array())
            if (const auto* scope = address.is_object() ? address.as_object().if_contains("scope") : nullptr)
                facts.addresses = facts.addresses || *scope == boost::json::value("global");
    return facts;
}

// A fixed address of its own, since a bridge otherwise takes the lowest of its members' and changes with them.
std::string bridge_address(const std::string& name) {
    const auto digest = sha256(as_bytes(name));
    return fmt::format("02:51:{:02x}:{:02x}:{:02x}:{:02x}", std::to_integer<unsigned>(digest.octets[0]),
                       std::to_integer<unsigned>(digest.octets[1]), std::to_integer<unsigned>(digest.octets[2]),
                       std::to_integer<unsigned>(digest.octets[3]));
}

Status raise_bridge(const Network& network) {
    if (!exists(network.bridge)) {
        if (!network.made) return make_error(errors::kInterface, "the bridge {} is gone", network.bridge);
        TRY(ip({"link", "add", network.bridge, "address", bridge_address(network.name), "type", "bridge",
                "forward_delay", "0", "mcast_snooping", "0"}));
    }
    TRY(ip({"link", "set", network.bridge, "up"}));
    if (network.made && !network.interface.empty())
        TRY(ip({"link", "set", network.interface, "master", network.bridge, "up"}));
    return {};
}

void lower_bridge(const Network& network) {
    if (!network.made || !exists(network.bridge)) return;
    if (!network.interface.empty() && exists(network.interface))
        (void)ip({"link", "set", network.interface, "nomaster"});
    (void)ip({"link", "del", network.bridge});
}

std::string to_json(const Network& network) {
    return boost::json::serialize(boost::json::object{{"name", network.name},
                                                      {"bridge", network.bridge},
                                                      {"interface", network.interface},
                                                      {"made", network.made}}) +
           "\n";
}

Result<Network> from_json(const std::string& text) {
    boost::system::error_code bad;
    const auto value = boost::json::parse(text, bad);
    auto wrong = [] { return make_error(errors::kNoNetwork, "the network's record is damaged"); };
    if (bad || !value.is_object()) return wrong();
    const auto& o = value.as_object();
    Network network;
    for (auto [key, field] :
         {std::pair{"name", &network.name}, {"bridge", &network.bridge}, {"interface", &network.interface}}) {
        const auto* found = o.if_contains(key);
        if (!found || !found->is_string()) return wrong();
        *field = found->as_string();
    }
    const auto* made = o.if_contains("made");
    if (!made || !made->is_bool()) return wrong();
    network.made = made->as_bool();
    return network;
}

}  // namespace

std::string bridge_name(const std::string& network) {
    if (network.size() <= 12) return "sl-" + network;
    return "sl-" + sha256(as_bytes(network)).text().substr(0, 12);
}

std::string tap_name(const Uuid& vm, std::size_t adapter) {
    return fmt::format("sl{}n{}", sha256(vm.octets).text().substr(0, 10), adapter);
}

Status HostNetworks::create(const std::string& name, const NetworkOptions& options) {
    if (!valid_name(name)) return make_error(errors::kDefinition, "'{}' is no name of a network", printable(name));
    if (fs::exists(record(name))) return make_error(errors::kNetworkExists, "network {} exists", name);
    Network network{name, bridge_name(name), options.interface, true};
    if (!options.interface.empty()) {
        if (!valid_interface(options.interface) || !exists(options.interface))
            return make_error(errors::kInterface, "this host has no interface {}", printable(options.interface));
        const auto facts = TRY(facts_of(options.interface));
        if (facts.bridge) network = {name, options.interface, options.interface, false};
        // A card that joins a bridge loses its addresses' use: the host would go off the network.
        else if (facts.addresses)
            return make_error(errors::kInterface, "{} carries this host's own addresses", options.interface);
    }
    auto raised = raise_bridge(network);
    if (raised) {
        fs::create_directories(directory_);
        raised = write_file_atomic(record(name), as_bytes(to_json(network)));
    }
    if (!raised) lower_bridge(network);
    return raised;
}

Status HostNetworks::remove(const std::string& name) {
    const auto network = TRY(find(name));
    lower_bridge(network);
    if (::unlink(record(name).c_str()) != 0) return errno_error(errno, record(name).string());
    return {};
}

Result<Network> HostNetworks::find(const std::string& name) const {
    if (!valid_name(name) || !fs::exists(record(name)))
        return make_error(errors::kNoNetwork, "there is no network {}", printable(name));
    return from_json(TRY(read_text_file(record(name), 65536)));
}

Result<std::vector<Network>> HostNetworks::list() const {
    std::vector<Network> all;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(directory_, none))
        if (entry.path().extension() == ".json") all.push_back(TRY(find(entry.path().stem().string())));
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return all;
}

Status HostNetworks::add_tap(const std::string& tap, const std::string& network_name) {
    const auto network = TRY(find(network_name));
    TRY(raise_bridge(network));
    remove_tap(tap);
    TRY(ip({"tuntap", "add", tap, "mode", "tap"}));
    return ip({"link", "set", tap, "master", network.bridge, "up"});
}

void HostNetworks::remove_tap(const std::string& tap) {
    if (exists(tap)) (void)ip({"link", "del", tap});
}

}  // namespace slipway::vmm
