// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/ramdisks.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>

#include "agent-ramdisk/builder/errors.hpp"
#include "agent-ramdisk/builder/modinfo.hpp"
#include "deploy-server/db/json.hpp"
#include "deploy-server/errors.hpp"
#include "gatherhw/reader.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxModaliases = 4096, kMaxModalias = 512;
constexpr int kQuiet = 1000;  // ms without a change in a drop-in folder: a copy of many files is one change
constexpr std::uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CREATE | IN_ATTRIB;

std::string version_of_kernel(const fs::path& boot) {
    auto file = open_fd(boot / "kernel", O_RDONLY);
    if (!file) return {};
    Bytes head(64u << 10);
    auto got = pread_full(file->get(), head, 0);
    return got ? builder::kernel_version_of(ByteView(head).first(*got)) : std::string();
}

std::optional<builder::BuildReport> report_of(const fs::path& boot, const std::string& name) {
    auto text = read_text_file(boot / "about" / (name + ".json"), 16u << 20);
    if (!text || !fs::exists(boot / "ramdisk" / name)) return std::nullopt;
    auto report = builder::report_from_json(*text);
    return report ? std::optional(std::move(*report)) : std::nullopt;
}

constexpr std::string_view kOurs = "deploy-server";

// What was there before there were reports, or what the operator's program made, is the operator's.
bool made_by_hand(const fs::path& boot, const std::string& name) {
    if (!fs::exists(boot / "ramdisk" / name)) return false;
    auto report = report_of(boot, name);
    return !report || report->by != kOurs;
}

std::vector<std::string> modaliases_of_hello(const std::string& hardware) {
    std::vector<std::string> out;
    auto object = parse_object(hardware);
    const auto* list = object ? object->if_contains("modaliases") : nullptr;
    if (!list || !list->is_array()) return out;
    for (const auto& item : list->get_array())
        if (item.is_string() && item.get_string().size() <= kMaxModalias && out.size() < kMaxModaliases)
            out.emplace_back(item.get_string());
    return out;
}

// The kernel's file is the operator's, who may take it away: it is looked for whenever somebody asks.
RamdiskEntry as_seen(RamdiskEntry entry, bool kernel) {
    const auto s = entry.state;
    if (kernel || s == RamdiskState::Waiting || s == RamdiskState::Building || s == RamdiskState::Failed) return entry;
    entry.state = RamdiskState::NoKernel;
    entry.error = "STATE/boot/kernel is not there, so nothing boots: `slipway agent build` makes it";
    return entry;
}

}  // namespace

std::string_view name_of(RamdiskState state) {
    switch (state) {
        case RamdiskState::NoKernel: return "no-kernel";
        case RamdiskState::Unknown: return "unknown-hardware";
        case RamdiskState::Waiting: return "waiting";
        case RamdiskState::Building: return "building";
        case RamdiskState::Ready: return "ready";
        case RamdiskState::ByHand: return "by-hand";
        case RamdiskState::Refused: return "refused";
        case RamdiskState::Failed: return "failed";
    }
    return "";
}

Result<KnownMachine> known_machine(Database& db, const DeviceRow& device) {
    KnownMachine known;
    auto aliases = modaliases_of_hello(device.hardware);
    if (auto xml = TRY(db.inventory(device.id)); !xml.empty()) {
        auto read = gatherhw::read_inventory(xml);
        if (read) return KnownMachine{std::move(read->inventory), "inventory"};
        if (aliases.empty()) return std::move(read).error().with("the inventory of " + device.name);
    }
    if (aliases.empty()) return known;
    known.machine.emplace();
    known.machine->modaliases = std::move(aliases);
    known.source = "first boot";
    return known;
}

