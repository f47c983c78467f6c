// SPDX-License-Identifier: GPL-3.0-or-later
// What every Target keeps; each driver's test runs these cases.
#pragma once

#include <functional>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "vmm-target/target.hpp"
#include "vmm-target/test/checks.hpp"

namespace slipway::vmm::test {

inline VmDefinition small_vm(const std::string& name = "small") {
    VmDefinition vm{.name = name, .uuid = Uuid::random(), .memory_mib = 64};
    vm.disks = {{.path = "one.vhd", .size_bytes = 8 << 20},
                {.path = "two.vhd", .kind = DiskKind::Dynamic, .size_bytes = 16 << 20}};
    vm.adapters = {{.mac = *MacAddress::parse("52:54:00:00:00:01"), .network = "VM0"}};
    return vm;
}

// A driver's fixture sets target.
class TargetFixture : public testing::Test {
public:
    std::unique_ptr<Target> target;
};

template <typename Fixture>
class TargetConformance : public Fixture {};
TYPED_TEST_SUITE_P(TargetConformance);

TYPED_TEST_P(TargetConformance, machine_lives_from_create_to_remove) {
    auto& target = *this->target;
    const auto vm = small_vm();
    EXPECT_ERROR(target.create(vm), kNoNetwork);
    ASSERT_OK(target.check_host(vm));  // its networks may be made after it
    EXPECT_THAT(target.list().value(), testing::IsEmpty());
    ASSERT_OK(target.create_network("VM0", {}));
    ASSERT_OK(target.create(vm));
    EXPECT_ERROR(target.check_host(vm), kVmExists);
    EXPECT_ERROR(target.create(vm), kVmExists);
    EXPECT_THAT(target.list().value(), testing::ElementsAre("small"));
    EXPECT_EQ(target.info("small")->definition, vm);
    EXPECT_EQ(target.state("small").value(), VmState::TurnedOff);
    EXPECT_ERROR(target.screenshot("small"), kState);
    EXPECT_ERROR(target.boot_proof("small", "n", std::chrono::seconds(1)), kState);

    ASSERT_OK(target.start("small", {}));
    EXPECT_EQ(target.state("small").value(), VmState::Running);
    EXPECT_EQ(target.info("small")->started, StartOptions{});
    EXPECT_ERROR(target.start("small", {}), kState);
    const auto picture = target.screenshot("small");
    ASSERT_OK(picture);
    EXPECT_EQ(to_hex(ByteView(*picture).first(8)), "89504e470d0a1a0a");
    EXPECT_ERROR(target.boot_proof("small", "n", std::chrono::seconds(1)), kNoProof);

    ASSERT_OK(target.stop("small", std::chrono::seconds(0)));
    ASSERT_OK(target.stop("small", std::chrono::seconds(0)));
    EXPECT_EQ(target.state("small").value(), VmState::TurnedOff);
    EXPECT_ERROR(target.remove_network("VM0"), kNetworkInUse);
    ASSERT_OK(target.remove("small"));
    EXPECT_THAT(target.list().value(), testing::IsEmpty());
    EXPECT_ERROR(target.state("small"), kNoVm);
    EXPECT_ERROR(target.remove("small"), kNoVm);
    ASSERT_OK(target.remove_network("VM0"));
    EXPECT_THAT(target.networks().value(), testing::IsEmpty());
}

TYPED_TEST_P(TargetConformance, undo_lasts_until_it_is_ended) {
    auto& target = *this->target;
    auto vm = small_vm();
    vm.adapters.clear();
    ASSERT_OK(target.create(vm));
    ASSERT_OK(target.start("small", {.undo = true}));
    EXPECT_ERROR(target.commit_undo("small"), kState);
    EXPECT_ERROR(target.discard_undo("small"), kState);
    ASSERT_OK(target.stop("small", std::chrono::seconds(0)));
    EXPECT_TRUE(target.info("small")->undo_pending);
    EXPECT_ERROR(target.start("small", {}), kUndo);
    ASSERT_OK(target.commit_undo("small"));
    EXPECT_FALSE(target.info("small")->undo_pending);
    ASSERT_OK(target.commit_undo("small"));
    ASSERT_OK(target.start("small", {.undo = true}));
    ASSERT_OK(target.stop("small", std::chrono::seconds(0)));
    ASSERT_OK(target.discard_undo("small"));
    EXPECT_FALSE(target.info("small")->undo_pending);
    ASSERT_OK(target.start("small", {}));
    ASSERT_OK(target.remove("small"));
}

TYPED_TEST_P(TargetConformance, poor_host_is_found_before_anything_is_made) {
    auto& target = *this->target;
    auto vm = small_vm();
    vm.adapters.clear();
    vm.memory_mib = 1 << 20;
    EXPECT_ERROR(target.check_host(vm), kMemory);
    EXPECT_ERROR(target.create(vm), kMemory);
    vm.memory_mib = 64;
    vm.disks[0].size_bytes = 2040ull << 30;
    vm.disks.push_back({.path = "three.vhd", .size_bytes = 2040ull << 30});
    EXPECT_ERROR(target.check_host(vm), kSpace);
    EXPECT_ERROR(target.create(vm), kSpace);
    EXPECT_THAT(target.list().value(), testing::IsEmpty());
}

TYPED_TEST_P(TargetConformance, wrong_names_are_refused) {
    auto& target = *this->target;
    EXPECT_ERROR(target.state("../etc"), kNoVm);
    EXPECT_ERROR(target.remove(".networks"), kNoVm);
    EXPECT_ERROR(target.create_network("../x", {}), kDefinition);
    EXPECT_ERROR(target.remove_network("none"), kNoNetwork);
    auto vm = small_vm("a/b");
    EXPECT_ERROR(target.create(vm), kDefinition);
}

REGISTER_TYPED_TEST_SUITE_P(TargetConformance, machine_lives_from_create_to_remove, undo_lasts_until_it_is_ended,
                            poor_host_is_found_before_anything_is_made, wrong_names_are_refused);

}  // namespace slipway::vmm::test
