// SPDX-License-Identifier: GPL-3.0-or-later
// One suite for every LeaseStore, and what is particular to the journal.
#include <functional>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/lease.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

Lease lease(std::uint32_t n, std::int64_t expires = 1000) {
    Lease l{{0x0a000000 + n}, LeaseState::Bound, 500, expires, {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(n)}}, {}, {}};
    l.client = to_bytes("client" + std::to_string(n));
    l.host_name = "host" + std::to_string(n);
    return l;
}

struct Kind {
    const char* name;
    // A store at `path`; again for the same path: what a restart sees.
    std::function<std::unique_ptr<LeaseStore>(const std::filesystem::path&)> open;
    bool survives;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class LeaseStoreSuite : public testing::TestWithParam<Kind> {
protected:
    TempDir temp = TempDir::create("leases").value();
    std::filesystem::path path = temp / "leases";
    std::unique_ptr<LeaseStore> store = GetParam().open(path);

    void restart() {
        if (!GetParam().survives) return;
        store.reset();
        store = GetParam().open(path);
    }
};

}  // namespace

TEST_P(LeaseStoreSuite, starts_empty) { EXPECT_TRUE(store->load().value().empty()); }

TEST_P(LeaseStoreSuite, keeps_the_last_record_of_each_address_in_order) {
    ASSERT_TRUE(store->append(std::vector{lease(3), lease(1), lease(2)}).ok());
    auto changed = lease(1, 2000);
    changed.state = LeaseState::Released;
    ASSERT_TRUE(store->append(std::vector{changed}).ok());
    for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(store->load().value(), (std::vector{changed, lease(2), lease(3)}));
        restart();
    }
}

TEST_P(LeaseStoreSuite, the_last_of_one_batch_counts) {
    ASSERT_TRUE(store->append(std::vector{lease(1, 10), lease(1, 20), lease(1, 30)}).ok());
    restart();
    EXPECT_EQ(store->load().value(), std::vector{lease(1, 30)});
}

TEST_P(LeaseStoreSuite, an_empty_batch_is_nothing) {
    EXPECT_TRUE(store->append({}).ok());
    restart();
    EXPECT_TRUE(store->load().value().empty());
}

TEST_P(LeaseStoreSuite, keeps_odd_leases_as_they_are) {
    Lease bare{{0xfffffffe}, LeaseState::Declined, -1, 0x7fffffffffffffff, {}, {}, {}};
    auto large = lease(9);
    large.client.assign(kLargestClientKey, std::byte{0xff});
    large.host_name.assign(63, 'x');
    ASSERT_TRUE(store->append(std::vector{bare, large}).ok());
    restart();
    EXPECT_EQ(store->load().value(), (std::vector{large, bare}));
}

TEST_P(LeaseStoreSuite, many_renewals_of_few_leases_stay_right) {
    for (int i = 0; i < 100; ++i)
        for (std::uint32_t n = 0; n < 5; ++n) ASSERT_TRUE(store->append(std::vector{lease(n, i)}).ok());
    restart();
    std::vector<Lease> want;
    for (std::uint32_t n = 0; n < 5; ++n) want.push_back(lease(n, 99));
    EXPECT_EQ(store->load().value(), want);
}

INSTANTIATE_TEST_SUITE_P(Every, LeaseStoreSuite,
                         testing::Values(Kind{"memory", [](const auto&) { return make_memory_store(); }, false},
                                         Kind{"journal", [](const auto& path) { return open_journal(path).value(); },
                                              true},
                                         Kind{"compacting",
                                              [](const auto& path) {
                                                  return open_journal(path, {.sync = false, .compact_from = 3}).value();
                                              },
                                              true}),
                         [](const auto& info) { return info.param.name; });

namespace {

struct JournalFile : testing::Test {
    TempDir temp = TempDir::create("journal").value();
    std::filesystem::path path = temp / "leases";
    Bytes whole;

