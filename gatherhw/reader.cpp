// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/reader.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <type_traits>

#include "gatherhw/errors.hpp"
#include "gatherhw/fields.hpp"
#include "gatherhw/names.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"

namespace slipway::gatherhw {

namespace {

using tinyxml2::XMLElement;

constexpr std::size_t kMaxRecords = 100'000;  // of one list: beyond any machine

// What tells an item of a list from the others; a list without it can only grow.
template <typename R>
struct Key {
    const char* attribute = nullptr;
    std::string R::*member = nullptr;
};
template <typename R>
constexpr Key<R> kKey{};
template <>
constexpr Key<StorageController> kKey<StorageController>{"id", &StorageController::id};
template <>
constexpr Key<Disk> kKey<Disk>{"name", &Disk::name};
template <>
constexpr Key<Partition> kKey<Partition>{"name", &Partition::name};
template <>
constexpr Key<Volume> kKey<Volume>{"name", &Volume::name};
template <>
constexpr Key<NetworkAdapter> kKey<NetworkAdapter>{"name", &NetworkAdapter::name};
template <>
constexpr Key<IpAddress> kKey<IpAddress>{"ip", &IpAddress::address};
template <>
constexpr Key<VideoAdapter> kKey<VideoAdapter>{"name", &VideoAdapter::name};
template <>
constexpr Key<Port> kKey<Port>{"name", &Port::name};
template <>
constexpr Key<OpticalDrive> kKey<OpticalDrive>{"name", &OpticalDrive::name};
template <>
constexpr Key<Service> kKey<Service>{"name", &Service::name};
template <>
constexpr Key<Driver> kKey<Driver>{"name", &Driver::name};
template <>
constexpr Key<AutorunProgram> kKey<AutorunProgram>{"name", &AutorunProgram::name};
template <>
constexpr Key<TapeDrive> kKey<TapeDrive>{"name", &TapeDrive::name};
template <>
constexpr Key<UsbDevice> kKey<UsbDevice>{"address", &UsbDevice::address};
template <>
constexpr Key<MemoryModule> kKey<MemoryModule>{"locator", &MemoryModule::locator};
template <>
constexpr Key<Hotfix> kKey<Hotfix>{"id", &Hotfix::id};
template <>
constexpr Key<SystemFile> kKey<SystemFile>{"path", &SystemFile::path};
template <>
constexpr Key<ConfigurationFile> kKey<ConfigurationFile>{"path", &ConfigurationFile::path};
template <>
constexpr Key<Unread> kKey<Unread>{"what", &Unread::what};

// What one document's reading shares: the first error stops the rest, warnings add up.
struct Findings {
    std::optional<Error> error;
    std::vector<std::string> warnings;
    bool adding = false;             // to what is there: an item of a list may be one that the list has
    std::vector<std::string> added;  // what was said, when adding

