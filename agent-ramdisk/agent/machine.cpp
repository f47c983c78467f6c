// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/machine.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>
#include <thread>

#include <linux/reboot.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent-ramdisk/agent/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::agent {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

std::string attribute(const fs::path& path) {
    auto text = read_text_file(path, 4096);
    return text ? printable(trim(*text)) : std::string();
}

// A line "MemTotal:  123 kB" of /proc/meminfo, in bytes.
std::uint64_t memory_line(std::string_view name) {
    std::istringstream lines(read_text_file("/proc/meminfo", 64u << 10).value_or(""));
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with(name)) {
            std::istringstream words(line.substr(name.size()));
            std::uint64_t kib = 0;
            words >> kib;
            return kib * 1024;
        }
    return 0;
}

json::array macs() {
    json::array out;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator("/sys/class/net", ignored)) {
        if (!fs::exists(entry.path() / "device", ignored)) continue;
        if (auto mac = attribute(entry.path() / "address"); !mac.empty()) out.emplace_back(mac);
    }
    return out;
}

// The buses whose devices a ramdisk has drivers for.
bool wanted_bus(std::string_view alias) {
    constexpr std::string_view kBuses[] = {"pci:", "usb:", "virtio:", "vmbus:", "xen:"};
    return std::any_of(std::begin(kBuses), std::end(kBuses), [&](auto bus) { return alias.starts_with(bus); });
}

// What the controller chooses this machine's drivers by, before it has an inventory.
json::array modaliases() {
    std::set<std::string> all;
    std::error_code failed;
    for (fs::recursive_directory_iterator it("/sys/devices", failed), end; !failed && it != end; it.increment(failed))
        if (it->path().filename() == "modalias")
            if (auto alias = attribute(it->path()); wanted_bus(alias)) all.insert(alias);
    return json::array(all.begin(), all.end());
}

class BaseMachine : public Machine {
public:
    std::uint64_t memory_bytes() override { return memory_line("MemTotal:"); }
    std::uint64_t memory_available() override { return memory_line("MemAvailable:"); }
    json::object hardware() override {
        json::array list;
        if (auto all = disks())
            for (const auto& d : *all)
                list.push_back({{"name", d.name}, {"serial", d.serial}, {"model", d.model}, {"size", d.size}});
        const auto firmware = read_firmware("/sys/firmware/efi");
        return {{"memory_bytes", memory_bytes()},
                {"cpus", std::thread::hardware_concurrency()},
                {"vendor", attribute("/sys/class/dmi/id/sys_vendor")},
                {"product", attribute("/sys/class/dmi/id/product_name")},
                {"serial", attribute("/sys/class/dmi/id/product_serial")},
                {"bios_vendor", attribute("/sys/class/dmi/id/bios_vendor")},
                {"bios_version", attribute("/sys/class/dmi/id/bios_version")},
                {"firmware", firmware.kind},
                {"secure_boot", firmware.secure_boot},
                {"macs", macs()},
                {"modaliases", modaliases()},
                {"disks", list}};
    }
};

class RealMachine final : public BaseMachine {
public:
    Result<std::vector<disks::DiskDevice>> disks() override {
        auto all = TRY(disks::list_disks());
        std::erase_if(all, [](const auto& d) { return d.removable; });
        return all;
    }
    Result<std::unique_ptr<disks::BlockDevice>> open_source(const disks::DiskDevice& disk) override {
        TRY(refuse_used(disk));
        TRY(disks::set_read_only(disk.path));
        return to_device(TRY(disks::FileDisk::open(disk.path, disks::OpenMode::ReadOnly)));
    }
    Result<std::unique_ptr<disks::BlockDevice>> open_target(const disks::DiskDevice& disk) override {
        TRY(refuse_used(disk));
        return to_device(TRY(disks::FileDisk::open(disk.path, disks::OpenMode::ReadWrite)));
    }
    Status reread(const disks::DiskDevice& disk) override { return disks::reread_partitions(disk.path); }
    void power(PowerAction action) override {
        ::sync();
        ::reboot(action == PowerAction::Shutdown ? LINUX_REBOOT_CMD_POWER_OFF : LINUX_REBOOT_CMD_RESTART);
        log::error("agent", "the kernel did not {}", action == PowerAction::Shutdown ? "power off" : "restart");
    }

private:
    static std::unique_ptr<disks::BlockDevice> to_device(std::unique_ptr<disks::FileDisk> disk) { return disk; }
    static Status refuse_used(const disks::DiskDevice& disk) {
        auto mounts = TRY(disks::writable_mounts(disk.path));
        if (!mounts.empty()) return make_error(errors::kDiskInUse, "{} is in use: {}", disk.path, join(mounts, ", "));
        return {};
    }
};

class FileMachine final : public BaseMachine {
public:
    explicit FileMachine(std::vector<std::string> files) : files_(std::move(files)) {}
    Result<std::vector<disks::DiskDevice>> disks() override {
        std::vector<disks::DiskDevice> out;
        for (const auto& file : files_) {
            disks::DiskDevice disk;
            disk.name = "sd" + std::string(1, static_cast<char>('a' + out.size()));
            disk.path = file;
            disk.serial = fs::path(file).filename().string();
            disk.size = TRY(disks::open_disk(file, disks::OpenMode::ReadOnly))->size();
            out.push_back(std::move(disk));
        }
        return out;
    }
    Result<std::unique_ptr<disks::BlockDevice>> open_source(const disks::DiskDevice& disk) override {
        return disks::open_disk(disk.path, disks::OpenMode::ReadOnly);
    }
    Result<std::unique_ptr<disks::BlockDevice>> open_target(const disks::DiskDevice& disk) override {
        return disks::open_disk(disk.path, disks::OpenMode::ReadWrite);
    }
    Status reread(const disks::DiskDevice&) override { return {}; }
    void power(PowerAction action) override {
        log::info("agent", "{}: the agent ends here", action == PowerAction::Shutdown ? "shutdown" : "reboot");
        std::_Exit(0);
    }

private:
    std::vector<std::string> files_;
};

}  // namespace

// UEFI 2.10 §3.3: the variable SecureBoot is one byte; the kernel puts four of attributes before it.
FirmwareFacts read_firmware(const fs::path& efi) {
    std::error_code ignored;
    if (!fs::exists(efi, ignored)) return {"bios", "off"};
    FirmwareFacts out{"uefi-" + attribute(efi / "fw_platform_size"), "unknown"};
    auto variable = read_file(efi / "efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", 16);
    if (variable && variable->size() == 5) out.secure_boot = (*variable)[4] == std::byte{1} ? "on" : "off";
    return out;
}

std::unique_ptr<Machine> real_machine() { return std::make_unique<RealMachine>(); }
std::unique_ptr<Machine> file_machine(std::vector<std::string> files) {
    return std::make_unique<FileMachine>(std::move(files));
}

}  // namespace slipway::agent
