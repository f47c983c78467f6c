// SPDX-License-Identifier: GPL-3.0-or-later
// Machines that are known only by a dump, from end to end by the programs: imported, validated, generated for, and made
// on the null target. What stands in the findings is the rules' own test; here the four must agree with each other.
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "vmm-target/target.hpp"

using namespace slipway;
namespace fs = std::filesystem;

namespace {

const fs::path kSeeds = SLIPWAY_SOURCE_DIR "/gatherhw/fuzz";
const fs::path kGolden = SLIPWAY_SOURCE_DIR "/vmscript/test/golden/real";
const fs::path kCompleted = SLIPWAY_SOURCE_DIR "/vmscript/test/golden/completed";
const fs::path kFacts = SLIPWAY_SOURCE_DIR "/vmscript/test/facts";
const fs::path kReal = SLIPWAY_SOURCE_DIR "/../shared/data";

std::string program(const char* name) {
    return (fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / name).string();
}

enum class End { Refused, Made };

bool regenerate() { return std::getenv("SLIPWAY_REGENERATE") != nullptr; }

// SLIPWAY_REGENERATE=1 writes it anew.
void expect_golden(const fs::path& path, const std::string& text) {
    if (regenerate()) {
        fs::create_directories(path.parent_path());
        ASSERT_TRUE(write_file_atomic(path, as_bytes(text), 0644).ok());
    }
    EXPECT_EQ(read_text_file(path).value_or(""), text) << path;
}

std::set<std::string> names_in(const fs::path& directory) {
    std::set<std::string> out;
    if (fs::exists(directory))
        for (const auto& entry : fs::directory_iterator(directory)) out.insert(entry.path().filename());
    return out;
}

class Migration {
public:
    Migration() = default;
    // facts: a file of kFacts that completes what the dump says; switches: for validation and generation; import: more
    // words for the import.
    Migration(std::string facts, std::vector<std::string> switches, std::vector<std::string> import = {})
        : facts_(std::move(facts)), switches_(std::move(switches)), import_(std::move(import)) {}

    // golden: a file of golden/real that has the table; empty: none.
    End run(const std::string& kind, const std::vector<std::string>& dumps, const std::string& golden = "") {
        import(kind, dumps);
        auto verdict = validate();
        if (!golden.empty()) expect_golden(kGolden / (golden + ".txt"), findings(kNotTheClocks));
        auto end = generate();
        // What was found to have errors is not written for.
        EXPECT_FALSE(end == End::Made && verdict == kExitFailed) << dumps[0];
        if (end == End::Made) make_on_the_null_target();
        return end;
    }

    // What it was found to be and all that was written for it, in golden/completed/NAME.
    void compare_all(const std::string& name) const {
        expect_golden(kCompleted / name / "validation.txt", findings("inventory;" + std::string(kNotTheClocks)));
        const auto written = names_in(temp_ / "p2v/triton");
        EXPECT_EQ(written.size(), 12u);
        for (const auto& file : written) {
            auto text = read_text_file(temp_ / "p2v/triton" / file);
            ASSERT_TRUE(text.ok()) << text.error().explain();
            expect_golden(kCompleted / name / file, *text);
        }
        auto all = written;
        all.insert("validation.txt");
        EXPECT_EQ(names_in(kCompleted / name), all) << "a golden file that is not written any more";
    }

private:
    // The fleet is not asked; the age of an inventory is the clock's business.
    static constexpr const char* kNotTheClocks =
        "processor;memory;disks;file-systems;boot;os;network;services;devices;agent;space";

