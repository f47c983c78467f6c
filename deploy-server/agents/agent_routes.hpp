// SPDX-License-Identifier: GPL-3.0-or-later
// /agent/v1: enrolment, hello, post-system, poll, report, patch files, images and chunks (docs/architecture.md,
// "lib/http and lib/channel").
#pragma once

#include "deploy-server/agents/chunk_desk.hpp"
#include "deploy-server/db/database.hpp"
#include "deploy-server/distribution/distribution.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "lib/http/server.hpp"
#include "pxe/trace_log.hpp"

namespace slipway::server {

struct AgentPlace {
    Database& db;
    Hub& hub;
    ChunkDesk* desk;           // null: this server has no image store (role ids)
    imagestore::Store* store;  // as desk
    const http::Identity& ca;
    const Clock& clock;
    pxe::TraceLog* trace = nullptr;  // is told of enrolments and hellos
    // PostSystem for a kernel's agents; empty: nothing is in it. Unset: this server boots nobody.
    std::function<Result<std::shared_ptr<const Bytes>>(const std::string& kernel)> post_system;
    Distribution* distribution = nullptr;  // as desk
    std::filesystem::path patches;         // the patch library
};

inline constexpr std::chrono::hours kDeviceCertificate{48};                // an agent of a ramdisk
inline constexpr std::chrono::hours kAdministrationCertificate{24 * 365};  // it cannot boot for a new token

void add_agent_routes(http::Router& router, const AgentPlace& place);
// nonetencrypt: /bulk/v1/chunks… on the clear listener, by the header X-Slipway-Bulk.
void add_bulk_routes(http::Router& router, const AgentPlace& place);

// For the listeners' on_request, which is called when an answer has been read or its connection has ended.
void note_delivery(Distribution& distribution, const http::Request& request, unsigned status);

// The device that a request's client certificate speaks for. Errors: server.no-certificate, server.unknown-device,
// server.not-controlled, server.void-certificate, server.replaced-certificate.
Result<DeviceRow> device_of(Database& db, const http::Request& request);
// After server.replaced-certificate: a machine has enrolled since, and the one before is still there. Two say that they
// are the device; which of them is cannot be told from here, so both are shut out, with an alert.
Status shut_out_both(Database& db, Hub& hub, const Clock& clock, const http::Request& request);
// What a certificate's common name is for a device, and for the token it was got by: a new device of an old name is
// another one, and a token that two machines showed voids what the first got for it.
std::string certificate_name(const DeviceRow& device, std::string_view token_hash);

// A one-time token for this device; mac empty: any machine may use it (administration agents).
Result<std::string> make_token(Database& db, const Clock& clock, std::int64_t device_id, const std::string& mac);

}  // namespace slipway::server
