// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/builder.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <span>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "agent-ramdisk/builder/cpio.hpp"
#include "agent-ramdisk/builder/elf.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/modinfo.hpp"
#include "agent-ramdisk/builder/scripts.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::builder {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPiece = 1u << 20;

fs::path below(const fs::path& root, const fs::path& path) { return root / path.relative_path(); }

// What goes into a ramdisk, in order, before anything is compressed: its hash is the ramdisk's name.
struct Entry {
    enum class Kind { File, Module, Directory, Link, Device };
    Kind kind = Kind::File;
    std::string path;
    unsigned mode = 0644;
    Bytes content;
    std::string target;  // of a link
    unsigned major = 0, minor = 0;
};

class Plan {
public:
    const std::atomic<bool>* cancelled = nullptr;  // programs with their debugging information take a while to read

    void file(const std::string& path, Bytes content, unsigned mode) {
        entries.push_back({Entry::Kind::File, path, mode, std::move(content), {}, 0, 0});
    }
    // Compressed by xz when the archive is made.
    void module(const std::string& path, Bytes content) {
        entries.push_back({Entry::Kind::Module, path, 0644, std::move(content), {}, 0, 0});
    }
    void directory(const std::string& path) { entries.push_back({Entry::Kind::Directory, path, 0755, {}, {}, 0, 0}); }
    void symlink(const std::string& path, const std::string& target) {
        entries.push_back({Entry::Kind::Link, path, 0777, {}, target, 0, 0});
    }
    void device(const std::string& path, unsigned mode, unsigned major, unsigned minor) {
        entries.push_back({Entry::Kind::Device, path, mode, {}, {}, major, minor});
    }

    // Everything that the bytes of the ramdisk depend on.
    std::string key(int level) const {
        Sha256 hash;
        auto text = [&](const std::string& part) {
            hash.update(as_bytes(std::to_string(part.size()) + ":"));
            hash.update(as_bytes(part));
        };
        text(fmt::format("slipway-ramdisk 1, zstd {} {}", ZSTD_versionString(), level));
        for (const auto& e : entries) {
            text(fmt::format("{} {:o} {} {} {}", static_cast<int>(e.kind), e.mode, e.major, e.minor, e.content.size()));
            text(e.path);
            text(e.target);
            hash.update(e.content);
        }
        return hash.finish().text();
    }

    std::vector<Entry> entries;
};

Result<std::string> select_kernel(const BuildRequest& request) {
    // The kernel itself is there; whether this account may read the one in /boot is nobody's business.
    if (request.keep_kernel) return request.kernel;
    auto installed = installed_kernels(request.root);
    if (installed.empty())
        return make_error(errors::kKernel, "no kernel with modules is installed below {}", request.root.string());
    if (request.kernel.empty()) return installed.back();
    if (std::find(installed.begin(), installed.end(), request.kernel) == installed.end())
        return make_error(errors::kKernel, "kernel {} is not installed", request.kernel);
    return request.kernel;
}

Result<ModuleTexts> read_module_texts(const fs::path& directory) {
    ModuleTexts texts;
    texts.dep = TRY(read_text_file(directory / "modules.dep"));
    texts.alias = TRY(read_text_file(directory / "modules.alias"));
    texts.softdep = TRY(read_text_file(directory / "modules.softdep"));
    texts.builtin = TRY(read_text_file(directory / "modules.builtin"));
    texts.builtin_modinfo = read_text_file(directory / "modules.builtin.modinfo").value_or("");
    return texts;
}

bool interrupted(const BuildRequest& request) { return request.cancelled && *request.cancelled; }

Status go_on(const BuildRequest& request) {
    return interrupted(request) ? Status(make_error(errors::kInterrupted, "interrupted")) : Status();
}

// busybox reads no check but CRC32, and allocates the whole dictionary for a driver however small.
Result<Bytes> pack_module(const Bytes& module) {
    auto packed = TRY(run_checked({"xz", "--stdout", "--check=crc32", "--lzma2=preset=6,dict=1MiB"},
                                  {.input = std::string(as_text(module)), .output_limit = module.size() + 4096}));
    return Bytes(as_bytes(packed).begin(), as_bytes(packed).end());
}

