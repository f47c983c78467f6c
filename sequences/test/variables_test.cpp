// SPDX-License-Identifier: GPL-3.0-or-later
#include "sequences/variables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sequences/errors.hpp"

namespace slipway::sequences {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(GivenVariables, a_slip_of_the_pen_is_named_with_what_was_meant) {
    auto sequence = parse_sequence(find_sample("da-deploy-image")->xml)->sequence;
    const auto known = known_variables(sequence);
    EXPECT_TRUE(check_known({{"image", "web"}, {"compare", "auto"}}, known));
    auto refused = check_known({{"image", "web"}, {"compar", "always"}}, known);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().is(errors::kNoSuchVariable));
    EXPECT_EQ(refused.error().message(), "there is no variable 'compar'; like it: compare");
    EXPECT_THAT(check_known({{"bogus", "1"}}, known).error().message(), HasSubstr("takes compare, image, "));
    EXPECT_THAT(check_known({{"image", "web"}}, {}).error().message(), HasSubstr("the sequence takes none"));
}

TEST(GivenVariables, what_a_task_uses_need_not_be_declared_and_the_servers_own_are_not_given) {
    Sequence s;
    s.name = "s";
    s.variables = {{"said", "1", ""}};
    s.add("run-script", {{"script", "$${no} ${a}${b.c} ${job.id} ${device.name}"}});
    EXPECT_THAT(known_variables(s), ElementsAre("a", "b.c", "said"));
    EXPECT_FALSE(check_known({{"device.name", "x"}}, known_variables(s)));
}

TEST(GivenVariables, the_nearest_come_first_and_strangers_not_at_all) {
    const Names known{"disk", "disks", "exclude", "image"};
    EXPECT_THAT(nearest("diks", known), ElementsAre("disks", "disk"));
    EXPECT_TRUE(nearest("zzzzzz", known).empty());
    EXPECT_TRUE(nearest(std::string(1 << 20, 'x'), known).empty());
}

TEST(GivenVariables, a_value_that_no_task_takes_is_refused_before_a_machine_boots) {
    auto sequence = parse_sequence(find_sample("da-deploy-image")->xml)->sequence;
    Values given{{"image", "web"}, {"nonce", "x"}, {"compare", "sometimes"}};
    auto refused = check_variables(sequence, given);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().describe(), HasSubstr("'compare' is 'sometimes', not one of auto|always|never"));
    given["compare"] = "never";
    given["nonetencrypt"] = "yes";
    EXPECT_FALSE(check_variables(sequence, given));
    given["nonetencrypt"] = "true";
    EXPECT_TRUE(check_variables(sequence, given));
}

}  // namespace
}  // namespace slipway::sequences
