// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/service.hpp"

#include <algorithm>
#include <future>
#include <mutex>
#include <thread>

#include <boost/asio/post.hpp>

#include "dhcp-helper/listener.hpp"
#include "dhcp-helper/overhear.hpp"
#include "dhcp-helper/server.hpp"
#include "lib/base/log.hpp"
#include "lib/base/seldom.hpp"
#include "lib/base/strings.hpp"
#include "pxe/dhcp_answer.hpp"
#include "pxe/errors.hpp"
#include "tftp/errors.hpp"
#include "tftp/server.hpp"

namespace slipway::pxe {

struct NetbootService::Impl {
    NetbootOptions options;
    Ports ports;
    boost::asio::io_context io{1};
    std::vector<dhcp::Listener> listeners;
    std::vector<dhcp::Overhearer> overhearers;
    std::string deaf;
    std::vector<tftp::Server> servers;
    std::optional<dhcp::Server> dhcp;
    std::thread thread;
    Seldom silences;
    mutable std::mutex rogues_mutex;  // guards rogues
    Rogues rogues;
    std::mutex ending;  // guards stopped, and with it that nothing is posted after the end
    bool stopped = false;

    // Does our own DHCP server give addresses to what is heard here?
    bool is_own_segment(const std::string& interface) const {
        if (!options.dhcp) return false;
        const auto& subnets = options.dhcp->config.subnets;
        return std::any_of(subnets.begin(), subnets.end(),
                           [&](const dhcp::Subnet& s) { return !interface.empty() && s.interface == interface; });
    }
    bool is_own_relayed(const dhcp::Message& m) const {
        if (!options.dhcp || m.relay.is_zero()) return false;
        const auto& subnets = options.dhcp->config.subnets;
        return std::any_of(subnets.begin(), subnets.end(), [&](const dhcp::Subnet& s) { return s.contains(m.relay); });
    }

    Status start_dhcp() {
        auto& own = *options.dhcp;
        dhcp::ServerOptions o{.port = options.ports.dhcp};
        o.decorate = [this](const dhcp::Arrived& request, dhcp::Message& reply) { decorate(request, reply); };
        if (options.trace)
            o.heard = [this](const dhcp::Arrived& a) {
                const auto& name = options.dhcp->config.interfaces[a.port];
                if (is_own_segment(name) || is_own_relayed(a.message))  // else it is the proxy that notes it
                    options.trace->note(a.message.mac(), heard_of(a.message, dhcp::kServerPort, name));
            };
        dhcp.emplace(TRY(dhcp::Server::create(io, own.config, *own.leases, std::move(o))));
        for (const auto& why : dhcp->set_reservations(own.reservations))
            log::warning("dhcp", "a reservation does not count: {}", why);
        return {};
    }

    Status bind(const Interface& interface) {
        BootServer server{interface.address, options.http_port};
        auto listen = [&](std::uint16_t port, bool boot_server) -> Result<std::uint16_t> {
            dhcp::ListenerOptions o{.device = interface.name, .port = port, .answer_source = boot_server};
            // Port 67 is the DHCP server's, which may be on this machine: we hear it without holding it. The boot
            // server port is ours; a socket of one interface takes any address of it.
            o.beside = !boot_server && !interface.name.empty();
            if (o.beside || interface.name.empty()) o.address = interface.address;
            o.handler = [this, server, boot_server, name = interface.name](const dhcp::Arrival& a) {
                if (!boot_server && is_own_relayed(a.message)) return std::optional<dhcp::Message>();
                auto port = boot_server ? dhcp::kBootServerPort : dhcp::kServerPort;
                if (options.trace) options.trace->note(a.message.mac(), heard_of(a.message, port, name));
                return answer(a, boot_server, server);
            };
            listeners.push_back(TRY(dhcp::Listener::create(io, std::move(o))));
            return listeners.back().port();
        };
        Ports bound = options.ports;
        if (!is_own_segment(interface.name)) bound.dhcp = TRY(listen(options.ports.dhcp, false));
        bound.boot_server = TRY(listen(options.ports.boot_server, true));
        tftp::ServerOptions t{.local = {interface.address, options.ports.tftp}, .device = interface.name};
        t.source = [this, ours = interface.address](const std::string& name, const UdpEndpoint& client) {
            return open(name, client, ours);
        };
        t.sink = options.upload;
        t.on_transfer = [this](const tftp::TransferReport& r) {
            note(r, r.failure.empty() ? Stage::Whole : Stage::Broken);
            log::info("tftp", "{} '{}': {} in {} ms{}{}", r.client.text(), printable(r.file), human_bytes(r.bytes),
                      r.took.count(), r.failure.empty() ? "" : ": ", printable(r.failure));
        };
        if (options.trace) t.on_progress = [this](const tftp::TransferReport& r) { note(r, Stage::Moving); };
        servers.push_back(TRY(tftp::Server::create(io, std::move(t))));
        bound.tftp = servers.back().port();
        if (servers.size() == 1) ports = bound;
        if (options.trace && !interface.name.empty()) overhear(interface);
        return {};
    }