std::string choose_ramdisk(const RamdiskEntry* entry, const std::string& served_kernel, bool broad_is_there) {
    if (!entry || entry->state == RamdiskState::Unknown) return broad_is_there ? "ramdisk/broad" : "ramdisk/default";
    bool there = entry->report || entry->state == RamdiskState::ByHand;
    // Modules of another kernel do not load: better the common ones than none.
    bool fits = !entry->report || entry->report->kernel_version == served_kernel;
    return there && fits ? "ramdisk/" + entry->name : "ramdisk/default";
}

Status Ramdisks::start() {
    wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    watch_ = UniqueFd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!wake_.valid() || !watch_.valid()) return errno_error(errno, "watching the drop-in folders");
    std::error_code failed;
    for (const char* folder : {"PreSystem", "PostSystem"}) fs::create_directories(options_.repository / folder, failed);
    do_all();
    thread_ = std::thread([this] { work(); });
    return {};
}

void Ramdisks::stop() {
    {
        std::lock_guard hold(mutex_);
        stopping_ = true;
    }
    cancel_ = true;  // a restart does not wait for a ramdisk
    if (wake_.valid()) (void)::eventfd_write(wake_.get(), 1);
    if (thread_.joinable()) thread_.join();
}

std::int64_t Ramdisks::id_of(const std::string& device) const {
    auto row = db_.device(device);
    return row && *row ? (*row)->id : 0;
}

const RamdiskEntry* Ramdisks::entry_of(const std::string& name, std::int64_t id) const {
    auto found = entries_.find(name);
    if (found == entries_.end()) return nullptr;
    return found->second.device == 0 || found->second.device == id ? &found->second : nullptr;
}

std::string Ramdisks::choice(const DeviceRow& device) const { return choice(device.name, device.id); }
std::string Ramdisks::choice(const std::string& device) const { return choice(device, id_of(device)); }

std::string Ramdisks::choice(const std::string& device, std::int64_t id) const {
    std::unique_lock hold(mutex_);
    const auto* entry = entry_of(device, id);
    auto path = choose_ramdisk(entry, served_, broad_);
    auto served = served_;
    hold.unlock();
    if (path == "ramdisk/" + device || device.empty() || kSharedRamdisks.contains(device)) return path;
    // Perhaps somebody has just made one by hand.
    if (!made_by_hand(options_.boot, device)) return path;
    auto report = report_of(options_.boot, device);
    return !report || report->kernel_version == served ? "ramdisk/" + device : path;
}

Status Ramdisks::may_boot(const DeviceRow& device) const { return may_boot(device.name, device.id); }
Status Ramdisks::may_boot(const std::string& device) const { return may_boot(device, id_of(device)); }

Status Ramdisks::may_boot(const std::string& device, std::int64_t id) const {
    std::lock_guard hold(mutex_);
    const auto* entry = entry_of(device, id);
    if (!entry || entry->state != RamdiskState::Refused) return {};
    std::vector<std::string> advice;
    for (const auto& m : entry->drivers.missing)
        if (m.fatal) advice.push_back(builder::advice(m, served_));
    return Error(std::string(errors::kNoDriver.name), fmt::format("device '{}': {}", device, entry->drivers.text()),
                 join(advice, " "), false);
}

std::vector<std::string> Ramdisks::cards_without_driver(const std::string& device) const {
    std::vector<std::string> out;
    auto entry = find(device);
    for (const auto& m : entry ? entry->drivers.missing : std::vector<builder::MissingDriver>())
        if (m.kind == builder::MissingDriver::Kind::Network) out.push_back(m.id);
    return out;
}

std::optional<RamdiskEntry> Ramdisks::find(const std::string& name) const {
    bool kernel = fs::exists(options_.boot / "kernel");
    auto id = id_of(name);
    std::lock_guard hold(mutex_);
    const auto* entry = entry_of(name, id);
    return entry ? std::optional(as_seen(*entry, kernel)) : std::nullopt;
}

std::vector<RamdiskEntry> Ramdisks::list() const {
    bool kernel = fs::exists(options_.boot / "kernel");
    std::lock_guard hold(mutex_);
    std::vector<RamdiskEntry> out;
    for (const auto& [name, entry] : entries_) out.push_back(as_seen(entry, kernel));
    return out;
}

