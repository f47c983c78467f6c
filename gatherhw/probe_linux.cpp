// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>
#include <slipway_version.hpp>

#include "gatherhw/errors.hpp"
#include "gatherhw/linux/parts.hpp"

namespace slipway::gatherhw {

namespace {

class LinuxProbe final : public Probe {
public:
    LinuxProbe(LinuxProbeOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

    Result<Inventory> collect() override {
        Tree tree(options_.root == "/" ? "" : options_.root);
        bool any = tree.exists("/proc/cmdline") || tree.exists("/sys/block") || tree.exists("/etc");
        if (!any) return make_error(errors::kNoRoot, "{} has no /proc, /sys or /etc", options_.root.string());
        for (auto directory : {"/proc/self", "/sys/block"})
            if (!tree.exists(directory)) tree.unreadable(directory, "not there: is it mounted?");
        Inventory out;
        out.program = fmt::format("gatherhw {}", kVersion);
        out.collected = iso8601(clock_.wall());
        probe_system(tree, options_, out);
        probe_storage(tree, options_, out);
        probe_volumes(tree, options_, out);
        probe_network(tree, options_, out);
        probe_devices(tree, out);
        probe_software(tree, out);
        probe_boot(tree, out);
        probe_log(tree, options_, out);
        out.unread = tree.unread();
        return out;
    }

private:
    LinuxProbeOptions options_;
    const Clock& clock_;
};

}  // namespace

std::unique_ptr<Probe> linux_probe(LinuxProbeOptions options, const Clock& clock) {
    return std::make_unique<LinuxProbe>(std::move(options), clock);
}

}  // namespace slipway::gatherhw
