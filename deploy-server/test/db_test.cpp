// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/db/database.hpp"

#include <gmock/gmock.h>
#include <atomic>
#include <future>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

struct Bench : testing::Test {
    TempDir dir = TempDir::create("db").value();
    std::unique_ptr<Database> db = open();
    std::unique_ptr<Database> open() { return std::move(Database::open(dir / "slipway.sqlite").value()); }
    DeviceRow device(const std::string& name, std::vector<std::string> macs) {
        DeviceRow d;
        d.name = name;
        d.macs = std::move(macs);
        return d;
    }
};

TEST_F(Bench, opening_again_applies_no_migration_twice_and_keeps_everything) {
    ASSERT_TRUE(db->add_device(device("a", {"52:54:00:00:00:01"})));
    db.reset();
    db = open();
    int versions = 0;
    ASSERT_TRUE(db->sqlite().query("SELECT count(*) FROM migrations", {}, [&](Row r) { versions = r.number(0); }));
    EXPECT_EQ(versions, Database::schema_version());
    EXPECT_EQ(db->device("a").value()->macs, std::vector<std::string>{"52:54:00:00:00:01"});
}

TEST_F(Bench, a_database_of_a_later_version_is_refused_by_name) {
    ASSERT_TRUE(db->sqlite().run("INSERT INTO migrations(version) VALUES (999)"));
    db.reset();
    auto again = Database::open(dir / "slipway.sqlite");
    ASSERT_FALSE(again);
    EXPECT_TRUE(again.error().is(errors::kNewerDatabase));
}

TEST_F(Bench, a_file_that_is_no_database_is_a_named_error) {
    ASSERT_TRUE(write_file_atomic(dir / "other.sqlite", as_bytes(std::string(5000, 'x'))));
    auto opened = Database::open(dir / "other.sqlite");
    ASSERT_FALSE(opened);
    EXPECT_TRUE(opened.error().is(errors::kDatabase));
}

TEST_F(Bench, devices_are_unique_by_name_and_mac_and_a_refused_one_leaves_nothing) {
    ASSERT_TRUE(db->add_device(device("a", {"52:54:00:00:00:01", "52:54:00:00:00:02"})));
    EXPECT_TRUE(db->add_device(device("a", {})).error().is(errors::kExists));
    EXPECT_TRUE(db->add_device(device("b", {"52:54:00:00:00:03", "52:54:00:00:00:02"})).error().is(errors::kExists));
    EXPECT_FALSE(db->device("b").value());
    EXPECT_FALSE(db->device_by_mac(*MacAddress::parse("525400000003")).value());
    EXPECT_EQ(db->device_by_mac(*MacAddress::parse("52-54-00-00-00-02")).value()->name, "a");
    ASSERT_TRUE(db->remove_device("a").value());
    EXPECT_FALSE(db->remove_device("a").value());
    EXPECT_TRUE(db->add_device(device("b", {"52:54:00:00:00:02"})));
}

TEST_F(Bench, a_new_device_of_an_old_name_has_another_id) {
    auto first = db->add_device(device("a", {})).value().id;
    ASSERT_TRUE(db->remove_device("a"));
    EXPECT_NE(db->add_device(device("a", {})).value().id, first);
}

TEST_F(Bench, a_token_is_used_once_and_goes_with_its_device) {
    auto id = db->add_device(device("a", {})).value().id;
    TokenRow token{"hash", id, "", 5000, 0, "", ""};
    ASSERT_TRUE(db->add_token(token));
    token.used_ms = 1;
    token.certificate = "pem";
    EXPECT_TRUE(db->use_token(token).value());
    EXPECT_FALSE(db->use_token(token).value());
    EXPECT_EQ(db->token("hash").value()->certificate, "pem");
    ASSERT_TRUE(db->remove_device("a"));
    EXPECT_FALSE(db->token("hash").value());
}

