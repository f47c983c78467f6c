// SPDX-License-Identifier: GPL-3.0-or-later
// boot.ini and setup.log: no text breaks a reader, and what an editor has changed it leaves alone the second time.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/windows/hal/boot_ini.hpp"
#include "guest-fixup/windows/hal/setup_log.hpp"

using namespace slipway::fixup::windows;

namespace {

template <typename Edit>
void settles(std::string_view text, Edit&& edit) {
    const std::string once = edit(text);
    if (edit(once) != once) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto entries = read_boot_ini(text);
    if (const auto* entry = default_entry(entries)) (void)switch_value(*entry, "/HAL");
    settles(text, without_hal_switches);
    // What Windows was started from is the guest's word, too.
    FirmwareDisks disks{.signatures = {0x8b467c12, 7}, .windows_disk = 1, .windows_folder = "WINDOWS"};
    for (const char* started : {"", "multi(0)disk(0)rdisk(0)partition(1)", "scsi(0)disk(0)rdisk(0)partition(1)"}) {
        disks.started_from = started;
        settles(text, [&](std::string_view t) { return with_firmware_paths(t, disks).text; });
    }
    for (const auto& started : {std::string(), std::string("multi(0)"), std::string(text.substr(0, 64))}) {
        disks = {.windows_partition = 1, .windows_folder = "WINNT", .started_from = started};
        settles(text, [&](std::string_view t) { return with_firmware_paths(t, disks).text; });
    }
    settles(text, [](std::string_view t) {
        return edit_setup_log(t, {{"hal.dll", "hal.dll", 0x1a01c}, {"ntoskrnl.exe", "ntoskrnl.exe", 0xd7a5f}});
    });
    return 0;
}
