// SPDX-License-Identifier: GPL-3.0-or-later
// SELinux labels of what the repair made. Files that were there keep theirs; a new one gets its directory's, which is
// what the policy gives nearly every file made there; what can get none makes the system label itself.
#include <sys/xattr.h>
#include <set>

#include "guest-fixup/steps.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLabel = "security.selinux";
constexpr const char* kRelabel = "/.autorelabel";

bool labels_are_used(std::string_view config) {
    std::string_view mode;
    for (const auto& line : split(config, '\n'))
        if (const auto text = trim(line); text.starts_with("SELINUX=")) {
            const auto value = trim(text.substr(8));
            mode = iequals(value, "enforcing") ? "enforcing" : iequals(value, "permissive") ? "permissive" : "";
        }
    return !mode.empty();
}

std::string label_of(const fs::path& path) {
    char value[512];
    const auto size = ::lgetxattr(path.c_str(), kLabel, value, sizeof value);
    return size > 0 ? std::string(value, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace

Status label_new_files(Repair& repair) {
    auto& guest = repair.guest;
    if (!labels_are_used(TRY(guest.read("/etc/selinux/config")).value_or("")) || guest.dry_run()) return {};
    // A system that has no labels at all gets them by itself, or does without.
    const auto etc = guest.resolve("/etc");
    if (!etc || label_of(*etc).empty()) return {};
    std::set<std::string> without;
    for (const auto& change : guest.journal()) {
        const auto file = guest.resolve(change.where);
        // FAT keeps no labels: the kernel gives all of it one.
        if (!file || change.where.starts_with("/boot/efi/") || !label_of(*file).empty()) continue;
        const auto label = label_of(file->parent_path());
        if (label.empty() || ::lsetxattr(file->c_str(), kLabel, label.data(), label.size(), 0) != 0)
            without.insert(change.where);
    }
    if (without.empty()) return {};
    repair.warn(
        fmt::format("{} got no SELinux label: the first boot labels all files and starts over, which takes "
                    "minutes on a large disk",
                    printable(*without.begin())));
    return guest.write("SELinux labels all files at the first boot", kRelabel, "\n");
}

}  // namespace slipway::fixup
