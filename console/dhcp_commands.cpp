// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway dhcp …`: who gives addresses where, who has which, reservations.
#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/net.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

std::string ranges_text(const json::value& subnet) {
    std::vector<std::string> out;
    for (const auto& range : array_at(subnet, "ranges"))
        if (range.is_string()) out.emplace_back(range.get_string());
    return out.empty() ? "-" : join(out, " ");
}

std::string or_dash(std::string text) { return text.empty() ? "-" : text; }

std::string mode_text(const json::value& interface) {
    const auto* relayed = member(interface, "relayed_subnets");
    auto mode = text_at(interface, "mode") == "dhcp" ? "DHCP" : "proxyDHCP beside another server";
    return std::string(mode) + (relayed && relayed->if_bool() && relayed->get_bool() ? ", DHCP for relays" : "");
}

Result<ExitCode> show(const Context& context) {
    auto client = TRY(RestClient::open());
    auto dhcp = TRY(client.get("/dhcp"));
    json::value reservations = json::object{{"items", json::array{}}};
    if (!array_at(dhcp, "subnets").empty()) reservations = TRY(client.get("/dhcp/reservations"));
    Table interfaces({"INTERFACE", "ADDRESS", "MODE"}),
        subnets({"SUBNET", "INTERFACE", "RANGES", "BOUND", "RESERVED BOUND", "LEASE"}),
        reserved({"RESERVED", "MAC", "DEVICE"});
    for (const auto& i : array_at(dhcp, "interfaces"))
        interfaces.row({or_dash(text_at(i, "interface")), text_at(i, "address"), mode_text(i)});
    for (const auto& s : array_at(dhcp, "subnets"))
        subnets.row({text_at(s, "subnet"), text_at(s, "interface").empty() ? "relays" : text_at(s, "interface"),
                     ranges_text(s), fmt::format("{} of {}", number_at(s, "bound"), number_at(s, "addresses")),
                     fmt::format("{} of {}", number_at(s, "bound_reserved"), number_at(s, "reservations")),
                     fmt::format("{} s", number_at(s, "lease_seconds"))});
    for (const auto& r : array_at(reservations, "items"))
        reserved.row({text_at(r, "address"), text_at(r, "mac"), or_dash(text_at(r, "device"))});
    auto text = interfaces.text();
    if (!subnets.empty()) text += "\n" + subnets.text();
    if (!reserved.empty()) text += "\n" + reserved.text();
    auto& all = dhcp.as_object();
    all["reservations"] = array_at(reservations, "items");
    context.print(text, dhcp);
    return kExitDone;
}

Result<ExitCode> leases(const Context& context) {
    auto client = TRY(RestClient::open());
    auto all = TRY(client.get("/dhcp/leases"));
    Table table({"ADDRESS", "STATE", "MAC", "DEVICE", "HOST NAME", "EXPIRES"});
    for (const auto& l : array_at(all, "items"))
        table.row({text_at(l, "address"), text_at(l, "state"), or_dash(text_at(l, "mac")),
                   or_dash(text_at(l, "device")), or_dash(text_at(l, "host_name")), text_at(l, "expires")});
    context.print(table.text(), all);
    return kExitDone;
}

Result<ExitCode> reserve(const std::string& who, const std::string& address, const Context& context) {
    auto client = TRY(RestClient::open());
    auto mac = MacAddress::parse(who);
    json::object body{{"address", address}};
    if (mac) body["mac"] = mac->text();
    else body["device"] = who;
    auto made = TRY(client.post("/dhcp/reservations", body));
    context.print(fmt::format("{} is reserved for {}\n", text_at(made, "address"), text_at(made, "mac")), made);
    return kExitDone;
}

// `what`: an address, or the MAC or device that it is reserved for.
Result<ExitCode> unreserve(const std::string& what, const Context& context) {
    auto client = TRY(RestClient::open());
    auto mac = MacAddress::parse(what);
    std::vector<std::string> addresses;
    if (Ipv4Address::parse(what)) {
        addresses = {what};
    } else {
        auto all = TRY(client.get("/dhcp/reservations"));
        for (const auto& r : array_at(all, "items"))
            if (mac ? text_at(r, "mac") == mac->text() : text_at(r, "device") == what)
                addresses.push_back(text_at(r, "address"));
    }
    if (addresses.empty()) return make_error(errors::kNoReservation, "nothing is reserved for '{}'", printable(what));
    for (const auto& address : addresses) TRY(client.remove("/dhcp/reservations/" + segment(address)));
    auto text = join(addresses, " ");
    context.print(text + " is not reserved any more\n",
                  json::object{{"unreserved", json::array(addresses.begin(), addresses.end())}});
    return kExitDone;
}

Result<ExitCode> release(const std::string& address, const Context& context) {
    auto client = TRY(RestClient::open());
    TRY(client.remove("/dhcp/leases/" + segment(address)));
    auto reservations = TRY(client.get("/dhcp/reservations"));
    std::string mac;
    for (const auto& r : array_at(reservations, "items"))
        if (text_at(r, "address") == address) mac = text_at(r, "mac");
    auto text = mac.empty() ? address + " is free again\n"
                            : fmt::format("{0} is released, and stays reserved for {1}: `slipway dhcp unreserve {0}`\n",
                                          address, mac);
    context.print(text, json::object{{"released", address}, {"reserved_for", mac}});
    return kExitDone;
}

}  // namespace

void add_dhcp_commands(CLI::App& root, Context& context) {
    auto* dhcp = root.add_subcommand("dhcp", "Addresses on segments of our own, and how each interface is served");
    dhcp->require_subcommand(1);
    on_command(*add_command(*dhcp, context, "show", "Interfaces with their mode, subnets, reservations"), context,
               [&context] { return show(context); });
    on_command(*add_command(*dhcp, context, "leases", "Who has which address, and until when"), context,
               [&context] { return leases(context); });
    auto who = std::make_shared<std::string>(), address = std::make_shared<std::string>();
    auto* app =
        add_command(*dhcp, context, "reserve", "Give a machine always the same address, from now on",
                    "  slipway dhcp reserve 52:54:00:51:00:01 10.77.0.5\n  slipway dhcp reserve poseidon 10.77.0.5\n"
                    "A device's first MAC is taken as it is now.\n");
    app->add_option("machine", *who, "a MAC address, or the name of a device")->required();
    app->add_option("address", *address, "in a subnet that the server gives addresses in")->required();
    on_command(*app, context, [=, &context] { return reserve(*who, *address, context); });
    app = add_command(*dhcp, context, "unreserve", "Let anyone have a reserved address again");
    app->add_option("what", *who, "the address, or the MAC or device it is reserved for")->required();
    on_command(*app, context, [=, &context] { return unreserve(*who, context); });
    app = add_command(*dhcp, context, "release",
                      "Take an address back: of a machine that is gone, or one that was set aside as used by another");
    app->add_option("address", *address, "as `slipway dhcp leases` shows it")->required();
    on_command(*app, context, [=, &context] { return release(*address, context); });
}

}  // namespace slipway::console
