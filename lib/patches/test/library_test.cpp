// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/supply.hpp"
#include "media.hpp"

using namespace slipway;
using namespace slipway::patches;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

const FileVersion kSp2{5, 2, 3790, 3959}, kSp1{5, 2, 3790, 1830};

class LibraryTest : public testing::Test {
protected:
    TempDir dir_ = TempDir::create("patches").value();
    fs::path root_ = dir_ / "Patches";
    std::string hal_ = test::make_pe("halacpi.dll", kSp2);
};

TEST_F(LibraryTest, a_file_lies_below_its_version_and_language_under_its_own_name) {
    const auto added = add_to_library(root_, as_bytes(hal_));
    ASSERT_TRUE(added.ok()) << added.error().describe();
    EXPECT_TRUE(added->is_new);
    EXPECT_EQ(added->file.path, root_ / "Source/5.2.3790.3959/0409/halacpi.dll");
    const auto library = Library::open({root_});
    const auto* found = library.find({"halacpi.dll", kSp2, 0x0409});
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(library.read(*found).value(), hal_);
    EXPECT_THAT(library.notes(), IsEmpty());
}

TEST_F(LibraryTest, another_version_or_language_is_another_file) {
    ASSERT_TRUE(add_to_library(root_, as_bytes(hal_)).ok());
    ASSERT_TRUE(add_to_library(root_, as_bytes(test::make_pe("halacpi.dll", kSp1))).ok());
    ASSERT_TRUE(add_to_library(root_, as_bytes(test::make_pe("halacpi.dll", kSp2, 0x0407))).ok());
    const auto library = Library::open({root_});
    EXPECT_EQ(library.files().size(), 3u);
    EXPECT_EQ(library.find({"halacpi.dll", kSp1, 0x0407}), nullptr);
}

TEST_F(LibraryTest, adding_again_writes_nothing) {
    const auto first = add_to_library(root_, as_bytes(hal_)).value();
    const auto before = fs::last_write_time(first.file.path);
    const auto again = add_to_library(root_, as_bytes(hal_)).value();
    EXPECT_FALSE(again.is_new);
    EXPECT_EQ(fs::last_write_time(first.file.path), before);
}

TEST_F(LibraryTest, the_same_version_with_other_content_is_refused_and_the_first_stays) {
    ASSERT_TRUE(add_to_library(root_, as_bytes(hal_)).ok());
    const auto other = test::make_pe({.original_name = "halacpi.dll", .version = kSp2, .body = "other code"});
    const auto added = add_to_library(root_, as_bytes(other));
    ASSERT_FALSE(added.ok());
    EXPECT_TRUE(added.error().is(errors::kDiffers));
    EXPECT_EQ(read_text_file(path_of(root_, {"halacpi.dll", kSp2, 0x0409})).value(), hal_);
}

TEST_F(LibraryTest, a_cut_file_in_the_library_counts_for_nothing_and_is_replaced) {
    const auto path = path_of(root_, {"halacpi.dll", kSp2, 0x0409});
    test::put(path, hal_.substr(0, hal_.size() / 2));
    const auto library = Library::open({root_});
    EXPECT_THAT(library.files(), IsEmpty());
    EXPECT_THAT(library.notes(), ElementsAre(HasSubstr("halacpi.dll")));
    EXPECT_TRUE(add_to_library(root_, as_bytes(hal_)).value().is_new);
    EXPECT_EQ(read_text_file(path).value(), hal_);
}

TEST_F(LibraryTest, a_file_copied_by_hand_is_known_by_what_it_says_of_itself) {
    test::put(root_ / "Source/5.2.3790/hal.dll", hal_);  // VSMT's folder, and the name it had on the machine
    const auto library = Library::open({root_});
    EXPECT_NE(library.find({"halacpi.dll", kSp2, 0x0409}), nullptr);
}

TEST_F(LibraryTest, a_second_directory_adds_and_the_first_comes_first) {
    const auto more = dir_ / "more";
    ASSERT_TRUE(add_to_library(root_, as_bytes(hal_)).ok());
    ASSERT_TRUE(add_to_library(more, as_bytes(hal_)).ok());
    ASSERT_TRUE(add_to_library(more, as_bytes(test::make_pe("ntoskrnl.exe", kSp2))).ok());
    const auto library = Library::open({more, root_, dir_ / "nowhere"});
    EXPECT_EQ(library.files().size(), 2u);
    EXPECT_TRUE(library.find({"halacpi.dll", kSp2, 0x0409})->path.string().starts_with(more.string()));
    EXPECT_THAT(library.notes(), IsEmpty());
}

TEST_F(LibraryTest, a_file_that_was_exchanged_since_is_not_handed_out) {
    ASSERT_TRUE(add_to_library(root_, as_bytes(hal_)).ok());
    const auto library = Library::open({root_});
    test::put(library.files()[0].path, test::make_pe("halacpi.dll", kSp1));
    EXPECT_FALSE(library.read(library.files()[0]).ok());
}

TEST_F(LibraryTest, a_file_for_another_machine_is_found_where_it_lies_or_is_none) {
    const FileKey key{"halacpi.dll", kSp2, 0x0409};
    EXPECT_EQ(find_in_libraries({dir_ / "none", root_}, key).value(), std::nullopt);
    fs::create_directories(dir_ / "own/Source/by hand");
    ASSERT_TRUE(write_file_atomic(dir_ / "own/Source/by hand/HAL.DLL", as_bytes(hal_)).ok());
    EXPECT_EQ(find_in_libraries({root_, dir_ / "own"}, key).value(), hal_);
    ASSERT_TRUE(add_to_library(root_, as_bytes(hal_)).ok());
    EXPECT_EQ(find_in_libraries({root_}, key).value(), hal_);
    ASSERT_TRUE(write_file_atomic(path_of(root_, key), as_bytes(hal_.substr(0, 300))).ok());
    EXPECT_EQ(find_in_libraries({root_}, key).value(), std::nullopt) << "a cut one";
}

TEST_F(LibraryTest, a_key_from_elsewhere_is_one_of_a_system_file_or_none) {
    EXPECT_EQ(parse_key("HalAcpi.dll", "5.2.3790.3959", "0409"), (FileKey{"halacpi.dll", kSp2, 0x0409}));
    for (const auto& [name, version, language] : {std::tuple{"shadow", "5.2.3790.3959", "0409"},
                                                  {"../hal.dll", "5.2.3790.3959", "0409"},
                                                  {"hal.dll", "5.2.3790", "0409"},
                                                  {"hal.dll", "5.2.3790.99999", "0409"},
                                                  {"hal.dll", "5.2.3790.0", "409"},
                                                  {"hal.dll", "5.2.3790.0", "040g"},
                                                  {"hal.dll", "5.2.3790.0", "040904"}})
        EXPECT_EQ(parse_key(name, version, language), std::nullopt) << name << version << language;
}

}  // namespace
