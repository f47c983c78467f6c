// SPDX-License-Identifier: GPL-3.0-or-later
// lshw -xml: a tree of nodes with a class, texts and settings. It numbers no PCI device unless -numeric was given, and
// no version tells where a partition begins.
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/importers.hpp"
#include "gatherhw/importers/shared.hpp"
#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"

namespace slipway::gatherhw {

namespace {

using tinyxml2::XMLElement;

constexpr std::size_t kMaxNodes = 100'000;

// One <node>, read for what an inventory needs.
class Node {
public:
    explicit Node(const XMLElement& element) : element_(element) {}

    const XMLElement& element() const { return element_; }
    std::string id() const { return xml_attribute(element_, "id"); }
    std::string kind() const { return xml_attribute(element_, "class"); }
    bool disabled() const { return xml_attribute(element_, "disabled") == "true"; }
    std::string text(const char* name) const { return shown(xml_child_text(element_, name)); }
    std::uint64_t number(const char* name) const { return parse_u64(text(name)).value_or(0); }
    std::string setting(std::string_view name) const { return in("configuration", "setting", name, true); }
    bool can(std::string_view capability) const { return !in("capabilities", "capability", capability, false).empty(); }
    std::vector<std::string> capabilities() const {
        std::vector<std::string> out;
        const auto* list = element_.FirstChildElement("capabilities");
        for (const auto* c = list ? list->FirstChildElement("capability") : nullptr; c && out.size() < 1000;
             c = c->NextSiblingElement("capability"))
            out.push_back(xml_attribute(*c, "id"));
        return out;
    }
    std::vector<std::string> logical_names() const {
        std::vector<std::string> out;
        for (const auto* n = element_.FirstChildElement("logicalname"); n && out.size() < 100;
             n = n->NextSiblingElement("logicalname"))
            if (n->GetText()) out.emplace_back(trim(n->GetText()));
        return out;
    }
    // "0000:00:1f.2" of "pci@0000:00:1f.2"
    std::string pci_slot() const {
        auto bus = text("businfo");
        return bus.starts_with("pci@") ? bus.substr(4) : "";
    }

private:
    // lshw -sanitize puts this in the place of numbers and addresses.
    static std::string shown(std::string_view text) {
        text = trim(text);
        return text == "[REMOVED]" ? std::string() : std::string(text);
    }
    std::string in(const char* list_name, const char* item, std::string_view id, bool value) const {
        const auto* list = element_.FirstChildElement(list_name);
        for (const auto* c = list ? list->FirstChildElement(item) : nullptr; c; c = c->NextSiblingElement(item))
            if (xml_attribute(*c, "id") == id) return value ? shown(xml_attribute(*c, "value")) : "yes";
        return {};
    }
    const XMLElement& element_;
};

// "[8086:10D3]" as lshw -numeric ends a product with.
std::optional<PciId> numeric_id(const std::string& product) {
    auto open = product.rfind('['), colon = product.find(':', open == std::string::npos ? product.size() : open);
    if (open == std::string::npos || colon == std::string::npos || product.back() != ']') return std::nullopt;
    auto vendor = parse_number("0x" + product.substr(open + 1, colon - open - 1));
    auto device = parse_number("0x" + product.substr(colon + 1, product.size() - colon - 2));
    if (!vendor || !device || *vendor > 0xffff || *device > 0xffff) return std::nullopt;
    return PciId{.vendor = static_cast<std::uint16_t>(*vendor), .device = static_cast<std::uint16_t>(*device)};
}

std::optional<PciId> pci_id(const Node& node) {
    auto id = numeric_id(node.text("product"));
    if (id) id->slot = node.pci_slot();
    return id;
}

// What the PCI database calls a class; its code is not said.
ControllerKind controller_kind(const Node& node) {
    struct Row {
        std::string_view begin;
        ControllerKind kind;
    };
    constexpr Row kRows[] = {{"IDE", ControllerKind::Ide},
                             {"SATA", ControllerKind::Ahci},
                             {"RAID", ControllerKind::Raid},
                             {"SCSI", ControllerKind::Scsi},
                             {"Serial Attached SCSI", ControllerKind::Scsi},
                             {"Fibre Channel", ControllerKind::Scsi},
                             {"Non-Volatile memory", ControllerKind::Nvme},
                             {"NVMe", ControllerKind::Nvme},
                             {"Virtio", ControllerKind::Virtio}};
    auto what = node.text("description");
    for (const auto& row : kRows)
        if (what.starts_with(row.begin)) return row.kind;
    return node.text("product").starts_with("Virtio") ? ControllerKind::Virtio : ControllerKind::Unknown;
}

class Importer {
public:
    Result<Inventory> run(const tinyxml2::XMLDocument& document) {
        read_comments(document);
        walk(*document.RootElement());
        if (!seen_system_ && nodes_ == 0) return make_error(errors::kBadDump, "there is no <node> in it");
        finish();
        return std::move(out_);
    }

private:
    struct Place {  // what a node inherits from those above it
        std::string controller;
        BusKind bus = BusKind::Unknown;
        std::string disk;
    };

