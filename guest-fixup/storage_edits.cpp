// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/storage_edits.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// A disk by a name that follows its controller: /dev/sda, /dev/sd*, /dev/disk/by-path/…
bool old_disk_name(std::string_view word) {
    static constexpr std::string_view kStarts[] = {"/dev/sd",         "/dev/hd",    "/dev/vd",  "/dev/xvd",
                                                   "/dev/nvme",       "/dev/cciss", "/dev/mmc", "/dev/disk/by-path/",
                                                   "/dev/disk/by-id/"};
    return std::any_of(std::begin(kStarts), std::end(kStarts), [&](auto start) { return word.starts_with(start); });
}

bool mentions_old_disk(std::string_view text) {
    for (auto at = text.find("/dev/"); at != std::string_view::npos; at = text.find("/dev/", at + 1))
        if (old_disk_name(text.substr(at))) return true;
    return false;
}

std::string edit_array(std::string_view line, std::vector<std::string>& warnings) {
    const auto words = words_of(line);
    bool known = false, by_devices = false;
    for (const auto word : words) {
        const auto lower = to_lower(word);
        known = known || lower.starts_with("uuid=") || lower.starts_with("name=");
        by_devices = by_devices || lower.starts_with("devices=");
    }
    if (!by_devices) return std::string(line);
    if (!known) {
        warnings.push_back(fmt::format("mdadm.conf finds an array by its disks' old names alone: {}", printable(line)));
        return std::string(line);
    }
    std::string out;
    for (const auto word : words)
        if (!to_lower(word).starts_with("devices=")) out += (out.empty() ? "" : " ") + std::string(word);
    return out;
}

// The words of filter = [ "a|x|", "r|.*|" ] between the brackets; nothing when the line does not hold them all.
std::vector<std::string> filter_patterns(std::string_view value) {
    std::vector<std::string> patterns;
    for (std::size_t at = value.find('"'); at != std::string_view::npos && patterns.size() < 256;
         at = value.find('"', at)) {
        const auto end = value.find('"', at + 1);
        if (end == std::string_view::npos) break;
        patterns.emplace_back(value.substr(at + 1, end - at - 1));
        at = end + 1;
    }
    return patterns;
}

bool keeps_to_old_disks(const std::vector<std::string>& patterns) {
    bool accepts_old = false, accepts_other = false, rejects = false;
    for (const auto& pattern : patterns) {
        if (pattern.size() < 3) continue;
        if (pattern.front() == 'r') {
            const auto body = std::string_view(pattern).substr(2, pattern.size() - 3);
            rejects = rejects || body == ".*" || body == ".*/" || body == "/.*/" || body.empty();
        } else if (pattern.front() == 'a' && !rejects) {
            auto body = std::string_view(pattern).substr(2);
            body.remove_prefix(std::min(body.find_first_not_of('^'), body.size()));
            if (old_disk_name(body) || body.starts_with("sd")) accepts_old = true;
            else accepts_other = true;
        }
    }
    return accepts_old && rejects && !accepts_other;
}

std::string underscored(std::string_view name) {
    std::string out(name);
    std::replace(out.begin(), out.end(), '-', '_');
    return out;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), underscored(name)) != names.end();
}

// The driver of the controller itself, not of the bus below it or the disks on it.
std::string controller_driver(const std::vector<std::string>& modules) {
    for (const auto& name : modules)
        if (name != "virtio_pci" && name != "sd_mod") return name;
    return {};
}

bool adapter_alias(std::string_view name) {
    return name.starts_with("eth") && name.size() > 3 && name.find_first_not_of("0123456789", 3) == name.npos;
}

}  // namespace

Edited edit_mdadm(std::string_view text) {
    Edited out;
    out.text = map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.size() < 2) return std::string(line);
        // mdadm takes a keyword from three letters on, in any case.
        const auto key = to_lower(words[0]);
        if (key.size() >= 3 && std::string_view("device").starts_with(key))
            return std::any_of(words.begin() + 1, words.end(), old_disk_name) ? std::string("DEVICE partitions")
                                                                              : std::string(line);
        if (key.size() >= 3 && std::string_view("array").starts_with(key)) return edit_array(line, out.warnings);
        return std::string(line);
    });
    return out;
}

bool devices_file_is_stale(std::string_view text) {
    // md and crypt volumes keep their UUIDs; everything else is of the old disk.
    static constexpr std::string_view kStable[] = {"md_uuid", "crypt_uuid", "lvmlv_uuid"};
    for (const auto& line : split(text, '\n'))
        for (const auto word : words_of(line))
            if (word.starts_with("IDTYPE=") &&
                std::find(std::begin(kStable), std::end(kStable), word.substr(7)) == std::end(kStable))
                return true;
    return false;
}

Edited edit_lvm_filter(std::string_view text) {
    Edited out;
    out.text = map_lines(text, [&](std::string_view line) {
        const auto rest = trim(line);
        const auto equals = rest.find('=');
        if (equals == std::string_view::npos) return std::string(line);
        const auto key = trim(rest.substr(0, equals));
        const auto value = rest.substr(equals + 1);
        if ((key != "filter" && key != "global_filter") || value.find('[') == std::string_view::npos)
            return std::string(line);
        if (value.find(']') == std::string_view::npos) {
            out.warnings.push_back(fmt::format(
                "lvm.conf has a {} of several lines: check that it accepts the disks by their new names", key));
            return std::string(line);
        }
        return keeps_to_old_disks(filter_patterns(value)) ? commented_out(line) : std::string(line);
    });
    return out;
}

Edited edit_modprobe(std::string_view text, std::string_view file, const std::vector<std::string>& modules) {
    Edited out;
    bool adapter_named = false;
    out.text = map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.size() < 2) return std::string(line);
        const bool blocks = words[0] == "blacklist" || (words[0] == "install" && words.size() > 2 &&
                                                        (words[2].ends_with("/true") || words[2].ends_with("/false")));
        if (blocks && contains(modules, words[1])) {
            out.warnings.push_back(
                fmt::format("{} kept {} from loading; the line is a comment now", file, printable(words[1])));
            return commented_out(line);
        }
        if (words[0] != "alias" || words.size() < 3) return std::string(line);
        if (words[1].starts_with("scsi_hostadapter") && !controller_driver(modules).empty()) {
            if (contains(modules, words[2])) {
                adapter_named = true;
                return std::string(line);
            }
            if (adapter_named) return commented_out(line);
            adapter_named = true;
            return "alias scsi_hostadapter " + controller_driver(modules);
        }
        if (adapter_alias(words[1]) && words[2] != "off") return commented_out(line);
        return std::string(line);
    });
    return out;
}

std::string add_initrd_modules(std::string_view text, const std::vector<std::string>& modules) {
    if (words_of_list(text, "INITRD_MODULES").empty() && text.find("INITRD_MODULES") == std::string_view::npos)
        return std::string(text);
    return add_to_list(text, "INITRD_MODULES", modules, ListSyntax::Quoted);
}

bool names_old_disks(std::string_view text) {
    for (const auto& line : split(text, '\n'))
        if (line.size() <= kLongestLine && !words_of(line).empty() && mentions_old_disk(line)) return true;
    return false;
}

}  // namespace slipway::fixup
