// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/server.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "deploy-server/agents/agent_routes.hpp"
#include "deploy-server/api/api.hpp"
#include "deploy-server/api/dhcp.hpp"
#include "deploy-server/api/ramdisks.hpp"
#include "deploy-server/api/server_address.hpp"
#include "deploy-server/api/store_routes.hpp"
#include "deploy-server/distribution/routes.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/boot.hpp"
#include "deploy-server/netboot/made_loaders.hpp"
#include "deploy-server/netboot/traces.hpp"
#include "deploy-server/netboot/uploads.hpp"
#include "deploy-server/privileges.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"
#include "lib/channel/messages.hpp"
#include "lib/http/client.hpp"

namespace slipway::server {

namespace fs = std::filesystem;
using http::Request;
using http::Response;

namespace {

constexpr std::chrono::hours kCaLife{24 * 3650}, kServerLife{24 * 397};
constexpr unsigned kThreads = 8;  // handlers read and write disks

// The CA is made once; its key never leaves the state directory.
Result<http::Identity> ready_ca(const fs::path& pki) {
    auto certificate = read_text_file(pki / "ca.pem", 1u << 20);
    auto key = read_text_file(pki / "ca.key", 1u << 20);
    if (certificate && key) return http::Identity{std::move(*certificate), std::move(*key)};
    if (certificate) return std::move(key).error().with("the CA's key");
    auto ca = TRY(http::make_ca("Slipway CA " + Uuid::random().text(), kCaLife));
    TRY(write_file_atomic(pki / "ca.key", as_bytes(ca.key_pem), 0600));
    TRY(write_file_atomic(pki / "ca.pem", as_bytes(ca.certificate_pem), 0644));
    return ca;
}

Result<std::string> ready_token(const fs::path& file) {
    if (auto text = read_text_file(file, 4096)) {
        auto token = std::string(trim(*text));
        if (token.size() < 32)
            return make_error(errors::kBadRequest, "{} holds no token of 32 characters", file.string());
        return token;
    }
    auto token = random_token();
    TRY_WITH(write_file_atomic(file, as_bytes(token + "\n"), 0600), "the administrator's token");
    return token;
}

bool same_text(std::string_view a, std::string_view b) {
    unsigned difference = a.size() == b.size() ? 0 : 1;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    return difference == 0;
}

std::optional<Response> refuse(const Request& request, const Error& error) {
    log::warning("server", "refused {} {} from {}: {}", request.method, printable(request.path), request.peer_address,
                 error.describe());
    return error_response(error);
}

}  // namespace

struct DeployServer::Impl {
    ServerOptions options;
    const Clock& clock;
    UniqueFd lock;
    http::Identity ca;
    std::string token;
    std::unique_ptr<Database> db;
    std::unique_ptr<imagestore::Store> store;
    std::unique_ptr<ChunkDesk> desk;
    std::unique_ptr<Distribution> distribution;
    std::unique_ptr<Ramdisks> ramdisks;  // before the hub, which asks it
    std::unique_ptr<Hub> hub;
    std::shared_ptr<SettingsInUse> settings = std::make_shared<SettingsInUse>();
    std::unique_ptr<Newcomers> newcomers;
    std::unique_ptr<StoreSessions> sessions;
    LongCalls long_calls;
    std::unique_ptr<StoreWork> work;
    std::shared_ptr<std::pair<std::uint16_t, std::uint16_t>> ports =
        std::make_shared<std::pair<std::uint16_t, std::uint16_t>>();
    std::shared_ptr<http::Router> tls_routes = std::make_shared<http::Router>();
    std::shared_ptr<http::Router> clear_routes = std::make_shared<http::Router>();
    std::unique_ptr<http::Server> http;
    pxe::TraceLog trace{clock, kernel_neighbour};  // before those who write into it
    std::unique_ptr<Uploads> uploads;
    std::unique_ptr<DhcpDesk> dhcp;
    std::unique_ptr<pxe::NetbootService> netboot;  // uses dhcp's lease table
    std::vector<std::string> listeners;

    Impl(ServerOptions o, const Clock& c) : options(std::move(o)), clock(c) {}

    bool has(const char* role) const { return options.roles.contains(role); }

