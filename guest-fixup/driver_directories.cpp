// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/driver_directories.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/inf.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 8;
constexpr std::size_t kMostEntries = 100'000;

// The files below a directory; links are not followed.
Result<std::vector<fs::path>> files_below(const fs::path& directory) {
    std::error_code failed;
    std::vector<fs::path> out;
    fs::recursive_directory_iterator at(directory, failed);
    std::size_t seen = 0;
    for (; !failed && at != fs::recursive_directory_iterator(); at.increment(failed)) {
        if (++seen > kMostEntries)
            return make_error(errors::kRequest, "{} has more than {} files", directory.string(), kMostEntries);
        std::error_code none;
        if (at->is_directory(none) && at.depth() >= kDeepest) at.disable_recursion_pending();
        if (at->is_regular_file(none) && !at->is_symlink(none)) out.push_back(at->path());
    }
    if (failed) return make_error(errors::kRequest, "{}: {}", directory.string(), failed.message());
    std::sort(out.begin(), out.end());
    return out;
}

bool wanted_class(std::string_view name) {
    return iequals(name, "SCSIAdapter") || iequals(name, "HDC") || iequals(name, "Net");
}

class Reader {
public:
    Status read(const fs::path& directory) {
        std::map<std::string, fs::path> by_name;  // lower case: an INF's spelling is often another
        const auto files = TRY(files_below(directory));
        for (const auto& file : files) by_name.emplace(to_lower(file.generic_string()), file);
        bool found = false;
        for (const auto& file : files) {
            if (!iequals(file.extension().string(), ".inf")) continue;
            const auto text = TRY_WITH(read_text_file(file, kLargestPackage), file.string());
            const auto inf = windows::Inf::parse(text);
            // A folder may hold INF files that are none of drivers.
            if (!inf || !wanted_class(inf->value("version", "Class"))) continue;
            found = true;
            TRY(add(file, text));
            for (const auto& name : windows::files_of(*inf)) {
                const auto other = by_name.find(to_lower((file.parent_path() / name).generic_string()));
                if (other != by_name.end() && !taken_.contains(other->second))
                    TRY(add(other->second,
                            TRY_WITH(read_text_file(other->second, kLargestPackage), other->second.string())));
            }
        }
        if (!found)
            return make_error(errors::kDrivers, "{} has no INF file of a storage controller or a network adapter",
                              directory.string());
        return {};
    }
    std::vector<PackageFile> take() { return std::move(out_); }

private:
    Status add(const fs::path& file, std::string content) {
        if (!taken_.insert(file).second) return {};
        bytes_ += content.size();
        if (bytes_ > kMostDriverBytes)
            return make_error(errors::kRequest,
                              "the drivers are more than {}: name the folders of this Windows and machine alone, as in "
                              "viostor/w10/amd64",
                              human_bytes(kMostDriverBytes));
        out_.push_back({file.generic_string(), std::move(content)});
        return {};
    }

    std::vector<PackageFile> out_;
    std::set<fs::path> taken_;
    std::uint64_t bytes_ = 0;
};

}  // namespace

Result<std::vector<PackageFile>> read_driver_directories(const std::vector<fs::path>& directories) {
    Reader reader;
    for (const auto& directory : directories) {
        std::error_code failed;
        const auto real = fs::canonical(directory, failed);
        if (failed) return make_error(errors::kRequest, "{}: {}", directory.string(), failed.message());
        TRY(reader.read(real));
    }
    return reader.take();
}

}  // namespace slipway::fixup