    CommandResult vmscript(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), program("vmscript"));
        arguments.insert(arguments.end(), switches_.begin(), switches_.end());
        CommandOptions options;
        options.working_directory = temp_.path();
        return run_command(arguments, options).value();
    }

    void import(const std::string& kind, const std::vector<std::string>& dumps) const {
        std::vector<std::string> arguments{program("gatherhw-import"), kind};
        arguments.insert(arguments.end(), dumps.begin(), dumps.end());
        arguments.insert(arguments.end(), import_.begin(), import_.end());
        if (!facts_.empty()) arguments.insert(arguments.end(), {"--add", (kFacts / facts_).string()});
        arguments.insert(arguments.end(), {"--host-name", "triton", "-o", (temp_ / "x.xml").string()});
        auto run = run_command(arguments);
        ASSERT_TRUE(run.ok());
        ASSERT_TRUE(run->exit_code == kExitDone || run->exit_code == kExitWarnings) << run->error_text;
    }

    int validate() const {
        auto json = vmscript({"--hwvalidate", "--hwinfofile", "x.xml", "--json"});
        EXPECT_TRUE(json.output.starts_with("{") && json.output.find("\"triton\"") != std::string::npos)
            << json.output.substr(0, 200) << json.error_text;
        auto text = vmscript({"--hwvalidate", "--hwinfofile", "x.xml"});
        EXPECT_EQ(text.exit_code, json.exit_code);
        EXPECT_TRUE(text.exit_code == kExitDone || text.exit_code == kExitFailed || text.exit_code == kExitWarnings)
            << text.exit_code << text.error_text;
        return text.exit_code;
    }

    std::string findings(const std::string& groups) const {
        auto run = vmscript({"--hwvalidate", "--hwinfofile", "x.xml", "--group", groups});
        return run.output.substr(0, run.output.rfind("\n", run.output.rfind(" OK, ")));
    }

    End generate() const {
        auto run = vmscript({"--hwgeneratep2v", "--hwinfofile", "x.xml", "--name", "triton", "--vmconfigpath",
                             "/srv/vm", "--virtualdiskpath", "/srv/disks", "--hwdestvs", "hercules"});
        bool written = fs::exists(temp_ / "p2v/triton/triton_captureDisk.xml");
        if (run.exit_code == kExitDone) {
            EXPECT_TRUE(written);
            return End::Made;
        }
        EXPECT_EQ(run.exit_code, kExitFailed) << run.error_text;
        EXPECT_NE(run.error_text.find("[vmscript."), std::string::npos) << run.error_text;
        EXPECT_FALSE(fs::exists(temp_ / "p2v")) << "a refused machine leaves nothing";
        return End::Refused;
    }

    void make_on_the_null_target() const {
        auto xml = read_text_file(temp_ / "p2v/triton/triton_internalState.xml");
        ASSERT_TRUE(xml.ok()) << xml.error().explain();
        auto parsed = vmm::parse_definition(*xml);
        ASSERT_TRUE(parsed.ok()) << parsed.error().explain();
        EXPECT_TRUE(parsed->warnings.empty());
        vmm::HostResources rich{[]() -> Result<std::uint64_t> { return 1ull << 50; },
                                [](const fs::path&) -> Result<std::uint64_t> { return 1ull << 60; }};
        auto target = vmm::make_null_target(rich);
        std::set<std::string> networks;
        for (const auto& a : parsed->definition.adapters) networks.insert(a.network);
        for (const auto& name : networks) ASSERT_TRUE(target->create_network(name, {}).ok()) << name;
        auto created = target->create(parsed->definition);
        ASSERT_TRUE(created.ok()) << created.error().explain();
        ASSERT_TRUE(target->start("triton", {.boot = vmm::BootFrom::Network}).ok());
        EXPECT_EQ(target->state("triton").value(), vmm::VmState::Running);
        ASSERT_TRUE(target->stop("triton", std::chrono::seconds(0)).ok());
        EXPECT_TRUE(target->remove("triton").ok());
    }

    TempDir temp_ = std::move(TempDir::create("imports").value());
    std::string facts_;
    std::vector<std::string> switches_, import_;
};

std::vector<std::string> files_in(const fs::path& directory) {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(directory)) out.push_back(entry.path().string());
    return out;
}

// A file of ../shared/data in a directory, unpacked.
Result<std::string> unpacked(const fs::path& from, const fs::path& into) {
    auto plain = into / from.filename();
    if (plain.extension() == ".xz") {
        plain.replace_extension();
        auto text = TRY(run_checked({"xz", "-dc", from.string()}));
        TRY(write_file_atomic(plain, as_bytes(text)));
    } else {
        fs::copy_file(from, plain);
    }
    return plain.string();
}

const char* what_is_absent() {
    if (!fs::exists(kReal / "hw") || !fs::exists(kReal / "wmi")) return "the real dumps (../shared/data) are absent";
    auto xz = run_command({"xz", "--version"});
    return xz && xz->ok() ? nullptr : "xz is not installed";
}

struct CompletedRow {
    const char* name;  // of its folder in golden/completed and its file in facts
    const char* kind;
    std::vector<std::string> dumps;  // below ../shared/data
    std::vector<std::string> switches;
    // Windows' partitions are not known then: that is not checked, and stops nothing.
    End without_facts = End::Refused;
};

}  // namespace

TEST(Imports, a_linux_server_from_lshw_is_made_on_the_null_target) {
    EXPECT_EQ(Migration().run("lshw", {(kSeeds / "seeds-import-lshw/server.xml").string()}), End::Made);
}

TEST(Imports, a_machine_without_disks_or_sizes_is_refused_and_leaves_nothing) {
    EXPECT_EQ(Migration().run("smbios", {(kSeeds / "seeds-import-smbios/table.bin").string()}), End::Refused);
    EXPECT_EQ(Migration().run("udev", {(kSeeds / "seeds-import-udev/server.txt").string()}), End::Refused);
}

TEST(Imports, a_windows_server_from_wmi_is_made_on_the_null_target) {
    EXPECT_EQ(Migration().run("wmi", files_in(kSeeds / "seeds-import-wmi")), End::Made);
}

