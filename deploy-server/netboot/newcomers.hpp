// SPDX-License-Identifier: GPL-3.0-or-later
// Machines that boot by network and have no record get one, when the settings say so, and with `control` a job. On a
// thread of its own: the boot service answers packets meanwhile, and a boot ROM asks again soon.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <set>
#include <thread>

#include "deploy-server/jobs/hub.hpp"
#include "deploy-server/netboot/answers.hpp"

namespace slipway::server {

class Newcomers {
public:
    // Whoever makes up addresses must fill neither the memory nor the database.
    static constexpr std::size_t kMostWaiting = 4096;
    static constexpr std::int64_t kMostDevices = 20'000;  // records in all, from which on none is made by itself

    Newcomers(Database& db, Hub& hub, std::filesystem::path sequences, std::shared_ptr<const SettingsInUse> settings);
    ~Newcomers() { stop(); }
    void met(const MacAddress& mac);  // does not wait
    void stop();
    void settle();  // until nobody waits: for tests

    // What the thread does for each. server.exists when it has a record meanwhile.
    Status take_in(const MacAddress& mac);

private:
    void run();
    Database& db_;
    Hub& hub_;
    std::filesystem::path sequences_;
    std::shared_ptr<const SettingsInUse> settings_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable wake_;
    std::deque<MacAddress> waiting_;
    std::set<MacAddress> known_;  // those waiting or being worked on
    bool stopping_ = false;
    std::thread thread_;  // started last
};

}  // namespace slipway::server
