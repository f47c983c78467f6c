// SPDX-License-Identifier: GPL-3.0-or-later
// The driver with agents that are function calls: no HTTP, real database, real time but short.
#pragma once

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "deploy-server/jobs/hub.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server::test {

using namespace std::chrono_literals;
using sequences::RunState;
using sequences::Sequence;
using sequences::StepState;

struct Bench : testing::Test {
    TempDir dir = TempDir::create("hub").value();
    SystemClock clock;
    HubOptions options{150ms, 400ms, 50ms, 20ms, 50ms, 30ms, 10ms, 50ms};
    std::unique_ptr<Database> db = std::move(Database::open(dir / "db").value());
    std::unique_ptr<Hub> hub;

    void SetUp() override { begin(); }
    void begin() {
        hub = std::make_unique<Hub>(*db, clock, options);
        ASSERT_TRUE(hub->start());
    }
    // As after kill -9: nothing of the process is left, the database is.
    void restart() {
        hub.reset();
        db.reset();
        db = std::move(Database::open(dir / "db").value());
        begin();
    }
    DeviceRow add(const std::string& name, const std::string& kind = "device", const std::string& driver = "prompt",
                  std::vector<std::string> command = {}) {
        DeviceRow d;
        d.name = name;
        d.kind = kind;
        d.controlled = true;
        d.power_driver = driver;
        d.power_command = std::move(command);
        return db->add_device(d).value();
    }
    DeviceRow row(const std::string& name) { return *db->device(name).value(); }
    void hello(const std::string& name, const std::string& boot = "b1", const std::string& kind = "da") {
        ASSERT_TRUE(hub->hello(row(name), {boot, "1", kind, "{}"}));
    }
    std::optional<GivenTask> poll(const std::string& name, const std::string& boot = "b1") {
        auto answer = std::make_shared<std::promise<std::optional<GivenTask>>>();
        hub->poll(row(name), boot, [answer](auto task) { answer->set_value(std::move(task)); });
        return answer->get_future().get();
    }
    GivenTask poll_until_given(const std::string& name) {
        for (int i = 0; i < 100; ++i)
            if (auto task = poll(name)) return *task;
        ADD_FAILURE() << "no task in 100 polls";
        return {};
    }
    bool report(const std::string& name, const std::string& key, const std::string& state,
                const std::string& result = "", const std::string& boot = "b1") {
        AgentReport r{key, boot, state, std::nullopt, {}, result, std::nullopt};
        if (state == "failed") r.error = sequences::StepError{"disk.broken", "broken", "replace it", false};
        return hub->report(row(name), r).value();
    }
    static std::string xml(Sequence sequence) {
        sequence.name = "test";
        return sequences::render_sequence(sequence);
    }
    JobRequest request(const std::string& device, const Sequence& sequence) {
        JobRequest r;
        r.name = "test";
        r.sequence_xml = xml(sequence);
        r.device = device;
        return r;
    }
    std::int64_t submit(const std::string& device, const Sequence& sequence) {
        return hub->submit(request(device, sequence)).value();
    }
    RunState state(std::int64_t job) { return db->job(job).value()->state; }
    std::vector<EventRow> events(std::int64_t job) { return db->events(job, 0, 1000).value(); }
    void wait_for_news(std::int64_t job) {
        std::promise<void> news;
        hub->wait_for_event(job, events(job).back().id, 10s, [&] { news.set_value(); });
        news.get_future().wait();
    }
    RunState wait_end(std::int64_t job) {
        auto until = std::chrono::steady_clock::now() + 10s;
        std::int64_t last = 0;
        while (std::chrono::steady_clock::now() < until) {
            auto now = state(job);
            if (now != RunState::Queued && now != RunState::Running) return now;
            std::promise<void> news;
            hub->wait_for_event(job, last, 1s, [&] { news.set_value(); });
            news.get_future().wait();
            for (const auto& e : events(job)) last = e.id;
        }
        return state(job);
    }
};

inline Sequence inventory_only() {
    Sequence s;
    s.add("inventory");
    return s;
}

}  // namespace slipway::server::test
