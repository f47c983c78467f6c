// SPDX-License-Identifier: GPL-3.0-or-later
// Registry files for tests: made from a tree in memory, real ones unpacked, and every key and value of one as lines,
// so that a test can say what changed and that nothing else did.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/windows/hive.hpp"

namespace slipway::fixup::test {

// ---- Made ones. An independent writer: nothing of hive.cpp or libhivex.
struct TestValue {
    std::string name;  // "": the default value; UTF-8
    windows::RegValue value;
};
struct TestKey {
    std::string name;  // UTF-8; not the root's
    std::vector<TestValue> values;
    std::vector<TestKey> keys;
    std::string class_name;
    TestKey& key(const std::string& path);  // made where it is missing; '\' between
    TestKey& set(const std::string& name, windows::RegValue value);
};
struct TestHive {
    unsigned minor = 5;
    std::string list = "lh";    // kind of the lists of subkeys: lf, lh, li
    std::size_t split = 0;      // lists of more than so many go under an "ri"; 0: never
    bool tight_segments = false;  // the last segment's cell has no room to spare
    std::uint32_t sequence = 7;
};
std::string make_hive(const TestKey& root, const TestHive& how = {});
std::string empty_hive(unsigned minor = 5);  // a root key alone

// What a writer leaves that was stopped: sequence numbers apart, and `now` in a log. The hive is `before`.
struct Stopped {
    std::string hive;
    std::vector<std::string> logs;
};
Stopped stopped_new_log(const std::string& before, const std::vector<std::string>& then);  // one entry each, two logs
Stopped stopped_old_log(const std::string& before, const std::string& now);
std::string with_sequences(std::string hive, std::uint32_t first, std::uint32_t second);

// ---- Real ones, "hives/regipy-SYSTEM" or "bcd/asus-tp300-BCD", from the shared data; nullopt: they are not there.
std::optional<std::string> shared_file(const std::string& name);
// Also "hives/regipy-SYSTEM_WIN_10_1709", which came without the logs it needs, as if it had been closed.
std::optional<std::string> shared_hive(const std::string& name);

// ---- As lines: a key "PATH [class] [security]", a value "PATH: NAME = TYPE:HEX", sorted; long data by digest.
std::vector<std::string> dump_hive(std::string_view bytes);
struct HiveDiff {
    std::vector<std::string> removed, added;
};
HiveDiff diff_hives(std::string_view before, std::string_view after);
std::string to_text(const HiveDiff& diff);  // "- line\n+ line\n"

// As reged(8) of chntpw exports it; nullopt: it is not installed. root: "HKEY_LOCAL_MACHINE\SYSTEM".
std::optional<std::string> reged_export(std::string_view hive, const std::string& key);
// By libhivex alone: PATH -> "TYPE:HEX" of every value "PATH: NAME".
std::map<std::string, std::string> hivex_dump(std::string_view hive);

}  // namespace slipway::fixup::test
