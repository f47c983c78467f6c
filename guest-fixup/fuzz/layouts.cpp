// SPDX-License-Identifier: GPL-3.0-or-later
// fstab, crypttab and the names that a hostile disk gives its volumes: every plan is bounded, ordered and stays below
// the root; what reaches a command line has no sign that means something there.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/roots.hpp"
#include "guest-fixup/stack_plan.hpp"
#include "guest-fixup/stacks.hpp"

using namespace slipway;
using namespace slipway::fixup;

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

void check_mounts(std::string_view text) {
    std::vector<Volume> volumes{{.index = 1, .filesystem = "ext4", .uuid = "aaaa"},
                                {.index = 2, .filesystem = "btrfs", .uuid = "bbbb"},
                                {.index = 1, .filesystem = "vfat", .uuid = "CCCC-1", .disk = 1}};
    const auto plan = plan_mounts(parse_fstab(text), DeviceNames(volumes, text.substr(0, 12)), 1, "@");
    check(plan.mounts.size() <= 64);
    for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
        const auto& mount = plan.mounts[i];
        check(mount.where.starts_with('/') && mount.where.find("/../") == std::string::npos);
        check(mount.subvolume.find(',') == std::string::npos);
        check(i == 0 || plan.mounts[i - 1].where < mount.where);
    }
}

void check_names(std::string_view text) {
    if (auto name = parse_mapping_name(text)) {
        check(valid_group_name(name->group) && valid_group_name(name->volume));
        check(mapping_name(name->group, name->volume) == text);
    }
    const GroupPlan plan{.name = "vg"};
    const auto config = lvm_config({std::string(text)}, plan, "/run", false, true);
    const auto sample = lvm_config({"x"}, plan, "/run", false, true);
    auto quotes = [](std::string_view s) { return std::count(s.begin(), s.end(), '"'); };
    check(quotes(config) == quotes(sample));
    const auto records = parse_records(text);
    check(parse_records(format_records(records)).size() == records.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_mounts(text);
    check_names(text);
    std::vector<std::string> mappings;
    for (const auto& entry : parse_crypttab(text)) mappings.push_back(entry.name);
    const auto once = edit_crypttab_for_initramfs(text, mappings).text;
    check(edit_crypttab_for_initramfs(once, mappings).text == once);
    return 0;
}
