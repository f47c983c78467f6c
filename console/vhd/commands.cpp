// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway vhd …`: virtual disks as files, without a server.
#include "console/vhd/commands.hpp"

#include "console/commands.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

disks::VhdWork vhd_work(const Context& context) { return {progress_printer(context), &cancel_flag(), nullptr}; }

std::string warning_lines(const std::vector<std::string>& warnings) {
    std::string text;
    for (const auto& warning : warnings) text += "warning: " + printable(warning) + "\n";
    return text;
}

boost::json::array json_texts(const std::vector<std::string>& texts) {
    boost::json::array out;
    for (const auto& text : texts) out.push_back(boost::json::string(printable(text)));
    return out;
}

void add_vhd_commands(CLI::App& root, Context& context) {
    auto* vhd = root.add_subcommand("vhd", "Virtual hard disks (VHD): fixed, dynamically expanding, differencing");
    vhd->require_subcommand(1);
    vhd->footer(
        "A disk that a running virtual machine or another program uses is left alone (the locks are QEMU's), and so "
        "is\n"
        "one with children, which are looked for in its directory.\n"
        "Examples:\n"
        "  slipway vhd convert --from disk.img --to disk.vhd --type dynamic\n"
        "  slipway vhd difference --parent disk.vhd --to try.vhd\n"
        "  slipway vhd merge try.vhd\n");
    add_vhd_make_commands(*vhd, context);
    add_vhd_look_commands(*vhd, context);
    add_vhd_change_commands(*vhd, context);
}

}  // namespace slipway::console