std::string Ramdisks::kernel_version() const {
    if (!fs::exists(options_.boot / "kernel")) return {};
    std::lock_guard hold(mutex_);
    return served_;
}

void Ramdisks::look_at(const std::string& device) { queue({device, false}); }
void Ramdisks::rebuild() { queue({"default", true}); }
void Ramdisks::rebuild(const std::string& device) { queue({device, true}); }

bool Ramdisks::wait_idle(std::chrono::milliseconds time, const std::atomic<bool>* cancel) const {
    constexpr std::chrono::milliseconds kLook{200};  // at `cancel`, which wakes nobody
    const auto end = std::chrono::steady_clock::now() + time;
    auto idle = [&] { return queue_.empty() && !busy_; };
    std::unique_lock hold(mutex_);
    if (!cancel) return idle_.wait_until(hold, end, idle);
    while (!*cancel && std::chrono::steady_clock::now() < end)
        if (idle_.wait_until(hold, std::min(end, std::chrono::steady_clock::now() + kLook), idle)) return true;
    return idle();
}

void Ramdisks::queue(Errand errand) {
    auto id = kSharedRamdisks.contains(errand.name) ? 0 : id_of(errand.name);
    {
        std::lock_guard hold(mutex_);
        if (std::find(queue_.begin(), queue_.end(), errand) != queue_.end()) return;
        if (entries_.contains(errand.name) && !entry_of(errand.name, id)) entries_.erase(errand.name);
        auto& entry = entries_[errand.name];
        entry.device = id;
        // Who asks just after has to be told that it is under way.
        if (errand.force || entry.name.empty()) entry.state = RamdiskState::Waiting;
        entry.name = errand.name;
        if (errand.name.empty()) entries_.erase(errand.name);
        queue_.push_back(std::move(errand));
    }
    if (wake_.valid()) (void)::eventfd_write(wake_.get(), 1);
}

// ---- the worker

void Ramdisks::watch_folders() {
    std::error_code failed;
    auto watch = [&](const fs::path& folder) { (void)::inotify_add_watch(watch_.get(), folder.c_str(), kChanges); };
    // The kernel is put there by a rename; by whoever puts his own there perhaps not.
    (void)::inotify_add_watch(watch_.get(), options_.boot.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE);
    for (const char* part : {"PreSystem", "PostSystem"}) {
        watch(options_.repository / part);
        for (fs::recursive_directory_iterator it(options_.repository / part, failed), end; !failed && it != end;
             it.increment(failed))
            if (it->is_directory(failed) && !it->is_symlink(failed)) watch(it->path());
    }
}

void Ramdisks::drain_watch() {
    alignas(inotify_event) char buffer[16384];
    while (::read(watch_.get(), buffer, sizeof buffer) > 0) {
    }
}

// False: stop. A change in the folders becomes an errand for all.
bool Ramdisks::wait_for_work() {
    bool changed = false;
    while (true) {
        {
            std::unique_lock hold(mutex_);
            if (stopping_) return false;
            if (!changed && !queue_.empty()) return true;
            if (!changed) idle_.notify_all();
        }
        pollfd fds[2]{{wake_.get(), POLLIN, 0}, {watch_.get(), POLLIN, 0}};
        int ready = ::poll(fds, 2, changed ? kQuiet : -1);
        eventfd_t ignored = 0;
        (void)::eventfd_read(wake_.get(), &ignored);
        if (fds[1].revents) {
            drain_watch();
            watch_folders();  // a new folder is watched before what comes next
            changed = true;
        } else if (changed && ready == 0) {
            log::info("server", "drop-ins or kernel have changed");
            modules_.reset();
            std::lock_guard hold(mutex_);
            post_system_.reset();
            queue_.push_back({});
            return true;
        }
    }
}

