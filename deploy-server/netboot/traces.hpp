// SPDX-License-Identifier: GPL-3.0-or-later
// The netboot doctor's eyes in the server: what HTTP and agents' calls say of a boot, and what the database knows of
// the machine. pxe/service notes DHCP and TFTP itself.
#pragma once

#include "deploy-server/api/answer.hpp"
#include "deploy-server/db/database.hpp"
#include "deploy-server/db/json.hpp"
#include "gatherhw/model.hpp"
#include "pxe/doctor.hpp"
#include "pxe/service.hpp"
#include "pxe/trace_log.hpp"

namespace slipway::server {

struct TracePlace {
    Database& db;
    pxe::TraceLog& log;
    const Clock& clock;
    std::vector<pxe::Interface> interfaces;
    std::function<std::string()> deaf;  // why other servers' answers are not heard; empty: they are
    // The ids of this machine's cards ("8086:1533") that its ramdisk has no driver for; may be empty.
    std::function<std::vector<std::string>(const DeviceRow&, const gatherhw::Inventory&)> without_driver;
    std::function<std::vector<pxe::Rogue>()> rogues = {};  // other servers heard; may be empty
};

std::optional<MacAddress> kernel_neighbour(Ipv4Address address);

// For the clear listener: files below /boot/ as they go, and what was refused.
void note_file(pxe::TraceLog& log, const http::Request& request, const http::FileSending& sending);
void note_status(pxe::TraceLog& log, const http::Request& request, unsigned status);
// For the agents' listener.
void note_handshake_failure(pxe::TraceLog& log, const std::string& peer, const std::string& why);
void note_enrolment(pxe::TraceLog& log, const http::Request& request, const Answer& answer);
void note_hello(pxe::TraceLog& log, const DeviceRow& device, const http::Request& request, const std::string& version,
                bool deployment);
// /boot/trouble?mac=&time=&what=: the agent cannot make a TLS connection and says why. Nobody has to believe it.
Answer note_trouble(pxe::TraceLog& log, const http::Request& request);

// What the server knows of itself, read once for any number of machines.
class BootKnowledge {
public:
    explicit BootKnowledge(const TracePlace& place);
    // `inventory`: with what the last inventory says of its cards and addresses.
    pxe::BootContext of(const MacAddress& mac, bool inventory) const;

private:
    void add_inventory(const DeviceRow& device, const MacAddress& mac, pxe::BootContext& to) const;
    const TracePlace& place_;  // outlives this
    pxe::BootContext common_;
    std::map<std::string, WallTime> awaited_;  // devices that a job waits for, and since when
};
json::object event_json(const pxe::BootEvent& event);
json::object diagnosis_json(const pxe::Diagnosis& diagnosis);

// /api/v1/netboot/traces, /traces/{machine}, /events
void add_trace_routes(http::Router& router, const TracePlace& place);

}  // namespace slipway::server