    void walk(const XMLElement& root) {
        struct Step {
            const XMLElement* element;
            Place place;
        };
        std::vector<Step> pending{{&root, {}}};  // depth first, in the document's order
        while (!pending.empty()) {
            auto step = std::move(pending.back());
            pending.pop_back();
            auto place = step.place;
            if (std::string_view(step.element->Name()) == "node") {
                if (++nodes_ > kMaxNodes) return note(out_, "nodes", "more than any machine has: the rest is left out");
                visit(Node(*step.element), place);
            }
            for (const auto* child = step.element->LastChildElement("node"); child;
                 child = child->PreviousSiblingElement("node"))
                pending.push_back({child, place});
        }
    }

    void visit(const Node& node, Place& place) {
        if (!node.pci_slot().empty()) add_pci(node);
        auto kind = node.kind();
        if (node.text("businfo").starts_with("usb@")) add_usb(node);
        if (kind == "system" && !std::exchange(seen_system_, true)) system(node);
        else if (kind == "bus" && node.id() == "core") board(node);
        else if (kind == "memory") memory(node);
        else if (kind == "processor") processor(node);
        else if (kind == "storage") storage(node, place);
        else if (kind == "disk") disk(node, place);
        else if (kind == "volume") volume(node, place);
        else if (kind == "network") network(node);
        else if (kind == "display") out_.video.push_back({title(node), node.setting("driver"), pci_id(node)});
        else if (kind == "multimedia") out_.ports.push_back({PortKind::Sound, node.id(), title(node)});
        else if (kind == "communication") communication(node);
        else if (kind == "tape") tape(node, place);
    }

    // "<!-- Linux 4.4.0-72-generic #93… x86_64 -->"
    void read_comments(const tinyxml2::XMLDocument& document) {
        for (const auto* n = document.FirstChild(); n; n = n->NextSibling()) {
            auto w = n->ToComment() ? words(n->Value()) : std::vector<std::string>{};
            if (w.size() < 3 || w[0] != "Linux") continue;
            out_.os.family = "linux";
            out_.os.kernel = w[1];
            out_.os.architecture = w.back();
        }
    }

    static std::string title(const Node& node) {
        auto product = node.text("product"), vendor = node.text("vendor");
        if (product.empty()) return node.text("description");
        return vendor.empty() || product.starts_with(vendor) ? product : vendor + " " + product;
    }

    void system(const Node& node) {
        auto& s = out_.system;
        if (node.id() != "computer") s.host_name = node.id().substr(0, node.id().find('.'));
        s.manufacturer = node.text("vendor");
        s.model = node.text("product");
        // "PowerEdge C6105 (SKU)": the number in parentheses is a setting of its own.
        auto sku = " (" + node.setting("sku") + ")";
        if (s.model.ends_with(sku)) s.model.resize(s.model.size() - sku.size());
        s.serial = node.text("serial");
        s.uuid = uuid_text(node.setting("uuid"));
        s.chassis = node.setting("chassis") == "rackmount" ? "rack-mount" : node.setting("chassis");
        s.hypervisor = hypervisor_named(s.manufacturer, s.model);
    }

