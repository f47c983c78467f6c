// SPDX-License-Identifier: GPL-3.0-or-later
// Network adapters, their addresses, routes and name servers.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/net.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

struct Route {
    std::string adapter;
    std::uint32_t destination = 0, gateway = 0, mask = 0;  // host order
};

std::optional<std::uint32_t> little_endian_hex(const std::string& text) {
    auto value = parse_number("0x" + text);
    if (!value || *value > 0xffffffff) return std::nullopt;
    return __builtin_bswap32(static_cast<std::uint32_t>(*value));
}

std::vector<Route> read_routes(Tree& tree) {
    std::vector<Route> out;
    for (const auto& line : tree.lines("/proc/net/route")) {
        auto w = words(line);
        if (w.size() < 8) continue;
        auto destination = little_endian_hex(w[1]), gateway = little_endian_hex(w[2]), mask = little_endian_hex(w[7]);
        if (destination && gateway && mask) out.push_back({w[0], *destination, *gateway, *mask});
    }
    return out;
}

// The leaves of the kernel's routing tree that are marked as the machine's own addresses.
std::vector<std::uint32_t> local_addresses(Tree& tree) {
    std::vector<std::uint32_t> out;
    std::optional<Ipv4Address> leaf;
    for (const auto& line : tree.lines("/proc/net/fib_trie")) {
        auto w = words(line);
        if (w.size() == 2 && w[0] == "|--") leaf = Ipv4Address::parse(w[1]);
        if (!leaf || w.size() < 3 || w[0] != "/32" || w[2] != "LOCAL") continue;
        if (std::find(out.begin(), out.end(), leaf->value) == out.end()) out.push_back(leaf->value);
    }
    return out;
}

void add_files_addresses(Tree& tree, const std::vector<Route>& routes, Inventory& out) {
    for (auto address : local_addresses(tree))
        for (const auto& r : routes) {
            if (r.gateway != 0 || r.mask == 0 || (address & r.mask) != r.destination) continue;
            for (auto& a : out.network)
                if (a.name == r.adapter)
                    a.addresses.push_back(
                        {Ipv4Address{address}.text(), static_cast<std::uint32_t>(std::popcount(r.mask))});
        }
    // address index prefix scope flags name, hexadecimal
    for (const auto& line : tree.lines("/proc/net/if_inet6")) {
        auto w = words(line);
        auto bytes = w.size() >= 6 ? from_hex(w[0]) : std::nullopt;
        auto prefix = w.size() >= 6 ? parse_number("0x" + w[2]) : std::nullopt;
        if (!bytes || bytes->size() != 16 || !prefix) continue;
        char text[INET6_ADDRSTRLEN];
        ::inet_ntop(AF_INET6, bytes->data(), text, sizeof text);
        for (auto& a : out.network)
            if (a.name == w[5]) a.addresses.push_back({text, static_cast<std::uint32_t>(*prefix)});
    }
}

std::uint32_t prefix_of(const sockaddr* mask) {
    if (mask == nullptr) return 0;
    const auto* bytes =
        mask->sa_family == AF_INET6
            ? reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(mask)->sin6_addr)
            : reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(mask)->sin_addr);
    std::uint32_t bits = 0;
    for (int i = 0; i < (mask->sa_family == AF_INET6 ? 16 : 4); ++i) bits += std::popcount(bytes[i]);
    return bits;
}

bool add_live_addresses(Inventory& out) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return false;
    for (auto* i = all; i != nullptr; i = i->ifa_next) {
        if (i->ifa_addr == nullptr) continue;
        char text[INET6_ADDRSTRLEN] = "";
        if (i->ifa_addr->sa_family == AF_INET)
            ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr, text, sizeof text);
        else if (i->ifa_addr->sa_family == AF_INET6)
            ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6*>(i->ifa_addr)->sin6_addr, text, sizeof text);
        else continue;
        for (auto& a : out.network)
            if (a.name == i->ifa_name) a.addresses.push_back({text, prefix_of(i->ifa_netmask)});
    }
    ::freeifaddrs(all);
    return true;
}

AddressOrigin origin_of(const IpAddress& address, AddressOrigin ipv4) {
    if (address.address.find(':') == std::string::npos) return ipv4;
    return address.address.starts_with("fe80") ? AddressOrigin::LinkLocal : AddressOrigin::Unknown;
}

