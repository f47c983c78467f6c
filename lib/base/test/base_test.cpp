// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/base/bytes.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/net.hpp"
#include "lib/base/process.hpp"
#include "lib/base/progress.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/base/uuid.hpp"
#include "lib/base/xml.hpp"
#include "lib/base/xml_writer.hpp"

using namespace slipway;

TEST(Bytes, reader_fails_past_the_end_and_stays_failed) {
    ByteReader reader(as_bytes("\x01\x02\x03"));
    EXPECT_EQ(reader.be16(), 0x0102);
    EXPECT_EQ(reader.le32(), 0u);
    EXPECT_TRUE(reader.failed());
    EXPECT_EQ(reader.u8(), 0);
}

TEST(Bytes, writer_and_reader_agree_on_both_byte_orders) {
    ByteWriter writer;
    writer.be16(0x1234).le32(0xdeadbeef).be64(7).le64(1ull << 63).text("x");
    ByteReader reader(writer.view());
    EXPECT_EQ(reader.be16(), 0x1234);
    EXPECT_EQ(reader.le32(), 0xdeadbeefu);
    EXPECT_EQ(reader.be64(), 7u);
    EXPECT_EQ(reader.le64(), 1ull << 63);
    EXPECT_EQ(reader.text(1), "x");
    EXPECT_TRUE(reader.at_end());
    EXPECT_FALSE(reader.failed());
}

TEST(Bytes, zero_detection_sees_the_last_byte) {
    Bytes bytes(4096);
    EXPECT_TRUE(all_zero(bytes));
    bytes.back() = std::byte{1};
    EXPECT_FALSE(all_zero(bytes));
}

static Result<int> half(int value) {
    if (value % 2) return make_error(errors::kBadValue, "{} is odd", value);
    return value / 2;
}
static Result<int> quarter(int value) {
    int h = TRY_WITH(half(value), "first half");
    return TRY(half(h));
}

TEST(Result, try_returns_the_error_with_its_context) {
    EXPECT_EQ(quarter(8).value(), 2);
    auto failed = quarter(7);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().describe(), "first half: 7 is odd [base.bad-value]");
    EXPECT_TRUE(failed.error().is(errors::kBadValue));
}

TEST(Fd, atomic_write_replaces_and_leaves_no_temporary) {
    auto dir = TempDir::create("test").value();
    ASSERT_TRUE(write_file_atomic(dir / "f", as_bytes("one")).ok());
    ASSERT_TRUE(write_file_atomic(dir / "f", as_bytes("two")).ok());
    EXPECT_EQ(read_text_file(dir / "f").value(), "two");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
    EXPECT_TRUE(read_file(dir / "absent").error().is(errors::kNotFound));
}

