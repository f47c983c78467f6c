// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/linux/log.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sys/klog.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

// What the kernel writes (block/blk-core.c, drivers/ata, fs/ext4/super.c, fs/xfs, drivers/edac, mce), and what stands
// before the device's name in it; an empty mark: no name.
struct Pattern {
    std::string_view text;
    LogTopic topic;
    std::string_view before_name;
    std::string_view also = {};  // must be in the line as well
};
constexpr Pattern kPatterns[] = {{"I/O error, dev ", LogTopic::DiskError, "dev "},
                                 {"medium error, dev ", LogTopic::DiskError, "dev "},
                                 {"target error, dev ", LogTopic::DiskError, "dev "},
                                 {"Buffer I/O error on dev ", LogTopic::DiskError, "on dev "},
                                 {"Buffer I/O error on device ", LogTopic::DiskError, "on device "},
                                 {"Unrecovered read error", LogTopic::DiskError, "["},
                                 {": failed command: ", LogTopic::DiskError, "ata"},
                                 {"EXT4-fs error (device ", LogTopic::FilesystemError, "(device "},
                                 {"EXT3-fs error (device ", LogTopic::FilesystemError, "(device "},
                                 {"EXT2-fs error (device ", LogTopic::FilesystemError, "(device "},
                                 {": Corruption ", LogTopic::FilesystemError, "XFS (", "XFS ("},
                                 {"BTRFS error (device ", LogTopic::FilesystemError, "(device "},
                                 {"BTRFS critical (device ", LogTopic::FilesystemError, "(device "},
                                 {"Remounting filesystem read-only", LogTopic::FilesystemError, "EXT4-fs ("},
                                 {"EDAC MC", LogTopic::Memory, "EDAC ", " CE "},
                                 {"EDAC MC", LogTopic::Memory, "EDAC ", " UE "},
                                 {"[Hardware Error]", LogTopic::MachineCheck, ""}};

// "sda", "dm-3", "ata1.00", "MC0": what a name may be made of.
std::string name_at(std::string_view text) {
    auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._!");
    auto name = std::string(text.substr(0, std::min<std::size_t>(std::min(end, text.size()), 64)));
    while (name.ends_with('.')) name.pop_back();
    return name;
}

std::string device_in(std::string_view line, const Pattern& pattern) {
    if (pattern.before_name.empty()) return {};
    auto at = pattern.before_name == "[" ? line.rfind('[') : line.find(pattern.before_name);
    if (at == std::string_view::npos) return {};
    // "ata1.00" begins with its mark.
    return name_at(line.substr(at + (pattern.before_name == "ata" ? 0 : pattern.before_name.size())));
}

void add(std::vector<LogFinding>& out, LogTopic topic, std::string device, std::string_view source,
         std::string_view line) {
    auto at = std::find_if(out.begin(), out.end(), [&](auto& f) { return f.topic == topic && f.device == device; });
    if (at == out.end()) {
        if (out.size() == kMaxLogFindings) return;
        at = out.insert(out.end(), {topic, std::move(device), 0, std::string(source), {}});
    }
    ++at->count;
    if (at->lines.size() == kLogLines) at->lines.erase(at->lines.begin());
    at->lines.push_back(printable(trim(line.substr(0, kLogLineBytes))));
}

// EDAC counts since the start, whatever became of the log.
void probe_edac(Tree& tree, Inventory& out) {
    for (const auto& name : tree.list("/sys/devices/system/edac/mc")) {
        auto at = "/sys/devices/system/edac/mc/" + name;
        auto corrected = tree.number(at + "/ce_count"), uncorrected = tree.number(at + "/ue_count");
        if (!name.starts_with("mc") || corrected + uncorrected == 0) continue;
        out.log.push_back({LogTopic::Memory,
                           name,
                           corrected + uncorrected,
                           at,
                           {fmt::format("{} corrected, {} uncorrected errors", corrected, uncorrected)}});
    }
}

std::string ring_buffer() {
    constexpr int kReadAll = 3, kSize = 10;  // syslog(2)
    auto size = ::klogctl(kSize, nullptr, 0);
    if (size <= 0) return {};
    std::string out(std::min<std::size_t>(static_cast<std::size_t>(size), 4u << 20), '\0');
    auto n = ::klogctl(kReadAll, out.data(), static_cast<int>(out.size()));
    out.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
    return out;
}

}  // namespace

std::vector<LogFinding> read_kernel_log(std::string_view text, std::string_view source) {
    std::vector<LogFinding> out;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, std::min<std::size_t>(end, 4096));
        text.remove_prefix(std::min(end + 1, text.size()));
        for (const auto& pattern : kPatterns)
            if (line.find(pattern.text) != std::string_view::npos &&
                line.find(pattern.also) != std::string_view::npos) {
                add(out, pattern.topic, device_in(line, pattern), source, line);
                break;  // one line is one error
            }
    }
    return out;
}

void probe_log(Tree& tree, const LinuxProbeOptions& options, Inventory& out) {
    probe_edac(tree, out);
    // The first that is there: the others tell the same again.
    for (std::string file : {"/var/log/kern.log", "/var/log/messages", "/var/log/syslog"})
        if (auto text = tree.tail(file, kTextLimit)) {
            for (auto& finding : read_kernel_log(*text, file)) out.log.push_back(std::move(finding));
            return;
        }
    if (!options.live) return;
    for (auto& finding : read_kernel_log(ring_buffer(), "the kernel's ring buffer"))
        out.log.push_back(std::move(finding));
}

}  // namespace slipway::gatherhw
