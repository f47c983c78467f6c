// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/vmpatch/switches.hpp"

#include <optional>

#include "lib/base/strings.hpp"
#include "vmscript/vmpatch/errors.hpp"

namespace slipway::vmpatch {

namespace {

struct Row {
    std::string_view name, value, help;
    void (*apply)(Switches&, const std::string&);
};

const Row kRows[] = {
    {"s", "PATH", "where the files are looked for: a folder with all below it, or one file; may be repeated",
     [](Switches& s, const std::string& v) { s.sources.push_back(v); }},
    {"hwpatchdir", "DIRECTORY", "the patch library (default /var/lib/slipway/Patches)",
     [](Switches& s, const std::string& v) { s.library = v; }},
    {"list", "", "says what the library holds, and what in it is no good",
     [](Switches& s, const std::string&) { s.command = Command::List; }},
    {"json", "", "the outcome as JSON", [](Switches& s, const std::string&) { s.json = true; }},
    {"version", "", "the version", [](Switches& s, const std::string&) { s.command = Command::Version; }},
    {"help", "", "this text; /? and -h too", [](Switches& s, const std::string&) { s.command = Command::Help; }},
    {"?", "", "", [](Switches& s, const std::string&) { s.command = Command::Help; }},
};

struct Token {
    const Row* row = nullptr;
    std::optional<std::string> value;
};

const Row* find_row(std::string_view name) {
    for (const auto& row : kRows)
        if (iequals(row.name, name)) return &row;
    return nullptr;
}

// A switch; nothing when it is a path or a value.
Result<std::optional<Token>> read_token(const std::string& argument) {
    const bool ours = argument.starts_with("--"), old = argument.starts_with('/');
    if (argument == "-h") return std::optional(Token{find_row("help"), {}});
    if (argument == "-s") return std::optional(Token{find_row("s"), {}});
    if (!ours && !old) return std::optional<Token>();
    const std::size_t begin = ours ? 2 : 1;
    const auto end = argument.find(ours ? '=' : ':');
    const auto* row = find_row(argument.substr(begin, end == std::string::npos ? end : end - begin));
    if (!row && ours) return make_error(errors::kUsage, "unknown switch {}", printable(argument));
    if (!row) return std::optional<Token>();
    Token token{row, {}};
    if (end != std::string::npos) token.value = argument.substr(end + 1);
    return std::optional(std::move(token));
}

// /s:"PATH", where no shell took the quotes.
std::string unquoted(std::string value) {
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') return value.substr(1, value.size() - 2);
    return value;
}

}  // namespace

Result<Switches> parse_switches(const std::vector<std::string>& arguments) {
    Switches out;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        auto token = TRY(read_token(arguments[i]));
        if (!token) return make_error(errors::kUsage, "'{}' belongs to no switch", printable(arguments[i]));
        const auto& row = *token->row;
        if (row.value.empty() && token->value) return make_error(errors::kUsage, "--{} takes no value", row.name);
        if (!row.value.empty() && !token->value && i + 1 < arguments.size())
            if (const auto next = read_token(arguments[i + 1]); next && !*next) token->value = arguments[++i];
        const auto value = unquoted(token->value.value_or(""));
        if (!row.value.empty() && value.empty())
            return make_error(errors::kUsage, "--{} needs a value: {}", row.name, row.value);
        row.apply(out, value);
        if (out.command == Command::Help) return out;
    }
    if (out.command == Command::Fill && out.sources.empty())
        return make_error(errors::kUsage, "give --s PATH or --list");
    if (out.command == Command::List && !out.sources.empty())
        return make_error(errors::kUsage, "give either --s or --list");
    return out;
}

std::string help_text() {
    std::string out =
        "vmpatch: puts HALs and kernels of Windows NT 4 to Server 2003 into the patch library.\n\n"
        "  vmpatch --s PATH [switches]\n"
        "  vmpatch --list [switches]\n\n"
        "Switches (also as /Name or /Name:value, any case):\n";
    for (const auto& row : kRows)
        if (row.name != "?")
            out += fmt::format("  {:<24} {}\n",
                               fmt::format("--{}{}{}", row.name, row.value.empty() ? "" : " ", row.value), row.help);
    out +=
        "\nPATH is an install CD's I386 (HALACPI.DL_ and its like, and driver.cab), a service pack's .exe or what it\n"
        "was unpacked into, or 'Driver Cache' and ServicePackFiles of a running Windows. Nothing in it is changed, and "
        "what the library has\n"
        "stays. Which files are missing says vmscript --hwvalidate, or a repair that needs them.\n"
        "\nExamples:\n"
        "  vmpatch --s /mnt/cdrom/I386\n"
        "  vmpatch --s W2KSP4_EN.EXE\n"
        "  vmpatch /s:'/mnt/old/WINDOWS/ServicePackFiles/i386' /hwPatchDir:/srv/Patches\n"
        "  vmpatch --list --json\n"
        "\nExit codes: 0 done (also when all was there already), 1 failed or nothing found, 2 usage, 3 done with "
        "warnings.\n";
    return out;
}

}  // namespace slipway::vmpatch
