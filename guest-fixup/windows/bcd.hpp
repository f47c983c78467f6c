// SPDX-License-Identifier: GPL-3.0-or-later
// A boot configuration data store over its hive: what Windows' boot manager starts, and from where.
// Shape: Objects\{GUID}\Description (Type), Objects\{GUID}\Elements\XXXXXXXX (Element). Types of elements and objects,
// and the well-known GUIDs: Microsoft Learn, "BCD WMI Provider", BcdObject and BcdElementTypes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/windows/bcd_device.hpp"
#include "guest-fixup/windows/hive.hpp"

namespace slipway::fixup::windows {

inline constexpr std::string_view kBootManager = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}";

// An element's type is 8 hexadecimal digits: who uses it, of what format, which.
enum class BcdElement : std::uint32_t {
    LibraryDevice = 0x11000001,
    LibraryPath = 0x12000002,
    LibraryDescription = 0x12000004,
    ManagerDefault = 0x23000003,
    ManagerDisplayOrder = 0x24000001,
    ManagerToolsOrder = 0x24000010,
    LoaderOsDevice = 0x21000001,
    LoaderSystemRoot = 0x22000002,
    LoaderKernel = 0x22000011,
    LoaderHal = 0x22000012,
    LoaderResumeObject = 0x23000003,
    LoaderDetectHal = 0x26000010,
    LoaderWinPe = 0x26000022,
    GraphicsModeDisabled = 0x16000046,
};
std::string name_of(BcdElement element);  // "21000001", as its key is called

enum class BcdFormat { Device, String, Object, Objects, Integer, Boolean, Integers, Other };
BcdFormat format_of(std::uint32_t element);

enum class BcdObjectKind { BootManager, Loader, Resume, NtLoader, Other };
struct BcdObject {
    std::string id;  // "{…}" as its key is called
    std::uint32_t type = 0;
    BcdObjectKind kind = BcdObjectKind::Other;
    std::string description, path;  // "" where there is none
    std::optional<BcdDevice> device, os_device;
};

class BcdStore {
public:
    // The hive outlives it. Errors: fixup.hive (a registry file, but no such store).
    static Result<BcdStore> of(Hive& hive);

    std::vector<std::string> objects() const;               // their ids
    std::vector<std::uint32_t> elements(std::string_view object) const;
    std::optional<BcdObject> object(std::string_view id) const;
    std::vector<BcdObject> loaders() const;                 // kind Loader, in the store's order
    std::optional<std::string> default_object() const;      // of the boot manager

    std::string place(std::string_view object, BcdElement element) const;  // its key, for the hive
    // nullopt when it is missing or of another form.
    std::optional<std::string> string(std::string_view object, BcdElement element) const;  // also one object's id
    std::optional<std::vector<std::string>> strings(std::string_view object, BcdElement element) const;
    std::optional<std::uint64_t> integer(std::string_view object, BcdElement element) const;
    std::optional<bool> boolean(std::string_view object, BcdElement element) const;
    std::optional<BcdDevice> device(std::string_view object, BcdElement element) const;

    // Each notes nothing, and does nothing, when it is so already.
    Status set_string(std::string_view what, std::string_view object, BcdElement element, std::string_view utf8);
    Status set_boolean(std::string_view what, std::string_view object, BcdElement element, bool on);
    Status set_device(std::string_view what, std::string_view object, BcdElement element,
                      const PartitionIdentity& partition);
    Status remove(std::string_view what, std::string_view object, BcdElement element);
    // Every device element, of whatever type and object, that names a partition which is another one now.
    Status relocate(const std::vector<Relocation>& moves);

private:
    explicit BcdStore(Hive& hive) : hive_(&hive) {}
    std::optional<RegValue> element(std::string_view object, BcdElement element) const;

    Hive* hive_;
};

// Loaders for the firmware the machine will not have: "winload.efi" where it will be BIOS, and the other way round.
// Their files and boot partitions differ, so it takes more than a change of name.
std::vector<BcdObject> loaders_of_other_firmware(const BcdStore& store, bool uefi);

}  // namespace slipway::fixup::windows
