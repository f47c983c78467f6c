// SPDX-License-Identifier: GPL-3.0-or-later
// The ramdisk of each device: made in the background when its hardware becomes known or changes, or when a drop-in
// does, from its inventory or else from what its first boot reported. Until it is there the device boots `default`; a
// device of which nothing is known boots `broad`, with the drivers of all machines. A device without a driver for its
// card or its disks is refused. Who asks gets an answer from memory: the network boot never waits for a build.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "agent-ramdisk/builder/builder.hpp"
#include "agent-ramdisk/builder/drivers.hpp"
#include "deploy-server/db/database.hpp"
#include "lib/base/fd.hpp"

namespace slipway::server {

struct RamdiskOptions {
    std::filesystem::path boot;        // STATE/boot
    std::filesystem::path repository;  // STATE/repository/user: PreSystem, PostSystem
    std::filesystem::path agent;       // slipway-agent-da
    std::filesystem::path ca;
    std::filesystem::path root = "/";
    int level = 12;
};

enum class RamdiskState {
    NoKernel,  // STATE/boot/kernel is not there: `slipway agent build` makes it
    Unknown,   // neither inventory nor first boot
    Waiting,   // for the worker
    Building,
    Ready,
    ByHand,   // somebody made it with slipway-ramdisk
    Refused,  // no driver
    Failed,
};
std::string_view name_of(RamdiskState state);

struct RamdiskEntry {
    std::string name;
    RamdiskState state = RamdiskState::Waiting;
    std::string source;  // "inventory", "first boot"; empty: neither
    builder::DriverCheck drivers;
    std::optional<builder::BuildReport> report;
    std::string error;        // Failed: why
    std::int64_t device = 0;  // its record: another of the same name is another machine; 0: for all
};

// The names of the ramdisks for all: no device of such a name gets one of its own.
inline const std::set<std::string> kSharedRamdisks{"default", "broad", "by-content"};

// What is known of a device's hardware: its inventory, else the MODALIASes of its agent's hello.
struct KnownMachine {
    std::optional<gatherhw::Inventory> machine;
    std::string source;
};
Result<KnownMachine> known_machine(Database& db, const DeviceRow& device);

// Which of the ramdisks a device boots, by what is there: the path below STATE/boot. Pure.
std::string choose_ramdisk(const RamdiskEntry* entry, const std::string& served_kernel, bool broad_is_there);

class Ramdisks {
public:
    Ramdisks(RamdiskOptions options, Database& db) : options_(std::move(options)), db_(db) {}
    ~Ramdisks() { stop(); }
    Status start();  // looks at every device
    void stop();

    // ---- from memory
    std::string choice(const DeviceRow& device) const;  // "ramdisk/poseidon"
    // Error: server.no-driver, with the ids and what to do.
    Status may_boot(const DeviceRow& device) const;

    // ---- by a name whose record is looked for first
    std::string choice(const std::string& device) const;
    Status may_boot(const std::string& device) const;
    std::vector<std::string> cards_without_driver(const std::string& device) const;  // "8086:1533"
    std::optional<RamdiskEntry> find(const std::string& name) const;
    std::vector<RamdiskEntry> list() const;
    std::string kernel_version() const;

    // ---- for the worker
    void look_at(const std::string& device);  // its hardware may be known now, or be another
    // The shared ones, from the newest kernel installed, then every device's; or one device's, also where it was made
    // by hand.
    void rebuild();
    void rebuild(const std::string& device);
    // Until nothing is to be made any more, the time is up, or `cancel`.
    bool wait_idle(std::chrono::milliseconds time, const std::atomic<bool>* cancel = nullptr) const;

    // The archive of PostSystem for that kernel; empty: nothing is in it. Kept until the folder changes.
    Result<std::shared_ptr<const Bytes>> post_system(const std::string& kernel_version);
    const RamdiskOptions& options() const { return options_; }

private:
    struct Errand {
        std::string name;  // of a device or a shared ramdisk; empty: all
        bool force = false;
        bool operator==(const Errand&) const = default;
    };
    void work();
    bool wait_for_work();
    void drain_watch();
    void watch_folders();
    void queue(Errand errand);
    void do_all();
    void do_shared();
    void do_device(const std::string& name, bool force);
    Result<builder::BuildReport> build(const DeviceRow& device, const KnownMachine& known);
    Result<const builder::KernelModules*> modules(const std::string& version);
    std::int64_t id_of(const std::string& device) const;
    const RamdiskEntry* entry_of(const std::string& name, std::int64_t id) const;  // with the mutex held
    std::string choice(const std::string& device, std::int64_t id) const;
    Status may_boot(const std::string& device, std::int64_t id) const;
    builder::BuildRequest request(const std::string& name) const;
    void publish(RamdiskEntry entry);
    void forget_kernel();

    RamdiskOptions options_;
    Database& db_;
    std::thread thread_;
    UniqueFd wake_, watch_;
    std::atomic<bool> cancel_{false};  // the build under way

    mutable std::mutex mutex_;  // guards what follows
    mutable std::condition_variable idle_;
    std::deque<Errand> queue_;
    bool busy_ = false, stopping_ = false;
    std::map<std::string, RamdiskEntry> entries_;
    std::string served_;  // the version of STATE/boot/kernel; empty: there is none
    bool broad_ = false;
    std::shared_ptr<const Bytes> post_system_;
    std::string post_system_version_;

    // The worker's own.
    std::shared_ptr<const builder::KernelModules> modules_;
    std::map<std::string, builder::BuildReport> made_;  // by the modules chosen: machines of one make share one
};

}  // namespace slipway::server
