// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/agents/agent_routes.hpp"

#include "deploy-server/api/answer.hpp"
#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "deploy-server/netboot/traces.hpp"
#include "lib/base/log.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"
#include "lib/channel/messages.hpp"
#include "lib/patches/supply.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

namespace {

constexpr std::chrono::minutes kBootTokenLife{15};        // from the boot script to the agent's first call
constexpr std::chrono::minutes kEnrollmentTokenLife{60};  // carried to a host by hand
constexpr std::uint64_t kMaxManifest = 512u << 20;
constexpr unsigned kPollSeconds = 20;
constexpr std::uint64_t kMaxEnrolment = 64u << 10;  // from anyone: a token and a request for a certificate

std::string hash_of(std::string_view secret) { return sha256(as_bytes(secret)).text(); }

// Whose call it is, and for which task: the same for certificates and bulk keys.
using FindTask = std::function<Result<HeldTask>(const Request&, std::string_view type)>;

constexpr std::size_t kTag = 16;  // hex digits of a token's hash in a certificate's name

// NAME#ID.TAG, without a tag from earlier versions.
struct CertificateName {
    std::int64_t device = 0;
    std::string_view tag;  // of the token it was got by
};
std::optional<CertificateName> read_certificate_name(std::string_view name) {
    auto hash = name.rfind('#');
    if (hash == std::string_view::npos) return std::nullopt;
    auto dot = std::min(name.find('.', hash), name.size());
    auto id = parse_u64(name.substr(hash + 1, dot - hash - 1));
    if (!id) return std::nullopt;
    return CertificateName{static_cast<std::int64_t>(*id), name.substr(std::min(dot + 1, name.size()))};
}

// To the log, the device's record and the jobs that work on it.
Status raise_alarm(Database& db, Hub& hub, const Clock& clock, const DeviceRow& device, const Error& error) {
    log::error("server", "{}", error.explain());
    hub.alarm(device.id, error.describe());
    return db.add_alert(device.id, {unix_milliseconds(clock.wall()), error.name(), error.message()});
}

// Somebody else had the same boot script. Which of the two is the machine cannot be told from here.
Error claimed_twice(const AgentPlace& p, const DeviceRow& device, const TokenRow& token, const Request& request) {
    auto error = make_error(errors::kClaimedTwice, "device '{}': its token, used at {}, was shown again from {}",
                            device.name, iso8601(from_unix_milliseconds(token.used_ms)), request.peer_address);
    auto first = p.db.void_token(token);
    if (!first) return std::move(first).error();
    if (!*first) return error;
    (void)raise_alarm(p.db, p.hub, p.clock, device, error);
    return error;
}

Answer enroll(const AgentPlace& p, const Request& request) {
    auto message = TRY(channel::parse_enroll(request.body));
    auto now = unix_milliseconds(p.clock.wall());
    auto token = TRY(p.db.token(hash_of(message.token)));
    if (!token) return make_error(errors::kBadToken, "the token is unknown");
    auto device = TRY(p.db.device_by_id(token->device_id));
    if (!device) return make_error(errors::kUnknownDevice, "the token's device is gone");
    if (!device->controlled) return make_error(errors::kNotControlled, "device '{}'", device->name);
    auto request_hash = hash_of(message.csr_pem);
    if (token->used_ms && token->request_hash != request_hash) return claimed_twice(p, *device, *token, request);
    auto mac = MacAddress::parse(message.mac);
    if (!token->mac.empty() && (!mac || mac->text() != token->mac))
        return make_error(errors::kBadToken, "the token is for another MAC address than {}", printable(message.mac));
    auto answer = [&](const std::string& certificate) {
        return Response::json(200, channel::render(channel::Enrolled{certificate, device->name}));
    };
    // The same request again: its answer was lost. Only the holder of its key can use the certificate.
    if (token->used_ms) return answer(token->certificate);
    if (token->expires_ms < now) return make_error(errors::kBadToken, "the token has expired");
    auto life = token->mac.empty() ? kAdministrationCertificate : kDeviceCertificate;
    token->certificate = TRY(http::sign_request(p.ca, message.csr_pem, certificate_name(*device, token->hash), life));
    token->used_ms = now;
    token->request_hash = request_hash;
    if (!TRY(p.db.use_token(*token))) return make_error(errors::kBadToken, "the token was used this moment");
    TRY(p.db.add_certificate(device->id, token->hash, token->certificate, now,
                             now + std::chrono::milliseconds(life).count()));
    if (!token->mac.empty()) TRY(p.db.replace_certificates(device->id, token->hash));
    log::info("server", "device {} is enrolled from {}", device->name, request.peer_address);
    return answer(token->certificate);
}

Answer hello(const AgentPlace& p, const Request& request) {
    auto device = TRY(device_of(p.db, request));
    auto message = TRY(channel::parse_hello(request.body));
    json::object hardware;
    if (message.hardware.is_object()) hardware = message.hardware.get_object();
    if (message.memory_bytes) hardware["memory_bytes"] = message.memory_bytes;
    // What the agent's kernel sees is so, whatever was said of the machine before.
    auto secure_boot = optional_text(hardware, "secure_boot").value_or(std::nullopt).value_or("");
    if ((secure_boot == "on" || secure_boot == "off") && secure_boot != device.secure_boot)
        TRY(p.db.set_secure_boot(device.id, secure_boot));
    auto version = message.version.substr(0, 64);  // it stands in the log
    TRY(p.hub.hello(device, {message.boot_id, version, message.kind, json::serialize(hardware)}));
    if (p.trace) note_hello(*p.trace, device, request, version, message.kind == "da");
    return Response::json(200, channel::render(channel::HelloAnswer{kPollSeconds}));
}

void poll(const AgentPlace& p, const Request& request, const http::Responder& out) {
    auto device = device_of(p.db, request);
    if (!device) return out.send(error_response(device.error()));
    auto message = channel::parse_poll(request.body);
    if (!message) return out.send(error_response(message.error()));
    p.hub.poll(*device, message->boot_id, [out](std::optional<GivenTask> task) {
        std::optional<channel::Task> answer;
        if (task) answer = channel::Task{task->key, task->type, {task->parameters.begin(), task->parameters.end()}};
        out.send(Response::json(200, channel::render(answer)));
    });
}

Answer report(const AgentPlace& p, const Request& request) {
    auto device = TRY(device_of(p.db, request));
    auto message = TRY(channel::parse_report(request.body));
    AgentReport r;
    r.key = message.key;
    r.boot_id = message.boot_id;
    r.state = channel::name_of(message.state);
    if (message.progress)
        r.progress =
            sequences::TaskProgress{{}, message.progress->done, message.progress->total, message.progress->what};
    for (auto& line : message.log) r.log.emplace_back("info", std::move(line));
    if (!message.result.empty()) r.result = json::serialize(message.result);
    if (message.error) r.error = sequences::step_error(*message.error);
    if (message.multicast && p.distribution)
        if (const auto task = p.hub.held(device.id, "deploy-image"); task && task->key == message.key)
            p.distribution->heard().note(message.key, *message.multicast);
    auto cancel = p.hub.report(device, r);
    if (message.multicast && p.distribution && p.distribution->is_over(message.key))
        p.distribution->heard().forget(message.key);
    // What cannot be stored now comes again: an agent repeats a report that is answered with 503.
    if (!cancel) return Response::json(503, error_json(cancel.error()));
    return Response::json(200, channel::render(channel::ReportAnswer{*cancel}));
}

Answer manifest(const AgentPlace& p, const FindTask& find, const Request& request) {
    auto task = TRY(find(request, "deploy-image"));
    auto wanted = TRY(imagestore::ImageRef::parse(request.parameter("image")));
    auto named = TRY(imagestore::ImageRef::parse(task.parameters.at("image")));
    if (!wanted.version) wanted.version = named.version;  // the task's, whatever is the newest
    if (wanted.name != named.name || (named.version && wanted.version != named.version))
        return make_error(errors::kNotYourTask, "the task deploys '{}', not '{}'", named.text(), wanted.text());
    auto stored = TRY(p.desk->manifest(task.key, wanted));
    if (p.distribution && p.distribution->is_over(task.key)) p.desk->over(task.key);  // since then
    if (stored->size() > kMaxManifest) return make_error(errors::kBadFrames, "a manifest of {} bytes", stored->size());
    Response response = Response::text(200, std::string(stored->size(), '\0'), "application/octet-stream");
    TRY(stored->read(0, std::as_writable_bytes(std::span(response.body))));
    return response;
}

Answer commit(const AgentPlace& p, const FindTask& find, const Request& request) {
    auto task = TRY(find(request, "capture-image"));
    auto name = request.parameter("image");
    if (name != task.parameters.at("image"))
        return make_error(errors::kNotYourTask, "the task captures '{}', not '{}'", task.parameters.at("image"),
                          printable(name));
    auto result = TRY(p.desk->commit(task.key, name, request.body));
    if (result.version) {
        p.hub.event(task.job, "info", fmt::format("image {}@{} is stored", name, result.version));
        return Response::json(200, json::serialize(json::object{{"version", result.version}}));
    }
    return Response::text(409, channel::render_ids(result.missing), "application/octet-stream");
}

// A HAL or kernel for the Windows that the device's task repairs; which one, only the agent knows.
Answer patch_file(const AgentPlace& p, const FindTask& find, const Request& request) {
    (void)TRY(find(request, "repair"));
    const auto version = request.parameter("version"), language = request.parameter("language"),
               name = request.parameter("name");
    const auto key = patches::parse_key(name, version, language);
    if (!key) return make_error(errors::kNoPatchFile, "no patch library has a '{}'", printable(name));
    auto content = TRY(patches::find_in_libraries({p.patches}, *key));
    if (!content)
        return make_error(errors::kNoPatchFile, "{} is not in the server's {}", key->text(), p.patches.string());
    return Response::text(200, *std::move(content), "application/octet-stream");
}

// Whose answers are on their way: a machine by its certificate, or by its task's key.
std::string asker_of(const Request& r) {
    return r.peer_name.empty() ? r.headers.get(channel::kBulkHeader) : r.peer_name;
}

void add_chunk_routes(http::Router& router, const AgentPlace& p, const FindTask& find, const std::string& base) {
    auto octets = [](std::string body) { return Response::text(200, std::move(body), "application/octet-stream"); };
    auto* desk = p.desk;
    router.add("POST", base + "/have", handler([=](const Request& r) -> Answer {
                   return octets(TRY(desk->have(TRY(find(r, "capture-image")).key, r.body)));
               }),
               http::Router::Options{channel::kMaxIds * 32});
    router.add("POST", base, handler([=](const Request& r) -> Answer {
                   TRY(desk->put(TRY(find(r, "capture-image")).key, r.body));
                   return Response::empty();
               }),
               http::Router::Options{channel::kMaxBody + channel::kMaxFrame + 64});
    router.add("POST", base + "/flush", handler([=](const Request& r) -> Answer {
                   TRY(desk->flush(TRY(find(r, "capture-image")).key));
                   return Response::empty();
               }));
    router.add(
        "POST", base + "/get",
        [=, distribution = p.distribution](const Request& r, const http::Responder& out) {
            auto task = find(r, "deploy-image");
            if (!task) return out.send(error_response(task.error()));
            auto ids = std::string_view(r.body);
            if (r.query_value("part") == "1")
                ids = ids.substr(0, 32 * distribution->chunks_at_once(*task, r.peer_address));
            auto wanted = desk->wanted(task->key, task->parameters.at("image"), ids);
            if (distribution->is_over(task->key)) desk->over(task->key);  // since then
            if (!wanted) return out.send(error_response(wanted.error()));
            auto send = [=, list = std::move(wanted->ids)] {
                auto chunks = desk->read(list);
                out.send(chunks ? octets(std::move(*chunks)) : error_response(chunks.error()));
                return chunks.ok();
            };
            auto refuse = [out](const Error& error) {
                out.send(error.temporary() ? Response::json(503, error_json(error)) : error_response(error));
            };
            distribution->ask({*task, r.peer_address, asker_of(r), wanted->bytes, std::move(send), std::move(refuse)});
        },
        http::Router::Options{channel::kMaxIds * 32});
}

// docs/protocols/multicast.md, what goes over the agent channel. The body of both is a bitmap of what is lacking.
void add_multicast_routes(http::Router& router, const AgentPlace& p, const FindTask& find) {
    constexpr std::size_t kMaxBitmap = 16u << 20;  // of 2^27 chunks, 128 TiB
    router.add("POST", "/agent/v1/multicast/join", handler([p, find](const Request& r) -> Answer {
                   auto task = TRY(find(r, "deploy-image"));
                   auto device = TRY(device_of(p.db, r));
                   Distribution::Seat seat{task, device.name, r.peer_address, r.query_value("manifest")};
                   return Response::json(200, channel::render(TRY(p.distribution->join(seat, r.body))));
               }),
               http::Router::Options{kMaxBitmap});
    router.add("POST", "/agent/v1/multicast/tell", handler([p, find](const Request& r) -> Answer {
                   auto task = TRY(find(r, "deploy-image"));
                   auto advice = TRY(p.distribution->tell(task, r.body, r.query_value("unicast") == "1"));
                   return Response::json(200, json::serialize(json::object{{"advice", advice}}));
               }),
               http::Router::Options{kMaxBitmap});
}

}  // namespace

