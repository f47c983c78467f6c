// SPDX-License-Identifier: GPL-3.0-or-later
// The lab's Debian in a VHD, repaired by slipway-fixup, boots here: undo disk, proof, shutdown by the guest, commit.
#include <unistd.h>

#include <cstdlib>

#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "vmm-target/target.hpp"
#include "vmm-target/test/checks.hpp"

using namespace slipway;
using namespace slipway::vmm;
using std::chrono::seconds;
namespace fs = std::filesystem;

TEST(Poseidon, boots_repaired_from_a_vhd_and_proves_it_on_two_controllers) {
    if (::geteuid() != 0 || !fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs root and loop devices";
    const auto dir = TempDir::create("vmm-poseidon").value();
    const auto raw = (dir / "poseidon.img").string(), vhd = (dir / "poseidon.vhd").string();
    ASSERT_OK(run_checked({SLIPWAY_SOURCE_DIR "/tests/lab/make-source", "--output", raw}));
    ASSERT_OK(run_checked(
        {"qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", raw, vhd}));
    fs::remove(raw);
    const auto bin = fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "build/bin");
    auto target = make_qemu_target({.state_dir = dir / "vm", .accelerator = "tcg"}).value();
    for (const auto controller : {Controller::Ide, Controller::VirtioBlk}) {
        const std::string name(name_of(controller));
        ASSERT_OK(run_checked({(bin / "slipway-fixup").string(), "--disk", vhd, "--target", name, "--nic",
                               "ens18=52:54:00:51:00:02", "--proof-nonce", name}));
        VmDefinition vm{.name = "poseidon", .uuid = Uuid::random(), .memory_mib = 512};
        vm.disks = {{.path = vhd, .size_bytes = 3ull << 30, .controller = controller, .create = false}};
        vm.adapters = {{.mac = *MacAddress::parse("52:54:00:51:00:02")}};
        ASSERT_OK(target->create(vm));
        ASSERT_OK(target->start("poseidon", {.undo = true}));
        const auto proof = target->boot_proof("poseidon", name, seconds(300));
        ASSERT_OK(proof);
        EXPECT_EQ(proof->line, "SLIPWAY-UP " + name);
        RecordProperty(name + "_seconds", std::to_string(proof->seconds));
        const auto stopping = std::chrono::steady_clock::now();
        ASSERT_OK(target->stop("poseidon", seconds(120)));
        EXPECT_LT(std::chrono::steady_clock::now() - stopping, seconds(120));  // it shut itself down
        ASSERT_OK(target->commit_undo("poseidon"));
        ASSERT_OK(target->remove("poseidon"));
        ASSERT_TRUE(fs::exists(vhd));
    }
}
