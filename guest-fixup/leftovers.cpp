// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/leftovers.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kNote = "# Slipway: of another hypervisor: ";

bool among(const std::vector<std::string_view>& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

std::string plain(std::string_view name) {
    std::string out(name);
    std::replace(out.begin(), out.end(), '-', '_');
    return out;
}

}  // namespace

std::span<const Leftover> leftovers() {
    static const Leftover kRows[] = {
        {"VMware",
         {"vmware-tools", "vmware-tools-services", "vmware-tools-thinprint", "vmware-guestd"},
         {"vmmemctl", "vmhgfs", "vmblock", "vmxnet", "vmdesched"},
         {"vmhgfs", "fuse.vmhgfs-fuse"},
         {"vmware-user", "vmware-toolbox", "vmware-guestd"},
         // It sends pcnet32 and pciehp to VMware's own modules.
         {"/etc/modprobe.d/vmware-tools.conf", "/etc/modprobe.d/vmware-tools"}},
        {"VirtualBox",
         {"vboxadd", "vboxadd-service", "vboxadd-timesync", "vboxadd-x11", "vboxvfs", "vboxservice",
          "virtualbox-guest-utils"},
         {"vboxguest", "vboxsf", "vboxvfs", "vboxvideo", "vboxadd"},
         {"vboxsf"},
         {"vboxclient", "VBoxClient-all"},
         {}},
        {"Xen",
         {"xe-linux-distribution", "xe-daemon", "xen-guest-agent"},
         {"xen-vbd", "xen-vnif", "xen-blkfront", "xen-netfront", "xen-balloon", "xen-platform-pci", "xenblktap"},
         {"xenfs"},
         {},
         {}},
        {"Hyper-V",
         {"hv-kvp-daemon", "hv-vss-daemon", "hv-fcopy-daemon", "hv_kvp_daemon", "hv_vss_daemon", "hv_fcopy_daemon",
          "hypervkvpd", "hypervvssd", "hypervfcopyd"},
         {"hv_vmbus", "hv_storvsc", "hv_blkvsc", "hv_netvsc", "hv_utils"},
         {},
         {},
         {}},
        {"Parallels",
         {"prltoolsd", "prltools_updater", "prl-x11", "prlshprint"},
         {"prl_fs", "prl_fs_freeze", "prl_eth", "prl_tg", "prl_vid"},
         {"prl_fs"},
         {"prlcc", "prltools"},
         {}},
        // It asks at the console about hardware that is gone, and takes the network configuration of cards away.
        {"kudzu", {"kudzu"}, {}, {}, {}, {}},
    };
    return kRows;
}

std::string comment_file_systems(std::string_view text, const std::vector<std::string_view>& types) {
    return map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        return words.size() >= 3 && among(types, words[2]) ? fmt::format("{}{}", kNote, line) : std::string(line);
    });
}

std::string comment_aliases(std::string_view text, const std::vector<std::string_view>& modules) {
    return map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        const bool theirs =
            words.size() == 3 && words[0] == "alias" &&
            std::any_of(modules.begin(), modules.end(), [&](auto module) { return plain(module) == plain(words[2]); });
        return theirs ? fmt::format("{}{}", kNote, line) : std::string(line);
    });
}

std::string edit_xorg(std::string_view text, std::string_view display) {
    static const std::vector<std::string_view> kDisplays{"vmware", "vboxvideo", "prlvideo", "xenfb"};
    static const std::vector<std::string_view> kPointers{"vmmouse", "vboxmouse", "prlmouse"};
    return map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.size() < 2 || !iequals(words[0], "Driver") || words[1].size() < 3 || words[1].front() != '"' ||
            words[1].back() != '"')
            return std::string(line);
        const auto driver = to_lower(words[1].substr(1, words[1].size() - 2));
        const auto other = among(kDisplays, driver)   ? display
                           : among(kPointers, driver) ? std::string_view("mouse")
                                                      : "";
        if (other.empty()) return std::string(line);
        const auto at = static_cast<std::size_t>(words[1].data() - line.data());
        return fmt::format("{}\"{}\"{}", line.substr(0, at), other, line.substr(at + words[1].size()));
    });
}

}  // namespace slipway::fixup
