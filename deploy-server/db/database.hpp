// SPDX-License-Identifier: GPL-3.0-or-later
// What the server must know after kill -9 at any instant: devices, groups, jobs with their runs and
// steps, events, artifacts, tokens. Times are milliseconds since 1970; 0: not set. Calls are
// thread-safe and durable when they return.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "deploy-server/db/sqlite.hpp"
#include "lib/base/ip.hpp"
#include "sequences/engine.hpp"

namespace slipway::server {

struct DeviceRow {
    std::int64_t id = 0;
    std::string name, description;
    std::vector<std::string> macs;  // as MacAddress::text()
    std::string kind = "device";    // or "vmhost"
    bool controlled = false;
    std::string power_driver = "prompt";     // prompt | command | vm
    std::vector<std::string> power_command;  // command: argv; vm: the VM's name, when not the device's
    std::string vmhost;                      // vm: device name of its VM host
    std::string boot_action;                 // what a job said last: da | disk; empty: none yet
    std::string pxe_action;                  // what it boots without a job: a word of pxe::kActionNames; empty:
                                             // as the settings say
    std::string pxe_image;                   // image: a file of STATE/boot/images
    std::string loader = "auto", local_boot = "auto";  // pxe::valid_loader(), pxe::kLocalBootNames
    std::string secure_boot = "unknown";               // unknown | off | on
    bool tftp_upload = false;                          // it may send files: STATE/boot/uploads/NAME
    std::string hardware;                              // JSON object text of the agent's hello
    std::string agent_version, agent_kind, boot_id;    // of the last hello
    std::int64_t last_seen_ms = 0;
};

// A device that a job makes before its first step, when there is none of that name.
struct DeviceSpec {
    std::string name, description;
    std::vector<std::string> macs;
    std::string kind = "device", power_driver = "prompt", vmhost;
    std::vector<std::string> power_command;
    std::string secure_boot = "unknown";  // as of DeviceRow
};

enum class JobMode {
    Run,       // one run of its sequence, on its device when it has one
    Serial,    // children one after the other
    Parallel,  // children side by side
};

struct JobRow {
    std::int64_t id = 0;
    std::int64_t parent = 0;
    JobMode mode = JobMode::Run;
    std::string name, sequence_name, sequence_xml, device;
    sequences::Values variables;
    std::optional<DeviceSpec> make_device;
    unsigned max_parallel = 0;  // Parallel: so many children at a time; 0: all
    std::uint64_t rate = 0;     // bits a second of all that is sent for it, as it was given by hand; 0: was not
    sequences::RunState state = sequences::RunState::Queued;
    std::int64_t created_ms = 0, started_ms = 0, ended_ms = 0;
};

struct RunRow {
    std::int64_t id = 0, job = 0;
    std::string bulk_key;  // for `nonetencrypt` tasks of this run
    sequences::RunRecord record;
};

struct EventRow {
    std::int64_t id = 0, job = 0, time_ms = 0;
    std::string level, text;
};

// Minutes of the server's day, up to 24 * 60; from a later one to an earlier one over midnight.
struct RateWindow {
    unsigned from = 0, to = 0;
    std::uint64_t rate = 0;  // bits a second; 0: no limit
    friend bool operator==(const RateWindow&, const RateWindow&) = default;
};
// Of all that goes out by this address of ours.
struct InterfaceLimit {
    IpAddress interface;
    std::uint64_t rate = 0;
    friend bool operator==(const InterfaceLimit&, const InterfaceLimit&) = default;
};

// Of the Image Distribution Service.
struct DistributionSettings {
    bool multicast = true;
    bool adaptive = true;    // below the rate, what the line carries; false: at the rate
    std::uint64_t rate = 0;  // bits a second of each job; 0: none, multicast is adaptive then
    IpAddress group;         // the first of 4096; none: the usual one of the family that the machines speak (route.hpp)
    std::uint16_t port = 8481;
    std::uint16_t report_first = 0, report_last = 0;  // UDP: each session takes one of these; 0: any
    unsigned ttl = 1;                                 // 1: this segment; routers pass on what has more
    IpAddress interface;          // our address on the segment; none: the one that speaks to the machine
    unsigned wait_seconds = 30;   // after the first machine, for the others
    unsigned start_machines = 0;  // a session begins when so many are there; 0: all of the job
    std::vector<InterfaceLimit> limits;
    std::vector<RateWindow> windows;  // while in one, its rate takes the place of `rate` and of the limits'
    friend bool operator==(const DistributionSettings&, const DistributionSettings&) = default;
};

struct NetbootSettings {
    std::string unknown = "ignore";     // a machine without a record: ignore | add | control
    std::string description;            // of a record made for one
    std::string default_job;            // control: the sequence it gets
    sequences::Values variables;        // of that job
    std::string action = "boot-to-da";  // a device under control, without a job and an action of its own
    bool operator==(const NetbootSettings&) const = default;
};

// What an operator should know of a device, whether a job runs or not.
struct AlertRow {
    std::int64_t time_ms = 0;
    std::string name, text;  // as an error's: "server.token-claimed-twice"
};

struct TokenRow {
    std::string hash;  // SHA-256 of the token, hex: the token itself is not kept
    std::int64_t device_id = 0;
    std::string mac;  // empty: any
    std::int64_t expires_ms = 0, used_ms = 0;
    std::string request_hash, certificate;  // what it was used for
};

class Database {
public:
    // Brings an older file up to date. Error: server.newer-database. version: an earlier one, for tests of the next.
    static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file, int version = schema_version());
    Sqlite& sqlite() { return *sqlite_; }
    static int schema_version();

