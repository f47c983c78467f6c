// SPDX-License-Identifier: GPL-3.0-or-later
// What check_hive() lets through, libhivex reads, changes and writes without a fault, in time and memory that follow the
// file's size; and what is written is a hive again. The header's checksum is put right, and its numbers are made equal,
// so that mutations reach the cells.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/windows/bcd.hpp"
#include "guest-fixup/windows/hive.hpp"
#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/regf.hpp"

using namespace slipway::fixup::windows;

namespace {

void look(const Hive& hive, const std::string& key, int& budget, std::vector<std::string>& seen) {
    if (--budget < 0) return;
    seen.push_back(key);
    for (const auto& name : hive.values(key)) {
        const auto value = hive.get(key, name);
        if (!value) std::abort();
        (void)shown(*value);
    }
    for (const auto& name : hive.keys(key))
        if (name.find('\\') == std::string::npos && !name.empty()) look(hive, key.empty() ? name : key + '\\' + name, budget, seen);
}

void change(Hive& hive, const std::vector<std::string>& keys) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const auto& key = keys[i];
        (void)hive.set("f", key, "Fuzz", reg_dword(1));
        if (i % 2 == 0) (void)hive.set("f", key.empty() ? "new" : key + "\\new\\er", "v", reg_sz("text"));
        const auto names = hive.values(key);
        if (i % 3 == 0 && !names.empty()) (void)hive.remove_value("f", key, names.front());
    }
    for (std::size_t i = 0; i < keys.size(); i += 3)
        if (!keys[i].empty()) (void)hive.remove_key("f", keys[i]);
    (void)hive.set("f", "last\\one", "v", reg_sz("x"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    if (size >= 512) {
        regf::put_le32(bytes, regf::kSequence2, regf::le32(bytes, regf::kSequence1));
        regf::set_checksum(bytes);
    }
    const bool checked = check_hive(bytes).ok();
    auto hive = Hive::open(bytes, "FUZZ");
    if (hive.ok() && !checked) std::abort();
    if (!hive.ok()) return 0;
    int budget = 200;
    std::vector<std::string> keys;
    look(*hive, "", budget, keys);
    if (auto store = BcdStore::of(*hive); store.ok()) {
        (void)store->loaders();
        (void)store->relocate({{MbrPartition{1, 2}, MbrPartition{3, 4}}});
    }
    change(*hive, keys);
    auto written = hive->bytes();
    if (!written.ok()) return 0;
    if (!check_hive(*written).ok() || is_dirty(*written)) std::abort();
    auto again = Hive::open(std::move(*written), "FUZZ");
    if (!again.ok()) std::abort();
    return 0;
}
