// SPDX-License-Identifier: GPL-3.0-or-later
// A registry hive (and a BCD store, which is one) in memory: looked at and changed by key paths, given back as a clean
// file. The format's own work is libhivex's; before it sees hostile bytes, check_hive() has walked every cell.
// Format: https://github.com/msuhanov/regf (Windows registry file format specification), facts only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "lib/base/result.hpp"

namespace slipway::fixup::windows {

enum class RegType : std::uint32_t {
    None = 0,
    Sz = 1,
    ExpandSz = 2,
    Binary = 3,
    Dword = 4,
    DwordBigEndian = 5,
    Link = 6,
    MultiSz = 7,
    ResourceList = 8,
    FullResourceDescriptor = 9,
    ResourceRequirementsList = 10,
    Qword = 11,
};

// As it lies in the hive: strings are UTF-16LE with their terminators. Types beyond the enumeration are kept.
struct RegValue {
    RegType type = RegType::None;
    std::string data;
    bool operator==(const RegValue&) const = default;
};
RegValue reg_sz(std::string_view utf8);
RegValue reg_expand_sz(std::string_view utf8);
RegValue reg_multi_sz(const std::vector<std::string>& utf8);
RegValue reg_dword(std::uint32_t value);
RegValue reg_qword(std::uint64_t value);
RegValue reg_binary(std::string_view bytes);

// nullopt when the value is of another type, or its data is no such thing. Strings end at their first terminator;
// lone surrogates become U+FFFD.
std::optional<std::string> as_string(const RegValue& value);                // Sz, ExpandSz
std::optional<std::vector<std::string>> as_strings(const RegValue& value);  // MultiSz
std::optional<std::uint64_t> as_number(const RegValue& value);              // Dword, DwordBigEndian, Qword
std::string shown(const RegValue& value);  // for people: `"text"`, 0x3, hex:01 ff …, long ones by digest

// Keys are named by paths from the root with '\' between: "ControlSet001\Services\atapi"; "" is the root. Names are
// compared without case, as Windows does, and kept as they were first written. A value's name "" is the default value.
// What a key's name itself holds may be '/' (CriticalDeviceDatabase "ide/disk…" has '#').
class Hive {
public:
    // label: what journals call it, "SYSTEM". Errors: fixup.hive (not a hive, cut, hostile), fixup.hive-dirty (its log
    // has to be replayed first: hive_log.hpp), fixup.no-character-sets.
    static Result<Hive> open(std::string bytes, std::string label);
    Hive(Hive&&) noexcept;
    Hive& operator=(Hive&&) noexcept;
    ~Hive();

    bool has(std::string_view key) const;
    std::vector<std::string> keys(std::string_view key) const;    // of what lies below it; empty when it is missing
    std::vector<std::string> values(std::string_view key) const;  // names
    std::optional<RegValue> get(std::string_view key, std::string_view name) const;
    // The usual questions; nullopt when it is missing or of another type.
    std::optional<std::string> string(std::string_view key, std::string_view name) const;
    std::optional<std::vector<std::string>> strings(std::string_view key, std::string_view name) const;
    std::optional<std::uint64_t> number(std::string_view key, std::string_view name) const;

    // Each does nothing, and notes nothing, when it is so already; keys are made as needed, with their parent's
    // security. `what` is for the journal. Errors: fixup.hive-edit, nothing was changed: a new key's name beyond ASCII,
    // more than 16344 bytes, a neighbour whose name is no text, a key to remove from a list of kind "li", a predefined
    // handle. A key with more than 70000 keys or 110000 values, libhivex' limits, is seen without them and is not
    // changed.
    Status set(std::string_view what, std::string_view key, std::string_view name, const RegValue& value);
    // Keeps the type that is there when that can hold it (Sz or ExpandSz).
    Status set_string(std::string_view what, std::string_view key, std::string_view name, std::string_view utf8);
    Status remove_value(std::string_view what, std::string_view key, std::string_view name);
    Status remove_key(std::string_view what, std::string_view key);  // with all below it

    // where: "SYSTEM\ControlSet001\Services\atapi: Start".
    const std::vector<Change>& journal() const;
    bool changed() const { return !journal().empty(); }
    // The whole file, clean: both sequence numbers equal, checksum right. Checked again before it is given out.
    Result<std::string> bytes();

private:
    struct Impl;
    explicit Hive(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace slipway::fixup::windows
