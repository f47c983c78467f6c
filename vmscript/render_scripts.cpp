// SPDX-License-Identifier: GPL-3.0-or-later
#include <cassert>
#include <map>

#include "lib/base/strings.hpp"
#include "vmscript/render.hpp"
#include "vmscript/templates.hpp"

namespace slipway::vmscript {

namespace {

using Keys = std::map<std::string, std::string, std::less<>>;

// An @ that begins no key stands for itself: "${array[@]}".
std::string fill(std::string_view text, const Keys& keys) {
    assert(!text.empty());
    std::string out;
    while (!text.empty()) {
        auto at = text.find('@');
        out += text.substr(0, at);
        if (at == std::string_view::npos) break;
        text.remove_prefix(at);
        auto end = text.find('@', 1);
        auto key = end == std::string_view::npos ? keys.end() : keys.find(text.substr(1, end - 1));
        if (key == keys.end()) {
            out += '@';
            text.remove_prefix(1);
        } else {
            out += key->second;
            text.remove_prefix(end + 1);
        }
    }
    return out;
}

std::string quoted_words(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words) out += (out.empty() ? "" : " ") + shell_quote(w);
    return out;
}

Keys keys_of(const Plan& plan) {
    std::vector<std::string> macs;
    for (const auto& n : plan.nics) macs.push_back(n.new_mac);
    return {{"NAME", plan.name},
            {"IMAGE", shell_quote(plan.image)},
            {"HOST", plan.vm_host},
            {"NETWORK", plan.network},
            {"SOURCE_MAC", plan.source_mac},
            {"SOURCE_SECURE_BOOT", plan.secure_boot},
            // Of ours: OVMF without keys.
            {"VM_SECURE_BOOT", plan.uefi ? "off" : "unknown"},
            {"DISKS", shell_quote(disks_parameter(plan))},
            {"EXCLUDE", shell_quote(exclude_parameter(plan))},
            {"MACS", quoted_words(macs)},
            {"CONTROLLER", std::string(name_of(plan.controller))},
            {"SOURCE_NICS", quoted_words(source_nics(plan))},
            {"ACTION", std::to_string(static_cast<int>(plan.post_deploy))},
            {"SHOW_CONSOLE", plan.suppress_console ? "0" : "1"},
            {"SERVICES", quoted_words(plan.hardware_services)}};
}

}  // namespace

std::vector<GeneratedFile> render_scripts(const Plan& plan) {
    auto keys = keys_of(plan);
    std::vector<GeneratedFile> out;
    for (std::string name :
         {"commonInit.sh", "capture.sh", "CreateVM.sh", "DeployVM.sh", "PostDeploy.sh", "CleanupVM.sh"})
        out.push_back({plan.name + "_" + name, fill(template_text(name), keys), name != "commonInit.sh"});
    return out;
}

GeneratedFile render_initenv() { return {"slipway_initenv.sh", std::string(template_text("slipway_initenv.sh"))}; }

}  // namespace slipway::vmscript
