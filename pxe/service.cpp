// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/service.hpp"

#include <algorithm>
#include <thread>

#include <boost/asio/post.hpp>

#include "dhcp-helper/listener.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "pxe/errors.hpp"
#include "pxe/seldom.hpp"
#include "tftp/errors.hpp"
#include "tftp/server.hpp"

namespace slipway::pxe {

struct NetbootService::Impl {
    NetbootOptions options;
    Ports ports;
    boost::asio::io_context io{1};
    std::vector<dhcp::Listener> listeners;
    std::vector<tftp::Server> servers;
    std::thread thread;
    Seldom silences;

    Status bind(const Interface& interface) {
        BootServer server{interface.address, options.http_port};
        auto listen = [&](std::uint16_t port, bool boot_server) -> Result<std::uint16_t> {
            dhcp::ListenerOptions o{.device = interface.name, .port = port, .answer_source = boot_server};
            // A socket of one interface takes any address of it, broadcasts too. Port 67 may be shared with a DHCP
            // server here.
            if (interface.name.empty()) o.address = interface.address;
            o.share = !boot_server;
            o.handler = [this, server, boot_server](const dhcp::Arrival& a) { return answer(a, boot_server, server); };
            listeners.push_back(TRY(dhcp::Listener::create(io, std::move(o))));
            return listeners.back().port();
        };
        Ports bound{TRY(listen(options.ports.dhcp, false)), TRY(listen(options.ports.boot_server, true)), 0};
        tftp::ServerOptions t{.local = {interface.address, options.ports.tftp}, .device = interface.name};
        t.source = [this](const std::string& name, const UdpEndpoint& client) { return open(name, client); };
        t.on_transfer = [](const tftp::TransferReport& r) {
            log::info("tftp", "{} '{}': {} in {} ms{}{}", r.client.text(), printable(r.file), human_bytes(r.bytes),
                      r.took.count(), r.failure.empty() ? "" : ": ", printable(r.failure));
        };
        servers.push_back(TRY(tftp::Server::create(io, std::move(t))));
        bound.tftp = servers.back().port();
        if (servers.size() == 1) ports = bound;
        return {};
    }

    std::optional<dhcp::Message> answer(const dhcp::Arrival& arrival, bool boot_server_port, const BootServer& server) {
        auto facts = facts_of(arrival.message);
        if (!facts.is_boot_client()) return std::nullopt;
        auto choice = choose_boot(facts, options.decide(facts.mac, facts), server);
        auto reply =
            choice.answer ? make_reply(arrival.message, boot_server_port, *choice.answer, server) : std::nullopt;
        if (choice.answer && !reply) return std::nullopt;  // the other server's part of the conversation
        auto text = fmt::format("{} '{}': {}", dhcp::name_of(arrival.message.type()), printable(facts.vendor_class),
                                choice.why);
        if (reply) log::info("pxe", "{} {}", facts.mac.text(), text);
        else if (silences.due(facts.mac, SystemClock().now()))
            log::info("pxe", "no answer to {} {}", facts.mac.text(), text);
        if (options.on_answer) options.on_answer(facts.mac, text);
        return reply;
    }

    Result<tftp::Content> open(const std::string& name, const UdpEndpoint& client) const {
        std::string_view path = name;
        while (path.starts_with('/')) path.remove_prefix(1);
        if (path.starts_with("boot/") && options.boot_file)
            return options.boot_file(std::string(path.substr(5)), client);
        auto loader = open_loader(options.loaders, std::string(path));
        if (loader.ok() || options.tftp_root.empty()) return loader;
        return tftp::open_below(options.tftp_root, path);
    }
};

Result<tftp::Content> NetbootService::open_loader(const std::filesystem::path& loaders, const std::string& name) {
    bool known =
        std::any_of(kArchs.begin(), kArchs.end(), [&](const ArchRow& r) { return !name.empty() && r.loader == name; });
    if (!known) return make_error(tftp::errors::kNotFound, "'{}'", printable(name));
    return tftp::open_below(loaders, name);
}

NetbootService::NetbootService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NetbootService::~NetbootService() { stop(); }

Result<std::unique_ptr<NetbootService>> NetbootService::create(NetbootOptions options) {
    if (options.interfaces.empty() || !options.decide) return make_error(errors::kSettings, "no interface to serve");
    for (const auto& row : kArchs)
        if (!row.loader.empty() && !open_loader(options.loaders, std::string(row.loader)).ok())
            return make_error(errors::kLoader, "{} is not in {}", row.loader, options.loaders.string());
    auto impl = std::make_unique<Impl>();
    impl->options = std::move(options);
    for (const auto& interface : impl->options.interfaces) {
        if (interface.address.is_zero())
            return make_error(errors::kSettings, "interface '{}' has no IPv4 address", interface.name);
        TRY_WITH(impl->bind(interface), "network boot on " + interface.address.text());
    }
    return std::unique_ptr<NetbootService>(new NetbootService(std::move(impl)));
}

void NetbootService::start() {
    impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

void NetbootService::stop() {
    auto end = [impl = impl_.get()] {
        for (auto& listener : impl->listeners) listener.stop();
        for (auto& server : impl->servers) server.stop();
    };
    if (!impl_->thread.joinable()) return end();
    boost::asio::post(impl_->io, end);
    impl_->thread.join();
}

const Ports& NetbootService::ports() const { return impl_->ports; }

}  // namespace slipway::pxe