    // Booting goes on without it; only the doctor knows less.
    void overhear(const Interface& interface) {
        auto on_answer = [this, name = interface.name](const dhcp::Overhearer::Answer& a) {
            auto seen = overheard_of(a.message, name);
            if (seen.server.is_zero()) seen.server = a.from;
            if (!a.own) look_for_rogue(seen);
            // What this machine sends without an address to give is our own answer, which is noted already.
            if (!a.own || !seen.given.is_zero()) options.trace->note(a.message.mac(), std::move(seen));
        };
        auto made = dhcp::Overhearer::create(io, interface.name, std::move(on_answer));
        if (made.ok()) return overhearers.push_back(std::move(*made));
        deaf = made.error().describe();
        log::warning("pxe", "the answers of other servers are not heard: {}", deaf);
    }

    void look_for_rogue(const Overheard& seen) {
        std::vector<Ipv4Address> ours;
        for (const auto& interface : options.interfaces) ours.push_back(interface.address);
        SystemClock clock;
        std::lock_guard lock(rogues_mutex);
        auto told = rogues.heard(seen, is_own_segment(seen.interface), ours, clock.now(), clock.wall());
        if (told)
            log::warning("pxe", "another server: {} [{}]; what to do: {}", describe(*told), errors::kOtherServer.name,
                         errors::kOtherServer.next_step);
    }

    void note(const tftp::TransferReport& r, Stage stage) const {
        if (!options.trace || r.upload) return;
        options.trace->note(r.client.address, Transfer{stage, false, file_name(r.file), r.bytes, r.size, r.blocks,
                                                       r.losses, r.took, r.failure});
    }
    static std::string file_name(std::string_view name) {
        while (name.starts_with('/')) name.remove_prefix(1);
        return std::string(name);
    }

    Choice choose(const ClientFacts& facts, const BootServer& server) const {
        auto choice = choose_boot(facts, options.decide(facts.mac, facts), server);
        if (!choice.answer || choice.answer->loader.empty()) return choice;
        auto loader = open_loader(options.loaders, choice.answer->loader, server.address);
        return loader ? choice : refuse(std::move(loader).error());
    }

    std::optional<dhcp::Message> answer(const dhcp::Arrival& arrival, bool boot_server_port, const BootServer& server) {
        auto facts = facts_of(arrival.message);
        if (!facts.is_boot_client()) return std::nullopt;
        auto choice = choose(facts, server);
        auto reply =
            choice.answer ? make_reply(arrival.message, boot_server_port, *choice.answer, server) : std::nullopt;
        if (choice.answer && !reply) return std::nullopt;  // the other server's part of the conversation
        if (reply) return_relay_option(arrival.message, *reply);
        say(arrival.message, facts, choice, boot_server_port ? dhcp::kBootServerPort : dhcp::kServerPort);
        return reply;
    }

    void decorate(const dhcp::Arrived& request, dhcp::Message& reply) {
        auto facts = facts_of(request.message);
        if (!facts.is_boot_client()) return;
        BootServer server{request.local, options.http_port};
        auto choice = choose(facts, server);
        if (choice.answer) add_boot_answer(request.message, *choice.answer, server, reply);
        say(request.message, facts, choice, dhcp::kServerPort);
    }

    void say(const dhcp::Message& request, const ClientFacts& facts, const Choice& choice, std::uint16_t port) {
        auto text =
            fmt::format("{} '{}': {}", dhcp::name_of(request.type()), printable(facts.vendor_class), choice.why);
        if (choice.answer) log::info("pxe", "{} {}", facts.mac.text(), text);
        else if (auto left_out = silences.due(facts.mac, SystemClock().now()))
            log::info("pxe", "no answer to {} {}{}{}", facts.mac.text(), text, next_step(choice), *left_out);
        if (options.on_answer) options.on_answer(facts.mac, text);
        if (!options.trace) return;
        if (choice.answer) options.trace->note(facts.mac, Answered{port, choice.answer->file, choice.why});
        else options.trace->note(facts.mac, Silence{choice.why, choice.refusal ? choice.refusal->name() : ""});
    }