void Ramdisks::work() {
    // Machines that boot go first; what is started from here is as patient.
    (void)::setpriority(PRIO_PROCESS, 0, 10);
    watch_folders();
    while (wait_for_work()) {
        Errand errand;
        {
            std::lock_guard hold(mutex_);
            errand = std::move(queue_.front());
            queue_.pop_front();
            busy_ = true;
        }
        if (errand.name == "default" || errand.name == "broad") do_shared();
        else if (errand.name.empty()) do_all();
        else do_device(errand.name, errand.force);
        std::lock_guard hold(mutex_);
        busy_ = false;
        if (queue_.empty()) builder::remove_unused(options_.boot);
        idle_.notify_all();
    }
}

void Ramdisks::publish(RamdiskEntry entry) {
    std::lock_guard hold(mutex_);
    entries_[entry.name] = std::move(entry);
}

// The kernel is the operator's to replace: what is served is read again each time.
void Ramdisks::forget_kernel() {
    auto version = version_of_kernel(options_.boot);
    auto broad = report_of(options_.boot, "broad");
    auto common = report_of(options_.boot, "default");
    std::lock_guard hold(mutex_);
    served_ = version;
    broad_ = broad && broad->kernel_version == version;
    for (auto& [name, report] :
         {std::pair<std::string, std::optional<builder::BuildReport>&>{"broad", broad}, {"default", common}})
        if (report && !(entries_.contains(name) && entries_[name].state == RamdiskState::Waiting))
            entries_[name] = {name, report->by == kOurs ? RamdiskState::Ready : RamdiskState::ByHand, {}, {}, report,
                              {}};
}

builder::BuildRequest Ramdisks::request(const std::string& name) const {
    builder::BuildRequest r;
    r.agent = options_.agent;
    r.ca = options_.ca;
    r.output = options_.boot;
    r.name = name;
    r.pre_system = options_.repository / "PreSystem";
    r.root = options_.root;
    r.level = options_.level;
    r.by = kOurs;
    r.cancelled = &cancel_;
    return r;
}

Result<const builder::KernelModules*> Ramdisks::modules(const std::string& version) {
    if (!modules_ || modules_->version != version) {
        made_.clear();
        modules_ = TRY(builder::read_kernel_modules(options_.root, version, options_.repository / "PreSystem"));
        for (const auto& note : modules_->drop_ins.notes) log::warning("server", "drop-in {}", note);
    }
    return modules_.get();
}

void Ramdisks::do_shared() {
    modules_.reset();  // kernel or agent may be new
    for (const char* name : {"default", "broad"}) {
        publish({name, RamdiskState::Building, {}, {}, report_of(options_.boot, name), {}});
        auto r = request(name);
        if (std::string_view(name) == "broad") r.set = builder::ModuleSet::Broad;
        auto report = builder::build_ramdisk(r);
        if (report) {
            publish({name, RamdiskState::Ready, {}, {}, *report, {}});
            continue;
        }
        if (report.error().is(builder::errors::kInterrupted)) return;
        log::error("server", "the ramdisk {}: {}", name, report.error().describe());
        publish({name, RamdiskState::Failed, {}, {}, report_of(options_.boot, name), report.error().explain()});
    }
    forget_kernel();
    do_all();
}

void Ramdisks::do_all() {
    forget_kernel();
    auto devices = db_.devices();
    if (!devices) return log::error("server", "the ramdisks: {}", devices.error().describe());
    for (const auto& d : *devices) {
        if (d.kind != "device") continue;
        // What an earlier life of the server made is booted until it was looked at, but for one that was made for an
        // earlier machine of that name.
        auto known = known_machine(db_, d);
        auto report = known && known->machine ? report_of(options_.boot, d.name) : std::nullopt;
        if (!find(d.name)) publish({d.name, RamdiskState::Waiting, {}, {}, std::move(report), {}, d.id});
        queue({d.name, false});
    }
}