// All at once, on all processors: each is a process of its own, and they are most of the work.
Status pack_modules(Plan& plan, const BuildRequest& request) {
    std::vector<Entry*> todo;
    for (auto& e : plan.entries)
        if (e.kind == Entry::Kind::Module && e.path.ends_with(".ko.xz")) todo.push_back(&e);
    std::vector<Status> outcomes(todo.size());
    std::atomic<std::size_t> next{0};
    auto work = [&] {
        for (std::size_t i = next++; i < todo.size() && !interrupted(request); i = next++) {
            auto packed = pack_module(todo[i]->content).with(todo[i]->path);
            if (packed) todo[i]->content = std::move(*packed);
            else outcomes[i] = std::move(packed).error();
        }
    };
    {
        std::vector<std::jthread> threads;
        for (unsigned i = 0; i < std::clamp(std::thread::hardware_concurrency(), 1u, 8u); ++i)
            threads.emplace_back(work);
    }
    for (auto& outcome : outcomes) TRY(std::move(outcome));
    return go_on(request);
}

void write_entry(CpioWriter& out, const Entry& e) {
    switch (e.kind) {
        case Entry::Kind::File:
        case Entry::Kind::Module: return out.file(e.path, e.content, e.mode);
        case Entry::Kind::Directory: return out.directory(e.path, e.mode);
        case Entry::Kind::Link: return out.symlink(e.path, e.target);
        case Entry::Kind::Device: return out.character_device(e.path, e.mode, e.major, e.minor);
    }
}

Bytes archive_of(const Plan& plan) {
    CpioWriter out;
    for (const auto& e : plan.entries) write_entry(out, e);
    return std::move(out).finish();
}

struct LoadedModule {
    Bytes content;  // unpacked
    std::vector<std::string> firmware;
};

Result<LoadedModule> load_module(const KernelModules& kernel, const std::string& name) {
    for (const auto& m : kernel.drop_ins.modules)
        if (m.module.name == name) return LoadedModule{m.content, m.firmware};
    auto path = kernel.index.path_of(name);
    auto content = read_file(kernel.directory / path);
    if (!content.ok()) return make_error(errors::kModule, "{}", content.error().describe());
    auto unpacked = TRY(unpack_module(*content, path));
    LoadedModule out{std::move(*content), {}};
    if (auto info = read_module_info(unpacked)) out.firmware = std::move(info->firmware);
    return out;
}

// /lib/firmware on this machine; what a drop-in brings is there already.
void add_firmware(Plan& out, const fs::path& root, const std::string& module, const std::vector<std::string>& names,
                  bool say_absent, BuildReport& report) {
    for (const auto& name : names) {
        auto path = "lib/firmware/" + name;
        bool there =
            std::any_of(out.entries.begin(), out.entries.end(), [&](const Entry& e) { return e.path == path; });
        if (there || name.find("..") != std::string::npos) continue;
        auto content = read_file(below(root, path));
        if (content) {
            report.firmware.push_back(name);
            report.firmware_bytes += content->size();
            out.file(path, std::move(*content), 0644);
        } else if (say_absent) {
            report.notes.push_back(
                fmt::format("{} may ask for firmware {}, which is not on this machine", module, printable(name)));
        }
    }
}

Status add_modules(Plan& out, const KernelModules& kernel, const ModuleChoice& choice, const fs::path& root,
                   bool say_absent, BuildReport& report) {
    auto inside = "lib/modules/" + kernel.version + "/";
    for (const auto& name : choice.names) {
        auto path = kernel.index.path_of(name);
        auto module = TRY_WITH(load_module(kernel, name), name);
        report.modules.push_back({name, module.content.size(), choice.why.at(name)});
        add_firmware(out, root, name, module.firmware, say_absent, report);
        out.module(inside + packed_path(path), std::move(module.content));
    }
    auto texts = kernel.index.subset(choice.names);
    for (const auto& [name, text] :
         {std::pair{"dep", &texts.dep}, {"alias", &texts.alias}, {"softdep", &texts.softdep}})
        out.file(fmt::format("{}modules.{}", inside, name), to_bytes(*text), 0644);
    return {};
}