    // What is only ignored needs nothing done.
    static std::string next_step(const Choice& choice) {
        if (!choice.refusal || choice.refusal->is(errors::kIgnored)) return {};
        return "; what to do: " + choice.refusal->next_step();
    }

    Result<tftp::Content> open(const std::string& name, const UdpEndpoint& client, Ipv4Address ours) const {
        auto path = file_name(name);
        auto content = find(path, client, ours);
        if (!options.trace) return content;
        Transfer seen{.file = path};
        if (content.ok()) seen.size = content->size;
        else seen.stage = Stage::Refused, seen.why = content.error().describe();
        options.trace->note(client.address, std::move(seen));
        return content;
    }

    Result<tftp::Content> find(const std::string& path, const UdpEndpoint& client, Ipv4Address ours) const {
        const bool grub = path.starts_with("grub/");  // GRUB's prefix is /grub
        if (options.boot_file && (grub || path.starts_with("boot/")))
            return options.boot_file(grub ? path : path.substr(5), client, ours);
        auto loader = open_loader(options.loaders, path, ours);
        if (loader.ok() || options.tftp_root.empty()) return loader;
        return tftp::open_below(options.tftp_root, path);
    }
};

Result<tftp::Content> open_loader(const LoaderPlaces& places, const std::string& name, Ipv4Address ours) {
    const auto* row = loader_row(name);
    if (!row && !valid_loader(name)) return make_error(tftp::errors::kNotFound, "'{}'", printable(name));
    if (!places.own.empty())
        if (auto own = tftp::open_below(places.own, name); own || !own.error().is(tftp::errors::kNotFound)) return own;
    if (!row) return make_error(tftp::errors::kNotFound, "there is no {} in STATE/boot/loaders", name);
    if (!places.made.empty())
        if (auto made = tftp::open_below(places.made, ours.text() + "/" + name)) return made;
    if (!row->package.empty()) {
        auto directory = row->package == "ipxe" ? places.ipxe : places.root / row->directory.substr(1);
        if (auto found = tftp::open_below(directory, row->file)) return found;
    }
    return make_error(errors::kNoLoader, "{} is not in STATE/boot/loaders{}{}: {}", name,
                      row->package.empty() ? "" : ", nor is Debian's package ", row->package, row->absent);
}

NetbootService::NetbootService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NetbootService::~NetbootService() { stop(); }

Result<std::unique_ptr<NetbootService>> NetbootService::create(NetbootOptions options) {
    if (options.interfaces.empty() || !options.decide) return make_error(errors::kSettings, "no interface to serve");
    for (const auto& row : kLoaders)
        if (row.package == "ipxe" && !open_loader(options.loaders, std::string(row.name), {}).ok())
            return make_error(errors::kLoader, "{} is not in {}", row.name, options.loaders.ipxe.string());
    auto impl = std::make_unique<Impl>();
    impl->options = std::move(options);
    for (const auto& interface : impl->options.interfaces) {
        if (interface.address.is_zero())
            return make_error(errors::kSettings, "interface '{}' has no IPv4 address", interface.name);
        TRY_WITH(impl->bind(interface), "network boot on " + interface.address.text());
    }
    if (impl->options.dhcp) TRY_WITH(impl->start_dhcp(), "the DHCP server");
    return std::unique_ptr<NetbootService>(new NetbootService(std::move(impl)));
}

void NetbootService::start() {
    impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

void NetbootService::stop() {
    auto end = [impl = impl_.get()] {
        for (auto& listener : impl->listeners) listener.stop();
        for (auto& overhearer : impl->overhearers) overhearer.stop();
        for (auto& server : impl->servers) server.stop();
        if (impl->dhcp) impl->dhcp->stop();
    };
    {
        std::lock_guard lock(impl_->ending);
        if (std::exchange(impl_->stopped, true)) return;
        if (!impl_->thread.joinable()) return end();
        boost::asio::post(impl_->io, end);
    }
    impl_->thread.join();
}

bool NetbootService::with_dhcp(const std::function<void(dhcp::Server&)>& use) {
    std::promise<void> done;
    {
        std::lock_guard lock(impl_->ending);
        if (impl_->stopped || !impl_->dhcp) return false;
        boost::asio::post(impl_->io, [&] {
            use(*impl_->dhcp);
            done.set_value();
        });
    }
    done.get_future().wait();
    return true;
}

const Ports& NetbootService::ports() const { return impl_->ports; }
const std::string& NetbootService::deaf() const { return impl_->deaf; }
std::vector<Rogue> NetbootService::rogues() const {
    std::lock_guard lock(impl_->rogues_mutex);
    return impl_->rogues.list();
}

}  // namespace slipway::pxe