AdapterKind kind_of(Tree& tree, const std::string& directory) {
    std::string type;
    for (const auto& line : tree.lines(directory + "/uevent"))
        if (line.starts_with("DEVTYPE=")) type = line.substr(8);
    if (type == "wlan" || tree.exists(directory + "/wireless")) return AdapterKind::Wireless;
    if (type == "bond" || tree.exists(directory + "/bonding")) return AdapterKind::Bond;
    if (type == "bridge" || tree.exists(directory + "/bridge")) return AdapterKind::Bridge;
    if (type == "vlan") return AdapterKind::Vlan;
    return tree.exists(directory + "/device") ? AdapterKind::Physical : AdapterKind::Virtual;
}

std::string ethtool_permanent_mac(const std::string& adapter) {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd.valid() || adapter.size() >= IFNAMSIZ) return {};
    MacAddress mac;
    struct {
        std::uint32_t command = ETHTOOL_GPERMADDR, size = 6;  // struct ethtool_perm_addr, whose data is flexible
        std::array<std::uint8_t, 8> data{};
    } query;
    ifreq request{};
    std::memcpy(request.ifr_name, adapter.data(), adapter.size());
    request.ifr_data = reinterpret_cast<char*>(&query);
    if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0) return {};
    std::copy_n(query.data.begin(), mac.octets.size(), mac.octets.begin());
    return mac.is_zero() ? "" : mac.text();
}

std::string permanent_mac(Tree& tree, const LinuxProbeOptions& options, const std::string& directory,
                          const NetworkAdapter& a) {
    if (auto slave = tree.line(directory + "/bonding_slave/perm_hwaddr"); !slave.empty()) return to_lower(slave);
    if (options.live)
        if (auto mac = ethtool_permanent_mac(a.name); !mac.empty()) return mac;
    constexpr std::uint64_t kPermanent = 0;  // NET_ADDR_PERM
    bool permanent = tree.number(directory + "/addr_assign_type", 1) == kPermanent;
    return permanent && a.kind == AdapterKind::Physical ? a.mac : "";
}

void guess_pxe(Tree& tree, const std::string& directory, NetworkAdapter& a) {
    auto say = [&](bool capable, const char* why) {
        a.pxe_capable = capable;
        a.pxe_evidence = why;
    };
    if (a.kind == AdapterKind::Wireless) return say(false, "wireless adapters have no PXE ROM");
    if (a.kind != AdapterKind::Physical) return;
    if (tree.resolve(directory + "/device").value_or("").find("/usb") != std::string::npos)
        return say(false, "a USB adapter; few firmwares boot from one");
    if (tree.exists(directory + "/device/rom")) return say(true, "the card has an expansion ROM");
    if (tree.exists(directory + "/device/acpi_index") || tree.exists(directory + "/device/index"))
        return say(true, "on the main board, known to the firmware");
    if (a.pci) return say(true, "a wired PCI adapter");
}

// "eth0.10 | 10 | eth0" of /proc/net/vlan/config, which the 8021q driver writes.
void probe_vlan(Tree& tree, NetworkAdapter& a) {
    for (const auto& line : tree.lines("/proc/net/vlan/config")) {
        auto w = words(line);
        if (w.size() < 5 || w[0] != a.name || w[1] != "|" || w[3] != "|") continue;
        if (auto id = parse_u64(w[2]); id && *id < 4096) a.vlan = static_cast<std::uint32_t>(*id);
        a.parent = w[4];
    }
    // Without that file, or as an ordinary user: the usual name says it.
    auto dot = a.name.rfind('.');
    if (a.vlan || dot == std::string::npos) return;
    if (auto id = parse_u64(a.name.substr(dot + 1)); id && *id < 4096) a.vlan = static_cast<std::uint32_t>(*id);
}

// Who joins whom: bonding and bridge list their members, team and VLAN have links to what lies below.
void probe_stacking(Tree& tree, const std::string& directory, NetworkAdapter& a) {
    if (a.kind == AdapterKind::Virtual &&
        (tree.exists("/run/teamd/" + a.name + ".pid") || tree.exists("/run/teamd/" + a.name + ".sock")))
        a.kind = AdapterKind::Team;
    a.master = tree.link_name(directory + "/master");
    a.members = words(tree.line(directory + "/bonding/slaves"));
    for (auto& port : tree.list(directory + "/brif")) a.members.push_back(std::move(port));
    std::vector<std::string> below;
    for (const auto& name : tree.list(directory))
        if (name.starts_with("lower_")) below.push_back(name.substr(6));
    if (a.kind == AdapterKind::Team) a.members = below;
    if (a.kind == AdapterKind::Vlan) probe_vlan(tree, a);
    if (a.kind == AdapterKind::Vlan && a.parent.empty() && below.size() == 1) a.parent = below[0];
    if (auto mode = words(tree.line(directory + "/bonding/mode")); !mode.empty()) a.mode = mode[0];
}