    void SetUp() override {
        auto store = open_journal(path).value();
        ASSERT_TRUE(store->append(std::vector{lease(1), lease(2), lease(3)}).ok());
        whole = read_file(path).value();
    }
    std::vector<Lease> load(const Bytes& bytes) {
        EXPECT_TRUE(write_file_atomic(path, bytes).ok());
        return open_journal(path).value()->load().value();
    }
};

}  // namespace

TEST_F(JournalFile, cut_anywhere_the_whole_records_before_are_there) {
    auto record = encode_lease(lease(1)).size();
    for (auto size = kJournalMagic.size(); size < whole.size(); ++size) {
        auto found = load(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
        ASSERT_EQ(found.size(), (size - kJournalMagic.size()) / record) << size;
        EXPECT_FALSE(std::filesystem::exists(path.string() + ".damaged"));
    }
}

TEST_F(JournalFile, a_damaged_record_loses_itself_alone_and_the_file_is_kept) {
    log::set_threshold(log::Level::Error);
    auto record = encode_lease(lease(1)).size();
    for (std::size_t i = 0; i < record; i += 5) {
        auto bytes = whole;
        bytes[kJournalMagic.size() + record + i] ^= std::byte{0x10};
        EXPECT_EQ(load(bytes), (std::vector{lease(1), lease(3)})) << i;
        EXPECT_EQ(read_file(path.string() + ".damaged").value(), bytes);
    }
    log::set_threshold(log::Level::Info);
}

TEST_F(JournalFile, after_salvage_it_is_appended_to_as_before) {
    whole.resize(whole.size() - 1);
    ASSERT_TRUE(write_file_atomic(path, whole).ok());
    ASSERT_TRUE(open_journal(path).value()->append(std::vector{lease(7)}).ok());
    EXPECT_EQ(open_journal(path).value()->load().value(), (std::vector{lease(1), lease(2), lease(7)}));
}

TEST_F(JournalFile, a_file_that_is_no_journal_is_left_alone) {
    for (std::string_view text : {"", "SLIP", "something else entirely, and longer"}) {
        ASSERT_TRUE(write_file_atomic(path, as_bytes(text)).ok());
        auto opened = open_journal(path);
        ASSERT_FALSE(opened.ok());
        EXPECT_TRUE(opened.error().is(errors::kJournal)) << opened.error().describe();
        EXPECT_EQ(read_text_file(path).value(), text);
    }
}

TEST_F(JournalFile, a_second_server_is_kept_out) {
    auto first = open_journal(path).value();
    EXPECT_NE(open_journal(path).error().describe().find("in use"), std::string::npos);
    first.reset();
    EXPECT_TRUE(open_journal(path).ok());
}

TEST_F(JournalFile, is_compacted_when_it_is_mostly_history) {
    auto store = open_journal(path, {.sync = false, .compact_from = 100}).value();
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(store->append(std::vector{lease(1, i)}).ok());
    EXPECT_LT(std::filesystem::file_size(path), 100 * encode_lease(lease(1)).size());
    EXPECT_EQ(store->load().value().size(), 3u);
}

// In a child: a limit on the size of files is what a full disk is.
TEST_F(JournalFile, a_write_that_fails_is_said_and_the_next_one_makes_the_file_whole) {
    auto pid = ::fork();
    if (pid == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        auto store = open_journal(path).value();
        rlimit limit{whole.size() + 10, RLIM_INFINITY};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        bool failed = !store->append(std::vector{lease(8)}).ok() && !store->append(std::vector{lease(8)}).ok();
        limit.rlim_cur = RLIM_INFINITY;
        ::setrlimit(RLIMIT_FSIZE, &limit);
        bool works = store->append(std::vector{lease(9)}).ok();
        ::_exit(failed && works ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(open_journal(path).value()->load().value(),
              (std::vector{lease(1), lease(2), lease(3), lease(8), lease(9)}));
}
