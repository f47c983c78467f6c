// SPDX-License-Identifier: GPL-3.0-or-later
// What is particular to the journal, and the suite of every LeaseStore for journal and memory.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/test/lease_store_suite.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"

using namespace slipway;
using namespace slipway::dhcp;
using dhcp::test::Kind;
using dhcp::test::lease;
using dhcp::test::LeaseStoreSuite;

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