    void board(const Node& node) {
        if (out_.system.board.empty()) out_.system.board = trim(node.text("vendor") + " " + node.text("product"));
    }

    void memory(const Node& node) {
        auto& s = out_.system;
        if (node.id() == "firmware" && s.bios_version.empty()) {
            s.bios_vendor = node.text("vendor");
            s.bios_version = node.text("version");
            s.bios_date = node.text("date");
            if (node.can("virtualmachine") && s.hypervisor.empty()) s.hypervisor = "unknown";
        } else if (node.text("description") == "System Memory" || node.text("description") == "System memory") {
            s.memory_bytes += node.number("size");
        } else if (node.id().starts_with("bank") && node.number("size") && s.memory_modules.size() < 4096) {
            MemoryModule m{node.text("slot"), node.number("size"), "", 0, node.text("vendor"), node.text("product")};
            auto w = words(node.text("description"));
            for (std::size_t i = 0; i < w.size(); ++i) {
                if (w[i].starts_with("DDR") || w[i] == "SDRAM") m.type = w[i];
                if (i > 0 && w[i] == "MHz")
                    m.mhz = static_cast<std::uint32_t>(parse_u64(w[i - 1]).value_or(0) & 0xffff);
            }
            s.memory_modules.push_back(std::move(m));
        }
    }

    // Old versions take an AMD's maker from the table of memory makers: the product is to be believed.
    static std::string cpu_vendor(const Node& node) {
        auto vendor = node.text("vendor"), product = node.text("product");
        if (vendor.starts_with("Intel") || product.find("Intel") != std::string::npos) return "GenuineIntel";
        bool amd = vendor.starts_with("Advanced Micro") || product.starts_with("AMD");
        return amd ? "AuthenticAMD" : vendor;
    }