Status add_program(Plan& out, const std::string& path, const fs::path& file, BuildReport& report) {
    if (out.cancelled && *out.cancelled) return make_error(errors::kInterrupted, "interrupted");
    auto content = TRY(read_file(file, kLargestProgram));
    if (is_elf(content)) content = strip_elf(content, TRY_WITH(read_elf(content), file.string()));
    report.agent_bytes += content.size();
    out.file(path, std::move(content), 0755);
    return {};
}

// libhivex converts names with iconv, and the C library loads what that takes only when it is asked for.
// "gconv-modules" says which module has which character set.
Status add_character_sets(Plan& out, const fs::path& hivex, const fs::path& root, BuildReport& report) {
    const auto directory = "usr/lib/" + hivex.parent_path().filename().string() + "/gconv/";
    for (const char* name : {"gconv-modules", "ISO8859-1.so", "UTF-16.so"}) {
        const auto file = below(root, directory + name);
        if (!fs::exists(file))
            return make_error(errors::kNeeded, "{} is needed: install the package libc6", file.string());
        TRY_WITH(add_program(out, directory + name, file, report), "a character set of " + hivex.string());
    }
    return {};
}

Status add_with_libraries(Plan& out, const std::string& path, const fs::path& program, const fs::path& root,
                          BuildReport& report) {
    TRY(add_program(out, path, program, report));
    if (!is_elf(TRY(read_file(program, kLargestProgram)))) return {};
    for (const auto& [library, file] : TRY(find_libraries(program, root))) {
        if (std::find(report.libraries.begin(), report.libraries.end(), library) != report.libraries.end()) continue;
        TRY_WITH(add_program(out, library, file, report), "a library of " + program.string());
        report.libraries.push_back(library);
        if (file.filename().string().starts_with("libhivex.")) TRY(add_character_sets(out, library, root, report));
    }
    return {};
}

// An inventory says what its machine needs; without one only who builds knows.
bool wants_repair_tools(const BuildRequest& request) {
    if (request.repair_tools || !request.inventory) return request.repair_tools;
    const auto& volumes = request.inventory->volumes;
    return std::any_of(volumes.begin(), volumes.end(), [](const gatherhw::Volume& v) {
        auto name = to_lower(v.filesystem);
        std::replace(name.begin(), name.end(), '_', '-');
        return name == "lvm2-member" || name == "linux-raid-member" || name == "crypto-luks";
    });
}

// Debian's kernel has no driver that writes NTFS: ntfs-3g does, through FUSE.
bool wants_ntfs(const BuildRequest& request) {
    if (request.repair_tools) return true;
    if (!request.inventory) return fs::exists(below(request.root, "usr/bin/ntfs-3g"));
    const auto& volumes = request.inventory->volumes;
    return std::any_of(volumes.begin(), volumes.end(),
                       [](const gatherhw::Volume& v) { return iequals(v.filesystem, "ntfs"); });
}

struct RepairTool {
    const char *path, *package;
};
constexpr RepairTool kNtfsTool[] = {{"usr/bin/ntfs-3g", "ntfs-3g"}};
// Where they lie here and in the ramdisk. thin_check, which lvm calls for a pool, is one of pdata_tools' names.
constexpr RepairTool kRepairTools[] = {{"usr/sbin/lvm", "lvm2"},
                                       {"usr/sbin/dmsetup", "dmsetup"},
                                       {"usr/sbin/mdadm", "mdadm"},
                                       {"usr/sbin/cryptsetup", "cryptsetup-bin"},
                                       {"usr/sbin/pdata_tools", "thin-provisioning-tools"}};

Status add_tools(Plan& out, std::span<const RepairTool> tools, const BuildRequest& request, BuildReport& report) {
    for (const auto& tool : tools) {
        auto file = below(request.root, tool.path);
        if (!fs::exists(file))
            file = below(request.root, std::string(tool.path).substr(4));  // /sbin, before /usr was one
        if (fs::exists(file)) {
            TRY_WITH(add_with_libraries(out, tool.path, file, request.root, report), file.string());
            continue;
        }
        if (request.repair_tools)
            return make_error(errors::kNeeded, "{} is needed: install the package {}", tool.path, tool.package);
        report.notes.push_back(
            fmt::format("a repair of this machine needs {}: install the package {}", tool.path, tool.package));
    }
    return {};
}