void note_delivery(Distribution& distribution, const Request& request, unsigned status) {
    if (status == 200 && (request.path == "/agent/v1/chunks/get" || request.path == "/bulk/v1/chunks/get"))
        distribution.delivered(asker_of(request));
}

Status shut_out_both(Database& db, Hub& hub, const Clock& clock, const Request& request) {
    auto name = read_certificate_name(request.peer_name);
    auto device = name ? TRY(db.device_by_id(name->device)) : std::nullopt;
    if (!device || !TRY(db.void_boot_certificates(device->id))) return {};
    return raise_alarm(db, hub, clock, *device,
                       make_error(errors::kReplacedCertificate,
                                  "device '{}': another machine at {} goes on with the certificate of an earlier boot",
                                  device->name, request.peer_address));
}

std::string certificate_name(const DeviceRow& device, std::string_view token_hash) {
    // A common name has at most 64 characters (RFC 5280, ub-common-name); the device's is there for people.
    constexpr std::size_t kReadable = 24;
    return fmt::format("{}#{}.{}", device.name.substr(0, kReadable), device.id, token_hash.substr(0, kTag));
}

Result<DeviceRow> device_of(Database& db, const Request& request) {
    if (request.peer_name.empty()) return make_error(errors::kNoCertificate, "no client certificate");
    auto name = read_certificate_name(request.peer_name);
    auto device = name ? TRY(db.device_by_id(name->device)) : std::nullopt;
    if (!device) return make_error(errors::kUnknownDevice, "'{}'", printable(request.peer_name));
    if (!device->controlled) return make_error(errors::kNotControlled, "device '{}'", device->name);
    if (name->tag.empty()) return std::move(*device);
    switch (TRY(db.certificate_state(device->id, name->tag))) {
        case Database::CertificateState::Void: return make_error(errors::kVoidCertificate, "device '{}'", device->name);
        case Database::CertificateState::Replaced:
            return make_error(errors::kReplacedCertificate, "device '{}'", device->name);
        default: return std::move(*device);
    }
}

