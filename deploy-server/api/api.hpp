// SPDX-License-Identifier: GPL-3.0-or-later
// /api/v1 (docs/protocols/rest.md, openapi.yaml): JSON over the database and the hub. Who may call is decided before,
// by the one guard of server.cpp.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "deploy-server/api/answer.hpp"
#include "deploy-server/db/json.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "deploy-server/netboot/answers.hpp"
#include "imagestore/store.hpp"

namespace slipway::server {

// Threads of calls that take long; ended with the server.
class LongCalls {
public:
    ~LongCalls() { stop(); }
    void run(std::function<void(const std::atomic<bool>& cancel)> call);  // dropped when stopped already
    void stop();

private:
    std::mutex mutex_;
    std::atomic<bool> cancel_{false};
    struct Thread {
        std::thread thread;
        std::shared_ptr<std::atomic<bool>> over;  // shared: the thread says it of itself
    };
    std::vector<Thread> threads_;
};

struct ApiPlace {
    Database& db;
    Hub& hub;
    imagestore::Store* store;  // null: no role ids
    const Clock& clock;
    LongCalls& long_calls;
    std::string ca_pem;
    std::filesystem::path sequences;  // stored sequences, NAME.xml; beside the shipped ones
    std::set<std::string> roles;
    std::vector<std::string> addresses;
    std::shared_ptr<const std::pair<std::uint16_t, std::uint16_t>> ports;  // TLS, HTTP: known after listening
    std::filesystem::path boot;                                            // STATE/boot
    std::shared_ptr<SettingsInUse> netboot;
    std::function<json::array(std::int64_t job)> multicast;  // its sessions; empty: no role ids
};

void add_device_routes(http::Router& router, const ApiPlace& place);
void add_job_routes(http::Router& router, const ApiPlace& place);
void add_image_routes(http::Router& router, const ApiPlace& place);
void add_netboot_routes(http::Router& router, const ApiPlace& place);
void add_server_routes(http::Router& router, const ApiPlace& place);  // server, groups, sequences

http::Response json_response(unsigned status, const json::value& value);
json::value time_json(std::int64_t ms);  // ISO 8601, or null
json::object job_json(const ApiPlace& place, const JobRow& job, bool with_steps, bool with_log);
json::object device_json(const ApiPlace& place, const DeviceRow& device);
Result<std::string> sequence_text(const std::filesystem::path& stored, const std::string& name);  // shipped or stored
Result<sequences::Values> variables_of(const json::object& body);  // {"variables": {…}}
Result<std::int64_t> number_parameter(const http::Request& request, const char* name);

}  // namespace slipway::server