Status add_repair_tools(Plan& out, const BuildRequest& request, BuildReport& report) {
    TRY(add_tools(out, kRepairTools, request, report));
    out.symlink("usr/sbin/thin_check", "pdata_tools");
    return {};
}

Status add_programs(Plan& out, const BuildRequest& request, BuildReport& report) {
    if (!request.agent.empty())
        TRY_WITH(add_with_libraries(out, "usr/bin/slipway-agent-da", request.agent, request.root, report), "the agent");
    for (const auto& program : request.programs)
        TRY_WITH(add_with_libraries(out, "usr/bin/" + program.filename().string(), program, request.root, report),
                 program.string());
    if (wants_repair_tools(request)) TRY(add_repair_tools(out, request, report));
    if (wants_ntfs(request)) TRY(add_tools(out, kNtfsTool, request, report));
    for (const auto& [path, file] : request.more_files) out.file(path, TRY(read_file(file)), 0755);
    return {};
}

// After everything of ours: of two files of one name the archive keeps the first, so a drop-in replaces no part of us.
void add_drop_in_files(Plan& out, const DropIns& drop_ins, BuildReport& report) {
    for (const auto& f : drop_ins.files) {
        bool ours = std::any_of(out.entries.begin(), out.entries.end(),
                                [&](const Entry& e) { return e.path == f.path && e.kind != Entry::Kind::Directory; });
        if (ours || f.path.starts_with("lib/modules/")) {
            report.notes.push_back(printable(f.path) + " is the ramdisk's own: the drop-in's is left out");
            continue;
        }
        report.drop_in_bytes += f.content.size();
        if (f.target.empty()) out.file(f.path, f.content, f.mode);
        else out.symlink(f.path, f.target);
    }
}

Status add_userland(Plan& out, const BuildRequest& request) {
    // What the kernel needs before devtmpfs is mounted.
    out.device("dev/console", 0600, 5, 1);
    out.device("dev/null", 0666, 1, 3);
    for (const char* path : {"proc", "sys", "run", "tmp", "mnt", "root", "usr/sbin", "sbin"}) out.directory(path);
    auto busybox = read_file(below(request.root, request.busybox));
    if (!busybox.ok()) return make_error(errors::kNeeded, "busybox-static: {}", busybox.error().describe());
    if (auto needs = TRY_WITH(read_elf(*busybox), "busybox"); !needs.interpreter.empty())
        return make_error(errors::kNeeded, "busybox-static: {} is not static", request.busybox.string());
    out.file("bin/busybox", std::move(*busybox), 0755);
    out.symlink("bin/sh", "busybox");
    out.symlink("sbin/modprobe", "../bin/busybox");  // the kernel calls it
    for (const char* applet : {"mount", "mkdir", "cat"})
        out.symlink(std::string("bin/") + applet, "busybox");  // before --install
    out.file("init", to_bytes(kInitScript), 0755);
    out.file("etc/slipway/hotplug", to_bytes(kHotplugScript), 0755);
    out.file("etc/slipway/udhcpc", to_bytes(kUdhcpcScript), 0755);
    out.file("etc/slipway/post-system", to_bytes(kPostSystemScript), 0755);
    out.file("usr/bin/slipway-local", to_bytes(kLocalScript), 0755);
    out.file("etc/passwd", to_bytes("root:x:0:0:root:/root:/bin/sh\n"), 0644);
    out.file("etc/group", to_bytes("root:x:0:\n"), 0644);
    if (!request.ca.empty())
        out.file("etc/slipway/ca.pem", TRY_WITH(read_file(request.ca, 1u << 20), "the CA certificate"), 0644);
    return {};
}

Result<Plan> plan_ramdisk(const BuildRequest& request, const KernelModules& kernel, BuildReport& report) {
    Plan plan;
    plan.cancelled = request.cancelled;
    TRY(add_userland(plan, request));
    TRY(add_programs(plan, request, report));
    add_drop_in_files(plan, kernel.drop_ins, report);
    const auto* inventory = request.inventory ? &*request.inventory : nullptr;
    auto more = request.more_modules;
    if (wants_repair_tools(request)) more.insert(more.end(), repair_modules().begin(), repair_modules().end());
    if (wants_ntfs(request)) more.emplace_back("fuse");
    auto choice = choose_modules(kernel.index, inventory, request.set, more);
    if (!choice.note.empty()) report.notes.push_back(choice.note + "; the default modules were taken");
    for (const auto& name : choice.absent)
        report.notes.push_back("kernel " + kernel.version + " has no module " + name);
    // Of all the cards there are, most have firmware that nobody here will ask for.
    bool this_machine = inventory && choice.note.empty() && request.set == ModuleSet::Machine;
    TRY(add_modules(plan, kernel, choice, request.root, this_machine, report));
    report.notes.insert(report.notes.end(), kernel.drop_ins.notes.begin(), kernel.drop_ins.notes.end());
    return plan;
}