    void processor(const Node& node) {
        if (node.disabled()) return;
        auto& p = out_.system.processors;
        ++processor_nodes_;
        // Sockets have a product; the others are more logical processors of one.
        if (node.text("product").empty()) return;
        ++p.sockets;
        auto count = [&](const char* name) {
            return static_cast<std::uint32_t>(std::min<std::uint64_t>(parse_u64(node.setting(name)).value_or(0), 4096));
        };
        p.cores += count("enabledcores") ? count("enabledcores") : count("cores");
        p.threads += count("threads");
        if (!p.model.empty()) return;
        p.model = join(words(node.text("product")), " ");
        p.vendor = cpu_vendor(node);
        p.mhz = static_cast<std::uint32_t>(std::min<std::uint64_t>(node.number("capacity") / 1'000'000, 100'000));
        for (auto& capability : node.capabilities()) {
            bool long_mode = capability == "x86-64" || capability == "lm";
            p.is_64bit = p.is_64bit || long_mode;
            if (!long_mode && words(capability).size() == 1) p.flags.push_back(std::move(capability));
        }
        p.is_64bit = p.is_64bit || node.number("width") == 64;
        if (p.is_64bit) p.flags.emplace_back("lm");
    }

    std::string add_controller(ControllerKind kind, std::string driver, std::optional<PciId> pci) {
        out_.controllers.push_back(
            {fmt::format("controller{}", out_.controllers.size()), kind, std::move(driver), std::move(pci)});
        return out_.controllers.back().id;
    }

    void storage(const Node& node, Place& place) {
        bool usb = node.text("businfo").starts_with("usb@");
        place.bus = usb ? BusKind::Usb : BusKind::Unknown;
        if (usb) place.controller = add_controller(ControllerKind::Usb, node.setting("driver"), std::nullopt);
        if (node.pci_slot().empty()) return;
        auto kind = controller_kind(node);
        place.controller = add_controller(kind, node.setting("driver"), pci_id(node));
        if (kind == ControllerKind::Nvme) place.bus = BusKind::Nvme;
        if (kind == ControllerKind::Virtio) place.bus = BusKind::Virtio;
        if (node.text("description").starts_with("Fibre Channel")) place.bus = BusKind::FibreChannel;
        if (node.text("description").starts_with("Serial Attached")) place.bus = BusKind::Sas;
    }

    static BusKind disk_bus(const Node& node, const Place& place) {
        if (place.bus != BusKind::Unknown) return place.bus;
        auto what = node.text("description"), bus = node.text("businfo");
        if (bus.starts_with("ide@")) return BusKind::Ide;
        if (bus.starts_with("virtio@")) return BusKind::Virtio;
        if (bus.starts_with("nvme@")) return BusKind::Nvme;
        if (what.starts_with("ATA")) return BusKind::Sata;
        return what.starts_with("SCSI") ? BusKind::Scsi : BusKind::Unknown;
    }

    void disk(const Node& node, Place& place) {
        auto names = node.logical_names();
        auto path = std::find_if(names.begin(), names.end(), [](auto& n) { return n.starts_with("/dev/"); });
        // One without a name is a member behind a RAID controller, a "medium" the same disk once more.
        if (path == names.end() || node.id().starts_with("medium")) return;
        auto name = path->substr(5);
        if (node.id().starts_with("cdrom") || node.text("description").starts_with("DVD") ||
            node.text("description").starts_with("CD")) {
            out_.optical.push_back({name, *path, title(node)});
            return;
        }
        if (node.number("size") == 0 && node.number("capacity") == 0) return;  // a card reader without a card
        Disk d{.name = name, .path = *path, .vendor = node.text("vendor"), .model = node.text("product")};
        d.serial = node.text("serial");
        d.firmware = node.text("version");
        d.size = node.number("size") ? node.number("size") : node.number("capacity");
        auto sector = [&](const char* key, std::uint32_t fallback) {
            auto n = parse_u64(node.setting(key)).value_or(0);
            return n >= 512 && n <= 65536 ? static_cast<std::uint32_t>(n) : fallback;
        };
        d.logical_sector = sector("logicalsectorsize", sector("sectorsize", 512));
        d.physical_sector = sector("sectorsize", d.logical_sector);
        d.removable = node.can("removable");
        for (const auto& c : node.capabilities()) d.rotational = d.rotational || c.ends_with("rpm");
        d.table = node.can("partitioned:gpt")   ? TableKind::Gpt
                  : node.can("partitioned:dos") ? TableKind::Mbr
                                                : TableKind::Unknown;
        if (auto signature = node.setting("signature"); !signature.empty() && d.table == TableKind::Mbr)
            d.disk_id = "0x" + to_lower(signature);
        if (auto guid = uuid_text(node.setting("guid")); !guid.empty()) d.disk_id = guid;
        d.bus = disk_bus(node, place);
        if (auto bus = node.text("businfo"); bus.starts_with("scsi@")) d.address = bus.substr(5);
        d.controller = place.controller;
        place.disk = name;
        out_.disks.push_back(std::move(d));
    }

    void volume(const Node& node, const Place& place) {
        auto names = node.logical_names();
        auto path = std::find_if(names.begin(), names.end(), [](auto& n) { return n.starts_with("/dev/"); });
        if (node.can("extended") || path == names.end()) return;
        Volume v{.name = path->substr(5), .path = *path, .kind = VolumeKind::Partition, .backing = {place.disk}};
        if (place.disk.empty()) v.backing.clear();
        v.size = node.number("size") ? node.number("size") : node.number("capacity");
        v.filesystem = filesystem(node);
        v.label = node.setting("label");
        v.uuid = uuid_text(node.text("serial"));
        if (v.uuid.empty()) v.uuid = node.text("serial");  // LVM's have both cases
        v.mounted = node.setting("state") == "mounted";
        v.mount_options = node.setting("mount.options");
        v.last_mount_point = node.setting("lastmountpoint");
        if (node.setting("state") == "clean") v.state = VolumeState::Clean;
        if (node.setting("state") == "dirty") v.state = VolumeState::NeedsRecovery;
        if (node.can("encrypted") || v.filesystem == "luks") v.encryption = v.filesystem == "luks" ? "luks" : "unknown";
        for (auto& n : names)
            if (n.starts_with("/") && !n.starts_with("/dev/")) v.mount_points.push_back(std::move(n));
        if (v.mounted && v.filesystem == "swap") v.mount_points = {"swap"};
        for (auto& d : out_.disks)
            if (d.name == place.disk && d.partitions.size() < 1000)
                d.partitions.push_back({.index = number_after(v.name, d.name),
                                        .name = v.name,
                                        .length = v.size,
                                        .active = node.can("bootable") && d.table == TableKind::Mbr});
        out_.volumes.push_back(std::move(v));
    }

    static std::string filesystem(const Node& node) {
        auto name = node.setting("mount.fstype").empty() ? node.setting("filesystem") : node.setting("mount.fstype");
        if (!name.empty()) return name;
        auto what = node.text("description");
        if (node.can("lvm2")) return "lvm2-member";
        if (what.starts_with("Linux swap")) return "swap";
        if (what.starts_with("Linux raid")) return "linux-raid-member";
        if (node.can("luks")) return "luks";
        return node.can("ntfs") ? "ntfs" : node.can("fat") ? "vfat" : "";
    }

    static AdapterKind adapter_kind(const Node& node) {
        auto driver = node.setting("driver");
        if (node.can("wireless") || !node.setting("wireless").empty()) return AdapterKind::Wireless;
        if (driver == "bonding" || node.setting("master") == "yes") return AdapterKind::Bond;
        if (driver == "bridge") return AdapterKind::Bridge;
        if (driver == "team") return AdapterKind::Team;
        if (driver.starts_with("802.1Q")) return AdapterKind::Vlan;
        return node.text("businfo").empty() ? AdapterKind::Virtual : AdapterKind::Physical;
    }

    // 1 of "sda1" on "sda" and of "nvme0n1p1" on "nvme0n1".
    static std::uint32_t number_after(std::string_view name, std::string_view disk) {
        if (!name.starts_with(disk)) return 0;
        name.remove_prefix(disk.size());
        if (name.starts_with('p')) name.remove_prefix(1);
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(parse_u64(name).value_or(0), 1000));
    }

    void network(const Node& node) {
        auto names = node.logical_names();
        if (names.empty()) return;  // no driver: among the PCI functions
        NetworkAdapter a{.name = names.front(), .kind = adapter_kind(node)};
        a.mac = mac_text(node.text("serial"));
        // A bond gives its members one address: whose it was burnt in is not said.
        if (a.kind == AdapterKind::Physical && node.setting("slave") != "yes") a.permanent_mac = a.mac;
        a.driver = node.setting("driver");
        a.pci = pci_id(node);
        a.link = node.setting("link") == "yes";
        a.speed_mbit = static_cast<std::uint32_t>(std::min<std::uint64_t>(node.number("size") / 1'000'000, 1'000'000));
        a.description = title(node);
        if (node.text("businfo").starts_with("usb@")) a.bus = BusKind::Usb;
        if (node.text("businfo").starts_with("virtio@")) a.bus = BusKind::Virtio;
        if (node.setting("slave") == "yes") a.master = "unknown";
        if (auto ip = node.setting("ip"); !ip.empty()) a.addresses.push_back({ip, 0, AddressOrigin::Unknown});
        out_.network.push_back(std::move(a));
    }

    void communication(const Node& node) {
        for (const auto& name : node.logical_names())
            if (name.starts_with("/dev/ttyS")) {
                out_.ports.push_back({PortKind::Serial, name.substr(5), title(node)});
                return;
            }
    }

    void tape(const Node& node, const Place& place) {
        for (const auto& name : node.logical_names())
            if (name.starts_with("/dev/st")) {
                out_.tapes.push_back({name.substr(5), node.text("vendor"), node.text("product"), place.controller, ""});
                return;
            }
    }

    void add_pci(const Node& node) {
        PciFunction f;
        if (auto id = numeric_id(node.text("product"))) f.id = *id;
        f.id.slot = node.pci_slot();
        f.driver = node.setting("driver");
        f.vendor = node.text("vendor");
        f.name = node.text("product");
        if (f.name.empty()) f.name = node.text("description");
        if (slots_.insert(f.id.slot).second) out_.pci.push_back(std::move(f));
    }

    void add_usb(const Node& node) {
        auto address = node.text("businfo").substr(4);
        if (address.find(':') == std::string::npos) return;  // a root hub
        std::replace(address.begin(), address.end(), ':', '-');
        if (node.text("product").empty() && node.text("description").empty()) return;  // another function of one
        auto id = numeric_id(node.text("product"));
        out_.usb.push_back({.address = address,
                            .vendor = id ? id->vendor : std::uint16_t{},
                            .product = id ? id->device : std::uint16_t{},
                            .manufacturer = node.text("vendor"),
                            .name = node.text("product").empty() ? node.text("description") : node.text("product"),
                            .driver = node.setting("driver")});
    }

    void finish() {
        auto& p = out_.system.processors;
        if (p.threads == 0) p.threads = processor_nodes_;
        if (p.sockets == 0 && processor_nodes_ > 0) p.sockets = 1;
        if (p.cores == 0) p.cores = std::max(p.sockets, p.threads);
        p.threads = std::max(p.threads, p.cores);
        std::erase_if(out_.controllers, [&](const StorageController& c) {
            auto used = [&](const Disk& d) { return d.controller == c.id; };
            return c.kind == ControllerKind::Usb && std::none_of(out_.disks.begin(), out_.disks.end(), used);
        });
        hang_emulated_disks();
        join_bonds();
        if (out_.os.kernel.empty()) note(out_, "operating system", "lshw does not say which it is");
        else note(out_, "operating system", "lshw tells the kernel, not the distribution");
        if (!out_.disks.empty()) note(out_, "partitions", "lshw does not say where they begin, nor their types");
        note(out_, "firmware", "lshw does not say whether the machine was started by BIOS or UEFI");
        note(out_, "boot configuration", "lshw has none");
        bool ids = std::any_of(out_.pci.begin(), out_.pci.end(), [](const PciFunction& f) { return f.id.vendor != 0; });
        if (!out_.pci.empty() && !ids) note(out_, "PCI numbers", "lshw tells them with -numeric alone");
        tidy(out_);
    }

    // lshw lists the SCSI host that stands for an ATA channel apart from its controller; with one it can only be that.
    void hang_emulated_disks() {
        std::string only;
        for (const auto& c : out_.controllers) {
            if (c.kind == ControllerKind::Usb) continue;
            if (!only.empty()) return;
            only = c.id;
        }
        for (auto& d : out_.disks)
            if (d.controller.empty()) d.controller = only;
    }

    // Which bond an adapter is a member of is not said: the one that has its address, else the only one there is.
    void join_bonds() {
        std::vector<NetworkAdapter*> bonds;
        for (auto& a : out_.network)
            if (a.kind == AdapterKind::Bond && bonds.size() < 100) bonds.push_back(&a);
        for (auto& a : out_.network) {
            if (a.master.empty()) continue;
            auto same = [&](const NetworkAdapter* bond) { return !a.mac.empty() && bond->mac == a.mac; };
            auto found = std::find_if(bonds.begin(), bonds.end(), same);
            if (found == bonds.end() && bonds.size() == 1) found = bonds.begin();
            if (found == bonds.end()) continue;
            a.master = (*found)->name;
            (*found)->members.push_back(a.name);
        }
    }

    Inventory out_;
    bool seen_system_ = false;
    std::size_t nodes_ = 0;
    std::uint32_t processor_nodes_ = 0;
    std::set<std::string> slots_;
};

}  // namespace

Result<Inventory> import_lshw(std::string_view xml) {
    tinyxml2::XMLDocument document;
    if (auto parsed = parse_xml(document, xml); !parsed)
        return make_error(errors::kBadDump, "{}", parsed.error().message());
    std::string_view root = document.RootElement()->Name();
    if (root != "list" && root != "node")
        return make_error(errors::kBadDump, "the root element is '{}', not lshw's", printable(root));
    return Importer().run(document);
}

}  // namespace slipway::gatherhw
