// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>

#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "vmm-target/accelerator.hpp"
#include "vmm-target/command_line.hpp"
#include "vmm-target/errors.hpp"
#include "vmm-target/host.hpp"
#include "vmm-target/host_network.hpp"
#include "vmm-target/linked_disk.hpp"
#include "vmm-target/proof_line.hpp"
#include "vmm-target/proof_watch.hpp"
#include "vmm-target/qmp.hpp"
#include "vmm-target/vm_directory.hpp"

namespace slipway::vmm {

namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

class QemuTarget final : public Target {
public:
    explicit QemuTarget(QemuOptions options)
        : options_(std::move(options)), networks_(options_.state_dir / ".networks") {}

    Status check_host(const VmDefinition& definition) override;
    Status create(const VmDefinition& definition) override;
    Status remove(const std::string& name) override;
    Status start(const std::string& name, const StartOptions& options) override;
    Status stop(const std::string& name, seconds grace) override;
    Result<VmInfo> info(const std::string& name) override;
    Result<std::vector<std::string>> list() override;
    Result<Bytes> screenshot(const std::string& name) override;
    Status commit_undo(const std::string& name) override;
    Status discard_undo(const std::string& name) override;
    Result<BootProof> boot_proof(const std::string& name, const std::string& nonce, seconds timeout,
                                 const std::atomic<bool>* cancel) override;
    Status create_network(const std::string& name, const NetworkOptions& options) override;
    Status remove_network(const std::string& name) override;
    Result<std::vector<Network>> networks() override { return networks_.list(); }

private:
    Result<FileLock> lock(const std::string& name) const {
        return FileLock::acquire(options_.state_dir / ".locks" / name);
    }
    Result<VmDirectory> directory(const std::string& name) const {
        VmDirectory vm(options_.state_dir / (valid_name(name) ? name : "?"));
        if (!vm.exists()) return make_error(errors::kNoVm, "there is no machine {}", printable(name));
        return vm;
    }
    static void settle(const VmDirectory& vm);
    static Status power_off(const VmDirectory& vm, seconds grace);
    static Result<std::vector<LinkedDisk>> claim_linked(const VmDefinition& definition);
    Status make_undo_disks(const VmDirectory& vm, const VmDefinition& definition) const;
    Status add_taps(const VmDirectory& vm, const VmDefinition& definition, RunRecord& run);
    Status run_qemu(const VmDirectory& vm, const VmDefinition& definition, const RunRecord& run,
                    const std::vector<LinkedDisk>& linked);
    static Result<Bytes> take_screen(QmpClient& qmp, const VmDirectory& vm);

