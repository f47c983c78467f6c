// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/command_line.hpp"

#include <map>

#include <boost/json.hpp>

namespace slipway::vmm {

namespace {

constexpr unsigned kFirstAdapterSlot = 0x3;
constexpr unsigned kFirstControllerSlot = 0x8;

std::string blockdev(const DiskFile& file, std::size_t index) {
    const char* format = file.undo ? "qcow2" : file.linked ? "raw" : "vpc";
    const char* below = file.linked && !file.undo ? "host_device" : "file";
    return boost::json::serialize(boost::json::object{
        {"driver", format},
        {"node-name", "disk" + std::to_string(index)},
        {"discard", "unmap"},
        {"file", boost::json::object{{"driver", below}, {"filename", file.path}, {"discard", "unmap"}}}});
}

// The devices of the disks: a controller when its first disk comes, then the disk on it.
class DiskDevices {
public:
    explicit DiskDevices(std::vector<std::string>& argv) : argv_(argv) {}

    void add(Controller controller, std::size_t index, std::size_t boot_index) {
        const auto number = counts_[controller]++;
        const auto drive = fmt::format("drive=disk{0},id=hd{0},bootindex={1}", index, boot_index);
        switch (controller) {
            case Controller::Ide: return device("ide-hd,bus=ide.{},unit={},{}", number / 2, number % 2, drive);
            case Controller::Sata:
                if (number == 0) device("ich9-ahci,id=sata,addr={:#x}", slot_++);
                return device("ide-hd,bus=sata.{},{}", number, drive);
            case Controller::ScsiLsi: return scsi("lsi53c895a", "lsi", number, drive);
            case Controller::Megasas: return scsi("megasas", "megasas", number, drive);
            case Controller::VirtioScsi: return scsi("virtio-scsi-pci", "vscsi", number, drive);
            case Controller::VirtioBlk: return device("virtio-blk-pci,addr={:#x},{}", slot_++, drive);
            case Controller::Nvme: return device("nvme,addr={:#x},serial=slipway{},{}", slot_++, index, drive);
        }
    }

private:
    template <typename... Args>
    void device(fmt::format_string<Args...> format, Args&&... args) {
        argv_.push_back("-device");
        argv_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    void scsi(const char* model, const char* id, std::size_t number, const std::string& drive) {
        if (number == 0) device("{},id={},addr={:#x}", model, id, slot_++);
        device("scsi-hd,bus={}.0,scsi-id={},{}", id, number, drive);
    }

    std::vector<std::string>& argv_;
    std::map<Controller, std::size_t> counts_;
    unsigned slot_ = kFirstControllerSlot;
};

void add_adapters(const VmDefinition& definition, const QemuPlan& plan, std::vector<std::string>& argv) {
    for (std::size_t i = 0; i < definition.adapters.size(); ++i) {
        const auto& adapter = definition.adapters[i];
        const auto tap = i < plan.taps.size() ? plan.taps[i] : "";
        argv.push_back("-netdev");
        // A hub with one port leads nowhere.
        argv.push_back(tap.empty() ? fmt::format("hubport,id=net{0},hubid={0}", i)
                                   : fmt::format("tap,id=net{},ifname={},script=no,downscript=no", i, tap));
        // Without its ROM an adapter is not in the boot order at all.
        const auto boot = plan.boot == BootFrom::Network ? fmt::format("bootindex={}", i) : std::string("romfile=");
        argv.push_back("-device");
        argv.push_back(fmt::format("{},netdev=net{},mac={},addr={:#x},{}",
                                   adapter.model == AdapterModel::Virtio ? "virtio-net-pci" : "e1000", i,
                                   adapter.mac.text(), kFirstAdapterSlot + i, boot));
    }
}

}  // namespace

std::vector<std::string> accelerator_arguments(const std::string& accelerator) {
    if (accelerator == "kvm") return {"-accel", "kvm", "-cpu", "host"};
    return {"-accel", "tcg,thread=multi"};
}

std::vector<std::string> qemu_command(const VmDefinition& definition, const QemuPlan& plan) {
    std::vector<std::string> argv{plan.program, "-name", definition.name, "-nodefaults", "-no-user-config",
                                  "-machine",   "pc"};
    for (auto& word : accelerator_arguments(plan.accelerator)) argv.push_back(std::move(word));
    argv.insert(argv.end(), {"-m", std::to_string(definition.memory_mib), "-smp", std::to_string(definition.processors),
                             "-uuid", definition.uuid.text(), "-vga", "std", "-display", "none", "-rtc", "base=utc"});
    if (definition.firmware == Firmware::Uefi)
        argv.insert(argv.end(),
                    {"-drive", fmt::format("if=pflash,unit=0,format=raw,readonly=on,file={}", kFirmwareCode), "-drive",
                     fmt::format("if=pflash,unit=1,format=raw,file={}", kVariablesName)});
    DiskDevices devices(argv);
    const std::size_t first = plan.boot == BootFrom::Network ? definition.adapters.size() : 0;
    for (std::size_t i = 0; i < definition.disks.size(); ++i) {
        argv.insert(argv.end(), {"-blockdev", blockdev(plan.disks.at(i), i)});
        devices.add(definition.disks[i].controller, i, first + i);
    }
    add_adapters(definition, plan, argv);
    argv.insert(argv.end(), {"-serial", "file:serial0.log", "-serial", "file:serial1.log", "-qmp",
                             fmt::format("unix:{},server=on,wait=off", kSocketName), "-qmp",
                             fmt::format("unix:{},server=on,wait=off", kWatchName), "-sandbox",
                             // The other filters forbid what -daemonize does.
                             "on,obsolete=deny,resourcecontrol=deny", "-pidfile", plan.pid_file, "-daemonize"});
    return argv;
}

}  // namespace slipway::vmm
