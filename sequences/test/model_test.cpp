// SPDX-License-Identifier: GPL-3.0-or-later
#include "sequences/model.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/xml.hpp"
#include "sequences/errors.hpp"

namespace slipway::sequences {
namespace {

std::string document(const std::string& tasks, const std::string& attributes = {}) {
    return "<sequence xmlns=\"urn:slipway:sequence:1\" name=\"s\" " + attributes + "><tasks>" + tasks +
           "</tasks></sequence>";
}
std::string error_of(const std::string& xml) {
    auto read = parse_sequence(xml);
    return read ? "" : read.error().describe();
}

TEST(Samples, every_shipped_sample_loads_and_is_what_its_file_says) {
    ASSERT_GE(samples().size(), 10u);
    for (const auto& sample : samples()) {
        auto read = parse_sequence(sample.xml);
        ASSERT_TRUE(read) << sample.name << ": " << read.error().describe();
        EXPECT_EQ(read->sequence.name, sample.name);
        EXPECT_TRUE(read->warnings.empty()) << sample.name << read->warnings.front();
        EXPECT_TRUE(check_against_xsd(sample.xml, sequence_schema())) << sample.name;
        EXPECT_FALSE(read->sequence.description.empty()) << sample.name;
    }
    for (auto name :
         {"boot-to-da", "reboot", "da-capture-image", "da-capture-volume", "da-deploy-image", "da-deploy-volume",
          "da-shutdown", "create-vm", "first-boot", "delete-vm", "prepare-template", "deploy-template"})
        EXPECT_TRUE(find_sample(name)) << name;
}

TEST(Samples, every_sample_expands_when_its_undefaulted_variables_are_given) {
    for (const auto& sample : samples()) {
        auto sequence = parse_sequence(sample.xml)->sequence;
        Values given;
        for (const auto& v : sequence.variables)
            if (!v.default_value) {
                EXPECT_FALSE(check_variables(sequence, given));
                given[v.name] = "x";
            }
        given["device.name"] = "web01";  // the job's own
        EXPECT_TRUE(check_variables(sequence, given)) << sample.name;
    }
}

TEST(SequenceXml, defaults_come_from_the_task_type_and_attributes_override_them) {
    auto read = parse_sequence(document(
        R"(<task type="boot-to-da"/><task id="x" type="run-script" target="controller" timeout="7" retry="2"
           on-error="continue" reboot-point="true"><parameter name="script"> a &amp; b
c</parameter></task>)"));
    ASSERT_TRUE(read) << read.error().describe();
    const auto& tasks = read->sequence.tasks;
    EXPECT_EQ(tasks[0].id, "boot-to-da-1");
    EXPECT_EQ(tasks[0].target, Target::Controller);
    EXPECT_EQ(tasks[0].timeout, std::chrono::minutes(30));
    EXPECT_TRUE(tasks[0].reboot_point);
    EXPECT_EQ(tasks[1].target, Target::Controller);
    EXPECT_EQ(tasks[1].timeout, std::chrono::seconds(7));
    EXPECT_EQ(tasks[1].retry, 2u);
    EXPECT_EQ(tasks[1].on_error, OnError::Continue);
    EXPECT_TRUE(tasks[1].reboot_point);
    EXPECT_EQ(tasks[1].parameters.at("script"), " a & b\nc");
}

TEST(SequenceXml, unknown_elements_are_warnings_with_their_line) {
    auto read = parse_sequence(
        "<sequence xmlns=\"urn:slipway:sequence:1\" name=\"s\">\n<future a=\"1\"/>\n<tasks>\n"
        "<task type=\"take-control\">\n<hint/></task></tasks></sequence>");
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_THAT(read->warnings, testing::ElementsAre("line 2: unknown element 'future' is ignored",
                                                     "line 5: unknown element 'hint' is ignored"));
}

TEST(SequenceXml, what_is_refused_is_named_with_what_is_wrong) {
    using testing::HasSubstr;
    EXPECT_THAT(error_of("<x"), HasSubstr("sequences.not-a-sequence"));
    EXPECT_THAT(error_of("<sequence name=\"s\"/>"), HasSubstr("sequences.not-a-sequence"));
    EXPECT_THAT(error_of("<!DOCTYPE a><sequence/>"), HasSubstr("DOCTYPE"));
    EXPECT_THAT(error_of(document("")), HasSubstr("sequences.bad-sequence"));
    EXPECT_THAT(error_of(document("<task type=\"take-control\"/>", "colour=\"red\"")),
                HasSubstr("unknown attribute 'colour'"));
    EXPECT_THAT(error_of(document("<task type=\"take-control\" speed=\"1\"/>")),
                HasSubstr("unknown attribute 'speed'"));
    EXPECT_THAT(error_of(document("<task type=\"format-all\"/>")), HasSubstr("no task type 'format-all'"));
    EXPECT_THAT(error_of(document("<task type=\"inventory\" target=\"vmhost\"/>")),
                HasSubstr("does not run on vmhost"));
    EXPECT_THAT(error_of(document("<task type=\"power\"/>")), HasSubstr("needs the parameter 'state'"));
    EXPECT_THAT(error_of(document("<task type=\"power\"><parameter name=\"state\">up</parameter></task>")),
                HasSubstr("not one of on|off|cycle"));
    EXPECT_THAT(error_of(document("<task type=\"inventory\"><parameter name=\"disk\">a</parameter></task>")),
                HasSubstr("has no parameter 'disk'"));
    EXPECT_THAT(error_of(document("<task id=\"a\" type=\"inventory\"/><task id=\"a\" type=\"inventory\"/>")),
                HasSubstr("there twice"));
    EXPECT_THAT(error_of(document("<task type=\"inventory\" timeout=\"0\"/>")), HasSubstr("sequences.bad"));
    EXPECT_THAT(error_of(document("<task type=\"inventory\" on-error=\"pray\"/>")),
                HasSubstr("sequences.bad-sequence"));
    EXPECT_THAT(error_of(document("<task type=\"run-script\"><parameter name=\"script\">${</parameter></task>")),
                HasSubstr("sequences.bad-variable"));
}

TEST(SequenceXml, what_is_written_reads_back_the_same) {
    Sequence sequence;
    sequence.name = "made";
    sequence.description = "a <b> & \"c\"";
    sequence.variables = {{"image", std::nullopt, "which"}, {"mode", "", ""}};
    sequence.add("take-control");
    auto& script = sequence.add("run-script", {{"script", "#!/bin/sh\n  echo \"$${HOME}\" <x>\n"}});
    script.on_error = OnError::Continue;
    script.retry = 3;
    sequence.add("capture-image", {{"image", "${image}"}});
    ASSERT_TRUE(validate(sequence));
    auto xml = render_sequence(sequence);
    auto read = parse_sequence(xml);
    ASSERT_TRUE(read) << read.error().describe() << xml;
    EXPECT_EQ(render_sequence(read->sequence), xml);
    EXPECT_EQ(read->sequence.tasks[1].parameters, sequence.tasks[1].parameters);
    EXPECT_EQ(read->sequence.variables[1].default_value, "");
}

TEST(Variables, expand_once_and_only_what_is_known) {
    Values v{{"a", "${b}"}, {"b", "2"}, {"job.id", "7"}};
    EXPECT_EQ(*expand("x${a}y${b}${job.id}", v), "x${b}y27");
    EXPECT_EQ(*expand("cost $5 $$ $", v), "cost $5 $$ $");
    EXPECT_EQ(*expand("$${a} ${b}", v), "${a} 2");
    EXPECT_TRUE(expand("${c}", v).error().is(errors::kUnknownVariable));
    for (auto bad : {"${", "${}", "${a", "${a b}", "${${a}}"})
        EXPECT_TRUE(expand(bad, v).error().is(errors::kBadVariable)) << bad;
}

TEST(Variables, a_bomb_of_expansions_stops_at_the_limit) {
    Values v{{"a", std::string(100'000, 'x')}};
    std::string text;
    for (int i = 0; i < 50; ++i) text += "${a}";
    EXPECT_TRUE(expand(text, v).error().is(errors::kBadVariable));
}

TEST(Variables, given_values_win_over_defaults) {
    Sequence s;
    s.variables = {{"a", "1", ""}, {"b", "2", ""}};
    EXPECT_EQ(effective_variables(s, {{"a", "9"}}), (Values{{"a", "9"}, {"b", "2"}}));
}

}  // namespace
}  // namespace slipway::sequences
