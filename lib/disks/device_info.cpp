// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/device_info.hpp"

#include <algorithm>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::disks {

namespace fs = std::filesystem;

namespace {

std::string attribute(const fs::path& path) {
    auto text = read_text_file(path, 64u << 10);
    return text ? printable(trim(*text)) : std::string();
}

bool is_data_disk(const std::string& name) {
    for (const char* prefix : {"loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "mtd"})
        if (name.starts_with(prefix)) return false;
    return true;
}

// The unit's own number before its world-wide name: gatherhw's inventory names disks by it.
std::string serial_of(const fs::path& block) {
    for (const char* name : {"serial", "device/serial"})
        if (auto text = attribute(block / name); !text.empty()) return text;
    // SCSI unit serial number page (SPC-4 §7.8.15): 4 bytes of header, then the text.
    auto page = read_file(block / "device/vpd_pg80", 4096);
    if (page && page->size() > 4) {
        auto text = std::string(trim(printable(as_text(ByteView(*page).subspan(4)))));
        if (!text.empty()) return text;
    }
    for (const char* name : {"device/wwid", "wwid"})
        if (auto text = attribute(block / name); !text.empty()) return text;
    return {};
}

std::vector<std::string> partitions_of(const fs::path& block, const std::string& name) {
    std::vector<std::string> out;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(block, ignored))
        if (entry.path().filename().string().starts_with(name) && fs::exists(entry.path() / "partition", ignored))
            out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return std::pair(a.size(), a) < std::pair(b.size(), b); });
    return out;
}

// "\040" of the mount table -> " ".
std::string unescape(const std::string& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size()) {
            out += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

// The numbers ("8:1") of a block device, of its partitions, and of what is made of them: LVM, md, dm-crypt.
void add_numbers(const fs::path& root, const std::string& name, std::set<std::string>& numbers, int depth = 0) {
    constexpr int kDeepest = 8;
    auto block = root / "sys/class/block" / name;
    auto number = attribute(block / "dev");
    if (number.empty() || depth > kDeepest || !numbers.insert(number).second) return;
    for (const auto& partition : partitions_of(block, name)) add_numbers(root, partition, numbers, depth + 1);
    std::error_code ignored;
    for (const auto& holder : fs::directory_iterator(block / "holders", ignored))
        add_numbers(root, holder.path().filename().string(), numbers, depth + 1);
}

// As the kernel names it: by its number, since a link or a node of device-mapper's own ("/dev/mapper/vg0-root", where
// no udev makes links) has another name.
std::string kernel_name(const fs::path& root, const fs::path& device) {
    std::error_code ignored;
    struct stat st {};
    if (::stat(device.c_str(), &st) == 0 && S_ISBLK(st.st_mode)) {
        auto number = fmt::format("{}:{}", major(st.st_rdev), minor(st.st_rdev));
        auto block = fs::read_symlink(root / "sys/dev/block" / number, ignored);
        if (!block.empty()) return block.filename().string();
    }
    return fs::weakly_canonical(device, ignored).filename().string();
}

// A plain file that loop devices stand on is in use where they are.
void add_loops(const fs::path& root, const fs::path& file, std::set<std::string>& numbers) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) return;
    auto path = fs::weakly_canonical(file, ignored).string();
    for (const auto& entry : fs::directory_iterator(root / "sys/block", ignored))
        if (attribute(entry.path() / "loop/backing_file") == path)
            add_numbers(root, entry.path().filename().string(), numbers);
}

}  // namespace

Result<std::vector<DiskDevice>> list_disks(const fs::path& root) {
    std::vector<DiskDevice> out;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(root / "sys/block", error)) {
        DiskDevice disk;
        disk.name = entry.path().filename().string();
        if (!is_data_disk(disk.name)) continue;
        disk.size = parse_u64(attribute(entry.path() / "size")).value_or(0) * 512;
        if (disk.size == 0) continue;
        auto path_name = disk.name;
        std::replace(path_name.begin(), path_name.end(), '!', '/');  // "cciss!c0d0"
        disk.path = "/dev/" + path_name;
        disk.serial = serial_of(entry.path());
        disk.model = attribute(entry.path() / "device/model");
        disk.removable = attribute(entry.path() / "removable") == "1";
        disk.read_only = attribute(entry.path() / "ro") == "1";
        disk.partitions = partitions_of(entry.path(), disk.name);
        out.push_back(std::move(disk));
    }
    if (error) return slipway::errno_error(error.value(), (root / "sys/block").string());
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
        return std::pair(a.name.size(), a.name) < std::pair(b.name.size(), b.name);
    });
    return out;
}

Result<std::vector<std::string>> writable_mounts(const fs::path& device, const fs::path& root) {
    std::set<std::string> numbers;
    add_numbers(root, kernel_name(root, device), numbers);
    add_loops(root, device, numbers);
    std::vector<std::string> out;
    if (numbers.empty()) return out;
    // proc(5), mountinfo: id parent major:minor root mount-point options …
    std::istringstream mounts(TRY(read_text_file(root / "proc/self/mountinfo")));
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string id, parent, number, top, point, options;
        words >> id >> parent >> number >> top >> point >> options;
        if (numbers.contains(number) && ("," + options + ",").find(",rw,") != std::string::npos)
            out.push_back(unescape(point));
    }
    auto swaps = read_text_file(root / "proc/swaps");
    std::istringstream lines(swaps ? *swaps : "");
    for (std::string line; std::getline(lines, line);) {
        auto used = fs::path(line.substr(0, line.find(' '))).filename().string();
        if (numbers.contains(attribute(root / "sys/class/block" / used / "dev"))) out.push_back("swap");
    }
    return out;
}

Status set_read_only(const fs::path& device) {
    auto fd = TRY(open_fd(device, O_RDONLY));
    int on = 1;
    if (::ioctl(fd.get(), BLKROSET, &on) != 0)
        return slipway::errno_error(errno, "making " + device.string() + " read-only");
    return {};
}

Status reread_partitions(const fs::path& device) {
    auto fd = TRY(open_fd(device, O_RDONLY));
    (void)::ioctl(fd.get(), BLKRRPART);
    auto disk = TRY(FileDisk::open(device, OpenMode::ReadOnly));
    auto layout = TRY(read_layout(*disk));
    auto block = fs::path("/sys/class/block") / device.filename();
    for (const auto& partition : layout.partitions) {
        auto base = device.filename().string();
        bool digit = base.back() >= '0' && base.back() <= '9';
        if (fs::exists(block / (base + (digit ? "p" : "") + std::to_string(partition.index)))) continue;
        blkpg_partition part{};
        part.start = static_cast<long long>(partition.offset);
        part.length = static_cast<long long>(partition.length);
        part.pno = static_cast<int>(partition.index);
        blkpg_ioctl_arg argument{};
        argument.op = BLKPG_ADD_PARTITION;
        argument.datalen = sizeof part;
        argument.data = &part;
        if (::ioctl(fd.get(), BLKPG, &argument) != 0 && errno != EBUSY)
            return slipway::errno_error(
                errno, "adding partition " + std::to_string(partition.index) + " of " + device.string());
    }
    return {};
}

}  // namespace slipway::disks