Result<Bytes> compress(ByteView data, const BuildRequest& request) {
    Bytes out(ZSTD_compressBound(data.size()));
    std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    // The kernel keeps one window beside archive and files.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 20);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, request.level);
    ZSTD_CCtx_setPledgedSrcSize(context.get(), data.size());
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    // In pieces: this takes the longest, and somebody may want it to stop.
    for (std::size_t end = 0; end < data.size() || !end;) {
        TRY(go_on(request));
        ZSTD_inBuffer from{data.data(), 0, 0};
        from.pos = end;
        from.size = end = std::min(data.size(), end + kPiece);
        auto left = ZSTD_compressStream2(context.get(), &to, &from, end == data.size() ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) return make_error(errors::kNeeded, "zstd: {}", ZSTD_getErrorName(left));
        if (data.empty()) break;
    }
    out.resize(to.pos);
    return out;
}

// An image that is the same stays, so that a client in the middle of it is not disturbed.
Status put_kernel(const BuildRequest& request, BuildReport& report) {
    report.kernel = request.output / "kernel";
    if (!request.keep_kernel) {
        auto kernel = TRY(read_file(request.root / ("boot/vmlinuz-" + report.kernel_version)));
        auto there = read_file(report.kernel);
        if (!there || *there != kernel) TRY(write_file_atomic(report.kernel, kernel));
    }
    std::error_code failed;
    report.kernel_bytes = fs::file_size(report.kernel, failed);
    return failed ? Status(errno_error(failed.value(), report.kernel.string())) : Status();
}

// A name for a file that has one already; whoever opens the name sees the old file or the new one.
Status link_file(const fs::path& file, const fs::path& name) {
    auto temporary = name;
    temporary += fmt::format(".link-{}", ::getpid());
    (void)::unlink(temporary.c_str());
    if (::link(file.c_str(), temporary.c_str()) != 0) return errno_error(errno, temporary.string());
    // rename does nothing, and leaves both, when they are one file already.
    if (::rename(temporary.c_str(), name.c_str()) != 0) return errno_error(errno, name.string());
    (void)::unlink(temporary.c_str());
    return fsync_directory(name.parent_path());
}

Status make_content(const fs::path& file, const fs::path& about, Plan plan, const BuildRequest& request,
                    BuildReport& report) {
    if (request.say) request.say(fmt::format("building the ramdisk ({} modules)…", report.modules.size()));
    TRY(pack_modules(plan, request));
    for (const auto& e : plan.entries)
        if (e.kind == Entry::Kind::Module) report.module_bytes += e.content.size();
    auto archive = archive_of(plan);
    auto packed = TRY(compress(archive, request));
    report.unpacked_bytes = archive.size();
    report.ramdisk_bytes = packed.size();
    report.built = true;
    TRY(write_file_atomic(about, as_bytes(to_json(report))));
    return write_file_atomic(file, packed);
}

}  // namespace

std::vector<std::string> installed_kernels(const fs::path& root) {
    std::vector<std::string> out;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(root / "lib/modules", ignored)) {
        auto version = entry.path().filename().string();
        if (fs::exists(root / ("boot/vmlinuz-" + version)) && fs::exists(entry.path() / "modules.dep"))
            out.push_back(version);
    }
    std::sort(out.begin(), out.end(),
              [](const auto& a, const auto& b) { return ::strverscmp(a.c_str(), b.c_str()) < 0; });
    return out;
}

