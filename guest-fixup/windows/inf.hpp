// SPDX-License-Identifier: GPL-3.0-or-later
// INF files: what a driver package says of itself. Pure; the bytes are hostile. Format: Microsoft, windows-driver-docs,
// "General Guidelines for INF Files", "INF Manufacturer section", "Combining Platform Extensions with Operating System
// Versions", "INF AddService directive", "INF SourceDisksFiles section", "INF DestinationDirs section".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/windows/hive.hpp"
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

inline constexpr std::size_t kLongestInf = 1u << 20;

// ---- the text

struct InfLine {
    std::string key;  // "" where there is no '='
    std::vector<std::string> values;
};

class Inf {
public:
    // UTF-16LE, UTF-8 or an 8-bit code page (read as Latin-1). Lines that continue are joined, comments dropped, quotes
    // taken off. Errors: fixup.drivers.
    static Result<Inf> parse(std::string_view bytes);

    // Names of sections and keys have no case. All parts of a section that is there more than once.
    const std::vector<InfLine>& section(std::string_view name) const;
    bool has(std::string_view name) const;
    std::vector<std::string> sections_with_prefix(std::string_view prefix) const;  // lower case
    // The first value of a key; "" when there is none. %strings% are put in.
    std::string value(std::string_view section, std::string_view key) const;
    // %name% by [Strings]; what is not there stays as it is, as directory numbers do. Once, not over and over.
    std::string expand(std::string_view text) const;

private:
    std::map<std::string, std::vector<InfLine>, std::less<>> sections_;
    std::map<std::string, std::string, std::less<>> strings_;
};

// ---- what it means for one Windows

// How well a TargetOSVersion ("NTamd64.6.1", "NTx86", "nt") suits: bigger is closer; nullopt: not at all.
// any_architecture: one without a platform means all (of install sections) and not x86 alone (of models).
std::optional<std::uint64_t> suits(std::string_view decoration, const WindowsSystem& windows, bool any_architecture);

struct InfFile {
    std::string source;  // below the INF's directory, with '/'
    std::string target;  // below %SystemRoot%, with '/'; "": a place only Windows itself knows
};
struct InfRegistry {
    std::string subkey, name;  // below the service's key
    RegValue value;
};
struct InfService {
    std::string name;
    std::uint32_t type = 1, start = 3, error_control = 1;
    std::string binary;  // file name
    std::string group;
    std::vector<InfRegistry> registry;
};
struct InfDevice {
    std::string description;
    std::vector<std::string> ids;  // upper case, as the INF has them
    std::size_t install = 0;       // of the package's
    std::uint64_t rank = 0;        // of its models section
};
struct InfInstall {
    std::optional<InfService> service;  // the function driver's
    std::vector<InfFile> files;
};
struct InfPackage {
    std::string class_name, class_guid, provider;
    std::uint64_t date = 0;          // 20191231
    std::uint64_t version = 0;       // four numbers of 16 bits
    std::string catalog;             // file name
    std::vector<InfDevice> devices;  // those for this Windows; empty: none is
    std::vector<InfInstall> installs;
};
InfPackage package_for(const Inf& inf, const WindowsSystem& windows);

// Every file the INF speaks of, for any Windows: relative names with '/'. No name leads out of its directory.
std::vector<std::string> files_of(const Inf& inf);

}  // namespace slipway::fixup::windows
