// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway vhd …`: virtual disks as files.
#include "console/commands.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::console {

namespace {

Result<ExitCode> create(const std::string& path, std::uint64_t size, const std::string& type, const Context& context) {
    auto kind = type == "fixed" ? disks::VhdKind::Fixed : disks::VhdKind::Dynamic;
    auto disk = TRY(disks::create_vhd(path, kind, size));
    TRY(disk->flush());
    context.print(fmt::format("{}: {} VHD of {}\n", path, type, human_bytes(disk->size())),
                  {{"file", path}, {"size", disk->size()}, {"type", type}});
    return kExitDone;
}

Result<ExitCode> inspect(const std::string& path, const Context& context) {
    auto info = TRY(disks::inspect_vhd(path));
    auto text = fmt::format(
        "{}\n  type       {}\n  size       {} ({} bytes)\n  file       {}\n  geometry   {}/{}/{}\n  id         {}\n  "
        "creator    {}\n",
        path, name_of(info.kind), human_bytes(info.size), info.size, human_bytes(info.file_size),
        info.geometry.cylinders, info.geometry.heads, info.geometry.sectors, info.id.text(), printable(info.creator));
    if (info.block_bytes)
        text += fmt::format("  blocks     {} of {} allocated\n", info.allocated_blocks, human_bytes(info.block_bytes));
    if (!info.parent_name.empty()) text += "  parent     " + printable(info.parent_name) + "\n";
    if (info.footer_copy_used) text += "warning: the footer at the end is damaged; its copy at the start served\n";
    context.print(text, {{"file", path},
                         {"type", std::string(name_of(info.kind))},
                         {"size", info.size},
                         {"file_size", info.file_size},
                         {"id", info.id.text()},
                         {"creator", printable(info.creator)},
                         {"allocated_blocks", info.allocated_blocks},
                         {"parent", printable(info.parent_name)},
                         {"footer_copy_used", info.footer_copy_used}});
    return info.footer_copy_used ? kExitWarnings : kExitDone;
}

}  // namespace

void add_vhd_commands(CLI::App& root, Context& context) {
    auto* vhd = root.add_subcommand("vhd", "Virtual hard disks (VHD)");
    vhd->require_subcommand(1);
    auto path = std::make_shared<std::string>(), type = std::make_shared<std::string>("dynamic");
    auto size = std::make_shared<std::uint64_t>(0);
    auto* make = add_command(*vhd, context, "create", "Make an empty VHD",
                             "  slipway vhd create data.vhd --size 40G --type dynamic\n");
    make->add_option("file", *path, "the new file")->required();
    make->add_option("--size", *size, "as the guest sees it")->required()->transform(size_text());
    make->add_option("--type", *type, "fixed or dynamic")
        ->check(CLI::IsMember({"fixed", "dynamic"}))
        ->capture_default_str();
    on_command(*make, context, [=, &context] { return create(*path, *size, *type, context); });
    auto* look = add_command(*vhd, context, "inspect", "Say what a VHD is", "  slipway vhd inspect data.vhd --json\n");
    look->add_option("file", *path, "the VHD")->required();
    on_command(*look, context, [=, &context] { return inspect(*path, context); });
}

}  // namespace slipway::console
