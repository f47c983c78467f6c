// SPDX-License-Identifier: GPL-3.0-or-later
// The QEMU driver with real QEMUs. The guest is a boot sector of ours, so that a boot takes a second or two: it writes
// itself to the second sector of its disk and a line to the second serial port.
#include <fcntl.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <thread>

#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/test/mounts.hpp"
#include "lib/disks/vhd/vhd.hpp"
#include "vmm-target/accelerator.hpp"
#include "vmm-target/test/conformance.hpp"

using namespace slipway;
using namespace slipway::vmm;
using namespace slipway::vmm::test;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

namespace {

std::string missing_here() {
    if (::geteuid() != 0) return "needs root: bridges and taps";
    for (const char* program : {"qemu-system-x86_64", "qemu-img", "ip"}) {
        auto found = run_command({"sh", "-c", std::string("command -v ") + program});
        if (!found || !found->ok()) return std::string(program) + " is not installed";
    }
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) return "/dev/net/tun is missing";
    return "";
}

// Nothing of the test reaches the host's own network.
bool own_network() {
    static const bool done = ::unshare(CLONE_NEWNET) == 0;
    return done;
}

class QemuFixture : public TargetFixture {
protected:
    void SetUp() override {
        const auto missing = missing_here();
        if (!missing.empty()) GTEST_SKIP() << missing;
        ASSERT_TRUE(own_network());
        target = another();
    }
    void TearDown() override {
        if (!target) return;
        const auto names = target->list().value();
        for (const auto& name : names) EXPECT_TRUE(target->remove(name).ok()) << name;
        const auto networks = target->networks().value();
        for (const auto& network : networks) EXPECT_TRUE(target->remove_network(network.name).ok());
        // Nothing is left: no tap, no bridge, no file of a machine.
        EXPECT_THAT(run_checked({"ip", "-br", "link"}).value(), Not(HasSubstr("sl")));
        for (const auto& entry : fs::directory_iterator(dir.path()))
            EXPECT_TRUE(entry.path().filename().string().starts_with(".")) << entry.path();
    }
    // As another process would see the same machines.
    std::unique_ptr<Target> another() {
        return make_qemu_target({.state_dir = dir.path(), .accelerator = "tcg"}).value();
    }
    TempDir dir = TempDir::create("vmm-test").value();
};

enum class Then { Halt, Reset };

// Real mode: int 13h function 3 writes sector 2 of drive 0x80, then `text` goes byte by byte to port 0x2f8.
Bytes boot_sector(const std::string& text, Then then = Then::Halt) {
    std::vector<unsigned char> code{0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xfc,  // xor ax,ax; mov ds,ax; mov es,ax; cld
                                    0xb8, 0x01, 0x03, 0xb9, 0x02, 0x00,        // mov ax,0x0301; mov cx,2
                                    0xba, 0x80, 0x00, 0xbb, 0x00, 0x7c, 0xcd,
                                    0x13,                                 // mov dx,0x80; mov bx,0x7c00; int 0x13
                                    0xbe, 0x00, 0x7c,                     // mov si,0x7c00 + where the text begins
                                    0xac, 0x84, 0xc0, 0x74, 0x06,         // again: lodsb; test al,al; jz end
                                    0xba, 0xf8, 0x02, 0xee, 0xeb, 0xf5};  // mov dx,0x2f8; out dx,al; jmp again
    if (then == Then::Reset) code.insert(code.end(), {0xb0, 0xfe, 0xe6, 0x64});  // mov al,0xfe; out 0x64,al
    code.insert(code.end(), {0xf4, 0xeb, 0xfd});                                 // end: hlt; jmp end
    code[22] = static_cast<unsigned char>(code.size());
    Bytes sector(512);
    std::transform(code.begin(), code.end(), sector.begin(), [](unsigned char c) { return std::byte{c}; });
    const auto bytes = as_bytes(text);
    std::copy(bytes.begin(), bytes.end(), sector.begin() + static_cast<std::ptrdiff_t>(code.size()));
    sector[510] = std::byte{0x55};
    sector[511] = std::byte{0xaa};
    return sector;
}

