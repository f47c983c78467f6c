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
const fs::path kReal = SLIPWAY_SOURCE_DIR "/../shared/data";

std::string program(const char* name) {
    return (fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "bin") / name).string();
}

enum class End { Refused, Made };

class Migration {
public:
    // golden: a file of golden/real that has the table; empty: none.
    End run(const std::string& kind, const std::vector<std::string>& dumps, const std::string& golden = "") {
        import(kind, dumps);
        auto verdict = validate();
        if (!golden.empty()) compare(golden);
        auto end = generate();
        // What was found to have errors is not written for.
        EXPECT_FALSE(end == End::Made && verdict == kExitFailed) << dumps[0];
        if (end == End::Made) make_on_the_null_target();
        return end;
    }

private:
    CommandResult vmscript(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), program("vmscript"));
        CommandOptions options;
        options.working_directory = temp_.path();
        return run_command(arguments, options).value();
    }

    void import(const std::string& kind, const std::vector<std::string>& dumps) const {
        std::vector<std::string> arguments{program("gatherhw-import"), kind};
        arguments.insert(arguments.end(), dumps.begin(), dumps.end());
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

    // SLIPWAY_REGENERATE=1 writes it anew. The age of an inventory is the clock's business.
    void compare(const std::string& name) const {
        auto run = vmscript({"--hwvalidate", "--hwinfofile", "x.xml", "--group",
                             "processor;memory;disks;file-systems;boot;os;network;services;devices;agent;space"});
        auto text = run.output.substr(0, run.output.rfind("\n", run.output.rfind(" OK, ")));
        auto path = kGolden / (name + ".txt");
        if (std::getenv("SLIPWAY_REGENERATE") != nullptr) {
            ASSERT_TRUE(write_file_atomic(path, as_bytes(text)).ok());
        }
        EXPECT_EQ(read_text_file(path).value_or(""), text) << name;
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
};

std::vector<std::string> files_in(const fs::path& directory) {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(directory)) out.push_back(entry.path().string());
    return out;
}

}  // namespace

TEST(Imports, a_linux_server_from_lshw_is_made_on_the_null_target) {
    EXPECT_EQ(Migration().run("lshw", {(kSeeds / "seeds-import-lshw/server.xml").string()}), End::Made);
}

TEST(Imports, a_machine_without_disks_or_sizes_is_refused_and_leaves_nothing) {
    EXPECT_EQ(Migration().run("smbios", {(kSeeds / "seeds-import-smbios/table.bin").string()}), End::Refused);
    EXPECT_EQ(Migration().run("udev", {(kSeeds / "seeds-import-udev/server.txt").string()}), End::Refused);
}

TEST(Imports, a_windows_server_from_wmi_goes_all_the_way_to_its_verdict) {
    Migration().run("wmi", files_in(kSeeds / "seeds-import-wmi"));
}

TEST(Imports, every_real_machine_goes_all_the_way_to_its_verdict) {
    if (!fs::exists(kReal / "hw")) GTEST_SKIP() << (kReal / "hw") << " is absent";
    if (!run_command({"xz", "--version"}).ok()) GTEST_SKIP() << "xz is not installed";
    const std::pair<const char*, const char*> folders[] = {
        {"lshw", "hw/lshw"}, {"udev", "hw/udevadm"}, {"smbios", "hw/dmidump"}, {"wmi", "wmi"}};
    auto temp = TempDir::create("dumps").value();
    int made = 0, refused = 0;
    for (const auto& [kind, folder] : folders)
        for (const auto& path : files_in(kReal / folder)) {
            auto plain = temp.path() / fs::path(path).filename();
            if (plain.extension() == ".xz") {
                plain.replace_extension();
                auto text = run_checked({"xz", "-dc", path});
                ASSERT_TRUE(text.ok()) << text.error().explain();
                ASSERT_TRUE(write_file_atomic(plain, as_bytes(*text)).ok());
            } else {
                fs::copy_file(path, plain);
            }
            (Migration().run(kind, {plain.string()}, plain.filename().string()) == End::Made ? made : refused) += 1;
        }
    EXPECT_GE(made + refused, 20);
    EXPECT_GE(refused, 12) << "no SMBIOS or udev dump says enough";
}
