// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/bcd.hpp"

#include <charconv>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/regf.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {
namespace {

constexpr std::string_view kObjects = "Objects";

std::optional<std::uint32_t> element_of(std::string_view key) {
    std::uint32_t type = 0;
    if (key.size() != 8) return std::nullopt;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), type, 16);
    return error == std::errc() && end == key.data() + key.size() ? std::optional(type) : std::nullopt;
}

BcdObjectKind kind_of(std::uint32_t type) {
    switch (type) {
        case 0x10100002: return BcdObjectKind::BootManager;
        case 0x10200003: return BcdObjectKind::Loader;
        case 0x10200004: return BcdObjectKind::Resume;
        case 0x10300006: return BcdObjectKind::NtLoader;
        default: return BcdObjectKind::Other;
    }
}

// What bcdedit calls an object, where it has a name for it.
std::string shown_object(const BcdStore& store, std::string_view id) {
    struct Row {
        std::string_view id, name;
    };
    static constexpr Row kRows[] = {{kBootManager, "{bootmgr}"},
                                    {"{a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}", "{fwbootmgr}"},
                                    {"{b2721d73-1db4-4c62-bf78-c548a880142d}", "{memdiag}"},
                                    {"{466f5a88-0af2-4f76-9038-095b170dc21c}", "{ntldr}"},
                                    {"{ae5534e0-a924-466c-b836-758539a3ee3a}", "{ramdiskoptions}"}};
    for (const auto& row : kRows)
        if (iequals(row.id, id)) return std::string(row.name);
    const auto chosen = store.default_object();
    return chosen && iequals(*chosen, id) ? "{default}" : std::string(id);
}

// And a device element of it.
std::string shown_element(const BcdStore& store, std::string_view id, std::uint32_t type) {
    const auto object = store.object(id);
    if (type == 0x11000001) return "device";
    if (type == 0x21000001) return object && object->kind == BcdObjectKind::Resume ? "filedevice" : "osdevice";
    if (type == 0x31000003) return "ramdisksdidevice";
    return name_of(static_cast<BcdElement>(type));
}

std::string key_of(std::string_view object) { return fmt::format("{}\\{}", kObjects, object); }

}  // namespace

std::string name_of(BcdElement element) { return fmt::format("{:08x}", static_cast<std::uint32_t>(element)); }

BcdFormat format_of(std::uint32_t element) {
    switch (element >> 24 & 0xf) {
        case 1: return BcdFormat::Device;
        case 2: return BcdFormat::String;
        case 3: return BcdFormat::Object;
        case 4: return BcdFormat::Objects;
        case 5: return BcdFormat::Integer;
        case 6: return BcdFormat::Boolean;
        case 7: return BcdFormat::Integers;
        default: return BcdFormat::Other;
    }
}

Result<BcdStore> BcdStore::of(Hive& hive) {
    if (!hive.has(kObjects)) return make_error(errors::kHive, "it is a registry file, but no boot configuration");
    return BcdStore(hive);
}

std::vector<std::string> BcdStore::objects() const { return hive_->keys(kObjects); }

std::vector<std::uint32_t> BcdStore::elements(std::string_view object) const {
    std::vector<std::uint32_t> found;
    for (const auto& key : hive_->keys(key_of(object) + "\\Elements"))
        if (const auto type = element_of(key)) found.push_back(*type);
    return found;
}

std::optional<BcdObject> BcdStore::object(std::string_view id) const {
    const auto type = hive_->number(key_of(id) + "\\Description", "Type");
    if (!type) return std::nullopt;
    BcdObject object;
    object.id = id;
    object.type = static_cast<std::uint32_t>(*type);
    object.kind = kind_of(object.type);
    object.description = string(id, BcdElement::LibraryDescription).value_or("");
    object.path = string(id, BcdElement::LibraryPath).value_or("");
    object.device = device(id, BcdElement::LibraryDevice);
    object.os_device = device(id, BcdElement::LoaderOsDevice);
    return object;
}

