// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/archive.hpp"

#include <fcntl.h>
#include <mspack.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/errors.hpp"

namespace slipway::patches {

namespace {

constexpr std::size_t kMostMemory = 64u << 20;  // libmspack's own: windows up to 2 MiB, lists of files
constexpr const char* kInput = "0";             // inputs are called by their numbers
constexpr const char* kOutput = "out";

class Memory : public ArchiveBytes {
public:
    explicit Memory(ByteView bytes) : bytes_(bytes) {}
    std::uint64_t size() const override { return bytes_.size(); }
    std::int64_t read(std::uint64_t offset, std::span<std::byte> into) const override {
        if (offset >= bytes_.size()) return 0;
        const auto part = bytes_.subspan(offset, std::min<std::size_t>(into.size(), bytes_.size() - offset));
        std::copy(part.begin(), part.end(), into.begin());
        return static_cast<std::int64_t>(part.size());
    }

private:
    ByteView bytes_;
};

class Part : public ArchiveBytes {
public:
    Part(const ArchiveBytes& whole, std::uint64_t offset, std::uint64_t size)
        : whole_(whole), offset_(std::min(offset, whole.size())), size_(std::min(size, whole.size() - offset_)) {}
    std::uint64_t size() const override { return size_; }
    std::int64_t read(std::uint64_t offset, std::span<std::byte> into) const override {
        if (offset >= size_) return 0;
        return whole_.read(offset_ + offset, into.first(std::min<std::uint64_t>(into.size(), size_ - offset)));
    }

private:
    const ArchiveBytes& whole_;
    std::uint64_t offset_, size_;
};

class File : public ArchiveBytes {
public:
    File(UniqueFd fd, std::uint64_t size) : fd_(std::move(fd)), size_(size) {}
    std::uint64_t size() const override { return size_; }
    std::int64_t read(std::uint64_t offset, std::span<std::byte> into) const override {
        const auto count = pread_full(fd_.get(), into, offset);
        return count ? static_cast<std::int64_t>(*count) : -1;
    }

private:
    UniqueFd fd_;
    std::uint64_t size_;
};

// What libmspack works with: our bytes to read, one growing file to write, memory that is counted.
struct System {
    mspack_system base{};  // first: libmspack hands it back as this
    std::vector<const ArchiveBytes*> inputs;
    std::string output;
    std::uint64_t limit = 0;
    bool too_big = false;
    std::size_t memory = 0;
};

struct Handle {
    System* system = nullptr;
    const ArchiveBytes* input = nullptr;  // null: it writes
    std::uint64_t at = 0;
    bool writes() const { return input == nullptr; }
};

System& system_of(mspack_system* base) { return *reinterpret_cast<System*>(base); }
Handle& handle_of(mspack_file* file) { return *reinterpret_cast<Handle*>(file); }

// Before each block, so that what is freed is counted too.
struct alignas(std::max_align_t) BlockHead {
    System* system;
    std::size_t bytes;
};

void* allocate(mspack_system* base, std::size_t bytes) {
    auto& system = system_of(base);
    if (bytes > kMostMemory - std::min(kMostMemory, system.memory)) return nullptr;
    // Zeros: libmspack 0.11 frees members of a KWAJ header that it never set, where the header is cut.
    auto* head = static_cast<BlockHead*>(std::calloc(1, sizeof(BlockHead) + bytes));
    if (head == nullptr) return nullptr;
    *head = {&system, bytes};
    system.memory += bytes;
    return head + 1;
}

void release(void* block) {
    if (block == nullptr) return;
    auto* head = static_cast<BlockHead*>(block) - 1;
    head->system->memory -= head->bytes;
    std::free(head);
}

mspack_file* open_handle(mspack_system* base, const char* name, int mode) {
    auto& system = system_of(base);
    const bool writes = std::strcmp(name, kOutput) == 0;
    if (writes != (mode == MSPACK_SYS_OPEN_WRITE)) return nullptr;
    if (writes) system.output.clear();
    const auto number = writes ? 0 : parse_u64(name);
    if (!number || (!writes && *number >= system.inputs.size())) return nullptr;
    const auto* input = writes ? nullptr : system.inputs[static_cast<std::size_t>(*number)];
    return reinterpret_cast<mspack_file*>(new Handle{&system, input, 0});
}

// What could not be opened comes here as well: a cabinet that names another one.
void close_handle(mspack_file* file) {
    if (file != nullptr) delete &handle_of(file);
}

int read_handle(mspack_file* file, void* buffer, int bytes) {
    if (file == nullptr) return -1;
    auto& handle = handle_of(file);
    if (handle.writes() || bytes < 0) return -1;
    const auto count =
        handle.input->read(handle.at, {static_cast<std::byte*>(buffer), static_cast<std::size_t>(bytes)});
    if (count > 0) handle.at += static_cast<std::uint64_t>(count);
    return static_cast<int>(count);
}

int write_handle(mspack_file* file, void* buffer, int bytes) {
    if (file == nullptr) return -1;
    auto& handle = handle_of(file);
    auto& system = *handle.system;
    if (!handle.writes() || bytes < 0) return -1;
    if (static_cast<std::uint64_t>(bytes) >
        system.limit - std::min<std::uint64_t>(system.limit, system.output.size())) {
        system.too_big = true;
        return -1;
    }
    system.output.append(static_cast<const char*>(buffer), static_cast<std::size_t>(bytes));
    return bytes;
}

int seek_handle(mspack_file* file, off_t offset, int mode) {
    if (file == nullptr) return -1;
    auto& handle = handle_of(file);
    const auto size = static_cast<std::int64_t>(handle.writes() ? handle.system->output.size() : handle.input->size());
    std::int64_t at = offset;
    if (mode == MSPACK_SYS_SEEK_CUR) at += static_cast<std::int64_t>(handle.at);
    if (mode == MSPACK_SYS_SEEK_END) at += size;
    if (at < 0 || at > size) return -1;
    handle.at = static_cast<std::uint64_t>(at);
    return 0;
}

off_t tell_handle(mspack_file* file) { return file == nullptr ? 0 : static_cast<off_t>(handle_of(file).at); }
void ignore_message(mspack_file*, const char*, ...) {}
void copy_bytes(void* from, void* to, std::size_t bytes) { std::memcpy(to, from, bytes); }

System system_over(std::vector<const ArchiveBytes*> inputs, std::uint64_t limit) {
    System out;
    out.base = {open_handle,    close_handle, read_handle, write_handle, seek_handle, tell_handle,
                ignore_message, allocate,     release,     copy_bytes,   nullptr};
    out.inputs = std::move(inputs);
    out.limit = limit;
    return out;
}

std::string_view reason_of(int code) {
    switch (code) {
        case MSPACK_ERR_READ: return "cut";
        case MSPACK_ERR_SIGNATURE: return "not what its name says";
        case MSPACK_ERR_CHECKSUM: return "a wrong checksum";
        case MSPACK_ERR_NOMEMORY: return "it wants more memory than any of Microsoft's";
        default: return "damaged";
    }
}

Error damaged(int code) { return make_error(errors::kArchive, "{}", reason_of(code)); }

// The last part of a name that may have folders in it; hostile, for comparing alone.
std::string leaf_of(const char* name) {
    std::string_view text(name);
    const auto slash = text.find_last_of("/\\");
    if (slash != std::string_view::npos) text.remove_prefix(slash + 1);
    return to_lower(text);
}

// One cabinet, or a set that is one list of files.
struct Cabinet {
    mscab_decompressor* tool = nullptr;
    mscabd_cabinet* cabinet = nullptr;  // the first, with all that were joined to it
    mscabd_cabinet* last = nullptr;
    explicit Cabinet(System& system) : tool(mspack_create_cab_decompressor(&system.base)) {}
    Cabinet(const Cabinet&) = delete;
    Cabinet& operator=(const Cabinet&) = delete;
    ~Cabinet() {
        if (cabinet != nullptr) tool->close(tool, cabinet);
        if (tool != nullptr) mspack_destroy_cab_decompressor(tool);
    }
    // name: lives as long as this.
    Status add(const char* name) {
        if (tool == nullptr) return damaged(MSPACK_ERR_NOMEMORY);
        auto* next = tool->open(tool, name);
        if (next == nullptr) return damaged(tool->last_error(tool));
        if (cabinet == nullptr) {
            cabinet = last = next;
        } else if (const int code = tool->append(tool, last, next); code != MSPACK_ERR_OK) {
            tool->close(tool, next);
            return damaged(code);
        } else {
            last = next;
        }
        return {};
    }
};

// In the order they lie in, so that no compressed run is begun twice.
std::vector<mscabd_file*> wanted_files(const mscabd_cabinet& cabinet,
                                       const std::function<bool(std::string_view)>& wanted, const ExtractLimits& limits,
                                       Extraction& out) {
    std::vector<mscabd_file*> files;
    for (auto* file = cabinet.files; file != nullptr; file = file->next) {
        const auto name = leaf_of(file->filename);
        if (!wanted(name)) continue;
        if (files.size() == limits.files) {
            out.notes.push_back(fmt::format("more than {} wanted files; the rest is left out", limits.files));
            break;
        }
        if (file->length > limits.file || std::uint64_t{file->offset} + file->length > limits.folder)
            out.notes.push_back(fmt::format("{}: larger than any such file is", printable(name)));
        else files.push_back(file);
    }
    return files;
}

void extract_files(System& system, const Cabinet& open, const std::function<bool(std::string_view)>& wanted,
                   const ExtractLimits& limits, Extraction& out) {
    std::uint64_t total = 0;
    for (const auto& file : out.files) total += file.content.size();
    for (auto* file : wanted_files(*open.cabinet, wanted, limits, out)) {
        const auto name = leaf_of(file->filename);
        if (total > limits.total) {
            out.notes.push_back(fmt::format("{}: left out, too much came out before it", printable(name)));
            continue;
        }
        if (const int code = open.tool->extract(open.tool, file, kOutput); code != MSPACK_ERR_OK) {
            out.notes.push_back(fmt::format("{}: {}", printable(name),
                                            code == MSPACK_ERR_DECRUNCH || code == MSPACK_ERR_DATAFORMAT
                                                ? "damaged, or it goes on in another cabinet"
                                                : reason_of(code)));
            continue;
        }
        total += system.output.size();
        out.files.push_back({name, std::move(system.output)});
        system.output = {};
    }
}

// The cabinets of a program, each with those that go on where it ends.
Result<Extraction> extract_program(const ArchiveBytes& program, const std::function<bool(std::string_view)>& wanted,
                                   const ExtractLimits& limits) {
    const auto places = find_cabinets(program);
    if (places.empty()) return make_error(errors::kArchive, "a program without a cabinet in it");
    std::vector<std::unique_ptr<ArchiveBytes>> parts;
    for (const auto& place : places) parts.push_back(bytes_within(program, place.offset, place.size));
    Extraction out;
    for (std::size_t at = 0; at < places.size();) {
        std::vector<const ArchiveBytes*> set{parts[at].get()};
        auto last = at;
        while (places[last].goes_on && last + 1 < places.size() && places[last + 1].follows)
            set.push_back(parts[++last].get());
        at = last + 1;
        auto more = extract_set(set, wanted, limits);
        if (!more) {
            out.notes.push_back(more.error().message());
            continue;
        }
        std::move(more->files.begin(), more->files.end(), std::back_inserter(out.files));
        std::move(more->notes.begin(), more->notes.end(), std::back_inserter(out.notes));
    }
    return out;
}

// SZDD and KWAJ have the same calls in libmspack.
template <typename Tool, typename Destroy>
Result<Extraction> extract_single(System& system, Tool* tool, Destroy&& destroy) {
    if (tool == nullptr) return damaged(MSPACK_ERR_NOMEMORY);
    const int code = tool->decompress(tool, kInput, kOutput);
    destroy(tool);
    if (system.too_big) return make_error(errors::kArchive, "larger than any such file is");
    if (code != MSPACK_ERR_OK) return damaged(code);
    Extraction out;
    out.files.push_back({"", std::move(system.output)});
    return out;
}

}  // namespace

std::unique_ptr<ArchiveBytes> bytes_in_memory(ByteView bytes) { return std::make_unique<Memory>(bytes); }

Result<std::unique_ptr<ArchiveBytes>> bytes_in_file(const std::filesystem::path& path) {
    auto fd = TRY(open_fd(path, O_RDONLY | O_NONBLOCK));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errno_error(errno, path.string());
    if (!S_ISREG(info.st_mode)) return make_error(errors::kArchive, "not a regular file");
    return std::unique_ptr<ArchiveBytes>(
        std::make_unique<File>(std::move(fd), static_cast<std::uint64_t>(info.st_size)));
}

std::unique_ptr<ArchiveBytes> bytes_within(const ArchiveBytes& whole, std::uint64_t offset, std::uint64_t size) {
    return std::make_unique<Part>(whole, offset, size);
}

ArchiveKind kind_of_archive(const ArchiveBytes& archive) {
    std::array<std::byte, 4> head{};
    if (archive.read(0, head) != 4) return ArchiveKind::None;
    const auto text = as_text(head);
    return text == "MSCF"           ? ArchiveKind::Cabinet
           : text == "SZDD"         ? ArchiveKind::Szdd
           : text == "KWAJ"         ? ArchiveKind::Kwaj
           : text.starts_with("MZ") ? ArchiveKind::Program
                                    : ArchiveKind::None;
}

Result<Extraction> extract(const ArchiveBytes& archive, const std::function<bool(std::string_view)>& wanted,
                           const ExtractLimits& limits) {
    switch (kind_of_archive(archive)) {
        case ArchiveKind::Cabinet: return extract_set({&archive}, wanted, limits);
        case ArchiveKind::Program: return extract_program(archive, wanted, limits);
        case ArchiveKind::Szdd: {
            auto system = system_over({&archive}, limits.file);
            return extract_single(system, mspack_create_szdd_decompressor(&system.base),
                                  mspack_destroy_szdd_decompressor);
        }
        case ArchiveKind::Kwaj: {
            auto system = system_over({&archive}, limits.file);
            return extract_single(system, mspack_create_kwaj_decompressor(&system.base),
                                  mspack_destroy_kwaj_decompressor);
        }
        case ArchiveKind::None: break;
    }
    return make_error(errors::kArchive, "no cabinet, SZDD or KWAJ file");
}

Result<CabinetLinks> links_of(const ArchiveBytes& archive) {
    auto system = system_over({&archive}, 0);
    Cabinet open(system);
    TRY(open.add(kInput));
    const auto leaf = [](const char* name) { return name == nullptr ? std::string() : leaf_of(name); };
    return CabinetLinks{leaf(open.cabinet->prevname), leaf(open.cabinet->nextname)};
}

Result<Extraction> extract_set(const std::vector<const ArchiveBytes*>& cabinets,
                               const std::function<bool(std::string_view)>& wanted, const ExtractLimits& limits) {
    auto system = system_over(cabinets, limits.file);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < std::min(cabinets.size(), kMostCabinets); ++i) names.push_back(std::to_string(i));
    Cabinet open(system);
    Extraction out;
    for (std::size_t i = 0; i < names.size(); ++i) {
        auto added = open.add(names[i].c_str());
        if (!added && i == 0) return std::move(added).error();
        if (!added) {
            out.notes.push_back(fmt::format("part {} of the set: {}", i + 1, added.error().message()));
            break;
        }
    }
    if (open.cabinet == nullptr) return make_error(errors::kArchive, "a set without a cabinet");
    extract_files(system, open, wanted, limits, out);
    return out;
}

}  // namespace slipway::patches
