// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <set>

#include "guest-fixup/windows/inf.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

// All together: a section may be named as often as there are lines.
constexpr std::size_t kMostManufacturers = 128, kMostDevices = 2'048, kMostInstalls = 128, kMostFiles = 4'096,
                      kMostRegistry = 1'024;

// "0x1a" or "26".
std::optional<std::uint64_t> number_of(std::string_view text) {
    text = trim(text);
    if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        text.remove_prefix(2);
        if (text.size() > 16) return std::nullopt;
        std::uint64_t out = 0;
        for (const char c : text) {
            const auto digit = std::string_view("0123456789abcdef").find(to_lower(std::string_view(&c, 1)));
            if (digit == std::string_view::npos) return std::nullopt;
            out = out << 4 | digit;
        }
        return out;
    }
    return parse_u64(text);
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

// Parts of a path joined with '/'; "" when one leads out.
std::string joined_path(std::initializer_list<std::string_view> parts) {
    std::string out;
    for (const auto part_of : parts) {
        std::string text(part_of);
        std::replace(text.begin(), text.end(), '\\', '/');
        for (const auto& part : split(text, '/')) {
            if (part.empty() || part == ".") continue;
            if (part == ".." || part.find('\0') != std::string::npos || part.find(':') != std::string::npos) return "";
            out += (out.empty() ? "" : "/") + part;
        }
    }
    return out;
}

// The section `base` as decorated for this Windows; base itself when no other suits.
std::string closest(const Inf& inf, const std::string& base, const WindowsSystem& windows) {
    std::string best = base;
    std::uint64_t rank = 0;
    for (const auto& name : inf.sections_with_prefix(base + ".")) {
        const auto found = suits(std::string_view(name).substr(base.size() + 1), windows, true);
        if (found && *found > rank) {
            rank = *found;
            best = name;
        }
    }
    return best;
}

// [SourceDisksFiles] and [SourceDisksNames] of a platform, before those of all: where a file lies below the INF.
class Sources {
public:
    Sources(const Inf& inf, std::string_view platform) {
        std::map<std::string, std::string> disks;
        for (const auto& end : {fmt::format(".{}", platform), std::string()}) {
            if (end == ".") continue;
            for (const auto& line : inf.section("sourcedisksnames" + end))
                disks.emplace(inf.expand(line.key), line.values.size() > 3 ? inf.expand(line.values[3]) : "");
            for (const auto& line : inf.section("sourcedisksfiles" + end)) {
                const auto disk = disks.find(inf.expand(line.values[0]));
                const auto file = inf.expand(line.key);
                paths_.emplace(to_lower(file),
                               joined_path({disk == disks.end() ? "" : std::string_view(disk->second),
                                            line.values.size() > 1 ? inf.expand(line.values[1]) : "", file}));
            }
        }
    }
    std::string of(const std::string& file) const {
        const auto found = paths_.find(to_lower(file));
        return found == paths_.end() ? joined_path({file}) : found->second;
    }
    const std::map<std::string, std::string>& paths() const { return paths_; }

private:
    std::map<std::string, std::string> paths_;
};

class PackageReader {
public:
    PackageReader(const Inf& inf, const WindowsSystem& windows)
        : inf_(inf), windows_(windows), sources_(inf, name_of(windows.architecture)) {
        // 10 is %SystemRoot%, 11 system32, 12 its drivers; 13 the driver store, which is Windows' own.
        for (const auto& line : inf_.section("destinationdirs")) {
            const auto number = get(line, 0);
            const char* base = number == "12"   ? "system32/drivers"
                               : number == "11" ? "system32"
                               : number == "10" ? "."
                                                : nullptr;
            targets_.emplace(to_lower(line.key), base ? joined_path({base, get(line, 1)}) + "/" : "");
        }
    }

    InfPackage read() {
        read_version();
        std::size_t manufacturers = 0;
        for (const auto& line : inf_.section("manufacturer"))
            if (++manufacturers <= kMostManufacturers) read_manufacturer(line);
        return std::move(out_);
    }

private:
    std::string get(const InfLine& line, std::size_t index) const {
        return index < line.values.size() ? inf_.expand(line.values[index]) : "";
    }

