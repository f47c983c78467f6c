// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/definition.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"
#include "lib/base/xml_writer.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

namespace {

constexpr std::string_view kNamespace = "urn:slipway:vm:1";
constexpr std::uint64_t kMaxDiskBytes = 2040ull << 30;

template <typename E>
struct Named {
    std::string_view name;
    E value;
};
constexpr Named<Firmware> kFirmwares[] = {{"bios", Firmware::Bios}, {"uefi", Firmware::Uefi}};
constexpr Named<DiskKind> kKinds[] = {
    {"fixed", DiskKind::Fixed}, {"dynamic", DiskKind::Dynamic}, {"linked", DiskKind::Linked}};
constexpr Named<Controller> kControllers[] = {
    {"ide", Controller::Ide},         {"scsi", Controller::ScsiLsi},         {"sata", Controller::Sata},
    {"megasas", Controller::Megasas}, {"virtio-blk", Controller::VirtioBlk}, {"virtio-scsi", Controller::VirtioScsi},
    {"nvme", Controller::Nvme}};
constexpr Named<AdapterModel> kModels[] = {{"e1000", AdapterModel::E1000}, {"virtio", AdapterModel::Virtio}};

template <typename E, std::size_t N>
std::string_view name_in(const Named<E> (&rows)[N], E value) {
    for (const auto& row : rows)
        if (row.value == value) return row.name;
    return "";
}

template <typename E, std::size_t N>
std::optional<E> value_in(const Named<E> (&rows)[N], std::string_view name) {
    for (const auto& row : rows)
        if (row.name == name) return row.value;
    return std::nullopt;
}

// The attributes of one element: each is taken once, what is left over was not known.
class Attributes {
public:
    explicit Attributes(const tinyxml2::XMLElement& element) : element_(element) {
        for (const auto* a = element.FirstAttribute(); a; a = a->Next()) {
            if (std::string_view(a->Name()).starts_with("xmlns")) continue;
            if (!values_.emplace(a->Name(), a->Value()).second) wrong("has two attributes " + std::string(a->Name()));
        }
    }
    std::optional<std::string> take(const std::string& name) {
        auto node = values_.extract(name);
        return node.empty() ? std::nullopt : std::optional(std::move(node.mapped()));
    }
    std::string text(const std::string& name) {
        auto value = take(name);
        if (!value) wrong("lacks " + name);
        return value.value_or("");
    }
    std::uint64_t number(const std::string& name, std::optional<std::uint64_t> otherwise = {}) {
        auto value = take(name);
        if (!value && otherwise) return *otherwise;
        auto parsed = value ? parse_u64(*value) : std::nullopt;
        if (!parsed) wrong("lacks a number in " + name);
        return parsed.value_or(0);
    }
    template <typename E, std::size_t N>
    E choice(const std::string& name, const Named<E> (&rows)[N], E otherwise) {
        auto value = take(name);
        if (!value) return otherwise;
        auto known = value_in(rows, *value);
        if (!known) wrong("has an unknown " + name + " '" + printable(*value) + "'");
        return known.value_or(otherwise);
    }
    bool flag(const std::string& name, bool otherwise) {
        auto value = take(name);
        if (!value) return otherwise;
        if (*value != "true" && *value != "false" && *value != "1" && *value != "0")
            wrong("wants true or false in " + name);
        return *value == "true" || *value == "1";
    }
    void wrong(const std::string& what) {
        if (!error_)
            error_ = make_error(errors::kDefinition, "line {}: <{}> {}", element_.GetLineNum(),
                                printable(element_.Name()), what);
    }
    Status finish() {
        if (!values_.empty()) wrong("has an unknown attribute " + printable(values_.begin()->first));
        if (error_) return *error_;
        return {};
    }

private:
    const tinyxml2::XMLElement& element_;
    std::map<std::string, std::string> values_;
    std::optional<Error> error_;
};

std::uint32_t clamp32(std::uint64_t value) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
}

Status parse_disk(const tinyxml2::XMLElement& element, VmDefinition& out) {
    Attributes a(element);
    VmDisk disk;
    disk.path = a.text("path");
    disk.kind = a.choice("kind", kKinds, DiskKind::Fixed);
    disk.size_bytes = a.number("size-bytes");
    disk.controller = a.choice("controller", kControllers, Controller::Ide);
    disk.create = a.flag("create", true);
    out.disks.push_back(std::move(disk));
    return a.finish();
}

Status parse_adapter(const tinyxml2::XMLElement& element, VmDefinition& out) {
    Attributes a(element);
    VmAdapter adapter;
    const auto text = a.text("mac");
    auto mac = MacAddress::parse(text);
    if (!mac) a.wrong("has no MAC address in mac '" + printable(text) + "'");
    adapter.mac = mac.value_or(MacAddress{});
    adapter.network = a.take("network").value_or("");
    adapter.model = a.choice("model", kModels, AdapterModel::E1000);
    out.adapters.push_back(std::move(adapter));
    return a.finish();
}