    Status open_state() {
        std::error_code ec;
        for (const char* part : {"db", "store", "pki", "boot/ramdisk", "boot/images", "boot/loaders", "boot/uploads",
                                 "repository/user", "sequences"})
            fs::create_directories(options.state / part, ec);
        // Images hold what the machines hold, their secrets too.
        for (const char* part : {"db", "store", "boot/uploads"})
            fs::permissions(options.state / part, fs::perms::owner_all, ec);
        lock = TRY(open_fd(options.state / "lock", O_RDWR | O_CREAT, 0600));
        if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
            return make_error(errors::kStateInUse, "{} is locked", options.state.string());
        ca = TRY(ready_ca(options.state / "pki"));
        token = TRY(
            ready_token(options.admin_token_file.empty() ? options.state / "admin.token" : options.admin_token_file));
        db = TRY(Database::open(options.state / "db" / "slipway.sqlite"));
        if (has("ids")) {
            imagestore::StoreOptions create;
            create.create = true;
            store = TRY_WITH(imagestore::Store::open(options.state / "store", create), "the image store");
            desk = std::make_unique<ChunkDesk>(*store);
            distribution = std::make_unique<Distribution>(*db, *store, clock);
            TRY(distribution->load());
            sessions = std::make_unique<StoreSessions>(*desk, clock, options.sessions);
            work = std::make_unique<StoreWork>(*store, clock, long_calls);
        }
        if (has("nbs")) TRY(settle_network());
        hub = std::make_unique<Hub>(*db, clock, options.hub);
        if (store)
            hub->on_images([this](const std::string& image) -> Result<std::string> {
                return TRY(store->resolve(TRY(imagestore::ImageRef::parse(image)))).text();
            });
        if (has("nbs")) {
            RamdiskOptions r{options.state / "boot", options.state / "repository/user", options.agent,
                             options.state / "pki/ca.pem"};
            std::error_code failed;
            if (r.agent.empty())
                r.agent = fs::read_symlink("/proc/self/exe", failed).parent_path() / "slipway-agent-da";
            ramdisks = std::make_unique<Ramdisks>(std::move(r), *db);
            hub->on_hardware([this](const std::string& device) { return ramdisks->may_boot(device); },
                             [this](const std::string& device) { ramdisks->look_at(device); });
        }
        if (distribution)
            distribution->on_note([this](std::int64_t job, std::string_view level, const std::string& text) {
                hub->event(job, level, text);
            });
        if (desk)
            hub->on_task_over([this](const std::string& key) {
                distribution->task_over(key);  // first: a call that is still on its way then looks there
                desk->over(key);
            });
        settings->set(TRY(db->netboot_settings()));
        newcomers = std::make_unique<Newcomers>(*db, *hub, options.state / "sequences", settings);
        return {};
    }

    // Which interfaces are served, and by which address.
    Status settle_network() {
        auto here = TRY(local_addresses());
        auto moved = TRY(read_moved(options.state / "address"));
        auto listed = [&](const std::string& name) {
            return std::any_of(options.netboot.begin(), options.netboot.end(),
                               [&](const auto& i) { return i.name == name; });
        };
        for (const auto& subnet : options.dhcp.subnets)
            if (moved.contains(subnet.interface) && !listed(subnet.interface))
                options.netboot.push_back({subnet.interface, {}});
        auto before = options.netboot;
        TRY(settle_addresses(options.netboot, moved, here));
        for (std::size_t i = 0; i < before.size(); ++i)  // who listens on one address alone moves along
            if (!before[i].address.is_zero() && options.address == before[i].address.text())
                options.address = options.netboot[i].address.text();
        if (options.dhcp.subnets.empty()) return {};
        auto config = TRY(plan_dhcp(options.dhcp, here, options.netboot));  // the subnets bring their interfaces along
        dhcp = TRY(DhcpDesk::open(options.dhcp, std::move(config), options.state / "db" / "dhcp.sqlite"));
        return {};
    }

    // The one authorisation point: every request passes here before its handler.
    std::optional<Response> authorize(const Request& request) {
        if (request.path.starts_with("/api/")) {
            auto given = request.headers.get("Authorization");
            if (given.starts_with("Bearer ") && same_text(std::string_view(given).substr(7), token))
                return std::nullopt;
            return refuse(request, make_error(errors::kUnauthorized, "a valid bearer token is needed"));
        }
        if (request.path == "/agent/v1/enroll") return std::nullopt;  // its token speaks for it
        auto device = device_of(*db, request);
        if (device) return std::nullopt;
        if (device.error().is(errors::kReplacedCertificate))
            if (auto told = shut_out_both(*db, *hub, clock, request); !told)
                log::error("server", "{}", told.error().describe());
        return refuse(request, device.error());
    }

