// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/dropins.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "agent-ramdisk/builder/drivers.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/modinfo.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxModule = 64u << 20;

struct Found {
    std::string path;  // below the folder
    fs::file_status status;
};

Result<std::vector<Found>> list(const fs::path& folder) {
    std::vector<Found> out;
    std::error_code failed;
    std::uint64_t total = 0;
    fs::recursive_directory_iterator it(folder, failed), end;
    if (failed == std::errc::no_such_file_or_directory) return out;
    for (; !failed && it != end; it.increment(failed)) {
        auto status = it->symlink_status(failed);
        if (failed) break;
        if (fs::is_directory(status)) continue;
        if (fs::is_regular_file(status)) total += it->file_size(failed);
        out.push_back({it->path().lexically_relative(folder).string(), status});
        if (out.size() > kMaxDropInFiles || total > kMaxDropIns)
            return make_error(errors::kDropIn, "{} has more than {} files or {}", folder.string(), kMaxDropInFiles,
                              human_bytes(kMaxDropIns));
    }
    if (failed) return errno_error(failed.value(), folder.string());
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return out;
}

bool is_module(const std::string& path) { return path.ends_with(".ko") || path.ends_with(".ko.xz"); }

class Reader {
public:
    Reader(fs::path folder, std::string kernel) : folder_(std::move(folder)), kernel_(std::move(kernel)) {}

    Status take(const Found& found) {
        if (found.path == "without-driver") {
            out.without_driver = read_accepted(TRY(read_text_file(folder_ / found.path, 1u << 20)));
            return {};
        }
        if (found.path.starts_with("modules/") && is_module(found.path)) {
            // A FIFO would be read for ever.
            if (!fs::is_regular_file(found.status)) return note(found.path, "is no file");
            return module(found.path);
        }
        std::string place;
        if (found.path.starts_with("firmware/")) place = "lib/" + found.path;
        if (found.path.starts_with("files/")) place = found.path.substr(6);
        if (place.empty()) return note(found.path, "is in none of modules/, firmware/, files/");
        return file(found, place);
    }

    DropIns out;

private:
    Status note(const std::string& path, const std::string& what) {
        out.notes.push_back(fmt::format("{} {}: left out", printable(path), what));
        return {};
    }

    Status module(const std::string& path) {
        auto content = unpack_module(TRY(read_file(folder_ / path, kMaxModule)), path);
        if (!content) return note(path, content.error().message());
        auto info = read_module_info(*content);
        if (!info) return note(path, info.error().message());
        if (info->kernel() != kernel_)
            return note(path, fmt::format("is for Linux {}, not {}", printable(info->kernel()), kernel_));
        DropInModule m;
        m.module.name = module_name_of(path);
        m.module.path = "updates/slipway/" + m.module.name + ".ko";
        bool twice = std::any_of(out.modules.begin(), out.modules.end(),
                                 [&](const auto& other) { return other.module.name == m.module.name; });
        if (twice) return note(path, "is there twice");
        m.module.needs = std::move(info->depends);
        m.module.aliases = std::move(info->aliases);
        m.module.softdeps = std::move(info->softdeps);
        m.firmware = std::move(info->firmware);
        m.content = std::move(*content);
        out.modules.push_back(std::move(m));
        return {};
    }

    Status file(const Found& found, const std::string& place) {
        DropInFile f{place, 0644, {}, {}};
        if (fs::is_symlink(found.status)) {
            std::error_code failed;
            f.target = fs::read_symlink(folder_ / found.path, failed).string();
            if (failed) return errno_error(failed.value(), found.path);
        } else if (fs::is_regular_file(found.status)) {
            f.content = TRY(read_file(folder_ / found.path, kMaxDropIns));
            if ((found.status.permissions() & fs::perms::owner_exec) != fs::perms::none) f.mode = 0755;
        } else {
            return note(found.path, "is no file");
        }
        out.files.push_back(std::move(f));
        return {};
    }

    fs::path folder_;
    std::string kernel_;
};

}  // namespace

Result<Bytes> unpack_module(Bytes file, const std::string& name) {
    if (!name.ends_with(".xz")) return file;
    auto unpacked = TRY_WITH(run_checked({"xz", "--decompress", "--stdout", "--memlimit=256MiB"},
                                         {.input = std::string(as_text(file)), .output_limit = kMaxModule}),
                             name);
    return Bytes(as_bytes(unpacked).begin(), as_bytes(unpacked).end());
}

Result<DropIns> read_drop_ins(const fs::path& folder, const std::string& kernel_version) {
    Reader reader(folder, kernel_version);
    for (const auto& found : TRY(list(folder))) TRY_WITH(reader.take(found), (folder / found.path).string());
    return std::move(reader.out);
}

}  // namespace slipway::builder
