// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/base/xml.hpp"
#include "vmm-target/command_line.hpp"
#include "vmm-target/definition.hpp"
#include "vmm-target/errors.hpp"
#include "vmm-target/host_network.hpp"
#include "vmm-target/proof_line.hpp"
#include "vmm-target/vm_directory.hpp"

using namespace slipway;
using namespace slipway::vmm;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

VmDefinition poseidon() {
    VmDefinition vm{.name = "poseidon", .uuid = *Uuid::parse("7a1f0d52-3c55-4b56-9d0a-0f6d9c2a11e0")};
    vm.disks = {
        {.path = "poseidon.vhd", .size_bytes = 3ull << 30},
        {.path = "/srv/a & \"b\".vhd",
         .kind = DiskKind::Dynamic,
         .size_bytes = 1 << 20,
         .controller = Controller::VirtioBlk,
         .create = false},
        {.path = "/dev/disk/by-id/ata-X_1", .kind = DiskKind::Linked, .size_bytes = 4ull << 40, .create = false}};
    vm.directory = "/srv/vm & more";
    vm.adapters = {{.mac = *MacAddress::parse("52:54:00:51:00:02"), .network = "VM0"},
                   {.mac = *MacAddress::parse("52:54:00:51:00:03"), .model = AdapterModel::Virtio}};
    return vm;
}

std::string xml_with(const std::string& attributes, const std::string& inside = "") {
    return "<vm xmlns=\"urn:slipway:vm:1\" name=\"a\" memory-mib=\"64\" " + attributes + ">" + inside + "</vm>";
}

std::string refusal(const std::string& xml) {
    const auto parsed = parse_definition(xml);
    if (parsed) return "accepted";
    EXPECT_TRUE(parsed.error().is(vmm::errors::kDefinition)) << parsed.error().describe();
    return parsed.error().message();
}

}  // namespace

TEST(Definition, survives_the_round_trip_and_the_schema) {
    const auto xml = render_definition(poseidon());
    const auto parsed = parse_definition(xml);
    ASSERT_TRUE(parsed.ok()) << parsed.error().describe();
    EXPECT_EQ(parsed->definition, poseidon());
    EXPECT_THAT(parsed->warnings, IsEmpty());
    EXPECT_TRUE(check_against_xsd(xml, definition_schema()).ok());
}

TEST(Definition, every_seed_is_as_its_name_says) {
    const std::string seeds = SLIPWAY_SOURCE_DIR "/vmm-target/fuzz/seeds/";
    for (const char* name : {"poseidon.xml", "short.xml"}) {
        const auto text = read_text_file(seeds + name).value();
        EXPECT_TRUE(parse_definition(text).ok()) << name;
        EXPECT_TRUE(check_against_xsd(text, definition_schema()).ok()) << name;
    }
    const auto unknown = parse_definition(read_text_file(seeds + "unknown.xml").value());
    ASSERT_TRUE(unknown.ok());
    EXPECT_EQ(unknown->warnings.size(), 2u);
}

TEST(Definition, without_uuid_the_same_text_is_the_same_machine) {
    const auto one = parse_definition(xml_with("")), two = parse_definition(xml_with(""));
    ASSERT_TRUE(one.ok());
    EXPECT_EQ(one->definition, two->definition);
    EXPECT_FALSE(one->definition.uuid.is_zero());
}

TEST(Definition, hostile_texts_are_refused_by_name) {
    auto disk = [](const std::string& rest) { return xml_with("", "<disks><disk " + rest + "/></disks>"); };
    EXPECT_THAT(refusal("<vm"), HasSubstr("line 1"));
    EXPECT_THAT(refusal("<vm name='a' memory-mib='64'/>"), HasSubstr("urn:slipway:vm:1"));
    EXPECT_THAT(refusal(xml_with("x=\"1\"")), HasSubstr("unknown attribute x"));
    EXPECT_THAT(refusal(xml_with("firmware=\"efi\"")), HasSubstr("efi"));
    EXPECT_THAT(refusal(xml_with("processors=\"0\"")), HasSubstr("processors"));
    EXPECT_THAT(refusal(xml_with("uuid=\"00000000-0000-0000-0000-000000000000\"")), HasSubstr("zero"));
    EXPECT_THAT(refusal("<vm xmlns=\"urn:slipway:vm:1\" name=\"../a\" memory-mib=\"64\"/>"), HasSubstr("name"));
    EXPECT_THAT(refusal(xml_with("", "<disks/><disks/>")), HasSubstr("twice"));
    EXPECT_THAT(refusal(disk("path='../x.vhd' size-bytes='512'")), HasSubstr("'..'"));
    EXPECT_THAT(refusal(disk("path='run.json' size-bytes='512'")), HasSubstr(".vhd"));
    EXPECT_THAT(refusal(disk("path='a.vhd' size-bytes='513'")), HasSubstr("multiple"));
    EXPECT_THAT(refusal(disk("path='a.vhd' size-bytes='99999999999999999999999'")), HasSubstr("size-bytes"));
    EXPECT_THAT(refusal(disk("path='a.vhd' size-bytes='512' controller='floppy'")), HasSubstr("floppy"));
    std::string adapters = "<adapters>";
    for (int i = 0; i < 5; ++i) adapters += "<adapter mac='52540000000" + std::to_string(i) + "'/>";
    EXPECT_THAT(refusal(xml_with("", adapters + "</adapters>")), HasSubstr("more than 4"));
    EXPECT_THAT(refusal(xml_with("", "<adapters><adapter mac='010000000000'/></adapters>")), HasSubstr("address"));
    std::string disks = "<disks>";
    for (int i = 0; i < 5; ++i) disks += "<disk path='" + std::to_string(i) + ".vhd' size-bytes='512'/>";
    EXPECT_THAT(refusal(xml_with("", disks + "</disks>")), HasSubstr("ide"));
}

