// SPDX-License-Identifier: GPL-3.0-or-later
// convert, compact, merge.
#include "console/vhd/commands.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

struct ChangeArguments {
    std::string from, to, type = "dynamic";
    std::uint32_t block = disks::kVhdBlockBytes;
    bool despite_children = false, unused = false, keep = false;
};

Result<ExitCode> convert(const ChangeArguments& a, const Context& context) {
    disks::ConvertRequest request{a.from, a.to, disks::parse_disk_format(a.type).value_or(disks::DiskFormat::Dynamic),
                                  a.block, a.despite_children};
    auto done = TRY(disks::convert_disk(request, vhd_work(context)));
    context.print(fmt::format("{}: {} disk of {}, file of {}\n", a.to, a.type, human_bytes(done.size),
                              human_bytes(done.file_size)) +
                      warning_lines(done.warnings),
                  {{"from", a.from},
                   {"file", a.to},
                   {"type", a.type},
                   {"size", done.size},
                   {"data_bytes", done.data_bytes},
                   {"file_size", done.file_size},
                   {"warnings", json_texts(done.warnings)}});
    return exit_for(done.warnings);
}

Result<ExitCode> compact(const ChangeArguments& a, const Context& context) {
    auto done = TRY(disks::compact_vhd(a.from, a.unused, vhd_work(context)));
    auto text = fmt::format("{}: {} -> {}\n", a.from, human_bytes(done.before), human_bytes(done.after));
    if (a.unused) text += fmt::format("  not used by its file systems: {}\n", human_bytes(done.unused_bytes));
    for (const auto& note : done.notes) text += "  " + printable(note) + "\n";
    context.print(text, {{"file", a.from},
                         {"before", done.before},
                         {"after", done.after},
                         {"unused_bytes", done.unused_bytes},
                         {"notes", json_texts(done.notes)}});
    return kExitDone;
}

Result<ExitCode> merge(const ChangeArguments& a, const Context& context) {
    if (!a.to.empty()) return convert(a, context);
    auto done = TRY(disks::merge_vhd(a.from, a.keep, vhd_work(context)));
    context.print(fmt::format("{}: {} from {}{}\n", done.parent.string(), human_bytes(done.merged_bytes), a.from,
                              done.child_removed ? ", which is removed" : ""),
                  {{"file", a.from},
                   {"parent", printable(done.parent.string())},
                   {"merged_bytes", done.merged_bytes},
                   {"child_removed", done.child_removed}});
    return kExitDone;
}

void add_convert(CLI::App& vhd, Context& context) {
    auto a = std::make_shared<ChangeArguments>();
    auto* app = add_command(vhd, context, "convert", "Make a new disk file of another type; the source is only read",
                            "  slipway vhd convert --from disk.img --to disk.vhd --type dynamic\n"
                            "  slipway vhd convert --from try.vhd --to flat.vhd --type fixed\n"
                            "  slipway vhd convert --from disk.vhd --to disk.qcow2 --type qcow2\n");
    app->add_option("--from", a->from, "raw file, block device, or VHD file of any kind with its parents")->required();
    app->add_option("--to", a->to, "the new file")->required();
    app->add_option("--type", a->type, "of the new file; qcow2 and vhdx are written by qemu-img")
        ->check(CLI::IsMember({"raw", "fixed", "dynamic", "qcow2", "vhdx"}))
        ->capture_default_str();
    app->add_option("--block-size", a->block, "of a dynamic one: a power of two")
        ->transform(size_text())
        ->default_str("2MiB");
    app->add_flag("--despite-children", a->despite_children,
                  "convert a disk that has children: they stay built on the source");
    on_command(*app, context, [=, &context] { return convert(*a, context); });
}

}  // namespace

void add_vhd_change_commands(CLI::App& vhd, Context& context) {
    add_convert(vhd, context);
    auto a = std::make_shared<ChangeArguments>();
    auto* app = add_command(vhd, context, "compact", "Rewrite a dynamic VHD without its blocks of zeroes",
                            "  slipway vhd compact data.vhd\n"
                            "  slipway vhd compact data.vhd --unused\n");
    app->add_option("file", a->from, "the dynamic VHD file; it is replaced when the new one is complete")->required();
    app->add_flag("--unused", a->unused, "also without what clean file systems of known kinds do not use");
    on_command(*app, context, [=, &context] { return compact(*a, context); });

    app = add_command(vhd, context, "merge",
                      "Write a differencing VHD into its parent and remove it, or with its parents into a new disk",
                      "  slipway vhd merge try.vhd\n"
                      "  slipway vhd merge try.vhd --to flat.vhd --type fixed\n");
    app->add_option("file", a->from, "the differencing VHD file")->required();
    auto* to = app->add_option("--to", a->to, "a new file instead; nothing else is changed");
    app->add_option("--type", a->type, "of the new file")
        ->check(CLI::IsMember({"raw", "fixed", "dynamic", "qcow2", "vhdx"}))
        ->capture_default_str()
        ->needs(to);
    app->add_flag("--keep", a->keep, "leave the differencing VHD where it is")->excludes(to);
    on_command(*app, context, [=, &context] { return merge(*a, context); });
}

}  // namespace slipway::console
