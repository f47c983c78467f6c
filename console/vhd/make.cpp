// SPDX-License-Identifier: GPL-3.0-or-later
// create, difference, reconnect, resize.
#include "console/vhd/commands.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

struct MakeArguments {
    std::string file, parent, type = "dynamic";
    std::uint64_t size = 0;
    std::uint32_t block = disks::kVhdBlockBytes;
};

Result<ExitCode> create(const MakeArguments& a, const Context& context) {
    auto kind = a.type == "fixed" ? disks::VhdKind::Fixed : disks::VhdKind::Dynamic;
    auto disk = TRY(disks::create_vhd(a.file, kind, a.size, a.block));
    TRY(disk->flush());
    context.print(fmt::format("{}: {} VHD of {}\n", a.file, a.type, human_bytes(disk->size())),
                  {{"file", a.file}, {"size", disk->size()}, {"type", a.type}});
    return kExitDone;
}

Result<ExitCode> difference(const MakeArguments& a, const Context& context) {
    auto made = TRY(disks::create_difference(a.parent, a.file, a.block, vhd_work(context)));
    context.print(fmt::format("{}: differencing VHD of {} on {}\n", a.file, human_bytes(made.size), a.parent),
                  {{"file", a.file},
                   {"size", made.size},
                   {"type", "differencing"},
                   {"id", made.id.text()},
                   {"parent", a.parent},
                   {"parent_id", made.parent_id.text()}});
    return kExitDone;
}

Result<ExitCode> reconnect(const MakeArguments& a, const Context& context) {
    auto warnings = TRY(disks::reconnect_vhd(a.file, a.parent, vhd_work(context)));
    context.print(fmt::format("{}: its parent is {}\n", a.file, a.parent) + warning_lines(warnings),
                  {{"file", a.file}, {"parent", a.parent}, {"warnings", json_texts(warnings)}});
    return exit_for(warnings);
}

Result<ExitCode> resize(const MakeArguments& a, const Context& context) {
    auto done = TRY(disks::resize_vhd(a.file, a.size, vhd_work(context)));
    context.print(fmt::format("{}: {} -> {}; partitions and file systems in it are as they were\n", a.file,
                              human_bytes(done.before), human_bytes(done.after)),
                  {{"file", a.file}, {"before", done.before}, {"after", done.after}});
    return kExitDone;
}

void add_block_option(CLI::App& app, MakeArguments& a) {
    app.add_option("--block-size", a.block, "bytes the file grows by: a power of two")
        ->transform(size_text())
        ->default_str("2MiB");
}

}  // namespace

void add_vhd_make_commands(CLI::App& vhd, Context& context) {
    auto a = std::make_shared<MakeArguments>();
    auto* app = add_command(vhd, context, "create", "Make an empty VHD",
                            "  slipway vhd create data.vhd --size 40G --type dynamic\n");
    app->add_option("file", a->file, "the new file")->required();
    app->add_option("--size", a->size, "as the guest sees it; at most 2040 GiB")->required()->transform(size_text());
    app->add_option("--type", a->type, "fixed or dynamic")
        ->check(CLI::IsMember({"fixed", "dynamic"}))
        ->capture_default_str();
    add_block_option(*app, *a);
    on_command(*app, context, [=, &context] { return create(*a, context); });

    app = add_command(vhd, context, "difference", "Make a differencing VHD: changes go into it, its parent stays",
                      "  slipway vhd difference --parent base.vhd --to try.vhd\n");
    app->add_option("--parent", a->parent, "VHD file of any kind")->required();
    app->add_option("--to", a->file, "the new file")->required();
    add_block_option(*app, *a);
    on_command(*app, context, [=, &context] { return difference(*a, context); });

    app = add_command(vhd, context, "reconnect", "Tell a differencing VHD where its parent is now",
                      "  slipway vhd reconnect try.vhd --parent /srv/new/base.vhd\n");
    app->add_option("file", a->file, "the differencing VHD file")->required();
    app->add_option("--parent", a->parent, "VHD file; refused unless its id is that of the parent")->required();
    on_command(*app, context, [=, &context] { return reconnect(*a, context); });

    app = add_command(vhd, context, "resize", "Grow a fixed or dynamic VHD; what is new reads as zero",
                      "  slipway vhd resize data.vhd --size 80G\n");
    app->add_option("file", a->file, "the VHD file")->required();
    app->add_option("--size", a->size, "as the guest sees it, not less than now")->required()->transform(size_text());
    on_command(*app, context, [=, &context] { return resize(*a, context); });
}

}  // namespace slipway::console