class QemuTest : public QemuFixture {
protected:
    fs::path disk() const { return dir.path() / "small/one.vhd"; }
    void make_vm(Controller controller, const std::string& text, Then then = Then::Halt) {
        VmDefinition vm{.name = "small", .uuid = Uuid::random(), .memory_mib = 64};
        vm.disks = {{.path = "one.vhd", .size_bytes = 8 << 20, .controller = controller}};
        ASSERT_OK(target->create(vm));
        auto vhd = disks::open_vhd(disk(), disks::OpenMode::ReadWrite);
        ASSERT_OK(vhd);
        ASSERT_OK((*vhd)->write(0, boot_sector(text, then)));
        ASSERT_OK((*vhd)->flush());
    }
    bool guest_has_written() const {
        auto vhd = disks::open_vhd(disk(), disks::OpenMode::ReadOnly);
        Bytes sector(512);
        EXPECT_TRUE((*vhd)->read(512, sector).ok());
        return !all_zero(sector);
    }
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Qemu, TargetConformance, QemuFixture);

class QemuController : public QemuTest, public testing::WithParamInterface<Controller> {};

TEST_P(QemuController, boots_and_proves_it) {
    make_vm(GetParam(), "SLIPWAY-UP n-1\r\n");
    ASSERT_OK(target->start("small", {}));
    const auto proof = target->boot_proof("small", "n-1", seconds(60));
    ASSERT_OK(proof);
    EXPECT_EQ(proof->line, "SLIPWAY-UP n-1");
    EXPECT_EQ(to_hex(ByteView(proof->screenshot).first(8)), "89504e470d0a1a0a");
    EXPECT_GT(proof->seconds, 0);
    EXPECT_LT(proof->seconds, 60);
}

