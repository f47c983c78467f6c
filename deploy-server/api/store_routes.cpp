// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/api/store_routes.hpp"

#include <algorithm>

#include "deploy-server/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/remote_store.hpp"

namespace slipway::server {

using http::Request;
using http::Response;

namespace {

constexpr std::uint64_t kMaxWait = 20;  // seconds; connections are given up as idle after 60
constexpr const char* kOctets = "application/octet-stream";

Response octets(std::string body) { return Response::text(200, std::move(body), kOctets); }

Answer open_upload(const StorePlace& p, const Request& r) {
    auto image = TRY(required_text(TRY(parse_object(r.body)), "image"));
    auto id = TRY(p.sessions.open(image));
    log::info("server", "an upload of image {} begins from {}", image, r.peer_address);
    return json_response(201, json::object{{"id", id}, {"image", image}});
}

Answer commit(const StorePlace& p, const Request& r) {
    auto id = r.parameter("id");
    auto result =
        TRY(p.sessions.with(id, [&](const auto& key, const auto& image) { return p.desk.commit(key, image, r.body); }));
    if (!result.version) return Response::text(409, channel::render_ids(result.missing), kOctets);
    // Ended by now perhaps by another of its calls: the image is there all the same.
    (void)p.sessions.close(id).ok();
    log::info("server", "an upload from {} is stored as version {}", r.peer_address, result.version);
    return json_response(200, json::object{{"version", result.version}});
}

Answer manifest(const StorePlace& p, const Request& r) {
    auto stored = TRY(p.sessions.read(r.parameter("name")));
    if (stored->size() > channel::kMaxManifest)
        return make_error(errors::kBadFrames, "a manifest of {} bytes", stored->size());
    auto response = octets(std::string(stored->size(), '\0'));
    TRY(stored->read(0, std::as_writable_bytes(std::span(response.body))));
    response.headers.set(channel::kImageHeader, stored->version().text());
    return response;
}

void add_upload_routes(http::Router& router, const StorePlace& p) {
    const std::string base = "/api/v1/uploads";
    router.add("POST", base, handler([p](const Request& r) { return open_upload(p, r); }));
    router.add("DELETE", base + "/{id}", handler([p](const Request& r) -> Answer {
                   TRY(p.sessions.close(r.parameter("id")));
                   return Response::empty();
               }));
    router.add("POST", base + "/{id}/chunks/have", handler([p](const Request& r) -> Answer {
                   return octets(TRY(p.sessions.with(
                       r.parameter("id"), [&](const auto& key, const auto&) { return p.desk.have(key, r.body); })));
               }),
               http::Router::Options{channel::kMaxIds * 32});
    router.add("POST", base + "/{id}/chunks", handler([p](const Request& r) -> Answer {
                   TRY(p.sessions.with(r.parameter("id"),
                                       [&](const auto& key, const auto&) { return p.desk.put(key, r.body); }));
                   return Response::empty();
               }),
               http::Router::Options{channel::kMaxBody + channel::kMaxFrame + 64});
    router.add(
        "POST", base + "/{id}/chunks/flush", handler([p](const Request& r) -> Answer {
            TRY(p.sessions.with(r.parameter("id"), [&](const auto& key, const auto&) { return p.desk.flush(key); }));
            return Response::empty();
        }));
    router.add("POST", base + "/{id}/commit", handler([p](const Request& r) { return commit(p, r); }),
               http::Router::Options{channel::kMaxManifest});
}

}  // namespace

void add_store_routes(http::Router& router, const StorePlace& p) {
    add_upload_routes(router, p);
    router.add("GET", "/api/v1/images/{name}/manifest", handler([p](const Request& r) { return manifest(p, r); }));
    router.add("POST", "/api/v1/images/{name}/chunks/get", handler([p](const Request& r) -> Answer {
                   auto lease = TRY(p.sessions.read(r.parameter("name")));
                   return octets(TRY(p.desk.get_any(r.body)));
               }),
               http::Router::Options{channel::kMaxIds * 32});
    auto begun = [](std::string id) { return json_response(202, json::object{{"id", std::move(id)}}); };
    router.add("POST", "/api/v1/store/verify",
               handler([=](const Request&) -> Answer { return begun(p.work.verify()); }));
    router.add("POST", "/api/v1/store/gc", handler([=](const Request& r) -> Answer {
                   auto options = r.body.empty() ? json::object() : TRY(parse_object(r.body));
                   return begun(p.work.gc(TRY(optional_flag(options, "dry_run")).value_or(false)));
               }));
    router.add("GET", "/api/v1/store/work/{id}", [p](Request r, const http::Responder& out) {
        auto wait = std::min(kMaxWait, parse_u64(r.query_value("wait")).value_or(0));
        p.work.answer(r.parameter("id"), std::chrono::seconds(wait), out);
    });
    router.add("DELETE", "/api/v1/store/work/{id}", handler([p](const Request& r) -> Answer {
                   TRY(p.work.cancel(r.parameter("id")));
                   return Response::empty();
               }));
}

}  // namespace slipway::server
