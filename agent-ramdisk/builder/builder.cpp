// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/builder/builder.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include <zstd.h>

#include "agent-ramdisk/builder/cpio.hpp"
#include "agent-ramdisk/builder/elf.hpp"
#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/modules.hpp"
#include "agent-ramdisk/builder/scripts.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"

namespace slipway::builder {

namespace fs = std::filesystem;

namespace {

fs::path below(const fs::path& root, const fs::path& path) { return root / path.relative_path(); }

Result<std::string> select_kernel(const BuildRequest& request) {
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
    return texts;
}

// busybox reads no check but CRC32, and allocates the whole dictionary for a driver however small.
Result<Bytes> pack_module(const Bytes& module) {
    auto packed = TRY(run_checked({"xz", "--stdout", "--check=crc32", "--lzma2=preset=6,dict=1MiB"},
                                  {.input = std::string(as_text(module)), .output_limit = module.size() + 4096}));
    return Bytes(as_bytes(packed).begin(), as_bytes(packed).end());
}

Status add_modules(CpioWriter& out, const BuildRequest& request, BuildReport& report) {
    auto inside = "lib/modules/" + report.kernel_version;
    auto directory = below(request.root, inside);
    ModuleIndex index(TRY_WITH(read_module_texts(directory), "the modules of kernel " + report.kernel_version));
    auto choice = choose_modules(index, request.inventory ? &*request.inventory : nullptr);
    if (!choice.note.empty()) report.notes.push_back(choice.note + "; the default modules were taken");
    for (const auto& name : choice.absent)
        report.notes.push_back("kernel " + report.kernel_version + " has no module " + name);
    for (const auto& name : choice.names) {
        auto path = index.path_of(name);
        auto content = read_file(directory / path);
        if (!content.ok()) return make_error(errors::kModule, "{}", content.error().describe());
        if (packed_path(path) != path) content = TRY_WITH(pack_module(*content), path);
        out.file(inside + "/" + packed_path(path), *content, 0644);
        report.module_bytes += content->size();
        report.modules.push_back(name);
    }
    auto texts = index.subset(choice.names);
    for (const auto& [name, text] :
         {std::pair{"dep", &texts.dep}, {"alias", &texts.alias}, {"softdep", &texts.softdep}})
        out.file(fmt::format("{}/modules.{}", inside, name), as_bytes(*text), 0644);
    return {};
}

Status add_agent(CpioWriter& out, const BuildRequest& request, BuildReport& report) {
    auto add = [&](const std::string& path, const fs::path& file) -> Status {
        auto content = TRY(read_file(file, 256u << 20));
        if (is_elf(content)) content = strip_elf(content, TRY_WITH(read_elf(content), file.string()));
        out.file(path, content, 0755);
        report.agent_bytes += content.size();
        return {};
    };
    TRY_WITH(add("usr/bin/slipway-agent-da", request.agent), "the agent");
    if (!is_elf(TRY(read_file(request.agent, 256u << 20)))) return {};
    for (const auto& [path, file] : TRY(find_libraries(request.agent, request.root))) {
        TRY_WITH(add(path, file), "a library of the agent");
        report.libraries.push_back(path);
    }
    return {};
}

Status add_userland(CpioWriter& out, const BuildRequest& request) {
    // What the kernel needs before devtmpfs is mounted.
    out.character_device("dev/console", 0600, 5, 1);
    out.character_device("dev/null", 0666, 1, 3);
    for (const char* path : {"proc", "sys", "run", "tmp", "mnt", "root", "usr/sbin", "sbin"}) out.directory(path);
    auto busybox = read_file(below(request.root, request.busybox));
    if (!busybox.ok()) return make_error(errors::kNeeded, "busybox-static: {}", busybox.error().describe());
    if (auto needs = TRY_WITH(read_elf(*busybox), "busybox"); !needs.interpreter.empty())
        return make_error(errors::kNeeded, "busybox-static: {} is not static", request.busybox.string());
    out.file("bin/busybox", *busybox, 0755);
    out.symlink("bin/sh", "busybox");
    out.symlink("sbin/modprobe", "../bin/busybox");  // the kernel calls it
    for (const char* applet : {"mount", "mkdir", "cat"})
        out.symlink(std::string("bin/") + applet, "busybox");  // before --install
    out.file("init", as_bytes(kInitScript), 0755);
    out.file("etc/slipway/hotplug", as_bytes(kHotplugScript), 0755);
    out.file("etc/slipway/udhcpc", as_bytes(kUdhcpcScript), 0755);
    out.file("etc/passwd", as_bytes("root:x:0:0:root:/root:/bin/sh\n"), 0644);
    out.file("etc/group", as_bytes("root:x:0:\n"), 0644);
    out.file("etc/slipway/ca.pem", TRY_WITH(read_file(request.ca, 1u << 20), "the CA certificate"), 0644);
    return {};
}

Result<Bytes> compress(ByteView data, int level) {
    Bytes out(ZSTD_compressBound(data.size()));
    std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
    // The kernel keeps one window beside archive and files.
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_windowLog, 20);
    ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
    auto size = ZSTD_compress2(context.get(), out.data(), out.size(), data.data(), data.size());
    if (ZSTD_isError(size)) return make_error(errors::kNeeded, "zstd: {}", ZSTD_getErrorName(size));
    out.resize(size);
    return out;
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

Result<BuildReport> build_ramdisk(const BuildRequest& request) {
    BuildReport report;
    report.kernel_version = TRY(select_kernel(request));
    auto kernel = TRY(read_file(request.root / ("boot/vmlinuz-" + report.kernel_version)));
    CpioWriter out;
    TRY(add_userland(out, request));
    TRY(add_agent(out, request, report));
    TRY(add_modules(out, request, report));
    auto archive = std::move(out).finish();
    auto packed = TRY(compress(archive, request.level));
    report.kernel = request.output / "kernel";
    report.ramdisk = request.output / "ramdisk" / request.name;
    report.kernel_bytes = kernel.size();
    report.ramdisk_bytes = packed.size();
    report.unpacked_bytes = archive.size();
    std::error_code failed;
    fs::create_directories(report.ramdisk.parent_path(), failed);
    TRY(write_file_atomic(report.kernel, kernel));
    TRY(write_file_atomic(report.ramdisk, packed));
    return report;
}

}  // namespace slipway::builder