INSTANTIATE_TEST_SUITE_P(All, QemuController,
                         testing::Values(Controller::Ide, Controller::Sata, Controller::ScsiLsi, Controller::Megasas,
                                         Controller::VirtioBlk, Controller::VirtioScsi, Controller::Nvme),
                         [](const auto& info) {
                             std::string name(name_of(info.param));
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST_F(QemuTest, undo_disk_keeps_writes_from_the_vhd_until_commit) {
    make_vm(Controller::Ide, "SLIPWAY-UP n-1\n");
    ASSERT_OK(target->start("small", {.undo = true}));
    ASSERT_OK(target->boot_proof("small", "n-1", seconds(60)));
    ASSERT_OK(target->stop("small", seconds(0)));
    ASSERT_OK(target->discard_undo("small"));
    EXPECT_FALSE(guest_has_written());
    ASSERT_OK(target->start("small", {.undo = true}));
    ASSERT_OK(target->boot_proof("small", "n-1", seconds(60)));
    ASSERT_OK(target->stop("small", seconds(0)));
    EXPECT_FALSE(guest_has_written());
    ASSERT_OK(target->commit_undo("small"));
    EXPECT_TRUE(guest_has_written());
}

TEST_F(QemuTest, machine_is_found_again_by_another_process) {
    make_vm(Controller::VirtioBlk, "SLIPWAY-UP n-1\n");
    ASSERT_OK(target->start("small", {.boot = BootFrom::Disk, .undo = true}));
    target = another();
    const auto info = target->info("small");
    ASSERT_OK(info);
    EXPECT_EQ(info->state, VmState::Running);
    EXPECT_EQ(info->started, (StartOptions{.boot = BootFrom::Disk, .undo = true}));
    ASSERT_OK(target->boot_proof("small", "n-1", seconds(60)));
}

TEST_F(QemuTest, line_of_an_earlier_start_or_another_nonce_is_no_proof) {
    make_vm(Controller::Ide, "SLIPWAY-UP old\n");
    ASSERT_OK(target->start("small", {}));
    ASSERT_OK(target->boot_proof("small", "old", seconds(60)));
    const auto refused = target->boot_proof("small", "new", seconds(2));
    EXPECT_ERROR(refused, kNoProof);
    EXPECT_THAT(refused.error().describe(), HasSubstr("SLIPWAY-UP old"));
    ASSERT_OK(target->stop("small", seconds(0)));
    {
        auto vhd = disks::open_vhd(disk(), disks::OpenMode::ReadWrite);
        ASSERT_OK((*vhd)->write(0, boot_sector("quiet\n")));
    }
    ASSERT_OK(target->start("small", {}));
    EXPECT_ERROR(target->boot_proof("small", "old", seconds(5)), kNoProof);
}

TEST_F(QemuTest, refusal_of_the_guest_ends_the_wait_with_its_reason) {
    make_vm(Controller::Ide, "SLIPWAY-REFUSED n-1 root is mounted read-only\n");
    ASSERT_OK(target->start("small", {}));
    const auto refused = target->boot_proof("small", "n-1", seconds(60));
    EXPECT_ERROR(refused, kRefused);
    EXPECT_THAT(refused.error().describe(), HasSubstr("root is mounted read-only"));
    EXPECT_TRUE(fs::exists(dir.path() / "small/no-proof.png"));
}

TEST_F(QemuTest, guest_that_restarts_after_its_line_has_proved_nothing) {
    make_vm(Controller::Ide, "SLIPWAY-UP n-1\n", Then::Reset);
    ASSERT_OK(target->start("small", {}));
    const auto refused = target->boot_proof("small", "n-1", seconds(60));
    EXPECT_ERROR(refused, kNoProof);
    EXPECT_THAT(refused.error().describe(), HasSubstr("restarted after its line"));
}

TEST_F(QemuTest, machine_can_be_asked_and_stopped_while_its_proof_is_awaited) {
    make_vm(Controller::Ide, "quiet\n");
    ASSERT_OK(target->start("small", {}));
    std::atomic<bool> cancel = false;
    std::thread waiter([&] { EXPECT_ERROR(another()->boot_proof("small", "n-1", seconds(300), &cancel), kCancelled); });
    EXPECT_EQ(target->state("small").value(), VmState::Running);
    EXPECT_TRUE(target->screenshot("small").ok());
    cancel = true;
    waiter.join();
}

TEST_F(QemuTest, waiting_ends_when_the_machine_does) {
    make_vm(Controller::Ide, "quiet\n");
    ASSERT_OK(target->start("small", {}));
    std::thread stopper([other = another()] { EXPECT_TRUE(other->stop("small", seconds(0)).ok()); });
    const auto proof = target->boot_proof("small", "n-1", seconds(300));
    stopper.join();
    ASSERT_FALSE(proof.ok());
    EXPECT_TRUE(proof.error().is(vmm::errors::kEnded) || proof.error().is(vmm::errors::kState));
}

TEST_F(QemuTest, waiting_can_be_cancelled) {
    make_vm(Controller::Ide, "quiet\n");
    ASSERT_OK(target->start("small", {}));
    std::atomic<bool> cancel = false;
    std::thread canceller([&] { cancel = true; });
    EXPECT_ERROR(target->boot_proof("small", "n-1", seconds(300), &cancel), kCancelled);
    canceller.join();
}

TEST_F(QemuTest, killed_machine_is_off_and_its_tap_goes_with_the_next_call) {
    ASSERT_OK(target->create_network("VM0", {}));
    ASSERT_OK(target->create(small_vm()));
    ASSERT_OK(target->start("small", {.boot = BootFrom::Network}));
    EXPECT_THAT(run_checked({"ip", "-br", "link", "show", "master", "sl-VM0"}).value(), HasSubstr("n0"));
    const auto pid = std::string(trim(read_text_file(dir.path() / "small/pid").value()));
    ASSERT_OK(run_checked({"kill", "-9", pid}));
    for (int i = 0; i < 100 && target->state("small").value() != VmState::TurnedOff; ++i) ::usleep(50'000);
    EXPECT_EQ(target->state("small").value(), VmState::TurnedOff);
    ASSERT_OK(target->stop("small", seconds(0)));
    EXPECT_THAT(run_checked({"ip", "-br", "link"}).value(), Not(HasSubstr("n0")));
    ASSERT_OK(target->start("small", {}));
}

TEST_F(QemuTest, network_boot_asks_on_its_network) {
    ASSERT_OK(target->create_network("VM0", {}));
    auto vm = small_vm();
    ASSERT_OK(target->create(vm));
    auto guest_sent = [] {
        const auto text = run_checked({"ip", "-s", "-o", "link", "show", "master", "sl-VM0"}).value();
        // "… RX: bytes packets errors … \\    BYTES PACKETS …": what the tap received is what the guest sent.
        const auto words = split(text.substr(text.find("RX:")), '\\');
        return words.size() > 1 ? parse_u64(trim(words[1]).substr(0, trim(words[1]).find(' '))).value_or(0) : 0;
    };
    ASSERT_OK(target->start("small", {.boot = BootFrom::Network}));
    for (int i = 0; i < 600 && guest_sent() < 300; ++i) ::usleep(50'000);
    EXPECT_GE(guest_sent(), 300u) << "no DHCP DISCOVER came";
    ASSERT_OK(target->stop("small", seconds(0)));
    ASSERT_OK(target->start("small", {.boot = BootFrom::Disk}));
    EXPECT_ERROR(target->boot_proof("small", "n", seconds(5)), kNoProof);
    EXPECT_LT(guest_sent(), 300u) << "a machine that boots from its disk has no business on the network";
}

TEST_F(QemuTest, foreign_disks_are_neither_overwritten_nor_removed) {
    const auto outside = TempDir::create("vmm-disks").value();
    const auto file = outside / "kept.vhd";
    VmDefinition vm{.name = "small", .uuid = Uuid::random(), .memory_mib = 64};
    vm.disks = {{.path = "fresh.vhd", .size_bytes = 1 << 20}, {.path = file.string(), .size_bytes = 1 << 20}};
    ASSERT_TRUE(disks::create_vhd(file, disks::VhdKind::Fixed, 1 << 20).ok());
    EXPECT_ERROR(target->create(vm), kDiskExists);
    EXPECT_FALSE(fs::exists(dir.path() / "small"));
    vm.disks[1].create = false;
    ASSERT_OK(target->create(vm));
    ASSERT_OK(target->remove("small"));
    EXPECT_TRUE(fs::exists(file));
    vm.disks[1].path = (outside / "missing.vhd").string();
    EXPECT_ERROR(target->create(vm), kDiskMissing);
}

TEST_F(QemuTest, linked_disk_is_the_machines_alone_and_undo_keeps_writes_from_it) {
    const auto outside = TempDir::create("vmm-disks").value();
    constexpr std::uint64_t kBytes = 8u << 20;
    disks::test::make_file(outside / "disk.img", kBytes);
    const auto loop = disks::test::LoopDevice::attach(outside / "disk.img");
    if (!loop) GTEST_SKIP() << "there is no loop device";
    auto open_it = [&](disks::OpenMode mode) { return disks::FileDisk::open(loop->path(), mode).value(); };
    ASSERT_OK(open_it(disks::OpenMode::ReadWrite)->write(0, boot_sector("SLIPWAY-UP n-1\n")));
    auto written = [&] {
        Bytes sector(512);
        EXPECT_TRUE(open_it(disks::OpenMode::ReadOnly)->read(512, sector).ok());
        return !all_zero(sector);
    };
    VmDefinition vm{.name = "small", .uuid = Uuid::random(), .memory_mib = 64};
    vm.disks = {{.path = loop->path(), .kind = DiskKind::Linked, .size_bytes = kBytes, .create = false}};
    ASSERT_OK(target->create(vm));
    auto second = vm;
    second.name = "second";
    second.uuid = Uuid::random();
    ASSERT_OK(target->create(second));

    for (const bool undo : {true, false}) {
        ASSERT_OK(target->start("small", {.undo = undo}));
        ASSERT_OK(target->boot_proof("small", "n-1", seconds(60)));
        // Neither another machine nor the host gets it.
        EXPECT_ERROR(target->start("second", {.undo = true}), kLinkedDisk);
        EXPECT_ERROR(target->start("second", {}), kLinkedDisk);
        const UniqueFd exclusive(::open(loop->path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        EXPECT_LT(exclusive.get(), 0);
        EXPECT_EQ(errno, EBUSY);
        ASSERT_OK(target->stop("small", seconds(0)));
        if (!undo) break;
        EXPECT_FALSE(written());
        ASSERT_OK(target->discard_undo("small"));
        EXPECT_FALSE(written());
    }
    EXPECT_TRUE(written());
    ASSERT_OK(open_it(disks::OpenMode::ReadWrite)->write(512, Bytes(512)));
    ASSERT_OK(target->start("small", {.undo = true}));
    ASSERT_OK(target->boot_proof("small", "n-1", seconds(60)));
    ASSERT_OK(target->stop("small", seconds(0)));
    EXPECT_FALSE(written());
    ASSERT_OK(target->commit_undo("small"));
    EXPECT_TRUE(written());
    ASSERT_OK(target->remove("small"));
    EXPECT_TRUE(written()) << "a disk of the host stays as it is";
    ASSERT_OK(target->start("second", {}));
}

TEST_F(QemuTest, half_made_machine_gives_way_to_the_next_try) {
    VmDefinition vm{.name = "small", .uuid = Uuid::random(), .memory_mib = 64};
    vm.disks = {{.path = "one.vhd", .size_bytes = 1 << 20}};
    fs::create_directories(dir.path() / "small");
    ASSERT_OK(write_file_atomic(dir.path() / "small/changing.xml", as_bytes(render_definition(vm))));
    ASSERT_OK(write_file_atomic(dir.path() / "small/one.vhd", as_bytes("cut")));
    EXPECT_ERROR(target->state("small"), kNoVm);
    ASSERT_OK(target->create(vm));
    EXPECT_EQ(target->state("small").value(), VmState::TurnedOff);
}

TEST_F(QemuTest, network_takes_a_bridge_as_it_is_and_a_card_only_without_addresses) {
    ASSERT_OK(run_checked({"ip", "link", "add", "br0", "type", "bridge"}));
    ASSERT_OK(run_checked({"ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"}));
    ASSERT_OK(run_checked({"ip", "addr", "add", "10.9.9.1/24", "dev", "v1"}));
    ASSERT_OK(target->create_network("lab", {"br0"}));
    EXPECT_EQ(target->networks()->at(0).bridge, "br0");
    EXPECT_FALSE(target->networks()->at(0).made);
    ASSERT_OK(target->remove_network("lab"));
    EXPECT_THAT(run_checked({"ip", "-br", "link"}).value(), HasSubstr("br0"));
    EXPECT_ERROR(target->create_network("x", {"v1"}), kInterface);
    EXPECT_ERROR(target->create_network("x", {"none"}), kInterface);
    ASSERT_OK(target->create_network("wire", {"v0"}));
    EXPECT_THAT(run_checked({"ip", "-br", "link", "show", "master", "sl-wire"}).value(), HasSubstr("v0"));
    ASSERT_OK(target->remove_network("wire"));
    ASSERT_OK(run_checked({"ip", "link", "del", "v0"}));
    ASSERT_OK(run_checked({"ip", "link", "del", "br0"}));
}

TEST_F(QemuTest, uefi_machine_has_its_own_variables) {
    if (!fs::exists("/usr/share/OVMF/OVMF_VARS_4M.fd")) GTEST_SKIP() << "ovmf is not installed";
    VmDefinition vm{.name = "small", .uuid = Uuid::random(), .memory_mib = 256, .firmware = Firmware::Uefi};
    ASSERT_OK(target->create(vm));
    EXPECT_TRUE(fs::exists(dir.path() / "small/vars.fd"));
    ASSERT_OK(target->start("small", {}));
    EXPECT_EQ(target->state("small").value(), VmState::Running);
}

TEST_F(QemuTest, acceleration_is_tried_once_for_a_kernel) {
    const auto cache = dir / ".accelerator.json";
    const auto first = choose_accelerator("qemu-system-x86_64", cache);
    EXPECT_TRUE(first == "kvm" || first == "tcg");
    utsname name{};
    ::uname(&name);
    EXPECT_THAT(read_text_file(cache).value(), HasSubstr(name.release));
    // Kept: a program that does not exist is not asked.
    EXPECT_EQ(choose_accelerator("/nonexistent/qemu", cache), first);
    ASSERT_OK(write_file_atomic(cache, as_bytes("{\"release\":\"1.0\",\"kvm\":true}")));
    EXPECT_EQ(choose_accelerator("/nonexistent/qemu", cache), "tcg");
}
