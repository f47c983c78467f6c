// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/answers.hpp"

#include <algorithm>

#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

using pxe::Action;

NextBoot next_boot(const DeviceRow& d, const NetbootSettings& settings) {
    if (!d.controlled) return {Action::Ignore, fmt::format("device '{}' is not under control", d.name)};
    if (d.boot_action == "da") return {Action::Agent, "a job wants the agent"};
    if (d.boot_action == "disk") return {Action::LocalDisk, "the last job sent it to its disk"};
    if (auto own = pxe::action_from(d.pxe_action)) return {*own, fmt::format("the PXE action of device '{}'", d.name)};
    if (d.kind == "vmhost") return {Action::LocalDisk, "a VM host runs its own system"};
    return {pxe::action_from(settings.action).value_or(Action::Ignore), "the global job template"};
}

NextBoot next_boot_of_unknown(const NetbootSettings& settings) {
    if (settings.unknown == "ignore") return {Action::Ignore, "no device has this MAC address"};
    return {Action::Ignore, "no device has this MAC address yet: it gets a record"};
}

pxe::Decision decision_for(const DeviceRow& d, const NextBoot& boot, pxe::ImageKind kind) {
    pxe::Decision out(boot.action, boot.why);
    out.secure_boot = pxe::secure_boot_from(d.secure_boot);
    out.loader = d.loader;
    out.image = kind;
    return out;
}

pxe::LocalBoot local_boot_of(const DeviceRow& d) {
    if (auto own = pxe::local_boot_from(d.local_boot); own != pxe::LocalBoot::Auto) return own;
    auto hardware = parse_object(d.hardware.empty() ? "{}" : d.hardware);
    if (!hardware) return pxe::LocalBoot::Auto;
    auto text = [&](const char* name) { return optional_text(*hardware, name).value_or(std::nullopt).value_or(""); };
    const auto vendor = text("vendor"), product = text("product"), version = text("bios_version");
    const auto* quirk = pxe::quirk_of({vendor, product, version, text("firmware").starts_with("uefi")});
    return quirk ? quirk->local_boot : pxe::LocalBoot::Auto;
}

namespace {

template <typename Names>
Status one_of(std::string_view what, std::string_view word, const Names& names) {
    if (std::find(std::begin(names), std::end(names), word) != std::end(names)) return {};
    std::vector<std::string> list(std::begin(names), std::end(names));
    return make_error(errors::kBadRequest, "{} is one of {}, not '{}'", what, join(list, ", "), printable(word));
}

constexpr std::size_t kMaxDescription = 1000;

}  // namespace

Status check_netboot(const NetbootSettings& s) {
    TRY(one_of("unknown", s.unknown, std::array{"ignore", "add", "control"}));
    TRY(one_of("action", s.action, std::array{"boot-to-da", "local-disk", "ignore"}));
    if (s.description.size() > kMaxDescription)
        return make_error(errors::kBadRequest, "a description has at most {} characters", kMaxDescription);
    if (s.unknown == "control" && s.default_job.empty())
        return Error(std::string(errors::kBadRequest.name),
                     "unknown 'control' needs default_job, the sequence that new devices get",
                     "Name it: `slipway netboot settings set --unknown control --default-job NAME`.", false);
    return {};
}

Status check_netboot(const DeviceRow& d) {
    if (!d.pxe_action.empty()) TRY(one_of("pxe_action", d.pxe_action, pxe::kActionNames));
    TRY(one_of("local_boot", d.local_boot, pxe::kLocalBootNames));
    TRY(one_of("secure_boot", d.secure_boot, pxe::kSecureBootNames));
    if (!pxe::valid_loader(d.loader))
        return make_error(errors::kBadRequest,
                          "loader is auto, ipxe, shim or the name of a file in STATE/boot/loaders");
    if (d.pxe_action == "image" && d.pxe_image.empty())
        return make_error(errors::kBadRequest, "pxe_action 'image' needs pxe_image");
    return {};
}

}  // namespace slipway::server