    void add_routes() {
        AgentPlace agents{*db,   *hub,   desk.get(), store.get(),        ca,
                          clock, &trace, {},         distribution.get(), options.state / "Patches"};
        if (ramdisks) agents.post_system = [this](const std::string& kernel) { return ramdisks->post_system(kernel); };
        add_agent_routes(*tls_routes, agents);
        ApiPlace api{*db,
                     *hub,
                     store.get(),
                     clock,
                     long_calls,
                     ca.certificate_pem,
                     options.state / "sequences",
                     options.roles,
                     {},
                     ports,
                     options.state / "boot",
                     settings,
                     {}};
        if (distribution)
            api.multicast = [d = distribution.get()](std::int64_t job) { return multicast_of_job(*d, job); };
        if (options.address != "0.0.0.0") api.addresses.push_back(options.address);
        for (const auto& interface : options.netboot) api.addresses.push_back(interface.address.text());
        add_server_routes(*tls_routes, api);
        add_device_routes(*tls_routes, api);
        add_job_routes(*tls_routes, api);
        add_image_routes(*tls_routes, api);
        add_trace_routes(*tls_routes, {*db, trace, clock, options.netboot, [this] { return deafness(); },
                                       [this](const DeviceRow& device, const gatherhw::Inventory&) {
                                           return ramdisks ? ramdisks->cards_without_driver(device.name)
                                                           : std::vector<std::string>();
                                       },
                                       [this] { return netboot ? netboot->rogues() : std::vector<pxe::Rogue>(); }});
        if (ramdisks) add_ramdisk_routes(*tls_routes, *db, *ramdisks, long_calls);
        add_netboot_routes(*tls_routes, api);
        add_dhcp_routes(*tls_routes, {*db, clock, dhcp.get(), options.netboot});
        add_server_address_routes(*tls_routes, {*db, options.netboot, options.dhcp, options.state / "address"});
        if (desk) add_store_routes(*tls_routes, {*desk, *sessions, *work});
        if (distribution) add_distribution_routes(*tls_routes, *distribution);
        tls_routes->set_guard([this](const Request& r, const http::Router::Route&) { return authorize(r); });
        // On the clear listener boot files are for anyone; bulk calls carry their key, looked at before their body.
        add_bulk_routes(*clear_routes, agents);
        clear_routes->set_guard([this](const Request& r, const http::Router::Route&) -> std::optional<Response> {
            auto key = r.headers.get(channel::kBulkHeader);
            if (!r.path.starts_with("/bulk/") || hub->held_by_bulk_key(key)) return std::nullopt;
            return refuse(r, make_error(errors::kNotYourTask, "no running task has this bulk key"));
        });
        if (has("nbs")) add_boot_routes(*clear_routes, boot_place());
    }

    BootPlace boot_place() {
        BootPlace place{*db,   clock,    options.state / "boot", options.loaders, std::nullopt,
                        ports, settings, newcomers.get()};
        place.loaders.own = place.root / "loaders";
        place.loaders.made = place.root / "made";
        place.ramdisks = ramdisks.get();
        place.address = Ipv4Address::parse(options.address);
        if (!options.netboot.empty()) place.address = options.netboot.front().address;
        place.trace = &trace;
        return place;
    }

    // Why the doctor does not hear other DHCP servers' answers.
    std::string deafness() const {
        return netboot ? netboot->deaf() : "this server answers on no interface (--netboot)";
    }

    void ready_loaders() {
        const auto place = boot_place();
        std::set<Ipv4Address> addresses;
        for (const auto& interface : options.netboot)
            if (addresses.insert(interface.address).second)
                for (const auto& made : make_loaders(place.loaders.made, interface.address))
                    if (!made.failure.empty())
                        log::warning("server", "{} was not made: {}; {}", made.name, made.failure,
                                     pxe::loader_row(made.name)->absent);
    }