    void fail(const XMLElement& element, std::string text) {
        if (!error)
            error = make_error(errors::kBadInventory, "line {}: element '{}': {}", element.GetLineNum(),
                               printable(element.Name()), text);
    }
};

bool parse_value(std::string_view text, std::string& out) {
    out = text;
    return true;
}
bool parse_value(std::string_view text, bool& out) {
    out = text == "true" || text == "1";
    return out || text == "false" || text == "0";
}
template <typename T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
bool parse_value(std::string_view text, T& out) {
    auto number = parse_u64(text);
    if (!number || *number > std::numeric_limits<T>::max()) return false;
    out = static_cast<T>(*number);
    return true;
}
template <typename T>
    requires std::is_enum_v<T>
bool parse_value(std::string_view text, T& out) {
    auto value = value_in_table<T>(text);
    if (value) out = *value;
    return value.has_value();
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
    if (!text.starts_with("0x")) return std::nullopt;
    text.remove_prefix(2);
    std::uint64_t value = 0;
    auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Reads one element's record; remembers which names are known so that leftovers can be judged.
class XmlReadArchive {
public:
    XmlReadArchive(const XMLElement& element, Findings& findings) : element_(element), findings_(findings) {}

    template <typename T>
    void value(std::string_view name, T& out) {
        const char* text = attribute(name);
        if (text && !parse_value(text, out)) bad_value(name, text);
    }
    template <typename T>
    void value(std::string_view name, std::optional<T>& out) {
        T value_read{};
        const char* text = attribute(name);
        if (!text) return;
        if (!parse_value(text, value_read)) return bad_value(name, text);
        out = value_read;
    }
    template <typename T>
    void count(std::string_view name, T& out) {
        value(name, out);
    }
    template <typename T>
    void known(std::string_view name, T& out) {
        value(name, out);
    }
    template <typename T>
    void hex(std::string_view name, T& out, int digits) {
        const char* text = attribute(name);
        if (!text) return;
        auto number = parse_hex(text);
        if (!number || *number >> (4 * digits) != 0) return bad_value(name, text);
        out = static_cast<T>(*number);
    }
    void words(std::string_view name, std::vector<std::string>& out) {
        const char* text = attribute(name);
        if (!text) return;
        out.clear();
        for (auto& word : split(text, ' '))
            if (!word.empty()) out.push_back(std::move(word));
    }
    void texts(std::string_view name, std::vector<std::string>& out) {
        bool first = true;
        for_each_child(name, [&](const XMLElement& child) {
            if (std::exchange(first, false)) out.clear();
            XmlReadArchive archive(child, findings_);
            archive.body(out.emplace_back());
            archive.finish();
        });
    }
    void body(std::string& out) {
        if (const char* text = element_.GetText()) out = text;
    }
    template <typename R>
    void record(std::string_view name, R& out) {
        bool seen = false;
        for_each_child(name, [&](const XMLElement& child) {
            if (std::exchange(seen, true)) return findings_.fail(child, "given twice");
            if (findings_.adding && element_.Parent()->ToElement() == nullptr) findings_.added.emplace_back(name);
            read(child, out);
        });
    }
    template <typename R>
    void record(std::string_view name, std::optional<R>& out) {
        known_children_.emplace(name);
        if (!element_.FirstChildElement(std::string(name).c_str())) return;
        R found = out.value_or(R{});
        record(name, found);
        out = std::move(found);
    }
    template <typename R>
    void list(std::string_view name, std::string_view item, std::vector<R>& out) {
        for_each_child(name, [&](const XMLElement& child) {
            XmlReadArchive archive(child, findings_);
            archive.for_each_child(item, [&](const XMLElement& one) { archive.read(one, archive.place(one, out)); });
            archive.finish();
        });
    }
    template <typename R>
    void read(const XMLElement& child, R& out) {
        XmlReadArchive archive(child, findings_);
        fields(archive, out);
        archive.finish();
    }

    // Where an item is read into: a new one or, when adding, the one that it names.
    template <typename R>
    R& place(const XMLElement& one, std::vector<R>& out) {
        if constexpr (kKey<R>.attribute != nullptr) {
            if (findings_.adding) {
                auto key = xml_attribute(one, kKey<R>.attribute);
                if (key.empty()) findings_.fail(one, fmt::format("no '{}' says which one it is", kKey<R>.attribute));
                auto found = std::find_if(out.begin(), out.end(), [&](const R& r) { return r.*kKey<R>.member == key; });
                const bool is_new = found == out.end();
                if (std::is_same_v<R, Unread> && is_new) findings_.fail(one, "the inventory has no such item");
                const char* how = std::is_same_v<R, Unread> ? "unread " : is_new ? "new " : "";
                findings_.added.push_back(fmt::format("{}{} '{}'", how, one.Name(), key));
                if (!is_new) return *found;
            }
        } else if (findings_.adding) {
            findings_.added.push_back(fmt::format("new {}", one.Name()));
        }
        return out.emplace_back();
    }

    // An unknown attribute is an error, an unknown element a warning.
    void finish() {
        for (const auto* a = element_.FirstAttribute(); a; a = a->Next())
            if (!known_attributes_.contains(a->Name()) && !is_namespace(a->Name()))
                findings_.fail(element_, fmt::format("unknown attribute '{}'", printable(a->Name())));
        for (const auto* child = element_.FirstChildElement(); child; child = child->NextSiblingElement())
            if (!known_children_.contains(child->Name()) && findings_.warnings.size() < 100)
                findings_.warnings.push_back(fmt::format("line {}: unknown element '{}' in '{}' is ignored",
                                                         child->GetLineNum(), printable(child->Name()),
                                                         printable(element_.Name())));
    }

private:
    static bool is_namespace(std::string_view name) { return name == "xmlns" || name.starts_with("xmlns:"); }

    const char* attribute(std::string_view name) {
        auto [at, added] = known_attributes_.emplace(name);
        return element_.Attribute(at->c_str());
    }
    void bad_value(std::string_view name, std::string_view text) {
        findings_.fail(element_,
                       fmt::format("attribute '{}' has the bad value '{}'", name, printable(text.substr(0, 100))));
    }
    template <typename Do>
    void for_each_child(std::string_view name, Do act) {
        auto known = known_children_.emplace(name).first;
        std::size_t count = 0;
        for (const auto* child = element_.FirstChildElement(known->c_str()); child && !findings_.error;
             child = child->NextSiblingElement(known->c_str())) {
            if (++count > kMaxRecords)
                return findings_.fail(element_, fmt::format("more than {} '{}'", kMaxRecords, name));
            act(*child);
        }
    }

    const XMLElement& element_;
    Findings& findings_;
    std::set<std::string> known_attributes_, known_children_;
};

Status check_disk_references(const Inventory& inventory) {
    std::set<std::string> names;
    for (const auto& disk : inventory.disks) {
        if (disk.name.empty()) return make_error(errors::kBadInventory, "a disk without a name");
        if (!names.insert(disk.name).second)
            return make_error(errors::kBadInventory, "disk '{}' is listed twice", printable(disk.name));
        if (!disk.controller.empty() && !find_controller(inventory, disk.controller))
            return make_error(errors::kBadInventory, "disk '{}' is on controller '{}', which is not listed",
                              printable(disk.name), printable(disk.controller));
    }
    return {};
}

Status check_partitions(const Inventory& inventory) {
    for (const auto& disk : inventory.disks)
        for (const auto& p : disk.partitions)
            if (disk.size && (p.offset > disk.size || p.length > disk.size - p.offset))
                return make_error(errors::kBadInventory, "partition '{}' ends past the end of disk '{}'",
                                  printable(p.name), printable(disk.name));
    return {};
}

Status check_root(const XMLElement& root) {
    auto space = xml_attribute(root, "xmlns");
    if (std::string_view(root.Name()) == "inventory" && space == kNamespace) return {};
    return make_error(errors::kNotInventory, "the root element is '{}' in namespace '{}'", printable(root.Name()),
                      printable(space));
}

Result<Findings> read_into(Inventory& inventory, std::string_view xml, bool adding) {
    tinyxml2::XMLDocument document;
    if (auto parsed = parse_xml(document, xml); !parsed)
        return make_error(errors::kNotInventory, "{}", parsed.error().message());
    const auto& root = *document.RootElement();
    TRY(check_root(root));
    Findings findings;
    findings.adding = adding;
    XmlReadArchive archive(root, findings);
    fields(archive, inventory);
    archive.finish();
    if (findings.error) return *std::move(findings.error);
    TRY(check_disk_references(inventory));
    TRY(check_partitions(inventory));
    return findings;
}

}  // namespace

Result<ReadInventory> read_inventory(std::string_view xml) {
    ReadInventory out;
    auto findings = TRY(read_into(out.inventory, xml, false));
    out.warnings = std::move(findings.warnings);
    return out;
}

Result<std::vector<std::string>> add_facts(Inventory& inventory, std::string_view xml, std::string_view source) {
    if (xml.size() > kMaxFacts)
        return make_error(errors::kNotInventory, "a file of facts has at most {}", human_bytes(kMaxFacts));
    auto out = inventory;
    auto findings = TRY(read_into(out, xml, true));
    out.program = inventory.program;
    out.added = inventory.added;
    std::erase_if(out.unread, [](const Unread& u) { return u.why.empty(); });
    for (auto& disk : out.disks)
        std::stable_sort(disk.partitions.begin(), disk.partitions.end(),
                         [](const Partition& a, const Partition& b) { return a.offset < b.offset; });
    for (auto& what : findings.added) out.added.push_back({printable(what), printable(source)});
    if (findings.added.empty()) return make_error(errors::kNotInventory, "it says nothing of the machine");
    inventory = std::move(out);
    return std::move(findings.warnings);
}

}  // namespace slipway::gatherhw
