// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/kernel_arguments.hpp"

#include <algorithm>
#include <optional>

#include "guest-fixup/grub_environment.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kSerial = "console=ttyS0,115200n8";
constexpr std::string_view kScreen = "console=tty0";

// Where the arguments are in a line; whole as for ChangeArguments.
struct Part {
    std::size_t begin = 0, end = 0;
    bool whole = true;
};

// What follows word number `which`, without the blanks around it.
std::optional<Part> after_word(std::string_view line, const std::vector<std::string_view>& words, std::size_t which) {
    if (words.size() <= which) return std::nullopt;
    const auto offset = [&](std::string_view word) { return static_cast<std::size_t>(word.data() - line.data()); };
    const auto last = offset(words.back()) + words.back().size();
    const auto begin = words.size() > which + 1 ? offset(words[which + 1]) : last;
    return Part{begin, last, true};
}

bool kernel_file(std::string_view path) {
    return path.find("vmlinu") != path.npos || path.find("bzImage") != path.npos;
}

std::optional<Part> in_grub2(std::string_view line) {
    const auto words = words_of(line);
    if (words.size() < 2) return std::nullopt;
    if (words[0] == "linux" || words[0] == "linux16" || words[0] == "linuxefi") return after_word(line, words, 1);
    if ((words[0] == "module" || words[0] == "module2") && kernel_file(words[1])) return after_word(line, words, 1);
    return std::nullopt;
}

std::optional<Part> in_grub_legacy(std::string_view line) {
    // Debian's update-grub takes its options from this comment.
    const auto text = trim(line);
    for (std::string_view key : {"# kopt=", "# kopt_2_6="})
        if (text.starts_with(key))
            return Part{static_cast<std::size_t>(text.data() - line.data()) + key.size(),
                        static_cast<std::size_t>(text.data() - line.data()) + text.size(), true};
    const auto words = words_of(line);
    if (words.size() < 2 || (words[0] != "kernel" && words[0] != "module")) return std::nullopt;
    for (std::size_t i = 1; i < words.size(); ++i)
        if (!words[i].starts_with("--")) return kernel_file(words[i]) ? after_word(line, words, i) : std::nullopt;
    return std::nullopt;
}

std::optional<Part> in_defaults(std::string_view line) {
    struct Variable {
        std::string_view name;
        bool whole;
    };
    static constexpr Variable kVariables[] = {{"GRUB_CMDLINE_LINUX=", true},
                                              {"GRUB_CMDLINE_LINUX_DEFAULT=", false},
                                              {"default_kernel_opts=", true},
                                              {"EXTLINUX_PARAMETERS=", true}};
    const auto text = trim(line);
    for (const auto& variable : kVariables) {
        if (!text.starts_with(variable.name)) continue;
        const auto value = text.substr(variable.name.size());
        const auto begin = static_cast<std::size_t>(value.data() - line.data());
        if (value.empty() || (value.front() != '"' && value.front() != '\'')) return std::nullopt;
        const auto end = line.find(value.front(), begin + 1);
        if (end == line.npos) return std::nullopt;
        return Part{begin + 1, end, variable.whole};
    }
    return std::nullopt;
}

std::optional<Part> part_of(std::string_view line, LoaderSyntax syntax) {
    const auto words = words_of(line);
    switch (syntax) {
        case LoaderSyntax::Grub2: return in_grub2(line);
        case LoaderSyntax::Defaults: return in_defaults(line);
        case LoaderSyntax::GrubLegacy: return in_grub_legacy(line);
        case LoaderSyntax::Entry:
            return !words.empty() && words[0] == "options" ? after_word(line, words, 0) : std::nullopt;
        case LoaderSyntax::Extlinux:
            return !words.empty() && iequals(words[0], "append") ? after_word(line, words, 0) : std::nullopt;
        case LoaderSyntax::CommandLine: {
            if (words.empty()) return std::nullopt;
            const auto begin = static_cast<std::size_t>(words.front().data() - line.data());
            return Part{begin, static_cast<std::size_t>(words.back().data() - line.data()) + words.back().size(), true};
        }
        case LoaderSyntax::Environment: return std::nullopt;
    }
    return std::nullopt;
}

std::string joined(const std::vector<std::string>& words) { return join(words, " "); }

std::vector<std::string> copied(std::string_view arguments) {
    std::vector<std::string> words;
    for (auto at = arguments; !at.empty();) {
        const auto begin = at.find_first_not_of(" \t");
        if (begin == at.npos) break;
        const auto end = std::min(at.find_first_of(" \t", begin), at.size());
        words.emplace_back(at.substr(begin, end - begin));
        at.remove_prefix(end);
    }
    return words;
}

