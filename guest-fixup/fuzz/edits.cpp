// SPDX-License-Identifier: GPL-3.0-or-later
// A guest's own configuration files and the first bytes of its volumes: no text breaks a transformer, and what it has
// changed it leaves alone the second time.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/edits.hpp"
#include "guest-fixup/network.hpp"

using namespace slipway;
using namespace slipway::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    Volume volume{.index = 1};
    identify(as_bytes(text), volume);
    const DeviceNames names({{.index = 1, .filesystem = "ext4", .uuid = "aaaa"}}, text.substr(0, 20));
    for (auto edit : {edit_fstab, edit_crypttab, edit_command_lines, edit_grub_defaults}) {
        const auto once = edit(text, names).text;
        if (edit(once, names).text != once) std::abort();
    }
    for (const auto& entry : parse_fstab(text)) (void)names.find(entry.spec);
    (void)root_argument(text);
    const MacAddress mac{{2, 0, 0, 0, 0, 1}};
    const auto rules = edit_persistent_rules(text, "eth0", mac);
    if (edit_persistent_rules(rules, "eth0", mac) != rules) std::abort();
    const auto modules = add_modules(text, {"ata_piix"});
    if (add_modules(modules, {"ata_piix"}) != modules) std::abort();
    (void)modules_policy(text);
    (void)modules_in_listing(text);
    return 0;
}