TEST_F(Bench, a_newer_token_voids_the_unused_one_of_the_same_machine_alone) {
    auto id = db->add_device(device("a", {})).value().id;
    auto other = db->add_device(device("b", {})).value().id;
    ASSERT_TRUE(db->add_token({"other", other, "m", 5000, 0, "", ""}));
    ASSERT_TRUE(db->add_token({"second card", id, "n", 5000, 0, "", ""}));
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(db->add_token({std::to_string(i), id, "m", 5000 - i, 0, "", ""}));
    EXPECT_FALSE(db->token("98").value());
    EXPECT_TRUE(db->use_token({"99", id, "m", 0, 1, "", ""}).value());
    ASSERT_TRUE(db->add_token({"last", id, "m", 5000, 0, "", ""}));
    for (const auto* kept : {"99", "last", "other", "second card"}) EXPECT_TRUE(db->token(kept).value()) << kept;
}

using State = Database::CertificateState;

TEST_F(Bench, a_token_shown_twice_voids_its_certificate_and_no_other) {
    auto id = db->add_device(device("a", {})).value().id;
    const std::string first(64, 'a'), second(64, 'b');
    for (const auto& hash : {first, second}) {
        ASSERT_TRUE(db->add_token({hash, id, "m", 5000, 0, "", ""}));
        ASSERT_TRUE(db->use_token({hash, id, "m", 0, 1, "request", "pem"}).value());
        ASSERT_TRUE(db->add_certificate(id, hash, "pem", 1, 2));
    }
    ASSERT_TRUE(db->add_token({"unused", id, "m", 5000, 0, "", ""}));
    ASSERT_TRUE(db->add_token({"of a host", id, "", 5000, 0, "", ""}));
    EXPECT_EQ(db->certificate_state(id, first.substr(0, 16)).value(), State::Good);
    EXPECT_TRUE(db->void_token({first, id, "m", 0, 1, "", ""}).value());
    EXPECT_FALSE(db->void_token({first, id, "m", 0, 1, "", ""}).value()) << "told once";
    EXPECT_EQ(db->certificate_state(id, first.substr(0, 16)).value(), State::Void);
    EXPECT_EQ(db->certificate_state(id, second.substr(0, 16)).value(), State::Good);
    EXPECT_EQ(db->certificate_state(id + 1, first.substr(0, 16)).value(), State::Good);
    EXPECT_FALSE(db->token("unused").value());
    EXPECT_TRUE(db->token("of a host").value());
}

TEST_F(Bench, a_machine_that_boots_again_replaces_its_certificate_and_two_that_go_on_lose_theirs) {
    auto id = db->add_device(device("a", {})).value().id;
    auto other = db->add_device(device("b", {})).value().id;
    auto enrol = [&](std::int64_t to, char letter, std::string_view mac) {
        const std::string hash(64, letter);
        ASSERT_TRUE(db->add_token({hash, to, std::string(mac), 5000, 0, "", ""}));
        ASSERT_TRUE(db->use_token({hash, to, std::string(mac), 0, 1, "request", "pem"}).value());
        ASSERT_TRUE(db->add_certificate(to, hash, "pem", 1, 2));
        ASSERT_TRUE(db->replace_certificates(to, hash));
    };
    auto state = [&](std::int64_t of, char letter) {
        return db->certificate_state(of, std::string(16, letter)).value();
    };
    enrol(id, 'h', "");  // by hand: an administration agent's
    enrol(other, 'o', "m");
    enrol(id, 'a', "m");
    EXPECT_EQ(state(id, 'a'), State::Good);
    enrol(id, 'b', "second card");
    EXPECT_EQ(state(id, 'a'), State::Replaced);
    EXPECT_EQ(state(id, 'b'), State::Good);
    EXPECT_TRUE(db->void_token({std::string(64, 'a'), id, "m", 0, 1, "", ""}).value()) << "also of a replaced one";
    EXPECT_EQ(state(id, 'a'), State::Void);
    enrol(id, 'c', "m");
    ASSERT_TRUE(db->add_token({"fetched since", id, "m", 5000, 0, "", ""}));
    EXPECT_TRUE(db->void_boot_certificates(id).value());
    EXPECT_FALSE(db->void_boot_certificates(id).value()) << "told once";
    for (char letter : {'a', 'b', 'c'}) EXPECT_EQ(state(id, letter), State::Void) << letter;
    EXPECT_FALSE(db->token("fetched since").value());
    EXPECT_EQ(state(id, 'h'), State::Good);
    EXPECT_EQ(state(other, 'o'), State::Good);
}