bool gone_console(std::string_view device) { return device.starts_with("hvc") || device.starts_with("xvc"); }

std::string_view console_device(std::string_view word) {
    if (!word.starts_with("console=")) return {};
    word.remove_prefix(8);
    return word.substr(0, word.find(','));
}

std::string underscored(std::string_view name) {
    std::string out(name);
    std::replace(out.begin(), out.end(), '-', '_');
    return out;
}

}  // namespace

std::string map_arguments(std::string_view text, LoaderSyntax syntax, const ChangeArguments& change) {
    if (syntax == LoaderSyntax::Environment) {
        const auto old = environment_value(text, "kernelopts");
        if (!old) return std::string(text);
        const auto changed = change(*old, true);
        return changed == *old ? std::string(text) : set_environment(text, "kernelopts", changed);
    }
    return map_lines(text, [&](std::string_view line) {
        std::string out(line);
        if (const auto part = part_of(line, syntax)) {
            const auto old = line.substr(part->begin, part->end - part->begin);
            auto changed = change(old, part->whole);
            // A line that had no arguments ends with its file name.
            if (old.empty() && !changed.empty() && part->begin > 0 &&
                std::string_view("\"'=").find(out[part->begin - 1]) == std::string_view::npos)
                changed.insert(0, " ");
            out.replace(part->begin, old.size(), changed);
        }
        return out;
    });
}

std::string edit_consoles(std::string_view arguments, bool serial, bool whole) {
    auto words = copied(arguments);
    const auto before = words.size();
    std::erase_if(words, [](const auto& word) { return gone_console(console_device(word)); });
    bool changed = words.size() != before;
    if (whole) {
        std::string last;
        bool screen = false, first_serial = false;
        for (const auto& word : words) {
            const auto device = console_device(word);
            if (device.empty()) continue;
            last = device;
            screen = screen || device == "tty0" || device == "tty1";
            first_serial = first_serial || device == "ttyS0";
        }
        const bool lone = last.starts_with("ttyS") && !first_serial;
        if (!screen && (lone || (serial && !first_serial))) {
            words.emplace_back(kScreen);
            changed = true;
        }
        if (serial && !first_serial) {
            words.emplace_back(kSerial);
            changed = true;
        }
    }
    return changed ? joined(words) : std::string(arguments);
}

std::string allow_modules(std::string_view arguments, const std::vector<std::string>& modules) {
    auto words = copied(arguments);
    bool changed = false;
    for (auto& word : words) {
        for (std::string_view key :
             {"modprobe.blacklist=", "module_blacklist=", "rd.driver.blacklist=", "rdblacklist="}) {
            if (!word.starts_with(key)) continue;
            auto listed = split(std::string_view(word).substr(key.size()), ',');
            const auto count = listed.size();
            std::erase_if(listed, [&](const auto& name) {
                return std::find(modules.begin(), modules.end(), underscored(name)) != modules.end();
            });
            if (listed.size() == count) break;
            changed = true;
            word = listed.empty() ? "" : std::string(key) + join(listed, ",");
            break;
        }
    }
    if (!changed) return std::string(arguments);
    std::erase(words, "");
    return joined(words);
}

std::string edit_inittab(std::string_view text, bool serial, bool agetty) {
    bool getty_there = false, any = false, by_tty = false;
    auto out = map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.empty()) return std::string(line);
        if (line.find(":respawn:") == line.npos) return std::string(line);
        any = true;
        by_tty = by_tty || trim(line).find("::respawn:") == 4;  // busybox: "tty1::respawn:…"
        for (const auto word : words)
            if (gone_console(word) || word.starts_with("xvc0::") || word.starts_with("hvc0::"))
                return commented_out(line);
        getty_there = getty_there || line.find("ttyS0") != line.npos;
        return std::string(line);
    });
    if (!serial || getty_there || !any) return out;
    if (!out.empty() && out.back() != '\n') out += '\n';
    if (by_tty) return out + "ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n";
    return out + (agetty ? "S0:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt102\n"
                         : "S0:2345:respawn:/sbin/getty -L ttyS0 115200 vt102\n");
}

std::string edit_securetty(std::string_view text) {
    for (const auto& line : split(text, '\n'))
        if (trim(line) == "ttyS0") return std::string(text);
    std::string out(text);
    if (!out.empty() && out.back() != '\n') out += '\n';
    return out + "ttyS0\n";
}

}  // namespace slipway::fixup