    // Binds all ports, which may need root; nothing is answered before serve().
    Status bind() {
        http = std::make_unique<http::Server>(kThreads);
        http::ListenerOptions tls;
        tls.address = options.address;
        tls.port = options.tls_port;
        tls.held = true;
        tls.tls = http::TlsOptions{TRY(http::issue_server(ca, http::kControllerName, kServerLife)), ca.certificate_pem};
        tls.on_handshake_failure = [this](const std::string& peer, const std::string& why) {
            note_handshake_failure(trace, peer, why);
        };
        tls.on_request = [this](const Request& r, unsigned status) {
            if (distribution) note_delivery(*distribution, r, status);
        };
        ports->first = TRY_WITH(http->listen(std::move(tls), tls_routes), "the TLS listener");
        listeners.push_back(fmt::format("listening tls {}:{}", options.address, ports->first));
        http::ListenerOptions clear;
        clear.address = options.address;
        clear.port = options.http_port;
        clear.held = true;
        clear.on_file = [this](const Request& r, const http::FileSending& s) { note_file(trace, r, s); };
        clear.on_request = [this](const Request& r, unsigned status) {
            note_status(trace, r, status);
            if (distribution) note_delivery(*distribution, r, status);
        };
        ports->second = TRY_WITH(http->listen(std::move(clear), clear_routes), "the boot HTTP listener");
        listeners.push_back(fmt::format("listening http {}:{}", options.address, ports->second));
        return has("nbs") ? bind_netboot() : Status();
    }

    Status bind_netboot() {
        if (options.netboot.empty()) return {};
        ready_loaders();
        pxe::NetbootOptions n;
        n.interfaces = options.netboot;
        n.ports = options.netboot_ports;
        if (dhcp) TRY_WITH(dhcp->join(n), "the DHCP server");
        join_netboot(n, boot_place());
        uploads = std::make_unique<Uploads>(
            *db, options.state / "boot/uploads", [this](Ipv4Address address) { return trace.holders(address); },
            [this](const MacAddress& mac, pxe::Uploaded what) { trace.note(mac, std::move(what)); });
        n.upload = [this](const std::string& name, const UdpEndpoint& client) { return uploads->open(name, client); };
        netboot = TRY(pxe::NetbootService::create(std::move(n)));
        if (dhcp) dhcp->attach(*netboot);
        const auto& bound = netboot->ports();
        for (const auto& interface : options.netboot)
            listeners.push_back(fmt::format("listening netboot {} dhcp {} boot-server {} tftp {}",
                                            interface.address.text(), bound.dhcp, bound.boot_server, bound.tftp));
        return {};
    }

    Status drop_privileges() {
        if (options.user.empty()) return {};
        auto account = TRY(find_account(options.user));
        TRY(hand_over(options.state, account));
        return become(account);
    }

    void serve() {
        http->release();
        if (netboot) netboot->start();
    }

    void stop() {
        if (netboot) netboot->stop();
        trace.stop();
        if (newcomers) newcomers->stop();
        if (work) work->stop();
        long_calls.stop();
        if (hub) hub->stop();
        if (distribution) distribution->stop();
        if (http) http->stop();
        if (ramdisks) ramdisks->stop();
    }
};

DeployServer::DeployServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DeployServer::~DeployServer() { stop(); }
void DeployServer::stop() { impl_->stop(); }

Result<std::unique_ptr<DeployServer>> DeployServer::start(ServerOptions options, const Clock& clock) {
    auto impl = std::make_unique<Impl>(std::move(options), clock);
    std::unique_ptr<DeployServer> server(new DeployServer(std::move(impl)));
    TRY(server->impl_->open_state());
    server->impl_->add_routes();
    TRY(server->impl_->bind());
    // Jobs run power commands and scripts: not as root. They are taken up before the first request is heard.
    TRY(server->impl_->drop_privileges());
    if (auto& ramdisks = server->impl_->ramdisks) TRY(ramdisks->start());
    TRY(server->impl_->hub->start());
    server->impl_->serve();
    return server;
}

std::uint16_t DeployServer::tls_port() const { return impl_->ports->first; }
std::uint16_t DeployServer::http_port() const { return impl_->ports->second; }
const std::vector<std::string>& DeployServer::listeners() const { return impl_->listeners; }
const http::Router& DeployServer::routes() const { return *impl_->tls_routes; }

}  // namespace slipway::server