// Each of them lacks what a plan needs: a MAC address, where the root is, sizes, all but one class.
TEST(Imports, no_real_dump_says_enough_alone_and_each_is_refused_with_what_it_lacks) {
    if (const char* why = what_is_absent()) GTEST_SKIP() << why;
    const std::pair<const char*, const char*> folders[] = {
        {"lshw", "hw/lshw"}, {"udev", "hw/udevadm"}, {"smbios", "hw/dmidump"}, {"wmi", "wmi"}};
    auto temp = TempDir::create("dumps").value();
    int refused = 0;
    for (const auto& [kind, folder] : folders)
        for (const auto& path : files_in(kReal / folder)) {
            auto plain = unpacked(path, temp.path());
            ASSERT_TRUE(plain.ok()) << plain.error().explain();
            auto name = fs::path(*plain).filename().string();
            EXPECT_EQ(Migration().run(kind, {*plain}, name), End::Refused) << name;
            ++refused;
        }
    EXPECT_GE(refused, 20);
}

// Real machines all the way: what the dumps lack is added as an operator does it, by gatherhw-import --add. The classes
// of the Windows 7 come from virtual machines of the same kind and layout; those of processors (32 bits alone) and
// memory (half of what the system sees) do not fit to them. Its second disk is a VHD that was attached for a test.
TEST(Imports, a_real_machine_that_an_operator_completed_is_made_on_the_null_target) {
    if (const char* why = what_is_absent()) GTEST_SKIP() << why;
    auto temp = TempDir::create("dumps").value();
    const CompletedRow rows[] = {
        {"poweredge-c6105", "lshw", {"hw/lshw/collins-lshw-nvme.xml.xz"}, {}},
        {"precision-7510", "lshw", {"hw/lshw/collins-lshw-dell.xml.xz"}, {}},
        {"windows-7",
         "wmi",
         {"wmi/win7-sp1-x64-Win32_OperatingSystem.wmi.xz", "wmi/win7-sp1-x64-Win32_DiskDrive.wmi.xz",
          "wmi/win7-sp1-x64-Win32_Volume.wmi.xz", "wmi/10-Win32_NetworkAdapterConfiguration.wmi.xz"},
         {"--excludedrives", "disk1"},
         End::Made}};
    for (const auto& row : rows) {
        SCOPED_TRACE(row.name);
        std::vector<std::string> dumps;
        for (const auto& dump : row.dumps) {
            auto plain = unpacked(kReal / dump, temp.path());
            ASSERT_TRUE(plain.ok()) << plain.error().explain();
            dumps.push_back(*plain);
        }
        EXPECT_EQ(Migration("", row.switches).run(row.kind, dumps), row.without_facts) << "without the facts";
        Migration completed(row.name + std::string(".xml"), row.switches);
        ASSERT_EQ(completed.run(row.kind, dumps), End::Made);
        completed.compare_all(row.name);
    }
}

// The same PowerEdge with files of its own /etc in place of what an administrator would say: LVM's backup and fstab
// tell where the root is. They are made here, over the real sizes of its disk.
TEST(Imports, a_real_machine_with_its_lvm_backup_and_fstab_is_made_on_the_null_target) {
    if (const char* why = what_is_absent()) GTEST_SKIP() << why;
    auto temp = TempDir::create("dumps").value();
    auto dump = unpacked(kReal / "hw/lshw/collins-lshw-nvme.xml.xz", temp.path());
    ASSERT_TRUE(dump.ok()) << dump.error().explain();
    auto put = [&](const char* name, std::string_view text) {
        EXPECT_TRUE(write_file_atomic(temp / name, as_bytes(text)).ok());
        return (temp / name).string();
    };
    auto lvm = put("VolGroup00", R"(contents = "Text Format Volume Group"
VolGroup00 {
    extent_size = 65536
    physical_volumes { pv0 { device = "/dev/sda2" dev_size = 583769970 pe_start = 384 pe_count = 8907 } }
    logical_volumes {
        LogVol00 { status = ["READ", "WRITE", "VISIBLE"] segment1 { extent_count = 8375 stripes = ["pv0", 0] } }
        LogVol01 { status = ["READ", "WRITE", "VISIBLE"] segment1 { extent_count = 512 stripes = ["pv0", 8375] } }
    }
}
)");
    auto fstab = put("fstab",
                     "/dev/VolGroup00/LogVol00 / ext3 defaults 1 1\n/dev/sda1 /boot ext3 defaults 1 2\n"
                     "/dev/VolGroup00/LogVol01 swap swap defaults 0 0\n");
    EXPECT_EQ(Migration("", {}, {"--lvm", lvm}).run("lshw", {*dump}), End::Refused) << "nothing says what is root";
    EXPECT_EQ(Migration("", {}, {"--lvm", lvm, "--fstab", fstab}).run("lshw", {*dump}), End::Made);
}