    // ---- devices
    Result<std::vector<DeviceRow>> devices();
    Result<std::optional<DeviceRow>> device(std::string_view name);
    Result<std::optional<DeviceRow>> device_by_id(std::int64_t id);
    Result<std::optional<DeviceRow>> device_by_mac(const MacAddress& mac);
    // Errors: server.exists (name or MAC).
    Result<DeviceRow> add_device(const DeviceRow& device);
    Status update_device(const DeviceRow& device);  // all but what the next two set
    Status set_control(std::int64_t id, bool controlled, std::string_view boot_action);
    Status set_boot_action(std::int64_t id, std::string_view action);
    // From the row: hardware, agent_version, agent_kind, boot_id, last_seen_ms.
    Status set_agent(const DeviceRow& device);
    Status set_inventory(std::int64_t id, std::string_view xml);
    Result<std::string> inventory(std::int64_t id);  // empty: none
    Status set_seen(std::int64_t id, std::int64_t seen_ms);
    Status set_secure_boot(std::int64_t id, std::string_view state);
    // The last ones of each device are kept.
    Status add_alert(std::int64_t id, const AlertRow& alert);
    Result<std::vector<AlertRow>> alerts(std::int64_t id);  // oldest first
    Result<std::int64_t> count_devices();
    Result<bool> remove_device(std::string_view name);

    // ---- settings
    Result<NetbootSettings> netboot_settings();
    Status set_netboot_settings(const NetbootSettings& settings);
    Result<DistributionSettings> distribution_settings();
    Status set_distribution_settings(const DistributionSettings& settings);

    // ---- groups
    struct Group {
        std::string name;
        std::vector<std::string> devices;
    };
    Result<std::vector<Group>> groups();
    Status put_group(const Group& group);  // error: server.no-device
    Result<bool> remove_group(std::string_view name);

    // ---- jobs
    Result<std::int64_t> add_job(const JobRow& job);  // with its run when mode is Run
    Result<std::vector<JobRow>> jobs();               // by id
    Result<std::vector<JobRow>> unfinished_jobs();    // queued or running, or below such a parent
    Result<std::optional<JobRow>> job(std::int64_t id);
    Result<std::vector<std::int64_t>> children(std::int64_t job);
    Status set_job(const JobRow& job);  // state and times
    Status set_job_rate(std::int64_t job, std::uint64_t bits);
    Result<std::optional<RunRow>> run_of(std::int64_t job);
    Status save_run(const RunRow& run);  // the run and its steps, one transaction
    Status save_step(const RunRow& run, std::size_t step);

    // ---- events and artifacts
    Result<std::int64_t> add_event(const EventRow& event);
    // Of the job and the jobs below it, in order.
    Result<std::vector<EventRow>> events(std::int64_t job, std::int64_t after, std::size_t limit);
    Status put_artifact(std::int64_t job, std::string_view name, std::string_view content_type, ByteView data);
    Status remove_artifact(std::int64_t job, std::string_view name);
    Result<std::vector<std::string>> artifacts(std::int64_t job);
    struct Artifact {
        std::string content_type;
        Bytes data;
    };
    Result<std::optional<Artifact>> artifact(std::int64_t job, std::string_view name);

    // ---- tokens and certificates
    Status add_token(const TokenRow& token);  // voids the unused ones of that device and MAC
    Result<std::optional<TokenRow>> token(std::string_view hash);
    // False when somebody used it meanwhile.
    Result<bool> use_token(const TokenRow& token);
    // Somebody else has it too: the certificate it was used for is void from now on, and so are the unused tokens of
    // its device. True the first time.
    Result<bool> void_token(const TokenRow& token);
    Status add_certificate(std::int64_t device_id, std::string_view token_hash, std::string_view certificate,
                           std::int64_t now_ms, std::int64_t expires_ms);
    // tag: the beginning of the hash of the token it was got by.
    enum class CertificateState { Good, Void, Replaced };
    Result<CertificateState> certificate_state(std::int64_t device_id, std::string_view tag);
    // A machine that boots again is known by its new certificate: those of its earlier boots are replaced.
    Status replace_certificates(std::int64_t device_id, std::string_view by_token_hash);
    // All that were got by boot tokens. True when a good one was among them.
    Result<bool> void_boot_certificates(std::int64_t device_id);

private:
    explicit Database(std::unique_ptr<Sqlite> sqlite) : sqlite_(std::move(sqlite)) {}
    Status migrate(int version);
    std::unique_ptr<Sqlite> sqlite_;
};

}  // namespace slipway::server