std::vector<BcdObject> BcdStore::loaders() const {
    std::vector<BcdObject> found;
    for (const auto& id : objects())
        if (auto one = object(id); one && one->kind == BcdObjectKind::Loader) found.push_back(std::move(*one));
    return found;
}

std::optional<std::string> BcdStore::default_object() const { return string(kBootManager, BcdElement::ManagerDefault); }

std::string BcdStore::place(std::string_view object, BcdElement element) const {
    return fmt::format("{}\\Elements\\{}", key_of(object), name_of(element));
}

std::optional<RegValue> BcdStore::element(std::string_view object, BcdElement element) const {
    return hive_->get(place(object, element), "Element");
}

std::optional<std::string> BcdStore::string(std::string_view object, BcdElement element) const {
    const auto value = this->element(object, element);
    return value ? as_string(*value) : std::nullopt;
}

std::optional<std::vector<std::string>> BcdStore::strings(std::string_view object, BcdElement element) const {
    const auto value = this->element(object, element);
    return value ? as_strings(*value) : std::nullopt;
}

// Of eight bytes, or fewer; and as a list's first.
std::optional<std::uint64_t> BcdStore::integer(std::string_view object, BcdElement element) const {
    const auto value = this->element(object, element);
    if (!value || value->type != RegType::Binary || value->data.empty() || value->data.size() > 8) return std::nullopt;
    auto data = value->data;
    data.resize(8, '\0');
    return regf::le64(data, 0);
}

std::optional<bool> BcdStore::boolean(std::string_view object, BcdElement element) const {
    const auto value = this->element(object, element);
    if (!value || value->type != RegType::Binary || value->data.empty()) return std::nullopt;
    return value->data[0] != 0;
}

std::optional<BcdDevice> BcdStore::device(std::string_view object, BcdElement element) const {
    const auto value = this->element(object, element);
    if (!value || value->type != RegType::Binary) return std::nullopt;
    return read_bcd_device(value->data);
}

Status BcdStore::set_string(std::string_view what, std::string_view object, BcdElement element, std::string_view utf8) {
    return hive_->set_string(what, place(object, element), "Element", utf8);
}

Status BcdStore::set_boolean(std::string_view what, std::string_view object, BcdElement element, bool on) {
    if (boolean(object, element) == on) return {};
    return hive_->set(what, place(object, element), "Element", reg_binary(std::string(1, on ? '\1' : '\0')));
}

Status BcdStore::set_device(std::string_view what, std::string_view object, BcdElement element,
                            const PartitionIdentity& partition) {
    return hive_->set(what, place(object, element), "Element", reg_binary(partition_device(partition)));
}

Status BcdStore::remove(std::string_view what, std::string_view object, BcdElement element) {
    return hive_->remove_key(what, place(object, element));
}

Status BcdStore::relocate(const std::vector<Relocation>& moves) {
    for (const auto& id : objects())
        for (const auto type : elements(id)) {
            if (format_of(type) != BcdFormat::Device) continue;
            const auto which = static_cast<BcdElement>(type);
            const auto value = element(id, which);
            if (!value || value->type != RegType::Binary) continue;
            const auto moved = relocated(value->data, moves);
            if (moved == value->data) continue;
            const auto from = read_bcd_device(value->data), to = read_bcd_device(moved);
            const auto what = fmt::format("BCD: {} of {}: {} is now {}", shown_element(*this, id, type),
                                          printable(shown_object(*this, id)), to_text(from.partitions.front()),
                                          to_text(to.partitions.front()));
            TRY(hive_->set(what, place(id, which), "Element", reg_binary(moved)));
        }
    return {};
}

std::vector<BcdObject> loaders_of_other_firmware(const BcdStore& store, bool uefi) {
    std::vector<BcdObject> found;
    for (auto& loader : store.loaders())
        if (to_lower(loader.path).ends_with(uefi ? ".exe" : ".efi")) found.push_back(std::move(loader));
    return found;
}

}  // namespace slipway::fixup::windows
