// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/vmpatch/fill.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/archive.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/system_files.hpp"
#include "vmscript/vmpatch/errors.hpp"

namespace slipway::vmpatch {

namespace fs = std::filesystem;

namespace {

enum class Kind { None, Plain, Compressed, Cabinet };

// "halacpi.dl_" for halacpi.dll.
bool is_compressed_name(std::string_view name) {
    if (!name.ends_with('_')) return false;
    const auto stem = name.substr(0, name.size() - 1);
    const auto fits = [&](std::string_view file) { return file.size() == name.size() && file.starts_with(stem); };
    return std::any_of(patches::hal_rows().begin(), patches::hal_rows().end(),
                       [&](const auto& row) { return fits(row.file); }) ||
           std::any_of(patches::kernel_rows().begin(), patches::kernel_rows().end(),
                       [&](const auto& row) { return fits(row.file); });
}

Kind kind_of(const fs::path& path) {
    const auto name = to_lower(path.filename().string());
    if (patches::is_system_file(name)) return Kind::Plain;
    if (is_compressed_name(name)) return Kind::Compressed;
    return name.ends_with(".cab") ? Kind::Cabinet : Kind::None;
}

// What may have the files, sorted: which of two comes first does not hang on the medium's order.
Result<std::vector<fs::path>> candidates(const fs::path& source, const FillLimits& limits) {
    std::error_code error;
    std::vector<fs::path> out;
    const auto status = fs::status(source, error);
    if (error) return errno_error(error.value(), source.string());
    if (!fs::is_directory(status)) {
        out.push_back(source);
        return out;
    }
    fs::recursive_directory_iterator walk(source, error), end;
    std::size_t names = 0;
    for (; !error && walk != end; walk.increment(error)) {
        if (++names > limits.names)
            return make_error(patches::errors::kTooMuch, "{} has more than {} names", source.string(), limits.names);
        if (walk.depth() >= limits.depth) walk.disable_recursion_pending();
        std::error_code unknown;
        if (walk->symlink_status(unknown).type() == fs::file_type::regular && kind_of(walk->path()) != Kind::None)
            out.push_back(walk->path());
    }
    if (error) return errno_error(error.value(), source.string());
    std::sort(out.begin(), out.end());
    return out;
}

class Filler {
public:
    Filler(fs::path source, fs::path library) : source_(std::move(source)), library_(std::move(library)) {}

    Status look_at(const fs::path& path) {
        const auto shown = path == source_ ? path.string() : path.lexically_relative(source_).string();
        if (kind_of(path) == Kind::Plain) {
            const auto content = read_file(path, patches::kLargestFile);
            return content ? add(*content, shown) : warn(shown, content.error());
        }
        const auto archive = patches::bytes_in_file(path);
        if (!archive) return warn(shown, archive.error());
        auto out = patches::extract(**archive, patches::is_system_file);
        if (!out) return warn(shown, out.error());
        for (const auto& note : out->notes) filled.warnings.push_back(shown + ": " + note);
        for (const auto& file : out->files)
            TRY(add(as_bytes(file.content), file.name.empty() ? shown : shown + ": " + file.name));
        return {};
    }

    Filled filled;

private:
    Status add(ByteView content, const std::string& shown) {
        auto added = patches::add_to_library(library_, content);
        if (added) {
            filled.files.push_back({std::move(added->file), shown, added->is_new});
            return {};
        }
        const auto& error = added.error();
        if (error.is(patches::errors::kNotSystemFile)) filled.left_out.push_back(shown + ": " + error.message());
        else if (error.is(patches::errors::kPe) || error.is(patches::errors::kDiffers)) return warn(shown, error);
        else return std::move(added).error();
        return {};
    }
    Status warn(const std::string& shown, const Error& error) {
        filled.warnings.push_back(shown + ": " + error.message());
        return {};
    }
    fs::path source_, library_;
};

Result<UniqueFd> lock(const fs::path& library) {
    std::error_code error;
    fs::create_directories(library, error);
    if (error) return errno_error(error.value(), library.string());
    auto fd = TRY(open_fd(library, O_RDONLY | O_DIRECTORY));
    while (::flock(fd.get(), LOCK_EX) != 0)
        if (errno != EINTR) return errno_error(errno, library.string());
    return fd;
}

}  // namespace

Result<Filled> fill_library(const fs::path& source, const fs::path& library, const FillLimits& limits) {
    const auto paths = TRY(candidates(source, limits));
    const auto locked = TRY(lock(library));
    Filler filler(source, library);
    for (const auto& path : paths) TRY(filler.look_at(path));
    const auto& filled = filler.filled;
    if (filled.files.empty() && filled.warnings.empty() && filled.left_out.empty())
        return make_error(errors::kNothing, "no HAL or kernel of Windows NT 4 to Server 2003 in {}", source.string());
    return std::move(filler.filled);
}

}  // namespace slipway::vmpatch