Result<std::string> make_token(Database& db, const Clock& clock, std::int64_t device_id, const std::string& mac) {
    auto token = random_token();
    const std::chrono::milliseconds life = mac.empty() ? kEnrollmentTokenLife : kBootTokenLife;
    auto expires = unix_milliseconds(clock.wall()) + life.count();
    TRY(db.add_token({hash_of(token), device_id, mac, expires, 0, "", ""}));
    return token;
}

void add_agent_routes(http::Router& router, const AgentPlace& p) {
    http::Router::Options message{channel::kMaxMessage};
    router.add("POST", "/agent/v1/enroll", handler([p](const Request& r) -> Answer {
                   auto answer = enroll(p, r);
                   if (p.trace) note_enrolment(*p.trace, r, answer);
                   if (!answer)
                       log::warning("server", "refused enrolment from {}: {}", r.peer_address,
                                    answer.error().describe());
                   return answer;
               }),
               http::Router::Options{kMaxEnrolment});
    router.add("POST", "/agent/v1/hello", handler([p](const Request& r) { return hello(p, r); }), message);
    router.add("GET", "/agent/v1/post-system", handler([p](const Request& r) -> Answer {
                   (void)TRY(device_of(p.db, r));
                   if (!p.post_system) return Response::empty();
                   auto archive = TRY(p.post_system(r.query_value("kernel")));
                   if (archive->empty()) return Response::empty();
                   return Response::text(200, std::string(as_text(*archive)), "application/octet-stream");
               }));
    router.add(
        "POST", "/agent/v1/poll", [p](Request r, http::Responder out) { poll(p, r, out); }, message);
    router.add("POST", "/agent/v1/report", handler([p](const Request& r) { return report(p, r); }), message);
    FindTask find = [p](const Request& r, std::string_view type) -> Result<HeldTask> {
        auto device = TRY(device_of(p.db, r));
        auto task = p.hub.held(device.id, type);
        if (!task) {
            auto error = make_error(errors::kNotYourTask, "device '{}' has no running {} task", device.name, type);
            log::warning("server", "refused {} {} from {}: {}", r.method, r.path, r.peer_address, error.describe());
            return error;
        }
        p.hub.seen(device.id);
        return std::move(*task);
    };
    router.add("GET", "/agent/v1/patches/{version}/{language}/{name}",
               handler([p, find](const Request& r) { return patch_file(p, find, r); }));
    if (!p.desk) return;
    add_chunk_routes(router, p, find, "/agent/v1/chunks");
    router.add("POST", "/agent/v1/images/{image}/commit",
               handler([p, find](const Request& r) { return commit(p, find, r); }),
               http::Router::Options{kMaxManifest});
    if (p.distribution) add_multicast_routes(router, p, find);
    router.add("GET", "/agent/v1/images/{image}/manifest",
               handler([p, find](const Request& r) { return manifest(p, find, r); }));
}

void add_bulk_routes(http::Router& router, const AgentPlace& p) {
    if (!p.desk) return;
    FindTask find = [p](const Request& r, std::string_view type) -> Result<HeldTask> {
        auto task = p.hub.held_by_bulk_key(r.headers.get(channel::kBulkHeader));
        if (task && task->type == type) return std::move(*task);
        log::warning("server", "refused {} {} from {}: no running task has this bulk key", r.method, r.path,
                     r.peer_address);
        return make_error(errors::kNotYourTask, "no running {} task has this bulk key", type);
    };
    add_chunk_routes(router, p, find, "/bulk/v1/chunks");
}

}  // namespace slipway::server
