// SPDX-License-Identifier: GPL-3.0-or-later
// inspect, check.
#include "console/vhd/commands.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

constexpr std::int64_t kEpoch2000Ms = 946684800000;

std::string made_at(std::uint32_t since_2000) {
    return iso8601(from_unix_milliseconds(kEpoch2000Ms + std::int64_t{since_2000} * 1000));
}

// Ancestors, nearest first, as far as they are found.
std::vector<std::string> ancestors_of(disks::VhdInfo info) {
    std::vector<std::string> chain;
    while (!info.parent.empty() && chain.size() < 512) {
        chain.push_back(info.parent.string());
        auto next = disks::inspect_vhd(info.parent);
        if (!next) break;
        info = std::move(next).value();
    }
    return chain;
}

std::string describe(const std::string& path, const disks::VhdInfo& info) {
    auto text = fmt::format(
        "{}\n  type       {}\n  size       {} ({} bytes)\n  file       {}\n  geometry   {}/{}/{}\n  id         {}\n"
        "  creator    {}, {}\n",
        path, name_of(info.kind), human_bytes(info.size), info.size, human_bytes(info.file_size),
        info.geometry.cylinders, info.geometry.heads, info.geometry.sectors, info.id.text(), printable(info.creator),
        made_at(info.timestamp));
    if (info.block_bytes)
        text += fmt::format("  blocks     {} of {} allocated\n", info.allocated_blocks, human_bytes(info.block_bytes));
    if (info.kind != disks::VhdKind::Differencing) return text;
    text += fmt::format("  parent     {} (id {})\n", printable(info.parent_name), info.parent_id.text());
    if (!info.parent.empty()) text += "  found at   " + printable(info.parent.string()) + "\n";
    return text;
}

Result<ExitCode> inspect(const std::string& path, const Context& context) {
    auto info = TRY(disks::inspect_vhd(path));
    auto ancestors = ancestors_of(info);
    std::vector<std::string> children, warnings;
    for (const auto& child : TRY(disks::children_of(path))) children.push_back(child.string());
    auto in_use = disks::vhd_in_use(path);
    if (info.footer_copy_used) warnings.push_back("the footer at the end is damaged; its copy at the start served");
    if (!info.parent_problem.empty()) warnings.push_back(info.parent_problem);

    auto text = describe(path, info);
    if (ancestors.size() > 1) text += "  chain      " + printable(join(ancestors, " <- ")) + "\n";
    for (const auto& child : children) text += "  child      " + printable(child) + "\n";
    if (in_use) text += "  in use     another program writes it\n";
    context.print(text + warning_lines(warnings), {{"file", path},
                                                   {"type", std::string(name_of(info.kind))},
                                                   {"size", info.size},
                                                   {"file_size", info.file_size},
                                                   {"cylinders", info.geometry.cylinders},
                                                   {"heads", info.geometry.heads},
                                                   {"sectors", info.geometry.sectors},
                                                   {"id", info.id.text()},
                                                   {"creator", printable(info.creator)},
                                                   {"made", made_at(info.timestamp)},
                                                   {"block_bytes", info.block_bytes},
                                                   {"allocated_blocks", info.allocated_blocks},
                                                   {"parent", printable(info.parent_name)},
                                                   {"parent_id", info.parent_id.text()},
                                                   {"ancestors", json_texts(ancestors)},
                                                   {"children", json_texts(children)},
                                                   {"in_use", in_use},
                                                   {"footer_copy_used", info.footer_copy_used},
                                                   {"warnings", json_texts(warnings)}});
    return exit_for(warnings);
}

std::string_view word_of(disks::CheckFinding::Severity severity) {
    switch (severity) {
        case disks::CheckFinding::Severity::Note: return "note";
        case disks::CheckFinding::Severity::Warning: return "warning";
        case disks::CheckFinding::Severity::Error: return "error";
    }
    return "?";
}

Result<ExitCode> check(const std::string& path, bool repair, const Context& context) {
    auto report = TRY(disks::check_vhd(path, repair, vhd_work(context)));
    std::string text;
    json::array findings;
    for (const auto& f : report.findings) {
        text += fmt::format("{}: {}{}\n", word_of(f.severity), printable(f.text),
                            f.mended     ? " -- mended"
                            : f.mendable ? " -- --repair mends it"
                                         : "");
        findings.push_back({{"severity", std::string(word_of(f.severity))},
                            {"text", printable(f.text)},
                            {"mendable", f.mendable},
                            {"mended", f.mended}});
    }
    text += fmt::format("{}: {}\n", path, report.sound() ? "sound" : report.errors_left() ? "DAMAGED" : "usable");
    context.print(
        text,
        {{"file", path}, {"sound", report.sound()}, {"errors_left", report.errors_left()}, {"findings", findings}});
    return report.errors_left() ? kExitFailed : report.sound() ? kExitDone : kExitWarnings;
}

}  // namespace

void add_vhd_look_commands(CLI::App& vhd, Context& context) {
    auto path = std::make_shared<std::string>();
    auto repair = std::make_shared<bool>(false);
    auto* app = add_command(vhd, context, "inspect", "Say what a VHD is, and who its parents and children are",
                            "  slipway vhd inspect data.vhd --json\n");
    app->add_option("file", *path, "the VHD file")->required();
    on_command(*app, context, [=, &context] { return inspect(*path, context); });

    app = add_command(vhd, context, "check", "Name what is wrong with a VHD; mend what its copies allow",
                      "  slipway vhd check data.vhd\n"
                      "  slipway vhd check data.vhd --repair\n");
    app->add_option("file", *path, "the VHD file")->required();
    app->add_flag(
        "--repair", *repair,
        "write footers from their copies and checksums that are all that is wrong; never data or block table");
    on_command(*app, context, [=, &context] { return check(*path, *repair, context); });
}

}  // namespace slipway::console