TEST_F(Bench, what_a_device_boots_and_the_settings_come_back) {
    auto d = device("a", {});
    EXPECT_EQ(db->add_device(d).value().loader, "auto");
    d = *db->device("a").value();
    EXPECT_EQ(d.boot_action, "");
    EXPECT_EQ(d.secure_boot, "unknown");
    d.pxe_action = "image";
    d.pxe_image = "dos.img";
    d.loader = "shim";
    d.local_boot = "exit";
    d.secure_boot = "on";
    ASSERT_TRUE(db->update_device(d));
    ASSERT_TRUE(db->set_secure_boot(d.id, "off"));
    auto back = *db->device("a").value();
    EXPECT_EQ(back.pxe_action + back.pxe_image + back.loader + back.local_boot + back.secure_boot,
              "imagedos.imgshimexitoff");
    EXPECT_EQ(db->netboot_settings().value(), NetbootSettings());
    NetbootSettings settings{"control", "found", "da-inventory", {{"image", "web"}}, "ignore"};
    ASSERT_TRUE(db->set_netboot_settings(NetbootSettings()));
    ASSERT_TRUE(db->set_netboot_settings(settings));
    db.reset();
    db = open();
    EXPECT_EQ(db->netboot_settings().value(), settings);
}

TEST_F(Bench, the_last_alerts_of_a_device_are_kept) {
    auto id = db->add_device(device("a", {})).value().id;
    auto other = db->add_device(device("b", {})).value().id;
    ASSERT_TRUE(db->add_alert(other, {1, "n", "other"}));
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(db->add_alert(id, {i, "n", std::to_string(i)}));
    auto kept = db->alerts(id).value();
    ASSERT_EQ(kept.size(), 20u);
    EXPECT_EQ(kept.front().text + kept.back().text, "1029");
    EXPECT_EQ(db->alerts(other).value().size(), 1u);
    EXPECT_EQ(db->count_devices().value(), 2);
}

TEST_F(Bench, a_database_of_the_first_version_keeps_its_devices_on_their_disks) {
    auto old = std::move(Database::open(dir / "old.sqlite", 1).value());
    ASSERT_TRUE(old->sqlite().run(
        "INSERT INTO devices(name, description, kind, controlled, power_driver, power_command, vmhost, "
        "boot_action) VALUES ('a', '', 'device', 1, 'prompt', '[]', '', 'disk')"));
    old.reset();
    auto now = std::move(Database::open(dir / "old.sqlite").value());
    auto d = *now->device("a").value();
    EXPECT_EQ(d.boot_action + d.pxe_action + d.loader + d.secure_boot, "diskautounknown");
}

TEST_F(Bench, addresses_of_the_distribution_that_were_numbers_are_what_they_were) {
    constexpr int kNumbers = 5;  // the last version that had them
    const auto file = dir / "old.sqlite";
    const std::string begin = "INSERT INTO distribution_settings VALUES (1, 1, 0, 300, ", end = ", '[[1,2,3]]')";
    for (const auto& [row, group, interface, limits] :
         std::initializer_list<std::tuple<const char*, const char*, const char*, std::size_t>>{
             {"4026479616, 8481, 1, 0, 30, 2, '[]'", "::", "::", 0},
             {"4009820160, 7, 4, 174260225, 30, 2, '[[174260225,800],[3232235521,1]]'", "239.1.0.0", "10.99.0.1", 2}}) {
        auto old = std::move(Database::open(file, kNumbers).value());
        ASSERT_TRUE(old->sqlite().run(begin + row + end));
        old.reset();
        const auto now = std::move(Database::open(file).value())->distribution_settings().value();
        EXPECT_EQ(now.group.text(), group);
        EXPECT_EQ(now.interface.text(), interface);
        EXPECT_FALSE(now.adaptive);
        EXPECT_EQ(now.rate, 300u);
        EXPECT_EQ(now.start_machines, 2u);
        EXPECT_EQ(now.windows.size(), 1u);
        EXPECT_EQ(now.report_first + now.report_last, 0);
        ASSERT_EQ(now.limits.size(), limits);
        if (limits) {
            EXPECT_EQ(now.limits[0], (InterfaceLimit{*IpAddress::parse("10.99.0.1"), 800}));
            EXPECT_EQ(now.limits[1].interface.text(), "192.168.0.1");
        }
        std::filesystem::remove(file);
        std::filesystem::remove(file.string() + "-wal");
        std::filesystem::remove(file.string() + "-shm");
    }
}