    void read_version() {
        out_.class_name = inf_.value("version", "Class");
        out_.class_guid = upper(inf_.value("version", "ClassGuid"));
        out_.provider = inf_.value("version", "Provider");
        out_.catalog =
            joined_path({inf_.value("version", fmt::format("CatalogFile.nt{}", name_of(windows_.architecture)))});
        if (out_.catalog.empty()) out_.catalog = joined_path({inf_.value("version", "CatalogFile.nt")});
        if (out_.catalog.empty()) out_.catalog = joined_path({inf_.value("version", "CatalogFile")});
        for (const auto& line : inf_.section("version")) {
            if (!iequals(line.key, "DriverVer")) continue;
            const auto date = split(get(line, 0), '/');
            if (date.size() == 3)
                out_.date = parse_u64(date[2]).value_or(0) * 10'000 + parse_u64(date[0]).value_or(0) % 100 * 100 +
                            parse_u64(date[1]).value_or(0) % 100;
            for (const auto& part : split(get(line, 1), '.'))
                out_.version = out_.version << 16 | (parse_u64(part).value_or(0) & 0xffff);
        }
    }

    // %name% = models, NTamd64.6.1, …
    void read_manufacturer(const InfLine& line) {
        const auto base = get(line, 0);
        if (base.empty()) return;
        std::string best;
        std::uint64_t rank = 0;
        // Windows 2000 knows no decorations.
        const bool decorated = windows_.at_least(5, 1);
        for (std::size_t i = 1; decorated && i < line.values.size(); ++i) {
            const auto found = suits(get(line, i), windows_, false);
            if (!found || *found <= rank || !inf_.has(base + "." + get(line, i))) continue;
            rank = *found;
            best = base + "." + get(line, i);
        }
        // Undecorated models are of x86, whatever else is there.
        if (best.empty() && windows_.architecture == Architecture::X86) best = base;
        if (!best.empty())
            for (const auto& model : inf_.section(best))
                if (!read_model(model, rank)) break;
    }

    // %description% = install section, hardware id, compatible id, … False: there are too many.
    bool read_model(const InfLine& line, std::uint64_t rank) {
        if (out_.devices.size() >= kMostDevices) return false;
        if (line.values.size() < 2) return true;
        const auto base = to_lower(get(line, 0));
        auto known = installs_.find(base);
        if (known == installs_.end()) {
            if (out_.installs.size() >= kMostInstalls) return false;
            known = installs_.emplace(base, out_.installs.size()).first;
            out_.installs.push_back(read_install(base));
        }
        InfDevice device{inf_.expand(line.key), {}, known->second, rank};
        for (std::size_t i = 1; i < line.values.size(); ++i)
            if (auto id = upper(get(line, i)); !id.empty()) device.ids.push_back(std::move(id));
        out_.devices.push_back(std::move(device));
        return true;
    }

    InfInstall read_install(const std::string& base) {
        InfInstall install;
        const auto section = closest(inf_, base, windows_);
        for (const auto& line : inf_.section(section))
            if (iequals(line.key, "CopyFiles"))
                for (std::size_t i = 0; i < line.values.size(); ++i) read_copy(get(line, i), install.files);
        const auto platform = std::string(name_of(windows_.architecture));
        for (const auto& name : {section, base + ".nt" + platform, base + ".nt", base})
            if (inf_.has(name + ".services")) {
                install.service = read_services(name + ".services");
                break;
            }
        return install;
    }

    void read_copy(const std::string& what, std::vector<InfFile>& files) {
        if (what.starts_with('@')) {
            add_file(what.substr(1), what.substr(1), "", files);
            return;
        }
        for (const auto& line : inf_.section(what)) {
            const auto target = get(line, 0), source = get(line, 1);
            if (!add_file(source.empty() ? target : source, target, what, files)) break;
        }
    }

    bool add_file(const std::string& source, const std::string& target, const std::string& list,
                  std::vector<InfFile>& files) {
        if (files_ >= kMostFiles) return false;
        ++files_;
        if (auto from = sources_.of(source); !from.empty()) files.push_back({std::move(from), target_of(list, target)});
        return true;
    }

    std::string target_of(const std::string& list, const std::string& name) const {
        auto found = list.empty() ? targets_.end() : targets_.find(to_lower(list));
        if (found == targets_.end()) found = targets_.find("defaultdestdir");
        return found == targets_.end() || found->second.empty() ? "" : joined_path({found->second, name});
    }

    // The function driver's: of flag 2 (SPSVCINST_ASSOCSERVICE).
    std::optional<InfService> read_services(const std::string& section) {
        for (const auto& line : inf_.section(section)) {
            if (!iequals(line.key, "AddService") || line.values.size() < 3) continue;
            const auto flags = number_of(get(line, 1)).value_or(0);
            if ((flags & 2) == 0) continue;
            return read_service(get(line, 0), get(line, 2));
        }
        return std::nullopt;
    }

