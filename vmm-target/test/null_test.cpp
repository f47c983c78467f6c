// SPDX-License-Identifier: GPL-3.0-or-later
// The null driver, and the tasks over it.
#include "vmm-target/tasks.hpp"
#include "vmm-target/test/conformance.hpp"

using namespace slipway;
using namespace slipway::vmm;
using namespace slipway::vmm::test;
using testing::Contains;
using testing::HasSubstr;

namespace {

class NullFixture : public TargetFixture {
protected:
    void SetUp() override {
        target = make_null_target(HostResources::of_this_machine(), [this](const std::string&) { return serial; });
    }
    std::string serial;
};

class Tasks : public NullFixture {
protected:
    Result<TaskParameters> run(std::string_view type, TaskParameters parameters) {
        return run_vm_task(*target, type, parameters, [this](const std::string& line) { log.push_back(line); });
    }
    bool done(std::string_view type, TaskParameters parameters) {
        return probe_vm_task(*target, type, parameters).value();
    }
    std::vector<std::string> log;
    const std::string definition = render_definition(small_vm());
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Null, TargetConformance, NullFixture);

TEST_F(Tasks, first_boot_runs_and_each_task_may_run_again) {
    serial = "SLIPWAY-UP n-1\n";
    const std::vector<std::pair<std::string, TaskParameters>> journey{
        {"create-network", {{"network", "VM0"}}},
        {"create-vm", {{"definition", definition}, {"vmhost", "hercules"}}},
        {"start-vm", {{"vm", "small"}, {"boot", "disk"}, {"undo", "true"}}},
        {"stop-vm", {{"vm", "small"}}},
        {"commit-undo", {{"vm", "small"}}},
        {"delete-vm", {{"vm", "small"}}},
    };
    for (const auto& [type, parameters] : journey) {
        if (type == "stop-vm") {
            const auto proof = run("boot-proof", {{"vm", "small"}, {"nonce", "n-1"}, {"timeout", "1"}});
            ASSERT_OK(proof);
            EXPECT_EQ(proof->at("line"), "SLIPWAY-UP n-1");
            EXPECT_THAT(proof->at("screenshot"), testing::StartsWith("iVBORw0KGgo"));
            EXPECT_ERROR(run("boot-proof", {{"vm", "small"}, {"nonce", "n-2"}, {"timeout", "1"}}), kNoProof);
            serial = "SLIPWAY-REFUSED n-3 root is mounted read-only\n";
            const auto refused = run("boot-proof", {{"vm", "small"}, {"nonce", "n-3"}, {"timeout", "1"}});
            EXPECT_ERROR(refused, kRefused);
            EXPECT_THAT(refused.error().describe(), testing::HasSubstr("root is mounted read-only"));
        }
        EXPECT_FALSE(done(type, parameters)) << type;
        ASSERT_OK(run(type, parameters));
        EXPECT_TRUE(done(type, parameters)) << type;
        ASSERT_OK(run(type, parameters));
    }
    EXPECT_THAT(log, Contains(HasSubstr("is there already")));
}

TEST_F(Tasks, another_machine_of_that_name_is_no_success) {
    ASSERT_OK(run("create-network", {{"network", "VM0"}}));
    ASSERT_OK(run("create-vm", {{"definition", definition}}));
    auto other = small_vm();
    const TaskParameters parameters{{"definition", render_definition(other)}};
    EXPECT_FALSE(done("create-vm", parameters));
    EXPECT_ERROR(run("create-vm", parameters), kVmExists);
    auto replace = parameters;
    replace["if_exists"] = "replace";
    ASSERT_OK(run("create-vm", replace));
    EXPECT_EQ(target->info("small")->definition, other);
    EXPECT_ERROR(run("create-network", {{"network", "VM0"}, {"if_exists", "fail"}}), kNetworkExists);
    EXPECT_ERROR(run("create-network", {{"network", "VM0"}, {"interface", "eth9"}}), kNetworkExists);
}

TEST_F(Tasks, a_host_is_checked_before_even_the_network_is_made) {
    ASSERT_OK(run("check-vmhost", {{"definition", definition}}));
    EXPECT_THAT(target->networks().value(), testing::IsEmpty());
    auto greedy = small_vm();
    greedy.memory_mib = 1 << 20;
    EXPECT_ERROR(run("check-vmhost", {{"definition", render_definition(greedy)}}), kMemory);
    ASSERT_OK(run("create-network", {{"network", "VM0"}}));
    ASSERT_OK(run("create-vm", {{"definition", definition}}));
    ASSERT_OK(run("check-vmhost", {{"definition", definition}}));  // the job goes on after its VM was made
    EXPECT_ERROR(run("check-vmhost", {{"definition", definition}, {"if_exists", "fail"}}), kVmExists);
    EXPECT_ERROR(run("check-vmhost", {{"definition", render_definition(small_vm())}}), kVmExists);
    EXPECT_FALSE(done("check-vmhost", {{"definition", definition}}));
}

TEST_F(Tasks, only_the_machine_of_the_definition_is_deleted) {
    ASSERT_OK(run("create-network", {{"network", "VM0"}}));
    ASSERT_OK(run("create-vm", {{"definition", definition}}));
    const auto another = render_definition(small_vm());
    EXPECT_ERROR(run("delete-vm", {{"vm", "small"}, {"definition", another}}), kVmExists);
    ASSERT_OK(run("delete-vm", {{"vm", "small"}, {"definition", another}, {"if_other", "done"}}));
    EXPECT_THAT(log, Contains(HasSubstr("it stays")));
    EXPECT_TRUE(target->info("small").ok());
    auto changed = parse_definition(definition)->definition;
    changed.memory_mib = 128;
    ASSERT_OK(run("delete-vm", {{"vm", "small"}, {"definition", render_definition(changed)}}));
    EXPECT_FALSE(target->info("small").ok());
    ASSERT_OK(run("delete-vm", {{"vm", "small"}, {"definition", another}}));
}

TEST_F(Tasks, absence_is_done_unless_it_is_not) {
    ASSERT_OK(run("delete-vm", {{"vm", "none"}}));
    ASSERT_OK(run("stop-vm", {{"vm", "none"}}));
    EXPECT_ERROR(run("delete-vm", {{"vm", "none"}, {"if_absent", "fail"}}), kNoVm);
    EXPECT_ERROR(run("start-vm", {{"vm", "none"}}), kNoVm);
    EXPECT_ERROR(run("commit-undo", {{"vm", "none"}}), kNoVm);
}

TEST_F(Tasks, wrong_parameters_are_named) {
    EXPECT_ERROR(run("create-vm", {}), kTask);
    EXPECT_ERROR(run("create-vm", {{"definition", "<x/>"}}), kDefinition);
    EXPECT_ERROR(run("start-vm", {{"vm", "a"}, {"boot", "tape"}}), kTask);
    EXPECT_ERROR(run("boot-proof", {{"vm", "a"}, {"nonce", "a b"}}), kTask);
    EXPECT_ERROR(run("boot-proof", {{"vm", "a"}, {"nonce", "a"}, {"timeout", "soon"}}), kTask);
    EXPECT_ERROR(run("format-world", {}), kTask);
    EXPECT_TRUE(is_vm_task("boot-proof"));
    EXPECT_FALSE(is_vm_task("deploy-image"));
}

TEST(Base64, is_that_of_rfc_4648) {
    for (auto [plain, coded] :
         {std::pair{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}})
        EXPECT_EQ(to_base64(as_bytes(plain)), coded);
}