using ChildParser = Status (*)(const tinyxml2::XMLElement&, VmDefinition&);

Status parse_list(const tinyxml2::XMLElement& list, std::string_view child, ChildParser parse, ParsedDefinition& out) {
    Attributes none(list);
    TRY(none.finish());
    for (const auto* e = list.FirstChildElement(); e; e = e->NextSiblingElement()) {
        if (e->Name() != child) {
            out.warnings.push_back(fmt::format("line {}: unknown element <{}>", e->GetLineNum(), printable(e->Name())));
            continue;
        }
        if (out.definition.disks.size() > kMaxDisks || out.definition.adapters.size() > kMaxAdapters) break;
        TRY(parse(*e, out.definition));
    }
    return {};
}

Status parse_root(const tinyxml2::XMLElement& root, ParsedDefinition& out) {
    Attributes a(root);
    auto& definition = out.definition;
    definition.name = a.text("name");
    const auto uuid = a.take("uuid");
    if (uuid) {
        auto parsed = Uuid::parse(*uuid);
        if (!parsed) a.wrong("has no UUID in uuid");
        definition.uuid = parsed.value_or(Uuid{});
    }
    definition.memory_mib = clamp32(a.number("memory-mib"));
    definition.processors = clamp32(a.number("processors", 1));
    definition.firmware = a.choice("firmware", kFirmwares, Firmware::Bios);
    definition.directory = a.take("directory").value_or("");
    TRY(a.finish());
    std::set<std::string> seen;
    for (const auto* e = root.FirstChildElement(); e; e = e->NextSiblingElement()) {
        const std::string name = e->Name();
        if (name != "disks" && name != "adapters") {
            out.warnings.push_back(fmt::format("line {}: unknown element <{}>", e->GetLineNum(), printable(name)));
            continue;
        }
        if (!seen.insert(name).second) return make_error(errors::kDefinition, "<{}> stands there twice", name);
        TRY(name == "disks" ? parse_list(*e, "disk", parse_disk, out) : parse_list(*e, "adapter", parse_adapter, out));
    }
    if (!uuid) definition.uuid = derived_uuid(definition);
    return {};
}

Status check_directory(const std::string& directory) {
    if (directory.empty()) return {};
    const auto parts = split(directory, '/');
    if (directory[0] != '/' || directory.size() > 1024 || printable(directory) != directory ||
        std::find(parts.begin(), parts.end(), "..") != parts.end())
        return make_error(errors::kDefinition, "the directory '{}' is not an absolute one", printable(directory));
    return {};
}

// What is wrong with one disk; empty: nothing.
std::string_view disk_fault(const VmDisk& disk) {
    if (disk.path.empty() || disk.path.size() > 1024 || printable(disk.path) != disk.path || disk.path.back() == '/')
        return "the path is not one";
    const auto parts = split(disk.path, '/');
    if (std::find(parts.begin(), parts.end(), "..") != parts.end()) return "'..' in the path";
    if (disk.kind == DiskKind::Linked) {
        if (!disk.path.starts_with("/dev/")) return "a linked disk is a device below /dev";
        if (disk.create) return "a linked disk is there already: create is false";
        return disk.size_bytes == 0 || disk.size_bytes % 512 ? "the size is a multiple of 512 bytes" : "";
    }
    // Beside a relative disk stand the machine's own files.
    if (disk.path[0] != '/' && !disk.path.ends_with(".vhd")) return "a relative path ends with .vhd";
    if (disk.size_bytes == 0 || disk.size_bytes % 512 || disk.size_bytes > kMaxDiskBytes)
        return "the size is a multiple of 512 bytes, up to 2040 GiB";
    return "";
}

Status check_disks(const std::vector<VmDisk>& disks) {
    auto wrong = [](std::size_t index, std::string_view what) {
        return make_error(errors::kDefinition, "disk {}: {}", index + 1, what);
    };
    if (disks.size() > kMaxDisks) return make_error(errors::kDefinition, "more than {} disks", kMaxDisks);
    std::map<Controller, std::size_t> counts;
    std::set<std::string> paths;
    for (std::size_t i = 0; i < disks.size(); ++i) {
        const auto& disk = disks[i];
        if (const auto fault = disk_fault(disk); !fault.empty()) return wrong(i, fault);
        if (!paths.insert(disk.path).second) return wrong(i, "two disks in one file");
        if (++counts[disk.controller] > disk_limit(disk.controller))
            return wrong(i, fmt::format("more disks than a {} controller takes", name_of(disk.controller)));
    }
    return {};
}

}  // namespace

std::string_view name_of(Firmware value) { return name_in(kFirmwares, value); }
std::string_view name_of(DiskKind value) { return name_in(kKinds, value); }
std::string_view name_of(Controller value) { return name_in(kControllers, value); }
std::string_view name_of(AdapterModel value) { return name_in(kModels, value); }
std::optional<Controller> parse_controller(std::string_view name) { return value_in(kControllers, name); }

