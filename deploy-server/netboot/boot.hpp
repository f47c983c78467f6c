// SPDX-License-Identifier: GPL-3.0-or-later
// What the network boot asks of the controller: who boots what, the boot scripts with a fresh token, the boot files.
#pragma once

#include <filesystem>

#include "deploy-server/netboot/answers.hpp"
#include "deploy-server/netboot/newcomers.hpp"
#include "deploy-server/netboot/ramdisks.hpp"
#include "lib/base/clock.hpp"
#include "lib/http/server.hpp"
#include "pxe/policy.hpp"
#include "pxe/service.hpp"

namespace slipway::server {

struct BootPlace {
    Database& db;
    const Clock& clock;
    // STATE/boot: kernel, ramdisk/NAME, images/NAME, loaders/NAME, cmdline (more kernel arguments, optional)
    std::filesystem::path root;
    pxe::LoaderPlaces loaders;
    std::optional<Ipv4Address> address;                                    // ours, when the request's Host does not say
    std::shared_ptr<const std::pair<std::uint16_t, std::uint16_t>> ports;  // TLS, HTTP
    std::shared_ptr<const SettingsInUse> settings;
    Newcomers* newcomers = nullptr;  // null: nobody is taken in
    pxe::TraceLog* trace = nullptr;  // is told what is given to whom
    Ramdisks* ramdisks = nullptr;    // null: one for all
};

// Images that a device may be told to boot. Errors: server.no-boot-image, pxe.image.
struct BootImage {
    std::string name;
    std::uint64_t size = 0;
    pxe::ImageKind kind = pxe::ImageKind::Iso;
};
Result<BootImage> find_boot_image(const std::filesystem::path& root, const std::string& name);
std::vector<std::string> boot_image_names(const std::filesystem::path& root);  // of all files there, sorted

// For whoever has this MAC address. An unknown machine is taken in when the settings say so.
Result<pxe::Decision> boot_decision(const BootPlace& place, const MacAddress& mac);

enum class ScriptFor { Ipxe, Grub };
// The script for this machine. The agent's has a fresh one-time token in it, and voids the one before.
// Errors: server.unknown-device, server.not-controlled, server.netboot-ignored (nothing is served to them).
Result<std::string> boot_script(const BootPlace& place, const MacAddress& mac, Ipv4Address server, ScriptFor whom);

// /boot/script?mac=, /boot/grub.cfg?mac=, /boot/kernel, /boot/ramdisk/…, /boot/images/NAME, /boot/loaders/NAME: only
// below the boot root, no way out.
// /boot/trouble?mac=&time=&what=: what an agent says that TLS refuses.
void add_boot_routes(http::Router& router, const BootPlace& place);

// For pxe::NetbootService: files below "boot/" and "grub/" by TFTP, and the decision.
void join_netboot(pxe::NetbootOptions& options, const BootPlace& place);

}  // namespace slipway::server