    std::optional<InfService> read_service(const std::string& name, const std::string& section) {
        InfService service;
        service.name = name;
        if (name.empty() || name.size() > 64 || joined_path({name}) != name || name.find('/') != std::string::npos)
            return std::nullopt;
        auto number = [&](std::string_view key, std::uint32_t& into) {
            if (const auto found = number_of(inf_.value(section, key)); found && *found <= 0xffff'ffff)
                into = static_cast<std::uint32_t>(*found);
        };
        number("ServiceType", service.type);
        number("StartType", service.start);
        number("ErrorControl", service.error_control);
        service.group = inf_.value(section, "LoadOrderGroup");
        auto binary = inf_.value(section, "ServiceBinary");
        std::replace(binary.begin(), binary.end(), '\\', '/');
        service.binary = joined_path({binary.substr(binary.rfind('/') + 1)});
        if (service.binary.empty()) return std::nullopt;
        for (const auto& line : inf_.section(section))
            if (iequals(line.key, "AddReg"))
                for (std::size_t i = 0; i < line.values.size(); ++i)
                    for (const auto& entry : inf_.section(get(line, i)))
                        if (!read_registry(entry, service.registry)) break;
        return service;
    }

    // HKR, subkey, name, flags, value… False: there are too many.
    bool read_registry(const InfLine& line, std::vector<InfRegistry>& out) {
        if (++registry_ > kMostRegistry) return false;
        if (!iequals(get(line, 0), "HKR")) return true;
        const auto flags = number_of(get(line, 3)).value_or(0);
        std::vector<std::string> values;
        for (std::size_t i = 4; i < line.values.size(); ++i) values.push_back(get(line, i));
        InfRegistry entry{get(line, 1), get(line, 2), {}};
        if (entry.subkey.size() > 255 || entry.name.size() > 255 || entry.subkey.starts_with('\\') ||
            entry.subkey.ends_with('\\') || entry.subkey.find("\\\\") != std::string::npos)
            return true;
        switch (flags & 0xffff0001) {
            case 0x00000000: entry.value = reg_sz(values.empty() ? "" : values[0]); break;
            case 0x00020000: entry.value = reg_expand_sz(values.empty() ? "" : values[0]); break;
            case 0x00010000: entry.value = reg_multi_sz(values); break;
            case 0x00010001:
                entry.value =
                    reg_dword(static_cast<std::uint32_t>(number_of(values.empty() ? "" : values[0]).value_or(0)));
                break;
            default: return true;
        }
        out.push_back(std::move(entry));
        return true;
    }

    const Inf& inf_;
    const WindowsSystem& windows_;
    Sources sources_;
    std::map<std::string, std::string> targets_;  // list -> directory with '/' at its end; "": Windows' own
    InfPackage out_;
    std::map<std::string, std::size_t> installs_;
    std::size_t files_ = 0, registry_ = 0;
};

}  // namespace

std::optional<std::uint64_t> suits(std::string_view decoration, const WindowsSystem& windows, bool any_architecture) {
    const auto fields = split(to_lower(trim(decoration)), '.');
    if (!fields[0].starts_with("nt") || fields.size() > 6) return std::nullopt;
    const auto platform = std::string_view(fields[0]).substr(2);
    const auto own = name_of(windows.architecture);
    if (platform.empty() ? !any_architecture && windows.architecture != Architecture::X86 : platform != own)
        return std::nullopt;
    std::uint64_t numbers[5] = {};  // major, minor, product type, suite, build
    for (std::size_t i = 1; i < fields.size(); ++i) {
        if (fields[i].empty()) continue;
        const auto number = number_of(fields[i]);
        if (!number || *number > 0xffff) return std::nullopt;
        numbers[i - 1] = *number;
    }
    const auto [major, minor, product, suite, build] = numbers;
    if (major > windows.major || (major == windows.major && minor > windows.minor) || build > windows.build)
        return std::nullopt;
    // 1 is a workstation, 2 a domain controller, 3 a server; suites are not told apart here.
    if ((product != 0 && (product == 1) == windows.server) || suite != 0) return std::nullopt;
    return 1 + (platform.empty() ? 0 : 1) + (product ? 2 : 0) + build * 4 + (minor << 20) + (major << 36);
}

InfPackage package_for(const Inf& inf, const WindowsSystem& windows) { return PackageReader(inf, windows).read(); }

std::vector<std::string> files_of(const Inf& inf) {
    std::set<std::string> out;
    for (const char* platform : {"x86", "amd64", "arm64", ""}) {
        const Sources sources(inf, platform);
        for (const auto& [name, path] : sources.paths())
            if (!path.empty() && out.size() < kMostFiles) out.insert(path);
    }
    for (const auto& line : inf.section("version"))
        if (to_lower(line.key).starts_with("catalogfile"))
            if (auto path = joined_path({inf.expand(line.values[0])}); !path.empty() && out.size() < kMostFiles)
                out.insert(std::move(path));
    return {out.begin(), out.end()};
}

}  // namespace slipway::fixup::windows