void probe_origin(Tree& tree, const std::string& directory, int index, NetworkAdapter& a) {
    auto device = tree.resolve(directory + "/device").value_or("");
    if (device.find("/usb") != std::string::npos) a.bus = BusKind::Usb;
    if (device.find("/virtio") != std::string::npos) a.bus = BusKind::Virtio;
    if (tree.exists(directory + "/device/physfn")) a.virtual_function = true;
    a.mtu = static_cast<std::uint32_t>(std::min<std::uint64_t>(tree.number(directory + "/mtu"), 1u << 20));
    auto udev = udev_properties(tree, fmt::format("n{}", index));
    a.description = udev["ID_MODEL_FROM_DATABASE"];
    // The iSCSI boot firmware table, as the kernel lays it out.
    for (const auto& entry : tree.list("/sys/firmware/ibft")) {
        auto at = "/sys/firmware/ibft/" + entry;
        if (entry.starts_with("ethernet") && to_lower(tree.line(at + "/mac")) == a.mac && !a.mac.empty())
            a.iscsi_boot = true;
    }
}

void probe_adapter(Tree& tree, const LinuxProbeOptions& options, const std::string& name, Inventory& out) {
    auto directory = "/sys/class/net/" + name;
    constexpr std::uint64_t kEthernet = 1;  // ARPHRD_ETHER
    if (tree.number(directory + "/type") != kEthernet) return;
    NetworkAdapter a{
        .name = name, .kind = kind_of(tree, directory), .mac = to_lower(tree.line(directory + "/address"))};
    a.driver = tree.link_name(directory + "/device/driver");
    a.pci = pci_at(tree, directory + "/device");
    if (!a.pci) a.pci = pci_at(tree, directory + "/device/..");  // virtio: the adapter hangs below the function
    a.permanent_mac = permanent_mac(tree, options, directory, a);
    a.link = tree.line(directory + "/carrier") == "1";
    auto speed = tree.number(directory + "/speed");
    a.speed_mbit = a.link && speed < 0xffffffff ? static_cast<std::uint32_t>(speed) : 0;
    guess_pxe(tree, directory, a);
    auto index = static_cast<int>(tree.number(directory + "/ifindex"));
    probe_stacking(tree, directory, a);
    probe_origin(tree, directory, index, a);
    auto configuration = address_configuration(tree, name, a.permanent_mac.empty() ? a.mac : a.permanent_mac, index);
    a.configuration = configuration.origin;
    a.evidence = configuration.evidence;
    out.network.push_back(std::move(a));
}

std::vector<std::string> name_servers(Tree& tree) {
    auto read = [&](const char* path) {
        std::vector<std::string> out;
        for (const auto& line : tree.lines(path))
            if (auto w = words(line); w.size() >= 2 && w[0] == "nameserver") out.push_back(w[1]);
        return out;
    };
    auto out = read("/etc/resolv.conf");
    // The stub of systemd-resolved: who is asked in truth stands elsewhere.
    if (out == std::vector<std::string>{"127.0.0.53"})
        if (auto real = read("/run/systemd/resolve/resolv.conf"); !real.empty()) return real;
    return out;
}

}  // namespace

void probe_network(Tree& tree, const LinuxProbeOptions& options, Inventory& out) {
    for (const auto& name : tree.list("/sys/class/net")) probe_adapter(tree, options, name, out);
    auto routes = read_routes(tree);
    if (!options.live || !add_live_addresses(out)) add_files_addresses(tree, routes, out);
    for (auto& a : out.network) {
        for (auto& address : a.addresses) address.origin = origin_of(address, a.configuration);
        for (const auto& r : routes)
            if (r.adapter == a.name && r.mask == 0 && r.gateway != 0 && a.gateway.empty())
                a.gateway = Ipv4Address{r.gateway}.text();
    }
    auto servers = name_servers(tree);
    bool routed = std::any_of(out.network.begin(), out.network.end(), [](auto& a) { return !a.gateway.empty(); });
    for (auto& a : out.network)
        if (routed ? !a.gateway.empty() : !a.addresses.empty()) a.dns = servers;
}

}  // namespace slipway::gatherhw