TEST(LinkedDisk, is_a_device_that_is_there) {
    auto with = [](const std::string& attributes) {
        return refusal(xml_with("", "<disks><disk kind='linked' " + attributes + "/></disks>"));
    };
    EXPECT_EQ(with("path='/dev/sdb' size-bytes='512' create='false'"), "accepted");
    EXPECT_THAT(with("path='/dev/sdb' size-bytes='512'"), HasSubstr("create is false"));
    EXPECT_THAT(with("path='/srv/sdb' size-bytes='512' create='false'"), HasSubstr("below /dev"));
    EXPECT_THAT(with("path='sdb.vhd' size-bytes='512' create='false'"), HasSubstr("below /dev"));
    EXPECT_THAT(with("path='/dev/../etc' size-bytes='512' create='false'"), HasSubstr("'..'"));
    EXPECT_THAT(with("path='/dev/sdb' size-bytes='0' create='false'"), HasSubstr("512"));
}

TEST(Directory, is_an_absolute_one) {
    EXPECT_EQ(refusal(xml_with("directory=\"\"")), "accepted");
    EXPECT_EQ(refusal(xml_with("directory=\"/srv/vm\"")), "accepted");
    for (const char* bad : {"srv", "/srv/../etc", "/a\x7f"})
        EXPECT_THAT(refusal(xml_with(std::string("directory=\"") + bad + "\"")), HasSubstr("directory")) << bad;
}

TEST(Directory, of_the_operator_s_choice_holds_the_machine_and_goes_with_it) {
    const auto temp = TempDir::create("vmdir").value();
    auto vm = poseidon();
    vm.directory = (temp / "chosen/deep").string();
    vm.disks = {{.path = "own.vhd", .size_bytes = 1 << 20}};
    const VmDirectory machine(temp / "state/poseidon");
    for (int run = 0; run < 2; ++run) {
        ASSERT_TRUE(machine.begin_create(vm).ok());
        EXPECT_TRUE(machine.half_made());
        ASSERT_TRUE(make_disks(vm, machine.path()).ok());
        ASSERT_TRUE(machine.finish_create().ok());
        EXPECT_TRUE(std::filesystem::exists(temp / "chosen/deep/poseidon/vm.xml"));
        EXPECT_TRUE(std::filesystem::exists(temp / "chosen/deep/poseidon/own.vhd"));
        EXPECT_EQ(machine.definition().value(), vm);
        ASSERT_TRUE(machine.remove_all().ok());
        EXPECT_FALSE(machine.exists() || machine.half_made());
        EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(machine.path())));
        EXPECT_TRUE(std::filesystem::is_empty(temp / "chosen/deep"));
        // As after a removal that was cut off.
        std::filesystem::create_directory_symlink(temp / "chosen/deep/poseidon", machine.path());
    }
}

TEST(Directory, with_someone_else_s_files_is_refused) {
    const auto temp = TempDir::create("vmdir").value();
    auto vm = poseidon();
    vm.directory = temp.path().string();
    std::filesystem::create_directories(temp / "poseidon");
    ASSERT_TRUE(write_file_atomic(temp / "poseidon/letters", as_bytes("dear")).ok());
    const auto refused = VmDirectory(temp / "state/poseidon").begin_create(vm);
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message(), HasSubstr("not empty"));
    EXPECT_TRUE(std::filesystem::exists(temp / "poseidon/letters"));
}