std::size_t disk_limit(Controller controller) {
    switch (controller) {
        case Controller::Ide: return 4;
        case Controller::Sata: return 6;
        case Controller::ScsiLsi: return 7;
        default: return kMaxDisks;
    }
}

bool valid_name(std::string_view name) {
    auto word = [](unsigned char c) { return c < 128 && std::isalnum(c); };
    return !name.empty() && name.size() <= 63 && word(static_cast<unsigned char>(name[0])) &&
           std::all_of(name.begin(), name.end(),
                       [&](unsigned char c) { return word(c) || c == '.' || c == '_' || c == '-'; });
}

Uuid derived_uuid(const VmDefinition& definition) {
    std::string text = "slipway-vm:" + definition.name;
    for (const auto& adapter : definition.adapters) text += ":" + adapter.mac.compact();
    const auto digest = sha256(as_bytes(text));
    Uuid uuid;
    std::copy_n(digest.octets.begin(), 16, uuid.octets.begin());
    uuid.octets[6] = (uuid.octets[6] & std::byte{0x0f}) | std::byte{0x80};  // version 8: custom
    uuid.octets[8] = (uuid.octets[8] & std::byte{0x3f}) | std::byte{0x80};
    return uuid;
}

Status check(const VmDefinition& definition) {
    if (!valid_name(definition.name))
        return make_error(errors::kDefinition, "the name '{}' is not of letters, digits, '.', '_' and '-'",
                          printable(definition.name));
    if (definition.uuid.is_zero()) return make_error(errors::kDefinition, "the uuid is zero");
    if (definition.memory_mib < 16 || definition.memory_mib > (1u << 20))
        return make_error(errors::kDefinition, "{} MiB of memory is not between 16 and 1048576", definition.memory_mib);
    if (definition.processors < 1 || definition.processors > 64)
        return make_error(errors::kDefinition, "{} processors is not between 1 and 64", definition.processors);
    TRY(check_directory(definition.directory));
    TRY(check_disks(definition.disks));
    if (definition.adapters.size() > kMaxAdapters)
        return make_error(errors::kDefinition, "more than {} adapters", kMaxAdapters);
    std::set<MacAddress> macs;
    for (const auto& adapter : definition.adapters) {
        if (adapter.mac.is_zero() || adapter.mac.is_multicast())
            return make_error(errors::kDefinition, "{} is no adapter's address", adapter.mac.text());
        if (!macs.insert(adapter.mac).second)
            return make_error(errors::kDefinition, "two adapters have the address {}", adapter.mac.text());
        if (!adapter.network.empty() && !valid_name(adapter.network))
            return make_error(errors::kDefinition, "'{}' is no name of a network", printable(adapter.network));
    }
    return {};
}

Result<ParsedDefinition> parse_definition(std::string_view xml) {
    constexpr std::size_t kLimit = 1u << 20;
    if (xml.size() > kLimit) return make_error(errors::kDefinition, "{} bytes is too large", xml.size());
    tinyxml2::XMLDocument document;
    if (auto parsed = parse_xml(document, xml); !parsed)
        return make_error(errors::kDefinition, "{}", parsed.error().message());
    const auto& root = *document.RootElement();
    if (std::string_view(root.Name()) != "vm" || xml_attribute(root, "xmlns") != kNamespace)
        return make_error(errors::kDefinition, "the root element is not <vm> of {}", kNamespace);
    ParsedDefinition out;
    TRY(parse_root(root, out));
    TRY(check(out.definition));
    return out;
}

std::string render_definition(const VmDefinition& definition) {
    XmlWriter xml;
    xml.open("vm").attribute("xmlns", kNamespace).attribute("name", definition.name);
    xml.attribute("uuid", definition.uuid.text()).attribute("memory-mib", std::to_string(definition.memory_mib));
    xml.attribute("processors", std::to_string(definition.processors))
        .attribute("firmware", name_of(definition.firmware));
    if (!definition.directory.empty()) xml.attribute("directory", definition.directory);
    xml.open("disks");
    for (const auto& disk : definition.disks)
        xml.open("disk")
            .attribute("path", disk.path)
            .attribute("kind", name_of(disk.kind))
            .attribute("size-bytes", std::to_string(disk.size_bytes))
            .attribute("controller", name_of(disk.controller))
            .attribute("create", disk.create ? "true" : "false")
            .close();
    xml.close().open("adapters");
    for (const auto& adapter : definition.adapters)
        xml.open("adapter")
            .attribute("mac", adapter.mac.text())
            .attribute("network", adapter.network)
            .attribute("model", name_of(adapter.model))
            .close();
    xml.close().close();
    return std::move(xml).take();
}

}  // namespace slipway::vmm