void Ramdisks::do_device(const std::string& name, bool force) {
    auto device = db_.device(name);
    if (!device || !*device || kSharedRamdisks.contains(name)) {
        std::lock_guard hold(mutex_);
        entries_.erase(name);
        return;
    }
    RamdiskEntry entry{name, RamdiskState::Unknown, {}, {}, std::nullopt, {}, (*device)->id};
    const bool by_hand = !force && made_by_hand(options_.boot, name);
    auto version = kernel_version();
    auto outcome = [&]() -> Status {
        auto known = TRY(known_machine(db_, **device));
        entry.source = known.source;
        entry.report = by_hand ? report_of(options_.boot, name) : std::nullopt;
        entry.state = by_hand ? RamdiskState::ByHand : version.empty() ? RamdiskState::NoKernel : RamdiskState::Unknown;
        if (version.empty() || !known.machine) return {};
        auto* kernel = TRY(modules(version));
        entry.drivers =
            builder::check_drivers(kernel->index, *known.machine, (*device)->macs, kernel->drop_ins.without_driver);
        if (!by_hand && !entry.drivers.may_boot()) entry.state = RamdiskState::Refused;
        if (entry.state != RamdiskState::Unknown) return {};
        entry.state = RamdiskState::Building;
        if (auto before = find(name)) entry.report = before->report;  // which it boots meanwhile
        publish(entry);
        entry.report = TRY(build(**device, known));
        entry.state = RamdiskState::Ready;
        return {};
    }();
    if (!outcome && outcome.error().is(builder::errors::kInterrupted)) return;
    if (!outcome) {
        entry.state = RamdiskState::Failed;
        entry.error = outcome.error().explain();
        log::error("server", "the ramdisk of {}: {}", name, outcome.error().describe());
    }
    if (entry.state == RamdiskState::Refused)
        log::warning("server", "device {} is not booted: {}", name, entry.drivers.text());
    publish(std::move(entry));
}

Result<builder::BuildReport> Ramdisks::build(const DeviceRow& device, const KnownMachine& known) {
    auto r = request(device.name);
    r.kernel = modules_->version;
    r.keep_kernel = true;
    r.inventory = known.machine;
    auto choice = builder::choose_modules(modules_->index, &*known.machine);
    // The agent's program is asked for each time: an upgrade needs no restart.
    std::error_code failed;
    auto key =
        fmt::format("{} {}", fs::last_write_time(options_.agent, failed).time_since_epoch().count(), choice.note);
    for (const auto& name : choice.names) key += " " + name;
    if (auto made = made_.find(key); made != made_.end()) {
        made->second.built = false;
        if (auto named = builder::name_ramdisk(r, made->second)) return named;
        made_.erase(made);
    }
    auto report = TRY(builder::build_ramdisk(r, modules_.get()));
    log::info("server", "the ramdisk of {}: {} ({} modules, {}){}", device.name, human_bytes(report.ramdisk_bytes),
              report.modules.size(), report.key.substr(0, 12), report.built ? "" : ", as another's");
    made_[key] = report;
    return report;
}

Result<std::shared_ptr<const Bytes>> Ramdisks::post_system(const std::string& version) {
    {
        std::lock_guard hold(mutex_);
        if (post_system_ && post_system_version_ == version) return post_system_;
    }
    std::string served;
    {
        std::lock_guard hold(mutex_);
        served = served_;  // an agent that runs has its kernel, whatever became of the file
    }
    // A version that the agent made up is no path of ours.
    if (version.empty() || version != served)
        return make_error(errors::kBadRequest, "no agent of ours runs Linux {}", printable(version));
    auto made = TRY(builder::build_post_system(options_.root, version, options_.repository / "PostSystem"));
    for (const auto& note : made.notes) log::warning("server", "PostSystem: {}", note);
    auto archive = std::make_shared<const Bytes>(std::move(made.archive));
    std::lock_guard hold(mutex_);
    post_system_ = archive;
    post_system_version_ = version;
    return std::shared_ptr<const Bytes>(archive);
}

}  // namespace slipway::server