// What `--output /dev/null` and a pipe's name are for: as root a rename would have taken their place.
TEST(Fd, atomic_write_leaves_what_is_no_file_where_it_is) {
    auto dir = TempDir::create("test").value();
    const auto pipe = dir / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    UniqueFd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(write_file_atomic(pipe, as_bytes("through it")).ok());
    std::string text(32, '\0');
    EXPECT_EQ(::read(reader.get(), text.data(), text.size()), 10);
    EXPECT_TRUE(std::filesystem::is_fifo(pipe));
    if (::mknod((dir / "null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0) {
        EXPECT_TRUE(write_file_atomic(dir / "null", as_bytes("gone")).ok());
        EXPECT_TRUE(std::filesystem::is_character_file(dir / "null"));
    }
    // A node of no disk there is: never opened.
    if (::mknod((dir / "disk").c_str(), S_IFBLK | 0600, makedev(240, 0)) == 0) {
        EXPECT_TRUE(write_file_atomic(dir / "disk", as_bytes("harm")).error().is(errors::kBadValue));
        EXPECT_TRUE(std::filesystem::is_block_file(dir / "disk"));
    }
}

TEST(Process, a_child_inherits_nothing_but_its_three_streams) {
    auto fd = UniqueFd(::open("/dev/null", O_RDONLY));  // as a library would: without O_CLOEXEC
    ASSERT_GT(fd.get(), 2);
    auto path = "/proc/self/fd/" + std::to_string(fd.get());
    auto looked = run_command({"sh", "-c", "[ ! -e " + path + " ]"});
    ASSERT_TRUE(looked.ok());
    EXPECT_TRUE(looked->ok()) << path << " reached the child";
}

TEST(Process, runs_feeds_and_reports) {
    auto echoed = run_command({"cat"}, {.input = "hello", .timeout = {}, .working_directory = {}, .environment = {}});
    ASSERT_TRUE(echoed.ok());
    EXPECT_EQ(echoed->output, "hello");
    EXPECT_EQ(run_command({"false"})->exit_code, 1);
    EXPECT_FALSE(run_command({"/no/such/program"}).ok());
    CommandOptions limited;
    limited.timeout = std::chrono::seconds(1);
    EXPECT_EQ(run_command({"cat", "/dev/zero"}, limited)->exit_code, 137);
    EXPECT_EQ(run_command({"sh", "-c", "exec >&- 2>&-; sleep 600"}, limited)->exit_code, 137);
}

TEST(Net, mac_and_address_forms) {
    EXPECT_EQ(MacAddress::parse("52-54-00-AB-cd-ef")->text(), "52:54:00:ab:cd:ef");
    EXPECT_EQ(MacAddress::parse("525400abcdef")->text(), "52:54:00:ab:cd:ef");
    EXPECT_FALSE(MacAddress::parse("52:54-00:ab:cd:ef"));
    EXPECT_EQ(Ipv4Address::parse("10.99.0.1")->text(), "10.99.0.1");
    for (auto bad : {"10.99.0", "10.99.0.256", "10.99.0.1.", "", "1.2.3.0004"})
        EXPECT_FALSE(Ipv4Address::parse(bad)) << bad;
}

TEST(Uuid, guid_order_swaps_the_first_three_fields) {
    auto id = Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
    ASSERT_TRUE(id);
    EXPECT_EQ(to_hex(id->to_guid()), "33221100554477668899aabbccddeeff");
    EXPECT_EQ(Uuid::from_guid(id->to_guid()), *id);
    EXPECT_NE(Uuid::random(), Uuid::random());
}

TEST(Strings, sizes_quotes_and_hostile_text) {
    EXPECT_EQ(parse_size("4GiB"), 4ull << 30);
    EXPECT_EQ(parse_size("200M"), 200ull << 20);
    EXPECT_FALSE(parse_size("99999999999P"));
    EXPECT_FALSE(parse_size("12x"));
    EXPECT_EQ(shell_quote("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_quote("plain-1.0"), "plain-1.0");
    EXPECT_EQ(printable("a\x1b[2Jb\xc3\xa4\xff"), "a\\x1b[2Jb\xc3\xa4\\xff");
    // What turns letters around, and what old terminals take for an escape.
    EXPECT_EQ(printable("a\u202egpj.exe"), "a\\xe2\\x80\\xaegpj.exe");
    for (const char* mark : {"\u202a", "\u2066", "\u2069", "\u200f", "\u061c", "\u2028", "\u0085", "\u009b"})
        EXPECT_EQ(printable(mark).substr(0, 2), "\\x") << printable(mark);
    EXPECT_EQ(printable("\u00a0\u00e4\u05d0\u20ac\U0001f600"), "\u00a0\u00e4\u05d0\u20ac\U0001f600");
}

TEST(Xml, written_text_reads_back_the_same) {
    XmlWriter writer;
    writer.open("a").attribute("q", "x<\"&'\n\ty").leaf("b", "t & u").open("c").close().close();
    auto text = std::move(writer).take();
    tinyxml2::XMLDocument document;
    ASSERT_TRUE(parse_xml(document, text).ok());
    EXPECT_EQ(xml_attribute(*document.RootElement(), "q"), "x<\"&'\n\ty");
    EXPECT_EQ(xml_child_text(*document.RootElement(), "b"), "t & u");
    EXPECT_FALSE(parse_xml(document, "<!DOCTYPE a []><a/>").ok());
    EXPECT_FALSE(parse_xml(document, "<a>").ok());
}

namespace {

std::string element_with(std::size_t attributes, std::string_view value) {
    std::string out = "\n<e ";
    for (std::size_t i = 0; i < attributes; ++i) out += fmt::format("a{}={} ", i, value);
    return out + "/>";
}

std::string refusal_of(std::string_view text) {
    tinyxml2::XMLDocument document;
    const auto parsed = parse_xml(document, text);
    return parsed ? "" : parsed.error().message();
}

}  // namespace

TEST(Xml, element_with_too_many_attributes_is_refused_by_its_line_however_they_are_written) {
    // A hundred thousand of them took minutes.
    for (const char* value : {"''", "\"\"", "'<'", "'>'", "\"<e a='\"", "'<!-- \"'", "'<![CDATA['", "'</e>'"}) {
        EXPECT_EQ(refusal_of(element_with(128, value)), "") << value;
        EXPECT_NE(refusal_of(element_with(129, value)).find("line 2: an element with more than 128 attributes"),
                  std::string::npos)
            << value;
    }
    const auto many = element_with(129, "''");
    for (const char* before : {"<?xml version='1.0'?>", "<!-- ' -->", "<!-- \" > < -->"})
        EXPECT_NE(refusal_of(before + many).find("more than 128"), std::string::npos) << before;
    for (const char* before : {"'", "\"", "<![CDATA[ ' <b c=\" ]]>", "<b/>'>"})
        EXPECT_NE(refusal_of("<d>" + std::string(before) + many + "</d>").find("more than 128"), std::string::npos)
            << before;
    EXPECT_NE(refusal_of("<d></d" + many.substr(3, many.size() - 5) + ">").find("more than 128"), std::string::npos);
}

TEST(Xml, comments_and_texts_may_look_like_as_many_attributes_as_they_want) {
    const auto many = element_with(1000, "''");
    EXPECT_EQ(refusal_of("<d><!--" + many + "--><![CDATA[" + many + "]]>" + many.substr(4, many.size() - 6) + "</d>"),
              "");
}

TEST(Xml, text_that_becomes_too_many_parts_is_refused_before_it_takes_memory) {
    const auto file_of = [](std::string_view part, std::size_t count) {
        std::string out = "<d>";
        for (std::size_t i = 0; i < count; ++i) out += part;
        return out + "</d>";
    };
    for (const char* part : {"<a/>", "<a></a>", "<!---->", "<?a?>", "<![CDATA[]]>"})
        EXPECT_NE(refusal_of(file_of(part, 1'000'000)).find("more than 1000000 elements, attributes and texts"),
                  std::string::npos)
            << part;
    EXPECT_NE(refusal_of(file_of("<a b='' c=''/>t", 250'000)).find("more than 1000000"), std::string::npos);
    EXPECT_EQ(refusal_of(file_of("<a b='' c=''/>\n", 100'000)), "");
}

TEST(Xml, bytes_that_xml_forbids_are_replaced) {
    EXPECT_EQ(xml_escape("a\xff\x01\xef\xbf\xbf\r"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd&#13;");
    EXPECT_EQ(xml_escape("\xc3\xa4"), "\xc3\xa4");
}

TEST(Xml, schema_check_names_the_line) {
    constexpr auto xsd = R"(<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
      <xs:element name="a"><xs:complexType><xs:attribute name="n" type="xs:int" use="required"/></xs:complexType></xs:element></xs:schema>)";
    EXPECT_TRUE(check_against_xsd("<a n='1'/>", xsd).ok());
    auto bad = check_against_xsd("<a\n n='x'/>", xsd);
    ASSERT_FALSE(bad.ok());
    EXPECT_NE(bad.error().message().find("line"), std::string::npos);
}

TEST(Sha256, known_answer) {
    EXPECT_EQ(sha256(as_bytes("abc")).text(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Progress, line_has_rate_and_eta) {
    EXPECT_EQ(progress_line({1u << 20, 4u << 20, "capturing sda"}, std::chrono::seconds(1)),
              "capturing sda   25 %  1.0 MiB of 4.0 MiB  1.0 MiB/s  ETA 4s");
}

TEST(Progress, the_rate_is_that_of_the_work_that_goes_on_now) {
    ManualClock clock;
    testing::internal::CaptureStderr();
    ProgressPrinter printer(clock);
    printer.update({0, 100u << 20, "comparing"});
    clock.advance(std::chrono::seconds(10));
    printer.update({100u << 20, 100u << 20, "comparing"});
    printer.update({0, 8u << 20, "deploying"});
    clock.advance(std::chrono::seconds(20));
    printer.update({4u << 20, 8u << 20, "deploying"});
    printer.finish();
    const auto text = testing::internal::GetCapturedStderr();
    EXPECT_NE(text.find("deploying   50 %  4.0 MiB of 8.0 MiB  204.8 KiB/s  ETA 21s"), std::string::npos) << text;
}
