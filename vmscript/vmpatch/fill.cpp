// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/vmpatch/fill.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <optional>

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

enum class Kind { None, Plain, Compressed, Cabinet, Program };

constexpr std::size_t kMostUnpacked = 1'000;  // archives in archives, of one run
constexpr int kDeepest = 3;                   // a service pack's .exe, its sp.cab, a HALACPI.DL_ in that
// What a service pack holds may be a cabinet with all of its drivers.
constexpr patches::ExtractLimits kLimits{.file = 96u << 20};
// Service packs from Windows XP's second on are no copies of files but differences to those of a running system.
constexpr std::string_view kDifferences = "_sfx_manifest_";

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

// "w2ksp4_en.exe", "sp6i386.exe", "windowsserver2003-kb914961-sp2-x86-enu.exe", "q329414_w2k_sp4_x86_en.exe": a whole
// running system has more programs than anybody wants to wait for.
bool is_update_name(std::string_view name) {
    for (const std::string_view mark : {"sp", "kb", "q"})
        for (auto at = name.find(mark); at != name.npos; at = name.find(mark, at + 1))
            if (const auto behind = at + mark.size();
                behind < name.size() && name[behind] >= '0' && name[behind] <= '9' && (mark != "q" || at == 0))
                return true;
    return false;
}

Kind kind_of(const fs::path& path) {
    const auto name = to_lower(path.filename().string());
    if (patches::is_system_file(name)) return Kind::Plain;
    if (is_compressed_name(name)) return Kind::Compressed;
    if (name.ends_with(".exe") && is_update_name(name)) return Kind::Program;
    return name.ends_with(".cab") ? Kind::Cabinet : Kind::None;
}

// What may hold one of ours.
bool worth_unpacking(std::string_view name) { return is_compressed_name(name) || name.ends_with(".cab"); }

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
        if (patches::kind_of_archive(**archive) == patches::ArchiveKind::Cabinet)
            return look_into_set(path, **archive, shown);
        auto out = patches::extract(**archive, wanted, kLimits);
        // Not every program of such a name is one that unpacks something.
        if (!out && path != source_ && kind_of(path) == Kind::Program) return {};
        return look_into(std::move(out), shown, 0);
    }

    Filled filled;

private:
    static bool wanted(std::string_view name) {
        return patches::is_system_file(name) || worth_unpacking(name) || name == kDifferences;
    }

    // A cabinet with those that follow it, which are looked for beside it. One that follows another comes with that.
    Status look_into_set(const fs::path& path, const patches::ArchiveBytes& first, const std::string& shown) {
        auto links = patches::links_of(first);
        if (!links) return warn(shown, links.error());
        if (path != source_ && !links->previous.empty() && beside(path, links->previous)) return {};
        std::vector<std::unique_ptr<patches::ArchiveBytes>> parts;
        std::vector<const patches::ArchiveBytes*> set{&first};
        while (!links->next.empty() && set.size() < patches::kMostCabinets) {
            const auto next = beside(path, links->next);
            auto part = next ? patches::bytes_in_file(*next) : make_error(patches::errors::kArchive, "it is not there");
            if (!part) {
                filled.warnings.push_back(
                    fmt::format("{}: it goes on in {}: {}", shown, printable(links->next), part.error().message()));
                break;
            }
            links = patches::links_of(**part);
            if (!links) {
                filled.warnings.push_back(fmt::format("{}: {}", next->filename().string(), links.error().message()));
                break;
            }
            set.push_back(part->get());
            parts.push_back(*std::move(part));
        }
        return look_into(patches::extract_set(set, wanted, kLimits), shown, 0);
    }

    // A cabinet's name for another is a file of the same folder, in any case.
    static std::optional<fs::path> beside(const fs::path& path, const std::string& name) {
        std::error_code error;
        fs::directory_iterator at(path.parent_path().empty() ? "." : path.parent_path(), error), end;
        for (; !error && at != end; at.increment(error)) {
            std::error_code unknown;
            if (iequals(at->path().filename().string(), name) &&
                at->symlink_status(unknown).type() == fs::file_type::regular)
                return at->path();
        }
        return std::nullopt;
    }

    Status look_into(Result<patches::Extraction> out, const std::string& shown, int depth) {
        if (!out) return warn(shown, out.error());
        for (const auto& note : out->notes) filled.warnings.push_back(shown + ": " + note);
        for (auto& file : out->files) {
            const auto name = file.name.empty() ? shown : shown + ": " + file.name;
            if (file.name == kDifferences) {
                filled.warnings.push_back(shown +
                                          ": some of it are differences to another system's files: unpack it with /x");
            } else if (file.name.empty() || patches::is_system_file(file.name)) {
                TRY(add(as_bytes(file.content), name));
            } else if (depth < kDeepest && ++unpacked_ <= kMostUnpacked) {
                const auto inner = patches::bytes_in_memory(as_bytes(file.content));
                TRY(look_into(patches::extract(*inner, wanted, kLimits), name, depth + 1));
            }
            file.content = {};
        }
        return {};
    }

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
    std::size_t unpacked_ = 0;
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