Result<std::shared_ptr<const KernelModules>> read_kernel_modules(const fs::path& root, const std::string& version,
                                                                 const fs::path& pre_system) {
    auto directory = below(root, "lib/modules/" + version);
    auto texts = TRY_WITH(read_module_texts(directory), "the modules of kernel " + version);
    auto out = std::make_shared<KernelModules>(KernelModules{version, directory, ModuleIndex(texts), {}});
    if (!pre_system.empty()) out->drop_ins = TRY(read_drop_ins(pre_system, version));
    std::vector<ExtraModule> extra;
    for (const auto& m : out->drop_ins.modules) extra.push_back(m.module);
    out->index.add(extra);
    return std::shared_ptr<const KernelModules>(std::move(out));
}

Result<BuildReport> build_ramdisk(const BuildRequest& request, const KernelModules* modules) {
    BuildReport report;
    report.by = request.by;
    report.kernel_version = TRY(select_kernel(request));
    std::shared_ptr<const KernelModules> own;
    if (!modules) {
        own = TRY(read_kernel_modules(request.root, report.kernel_version, request.pre_system));
        modules = own.get();
    }
    auto plan = TRY(plan_ramdisk(request, *modules, report));
    report.key = plan.key(request.level);
    std::error_code failed;
    for (const char* part : {"ramdisk/by-content", "about/by-content"})
        fs::create_directories(request.output / part, failed);
    TRY(put_kernel(request, report));
    auto content = request.output / "ramdisk/by-content" / report.key;
    auto about = request.output / "about/by-content" / (report.key + ".json");
    auto known = report_from_json(read_text_file(about).value_or(""));
    if (known && fs::exists(content)) {
        report.ramdisk_bytes = known->ramdisk_bytes;
        report.unpacked_bytes = known->unpacked_bytes;
        report.module_bytes = known->module_bytes;
    } else {
        TRY(make_content(content, about, std::move(plan), request, report));
    }
    return name_ramdisk(request, std::move(report));
}

Result<BuildReport> name_ramdisk(const BuildRequest& request, BuildReport report) {
    report.ramdisk = request.output / "ramdisk" / request.name;
    std::error_code failed;
    auto about = report_from_json(read_text_file(request.output / "about" / (request.name + ".json")).value_or(""));
    if (about && about->key == report.key && about->by == report.by &&
        fs::equivalent(request.output / "ramdisk/by-content" / report.key, report.ramdisk, failed))
        return report;  // nothing to write
    // The report first: a ramdisk without one would count as made by hand.
    TRY(write_file_atomic(request.output / "about" / (request.name + ".json"), as_bytes(to_json(report))));
    TRY(link_file(request.output / "ramdisk/by-content" / report.key, report.ramdisk));
    return report;
}

Result<PostSystem> build_post_system(const fs::path& root, const std::string& version, const fs::path& folder) {
    PostSystem out;
    auto kernel = TRY(read_kernel_modules(root, version, folder));
    out.notes = kernel->drop_ins.notes;
    if (kernel->drop_ins.empty()) return out;
    Plan plan;
    BuildReport report;
    add_drop_in_files(plan, kernel->drop_ins, report);
    std::set<std::string> names;
    for (const auto& m : kernel->drop_ins.modules) names.insert(m.module.name);
    ModuleChoice choice;
    // With all they need: the ramdisk may not have it, or no more.
    for (const auto& [name, by] : kernel->index.closure(names)) {
        choice.names.insert(name);
        choice.why[name] = "PostSystem";
    }
    if (!choice.names.empty()) TRY(add_modules(plan, *kernel, choice, root, false, report));
    // modprobe's lists are added to, not replaced.
    for (auto& e : plan.entries)
        if (e.path.starts_with("lib/modules/") && e.path.find("/modules.") != std::string::npos) e.path += ".post";
    TRY(pack_modules(plan, {}));
    out.archive = archive_of(plan);
    return out;
}

void remove_unused(const fs::path& output) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(output / "ramdisk/by-content", ignored)) {
        auto age = fs::file_time_type::clock::now() - entry.last_write_time(ignored);
        // One that another process has just made gets its name in a moment.
        if (entry.hard_link_count(ignored) != 1 || age < std::chrono::minutes(10)) continue;
        fs::remove(entry.path(), ignored);
        fs::remove(output / "about/by-content" / (entry.path().filename().string() + ".json"), ignored);
    }
}

}  // namespace slipway::builder