TEST_F(Bench, settings_of_the_distribution_come_back_in_both_families) {
    DistributionSettings s;
    EXPECT_EQ(db->distribution_settings().value(), s);
    s.group = *IpAddress::parse("ff18::7:0");
    s.interface = *IpAddress::parse("fd00::1");
    s.limits = {{*IpAddress::parse("fd00::1"), 7}, {*IpAddress::parse("10.99.0.1"), 8}};
    s.report_first = 8482, s.report_last = 65535;
    ASSERT_TRUE(db->set_distribution_settings(s));
    EXPECT_EQ(db->distribution_settings().value(), s);
}

TEST_F(Bench, a_rate_stays_with_its_job_whatever_becomes_of_it) {
    JobRow job;
    job.name = "deploy";
    job.id = db->add_job(job).value();
    EXPECT_EQ(db->job(job.id).value()->rate, 0u);
    ASSERT_TRUE(db->set_job_rate(job.id, 300'000'000));
    job.state = sequences::RunState::Failed;
    ASSERT_TRUE(db->set_job(job));
    EXPECT_EQ(db->job(job.id).value()->rate, 300'000'000u);
    ASSERT_TRUE(db->set_job_rate(job.id, 0));
    EXPECT_EQ(db->job(job.id).value()->rate, 0u);
}

TEST_F(Bench, jobs_runs_and_steps_come_back_as_they_were_saved) {
    JobRow job;
    job.name = "capture";
    job.sequence_name = "s";
    job.device = "a";
    job.variables = {{"image", "web"}};
    job.make_device = DeviceSpec{.name = "a", .macs = {"52:54:00:00:00:01"}, .power_driver = "vm", .vmhost = "h"};
    job.created_ms = 7;
    auto id = db->add_job(job).value();
    auto run = *db->run_of(id).value();
    run.record.steps.resize(2);
    run.record.state = sequences::RunState::Running;
    run.record.current = 1;
    run.record.steps[0].state = sequences::StepState::Done;
    run.record.steps[0].result = "{\"a\":\"\\\"\"}";
    run.record.steps[1].attempt = 3;
    run.record.steps[1].error = sequences::StepError{"x.y", "m", "n", true};
    run.bulk_key = "k";
    ASSERT_TRUE(db->save_run(run));
    db.reset();
    db = open();
    auto back = *db->run_of(id).value();
    EXPECT_EQ(sequences::to_json(back.record), sequences::to_json(run.record));
    EXPECT_EQ(back.bulk_key, "k");
    auto row = *db->job(id).value();
    EXPECT_EQ(row.variables, job.variables);
    EXPECT_EQ(row.make_device->macs, job.make_device->macs);
    EXPECT_EQ(row.make_device->power_driver, "vm");
    EXPECT_EQ(db->unfinished_jobs().value().size(), 1u);
}

TEST_F(Bench, a_failed_transaction_changes_nothing) {
    auto status = db->sqlite().transaction([&]() -> Status {
        TRY(db->add_event({0, 1, 1, "info", "x"}));
        return make_error(errors::kDatabase, "on purpose");
    });
    EXPECT_FALSE(status);
    EXPECT_TRUE(db->events(1, 0, 10).value().empty());
}

// Eight writers that all came while SQLite's thread was held up by a first one; the third of them fails by itself.
struct Writers {
    Database& db;
    std::vector<Status> ended = std::vector<Status>(8);

    Status write(std::size_t i) {
        return db.sqlite().transaction([&]() -> Status {
            TRY(db.add_event({0, 1, static_cast<std::int64_t>(i), "info", "x"}));
            if (i == 2) return make_error(errors::kNoDevice, "on purpose");
            return {};
        });
    }
    void run() {
        std::promise<void> held, go;
        std::vector<std::thread> threads;
        threads.emplace_back([&] {
            EXPECT_TRUE(db.sqlite().transaction([&]() -> Status {
                held.set_value();
                go.get_future().wait();
                return db.sqlite().run("INSERT INTO events(job, time, level, text) VALUES (1, 100, 'info', 'first')");
            }));
        });
        held.get_future().wait();
        for (std::size_t i = 0; i < ended.size(); ++i) threads.emplace_back([this, i] { ended[i] = write(i); });
        while (db.sqlite().waiting() < ended.size()) std::this_thread::yield();
        go.set_value();
        for (auto& thread : threads) thread.join();
    }
};

