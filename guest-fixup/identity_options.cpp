// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/identity_options.hpp"

#include <filesystem>

#include "guest-fixup/vendor_agents.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup {

void IdentityOptions::add_to(CLI::App& app) {
    const std::string group = "Who the machine is";
    auto text = [&](const char* name, std::string& into, const char* what) {
        app.add_option(name, into, what)->group(group);
    };
    auto list = [&](const char* name, std::vector<std::string>& into, const char* what) {
        app.add_option(name, into, what)->allow_extra_args(false)->group(group);
    };
    text("--personality", personality_,
         "a JSON file: names, addresses, keys, scripts, of one machine or of many devices");
    text("--device", device_, "whose personality, when the file has many");
    text("--hostname", values_["hostname"], "the host name, short or full");
    text("--machine-id", values_["machine-id"], "new, uninitialized, keep, or 32 hexadecimal digits");
    text("--ssh-host-keys", values_["ssh-host-keys"], "new: removed, and made again at the first boot; or keep");
    list(
        "--address", addresses_,
        "INTERFACE=ADDRESS/LENGTH[,gateway=…][,dns=…][,search=…] or INTERFACE=dhcp; INTERFACE is a name, a MAC address "
        "or a connection of Windows; repeat it");
    text("--timezone", values_["timezone"], "as in Europe/Berlin");
    text("--locale", values_["locale"], "as in de_DE.UTF-8");
    text("--authorized-key", authorized_key_, "a file with a public key that root's account takes");
    text("--join-script", join_script_,
         "a script that joins a domain or directory: runs once at the first boot, before others");
    text("--first-boot-script", first_boot_script_, "a script: runs once at the first boot, when the network is up");
    app.add_flag("--guest-agent", guest_agent_, "enables qemu-guest-agent where it is installed")->group(group);
    list("--guest-agent-package", packages_, "a .deb, .rpm or .msi of it, installed at the first boot; repeat it");
    app.add_option("--drivers-file", drivers_file_,
                   "the P2V drivers file (XML): services, modules, programs to switch off");
    app.add_flag("--keep-leftovers", keep_leftovers_, "tools of other hypervisors stay as they are");
    app.add_flag(
        "--prepare-template", prepare_template_,
        "clears what makes it one machine: keys, ids, logs, leases, histories; without --target nothing else is done. "
        "Cannot be undone. Of a Windows nothing is cleared (sysprep does that): alone it is refused, with --target one "
        "that sysprep did not prepare is a warning");
}

Status IdentityOptions::apply(RepairRequest& request, bool alone) const {
    auto text = [](const std::string& path, std::uint64_t limit) -> Result<std::string> {
        if (path.empty()) return std::string();
        return TRY_WITH(read_text_file(path, limit), "reading " + path);
    };
    auto values = values_;
    auto key = TRY(text(authorized_key_, 64u << 10));
    while (key.ends_with('\n')) key.pop_back();
    values["authorized-key"] = key;
    values["join-script"] = TRY(text(join_script_, kLongestPersonality));
    values["first-boot-script"] = TRY(text(first_boot_script_, kLongestPersonality));
    for (const auto& address : addresses_) values["addresses"] += address + ";";
    request.personality = TRY(personality_of(TRY(text(personality_, kLongestPersonality)), device_, values));
    request.drivers_file = TRY(text(drivers_file_, kLongestDriversFile));
    if (!request.drivers_file.empty()) (void)TRY_WITH(parse_drivers_file(request.drivers_file), drivers_file_);
    for (const std::filesystem::path package : packages_)
        request.guest_agent_packages.push_back({package.filename().string(), TRY(text(package, kLargestPackage))});
    request.guest_agent = guest_agent_ || !packages_.empty();
    request.keep_leftovers = keep_leftovers_;
    request.prepare_template = !prepare_template_ ? Template::No : alone ? Template::Only : Template::Also;
    return {};
}

}  // namespace slipway::fixup