TEST(CommandLine, booting_from_disk_leaves_no_rom_and_names_the_vhd_in_json) {
    const QemuPlan plan{.program = "qemu",
                        .accelerator = "tcg",
                        .pid_file = "/s/pid",
                        .disks = {{"/s/a,b.vhd", false}, {"/s/undo-1.qcow2", true}, {"/dev/sdb", false, true}},
                        .taps = {"tap0", ""}};
    const auto argv = qemu_command(poseidon(), plan);
    const auto line = join(argv, " ");
    EXPECT_THAT(line, HasSubstr("\"filename\":\"/s/a,b.vhd\""));
    EXPECT_THAT(line, HasSubstr("{\"driver\":\"qcow2\",\"node-name\":\"disk1\""));
    EXPECT_THAT(line, HasSubstr("{\"driver\":\"raw\",\"node-name\":\"disk2\""));
    EXPECT_THAT(line, HasSubstr("{\"driver\":\"host_device\",\"filename\":\"/dev/sdb\""));
    EXPECT_THAT(argv, Contains("ide-hd,bus=ide.0,unit=0,drive=disk0,id=hd0,bootindex=0"));
    EXPECT_THAT(argv, Contains("tap,id=net0,ifname=tap0,script=no,downscript=no"));
    EXPECT_THAT(argv, Contains("hubport,id=net1,hubid=1"));
    EXPECT_THAT(argv, Contains("e1000,netdev=net0,mac=52:54:00:51:00:02,addr=0x3,romfile="));
    EXPECT_THAT(argv, Contains("tcg,thread=multi"));
}

TEST(CommandLine, booting_from_network_comes_before_the_disks) {
    QemuPlan plan{.program = "qemu",
                  .accelerator = "kvm",
                  .pid_file = "/s/pid",
                  .disks = {{"/a", false}, {"/b", false}, {"/c", false, true}},
                  .taps = {"t", "u"},
                  .boot = BootFrom::Network};
    auto vm = poseidon();
    vm.firmware = Firmware::Uefi;
    const auto argv = qemu_command(vm, plan);
    EXPECT_THAT(argv, Contains("e1000,netdev=net0,mac=52:54:00:51:00:02,addr=0x3,bootindex=0"));
    EXPECT_THAT(argv, Contains("ide-hd,bus=ide.0,unit=0,drive=disk0,id=hd0,bootindex=2"));
    EXPECT_THAT(argv, Contains("host"));
    EXPECT_THAT(join(argv, " "), HasSubstr("if=pflash,unit=1,format=raw,file=vars.fd"));
}

TEST(CommandLine, one_controller_carries_several_disks) {
    auto vm = poseidon();
    vm.disks.assign(3, {.path = "x", .size_bytes = 512, .controller = Controller::ScsiLsi});
    QemuPlan plan{.program = "qemu", .accelerator = "tcg", .pid_file = "p"};
    plan.disks.assign(3, {"/x", false});
    const auto argv = qemu_command(vm, plan);
    EXPECT_EQ(std::count(argv.begin(), argv.end(), "lsi53c895a,id=lsi,addr=0x8"), 1);
    EXPECT_THAT(argv, Contains("scsi-hd,bus=lsi.0,scsi-id=2,drive=disk2,id=hd2,bootindex=2"));
}

TEST(ProofLine, only_the_whole_line_of_this_nonce_counts) {
    EXPECT_TRUE(has_proof("noise\nSLIPWAY-UP n1\n", "n1"));
    EXPECT_TRUE(has_proof("SLIPWAY-UP n1\r\n", "n1"));
    EXPECT_TRUE(has_proof("Loading initial ramdisk ...\n\rSLIPWAY-UP n1\n", "n1")) << "as OVMF and GRUB leave it";
    EXPECT_FALSE(has_proof("SLIPWAY-UP n1", "n1"));
    EXPECT_FALSE(has_proof("SLIPWAY-UP n12\n", "n1"));
    EXPECT_FALSE(has_proof("xSLIPWAY-UP n1\n", "n1"));
    EXPECT_EQ(other_proof("SLIPWAY-UP old\nSLIPWAY-UP n1\n", "n1"), "SLIPWAY-UP old");
    EXPECT_EQ(other_proof("SLIPWAY-UP n1\n", "n1"), "");
}

TEST(ProofLine, refusal_of_this_nonce_comes_with_its_reason) {
    EXPECT_EQ(refusal("x\nSLIPWAY-REFUSED n1 root is read-only\r\n", "n1"), "root is read-only");
    EXPECT_EQ(refusal("SLIPWAY-REFUSED n1 a\x1b[2Jb\n", "n1")->find('\x1b'), std::string::npos);
    EXPECT_EQ(refusal("SLIPWAY-REFUSED n1 " + std::string(5000, 'a') + "\n", "n1")->size(), 300u);
    EXPECT_FALSE(refusal("SLIPWAY-REFUSED n12 x\n", "n1"));
    EXPECT_FALSE(refusal("SLIPWAY-REFUSED n1 not whole", "n1"));
}

TEST(HostNames, fit_into_what_the_kernel_takes) {
    EXPECT_EQ(bridge_name("VM0"), "sl-VM0");
    EXPECT_LE(bridge_name(std::string(63, 'a')).size(), 15u);
    EXPECT_NE(bridge_name(std::string(63, 'a')), bridge_name(std::string(62, 'a')));
    EXPECT_LE(tap_name(poseidon().uuid, 3).size(), 15u);
    EXPECT_NE(tap_name(poseidon().uuid, 0), tap_name(poseidon().uuid, 1));
}