TEST_F(Bench, writes_that_wait_together_share_one_commit_and_fail_alone) {
    std::atomic<int> commits{0};
    db->sqlite().guard_commits([&] { return ++commits > 0; });
    Writers writers{*db};
    writers.run();
    db->sqlite().guard_commits({});
    EXPECT_EQ(commits, 2);
    for (std::size_t i = 0; i < writers.ended.size(); ++i) EXPECT_EQ(writers.ended[i].ok(), i != 2) << i;
    EXPECT_TRUE(writers.ended[2].error().is(errors::kNoDevice));
    std::set<std::int64_t> times;
    const auto events = db->events(1, 0, 100).value();
    for (const auto& e : events) times.insert(e.time_ms);
    EXPECT_EQ(times, (std::set<std::int64_t>{0, 1, 3, 4, 5, 6, 7, 100}));
}

TEST_F(Bench, a_commit_that_fails_fails_all_that_share_it_and_nothing_after) {
    std::atomic<int> commits{0};
    db->sqlite().guard_commits([&] { return ++commits != 2; });
    Writers writers{*db};
    writers.run();
    for (std::size_t i = 0; i < writers.ended.size(); ++i) EXPECT_FALSE(writers.ended[i].ok()) << i;
    EXPECT_TRUE(writers.ended[2].error().is(errors::kNoDevice));
    EXPECT_EQ(db->events(1, 0, 100).value().size(), 1u);
    EXPECT_TRUE(writers.write(7));
    EXPECT_EQ(db->events(1, 0, 100).value().size(), 2u);
}

TEST_F(Bench, a_read_does_not_wait_for_a_write_and_sees_what_is_committed) {
    ASSERT_TRUE(db->add_event({0, 1, 1, "info", "before"}));
    std::promise<void> held, go;
    std::thread writer([&] {
        EXPECT_TRUE(db->sqlite().transaction([&]() -> Status {
            TRY(db->add_event({0, 1, 2, "info", "under way"}));
            held.set_value();
            go.get_future().wait();
            return {};
        }));
    });
    held.get_future().wait();
    EXPECT_EQ(db->events(1, 0, 10).value().size(), 1u);  // with the write under way: waiting for it would never end
    go.set_value();
    writer.join();
    EXPECT_EQ(db->events(1, 0, 10).value().size(), 2u);
}

TEST_F(Bench, reads_on_many_threads_at_once_are_each_whole) {
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(db->add_event({0, 1, i, "info", std::to_string(i)}));
    std::vector<std::thread> threads;
    std::atomic<int> whole{0};
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 50; ++n) whole += db->events(1, 0, 10).value().size() == 5 ? 1 : 0;
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(whole, 400);
}

TEST_F(Bench, events_are_read_from_where_the_reader_stopped) {
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(db->add_event({0, 1, i, "info", std::to_string(i)}));
    ASSERT_TRUE(db->add_event({0, 2, 9, "info", "other"}));
    auto first = db->events(1, 0, 2).value();
    ASSERT_EQ(first.size(), 2u);
    EXPECT_EQ(db->events(1, first.back().id, 10).value().size(), 3u);
}

TEST_F(Bench, groups_name_devices_that_exist) {
    ASSERT_TRUE(db->add_device(device("a", {})));
    EXPECT_TRUE(db->put_group({"g", {"a", "b"}}).error().is(errors::kNoDevice));
    EXPECT_TRUE(db->groups().value().empty());
    ASSERT_TRUE(db->put_group({"g", {"a"}}));
    ASSERT_TRUE(db->put_group({"empty", {}}));
    auto groups = db->groups().value();
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_TRUE(groups[0].devices.empty());
    EXPECT_EQ(groups[1].devices, std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace slipway::server