    QemuOptions options_;
    HostNetworks networks_;
};

// What a run leaves behind when QEMU has ended.
void QemuTarget::settle(const VmDirectory& vm) {
    if (auto run = vm.run())
        for (const auto& tap : run->taps) HostNetworks::remove_tap(tap);
    for (const char* name : {"run.json", "pid", kSocketName, kWatchName}) ::unlink((vm / name).c_str());
}

Status QemuTarget::check_host(const VmDefinition& definition) {
    TRY(check(definition));
    const VmDirectory vm(options_.state_dir / definition.name);
    if (vm.exists()) return make_error(errors::kVmExists, "{} exists", definition.name);
    // What an earlier try left half made is taken away by create().
    if (!vm.half_made()) TRY(check_disk_files(definition, vm.path()));
    TRY(check_memory(options_.host, definition));
    return check_space(options_.host, definition, vm.path());
}

Status QemuTarget::create(const VmDefinition& definition) {
    TRY(check(definition));
    const auto& name = definition.name;
    auto held = TRY(lock(name));
    const VmDirectory vm(options_.state_dir / name);
    if (vm.half_made()) TRY_WITH(vm.remove_all(), "taking away what an earlier try left");
    for (const auto& adapter : definition.adapters)
        if (!adapter.network.empty()) TRY(networks_.find(adapter.network));
    TRY(check_host(definition));
    auto make = [&]() -> Status {
        TRY(vm.begin_create(definition));
        TRY(make_disks(definition, vm.path()));
        if (definition.firmware == Firmware::Uefi) {
            const auto variables = TRY_WITH(read_file(kFirmwareVariables), "UEFI needs the package ovmf");
            TRY(write_file_atomic(vm / kVariablesName, variables, 0600));
        }
        return vm.finish_create();
    };
    auto made = make();
    if (!made && vm.half_made()) (void)vm.remove_all();
    return made;
}

Status QemuTarget::power_off(const VmDirectory& vm, seconds grace) {
    const auto process = vm.process();
    if (!process) return {};
    auto qmp = QmpClient::connect(vm / kSocketName, seconds(10));
    if (qmp && grace.count() > 0 && qmp->execute("system_powerdown") && process->wait_end(grace)) return {};
    if (qmp && qmp->execute("quit") && process->wait_end(seconds(20))) return {};
    process->kill();
    if (!process->wait_end(seconds(20))) return make_error(errors::kQmp, "QEMU does not end");
    return {};
}

Status QemuTarget::stop(const std::string& name, seconds grace) {
    auto held = TRY(lock(name));
    const auto vm = TRY(directory(name));
    TRY(power_off(vm, grace));
    settle(vm);
    return {};
}

Status QemuTarget::remove(const std::string& name) {
    auto held = TRY(lock(name));
    const VmDirectory vm(options_.state_dir / (valid_name(name) ? name : "?"));
    if (!vm.exists() && !vm.half_made()) return make_error(errors::kNoVm, "there is no machine {}", printable(name));
    TRY(power_off(vm, seconds(0)));
    settle(vm);
    return vm.remove_all();
}

Result<std::vector<LinkedDisk>> QemuTarget::claim_linked(const VmDefinition& definition) {
    std::vector<LinkedDisk> out;
    for (const auto& disk : definition.disks)
        if (disk.kind == DiskKind::Linked) out.push_back(TRY(LinkedDisk::claim(disk)));
    return out;
}

Status QemuTarget::make_undo_disks(const VmDirectory& vm, const VmDefinition& definition) const {
    for (std::size_t i = 0; i < definition.disks.size(); ++i) {
        const auto file = vm.undo_file(i);
        if (fs::exists(file)) continue;
        const auto part = file.string() + ".part";
        const auto* below = definition.disks[i].kind == DiskKind::Linked ? "raw" : "vpc";
        TRY(run_checked({"qemu-img", "create", "-q", "-f", "qcow2", "-F", below, "-b",
                         fs::absolute(disk_path(definition.disks[i], vm.path())).string(), part}));
        if (::rename(part.c_str(), file.c_str()) != 0) return errno_error(errno, file.string());
    }
    return {};
}

Status QemuTarget::add_taps(const VmDirectory& vm, const VmDefinition& definition, RunRecord& run) {
    for (std::size_t i = 0; i < definition.adapters.size(); ++i)
        run.taps.push_back(definition.adapters[i].network.empty() ? "" : tap_name(definition.uuid, i));
    TRY(vm.write_run(run));
    for (std::size_t i = 0; i < definition.adapters.size(); ++i)
        if (!run.taps[i].empty()) TRY(networks_.add_tap(run.taps[i], definition.adapters[i].network));
    return {};
}

Status QemuTarget::run_qemu(const VmDirectory& vm, const VmDefinition& definition, const RunRecord& run,
                            const std::vector<LinkedDisk>& linked) {
    QemuPlan plan{.program = options_.program,
                  .accelerator = options_.accelerator,
                  .pid_file = vm.pid_file().string(),
                  .taps = run.taps,
                  .boot = run.options.boot};
    if (plan.accelerator.empty())
        plan.accelerator = choose_accelerator(options_.program, options_.state_dir / ".accelerator.json");
    for (std::size_t i = 0; i < definition.disks.size(); ++i)
        plan.disks.push_back({(run.options.undo ? vm.undo_file(i) : disk_path(definition.disks[i], vm.path())).string(),
                              run.options.undo, definition.disks[i].kind == DiskKind::Linked});
    // Made anew, so that no line of an earlier run can be taken for one of this.
    for (const char* name : {"serial0.log", "serial1.log"}) ::unlink((vm / name).c_str());
    CommandOptions command;
    command.working_directory = vm.path();
    command.timeout = seconds(60);
    // QEMU keeps the claims on the host's disks.
    command.before_exec = [&linked] {
        for (const auto& disk : linked)
            if (::fcntl(disk.fd(), F_SETFD, 0) != 0) return errno;
        return 0;
    };
    const auto started = TRY(run_command(qemu_command(definition, plan), command));
    if (!started.ok())
        return make_error(errors::kQemu, "QEMU ended with {}: {}", started.exit_code,
                          printable(trim(started.error_text)));
    TRY(QmpClient::connect(vm / kSocketName, seconds(20)));
    return {};
}

Status QemuTarget::start(const std::string& name, const StartOptions& options) {
    auto held = TRY(lock(name));
    const auto vm = TRY(directory(name));
    const auto definition = TRY(vm.definition());
    if (vm.process()) return make_error(errors::kState, "{} is on already: stop it first", name);
    settle(vm);
    if (!options.undo && vm.undo_count() > 0) return make_error(errors::kUndo, "{} has undo disks", name);
    TRY(check_memory(options_.host, definition));
    RunRecord run{.options = options, .started_ms = unix_milliseconds(SystemClock().wall())};
    auto begin = [&]() -> Status {
        const auto linked = TRY(claim_linked(definition));
        if (options.undo) TRY(make_undo_disks(vm, definition));
        TRY(add_taps(vm, definition, run));
        return run_qemu(vm, definition, run, linked);
    };
    auto begun = begin();
    if (!begun) {
        (void)power_off(vm, seconds(0));
        settle(vm);
    }
    return begun;
}

Result<VmInfo> QemuTarget::info(const std::string& name) {
    const auto vm = TRY(directory(name));
    VmInfo info;
    auto definition = vm.definition();
    if (definition) info.definition = *std::move(definition);
    info.undo_pending = vm.undo_count() > 0;
    if (vm.process()) {
        info.state = VmState::Running;
        if (auto run = vm.run()) info.started = run->options;
        if (auto qmp = QmpClient::connect(vm / kSocketName, seconds(10)))
            if (auto status = qmp->execute("query-status"); status && status->is_object())
                if (const auto* running = status->as_object().if_contains("running");
                    running && running->is_bool() && !running->as_bool())
                    info.state = VmState::Paused;
    }
    if (info.definition.name.empty()) info.state = VmState::Invalid;
    return info;
}

Result<std::vector<std::string>> QemuTarget::list() {
    std::vector<std::string> names;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(options_.state_dir, none)) {
        auto name = entry.path().filename().string();
        if (valid_name(name) && VmDirectory(entry.path()).exists()) names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<Bytes> QemuTarget::screenshot(const std::string& name) {
    const auto vm = TRY(directory(name));
    if (!vm.process()) return make_error(errors::kState, "{} is not running", name);
    auto qmp = TRY(QmpClient::connect(vm / kSocketName, seconds(10)));
    return take_screen(qmp, vm);
}

Result<Bytes> QemuTarget::take_screen(QmpClient& qmp, const VmDirectory& vm) {
    const auto file = fs::absolute(vm / ("screen-" + random_token(4) + ".png"));
    auto taken = qmp.execute("screendump", {{"filename", file.string()}, {"format", "png"}});
    auto picture = taken ? read_file(file) : Result<Bytes>(std::move(taken).error());
    ::unlink(file.c_str());
    return picture;
}

Status QemuTarget::commit_undo(const std::string& name) {
    auto held = TRY(lock(name));
    const auto vm = TRY(directory(name));
    if (vm.process()) return make_error(errors::kState, "{} is on: stop it first", name);
    if (vm.undo_count() == 0) return {};
    const auto linked = TRY(claim_linked(TRY(vm.definition())));
    for (std::size_t i = 0; i < kMaxDisks; ++i) {
        const auto file = vm.undo_file(i);
        if (!fs::exists(file)) continue;
        // Cut off, it is done again: the same blocks are written once more.
        TRY(run_checked({"qemu-img", "commit", "-q", "-d", "-f", "qcow2", file.string()}));
        if (::unlink(file.c_str()) != 0) return errno_error(errno, file.string());
    }
    return {};
}

Status QemuTarget::discard_undo(const std::string& name) {
    auto held = TRY(lock(name));
    const auto vm = TRY(directory(name));
    if (vm.process()) return make_error(errors::kState, "{} is on: stop it first", name);
    for (std::size_t i = 0; i < kMaxDisks; ++i)
        if (::unlink(vm.undo_file(i).c_str()) != 0 && errno != ENOENT)
            return errno_error(errno, vm.undo_file(i).string());
    return {};
}

Result<BootProof> QemuTarget::boot_proof(const std::string& name, const std::string& nonce, seconds timeout,
                                         const std::atomic<bool>* cancel) {
    const auto vm = TRY(directory(name));
    const auto process = vm.process();
    const auto run = vm.run();
    if (!process || !run) return make_error(errors::kState, "{} is not running", name);
    auto connected = QmpClient::connect(vm / kWatchName, seconds(10));
    // Stopped between the look and the call: what failed then is no news.
    if (!connected && process->wait_end(seconds(5)))
        return make_error(errors::kEnded, "{} went off before its proof was waited for", name);
    auto qmp = TRY(std::move(connected));
    auto waited = wait_for_proof(vm / "serial1.log", *process, qmp, nonce, timeout, cancel);
    if (!waited && waited.error().is(slipway::errors::kNotFound) && process->wait_end(seconds(5)))
        return make_error(errors::kEnded, "{} went off, and its serial port's file with it", name);
    const auto now = unix_milliseconds(SystemClock().wall());
    if (!waited) {
        // What it shows instead is the best hint there is.
        if (auto screen = screenshot(name); screen && write_file_atomic(vm / "no-proof.png", *screen, 0600))
            return std::move(waited).error().with("its screen is in " + (vm / "no-proof.png").string());
        return std::move(waited).error();
    }
    auto screen = TRY(take_screen(qmp, vm));
    // Events come in order with the answer: a restart before the picture was taken is known by now.
    if (TRY(qmp.take_events()).contains("RESET"))
        return make_error(errors::kNoProof, "{} restarted after its line and before its picture", name);
    return BootProof{proof_line(nonce), std::move(screen), static_cast<double>(now - run->started_ms) / 1000};
}

Status QemuTarget::create_network(const std::string& name, const NetworkOptions& options) {
    auto held = TRY(lock(".networks"));
    return networks_.create(name, options);
}

Status QemuTarget::remove_network(const std::string& name) {
    auto held = TRY(lock(".networks"));
    for (const auto& vm : TRY(list())) {
        const auto info = TRY(this->info(vm));
        for (const auto& adapter : info.definition.adapters)
            if (adapter.network == name) return make_error(errors::kNetworkInUse, "{} is attached to {}", vm, name);
    }
    return networks_.remove(name);
}

}  // namespace

Result<std::unique_ptr<Target>> make_qemu_target(QemuOptions options) {
    std::error_code failed;
    options.state_dir = fs::absolute(options.state_dir);
    fs::create_directories(options.state_dir, failed);
    if (failed) return errno_error(failed.value(), options.state_dir.string());
    return std::unique_ptr<Target>(std::make_unique<QemuTarget>(std::move(options)));
}

}  // namespace slipway::vmm
