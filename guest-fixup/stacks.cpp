// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/stacks.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr const char* kRunDirectory = "/run/slipway";
constexpr const char* kActiveFile = "/run/slipway/fixup-active";
constexpr const char* kLockFile = "/run/slipway/fixup-lock";
// Argon2 of a key slot made on a fast machine takes minutes in an emulated one.
constexpr std::chrono::seconds kToolLimit{600};

std::optional<std::string> find_tool(const std::string& name) {
    for (const char* directory : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"})
        if (::access((directory + name).c_str(), X_OK) == 0) return directory + name;
    return std::nullopt;
}

bool kernel_has(VolumeKind kind) {
    const auto text = read_text_file(kind == VolumeKind::Md ? "/proc/devices" : "/proc/misc").value_or("");
    for (const auto& line : split(text, '\n'))
        if (line.ends_with(kind == VolumeKind::Md ? " md" : " device-mapper")) return true;
    return false;
}

std::string last_words(const CommandResult& result) {
    auto text = result.error_text + result.output;
    if (text.size() > 600) text.erase(0, text.size() - 600);
    return printable(trim(text));
}

// The number that the kernel gave a mapping: it stays when the mapping is renamed.
fs::path stable_node(const fs::path& device) {
    std::error_code failed;
    auto real = fs::canonical(device, failed);
    if (failed) return device;
    struct stat info {};
    if (::stat(real.c_str(), &info) != 0 || !S_ISBLK(info.st_mode)) return real;
    const auto name =
        fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(info.st_rdev), minor(info.st_rdev)), failed)
            .filename()
            .string();
    return name.starts_with("dm-") && fs::exists("/dev/" + name, failed) ? fs::path("/dev/" + name) : real;
}

}  // namespace

std::string format_records(const std::vector<ActiveRecord>& records) {
    std::string out;
    for (const auto& r : records) {
        out += r.kind + " " + r.name + " " + r.id;
        for (const auto& device : r.devices) out += " " + device;
        out += "\n";
    }
    return out;
}

std::vector<ActiveRecord> parse_records(std::string_view text) {
    std::vector<ActiveRecord> out;
    for (const auto& line : split(text, '\n')) {
        auto words = split(line, ' ');
        if (words.size() < 3 || (words[0] != "array" && words[0] != "luks" && words[0] != "group")) continue;
        if (!valid_mapping_name(words[1])) continue;
        out.push_back({words[0], words[1], words[2], {words.begin() + 3, words.end()}});
    }
    return out;
}

std::vector<Mapping> host_mappings() {
    std::vector<Mapping> out;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator("/sys/block", none)) {
        auto name = read_text_file(entry.path() / "dm/name"), uuid = read_text_file(entry.path() / "dm/uuid");
        if (name && uuid) out.push_back({std::string(trim(*name)), std::string(trim(*uuid))});
    }
    return out;
}

Status check_unused(const fs::path& device) {
    struct stat info {};
    if (::stat(device.c_str(), &info) != 0) return errno_error(errno, device.string());
    if (!S_ISBLK(info.st_mode)) return {};
    auto fd = open_fd(device, O_RDONLY | O_EXCL);
    if (fd) return {};
    return make_error(errors::kInUse, "{} is in use on this host", device.string());
}

Result<CommandResult> ActiveStacks::run(const std::vector<std::string>& argv, const std::string& input, bool ending) {
    auto words = argv;
    auto program = find_tool(argv[0]);
    if (!program) return make_error(errors::kNeedsAgent, "this host has no {}", argv[0]);
    words[0] = *program;
    CommandOptions options;
    options.input = input;
    options.timeout = kToolLimit;
    // What was begun is taken down, cancelled or not.
    options.cancel_fd = ending ? -1 : cancel_fd_;
    // Nobody waits for udev, which in a ramdisk is not there and elsewhere is slower than we are.
    options.environment = {"DM_DISABLE_UDEV=1", "MDADM_NO_UDEV=1", "LVM_SUPPRESS_FD_WARNINGS=1", "LC_ALL=C"};
    return run_command(words, options);
}

Status ActiveStacks::need(VolumeKind kind) {
    const bool md = kind == VolumeKind::Md;
    const char* tool = md ? "mdadm" : kind == VolumeKind::Luks ? "cryptsetup" : "lvm";
    if (!find_tool(tool)) return make_error(errors::kNeedsAgent, "this host has no {}", tool);
    if (kernel_has(kind)) return begin();
    // Its own says that it is there; the levels and targets load by themselves.
    (void)run({"modprobe", md ? "md-mod" : "dm-mod"});
    if (kernel_has(kind)) return begin();
    return make_error(errors::kNeedsAgent, "this host's kernel has no {}", md ? "md (software RAID)" : "device-mapper");
}

Status ActiveStacks::begin() {
    if (lock_.valid()) return {};
    std::error_code failed;
    fs::create_directories(kRunDirectory, failed);
    auto lock = TRY(open_fd(kLockFile, O_RDWR | O_CREAT, 0600));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return make_error(errors::kInUse, "another repair with arrays, groups or encrypted volumes runs on this host");
    lock_ = std::move(lock);
    active_ = parse_records(read_text_file(kActiveFile).value_or(""));
    const auto left = stop_all();
    if (!left.empty()) return make_error(errors::kInUse, "left by a repair that was killed: {}", join(left, "; "));
    return {};
}

Status ActiveStacks::record(ActiveRecord entry) {
    active_.push_back(std::move(entry));
    return write_file_atomic(kActiveFile, as_bytes(format_records(active_)), 0600);
}

Result<fs::path> ActiveStacks::start_array(const ArrayPlan& plan, const std::vector<fs::path>& members) {
    TRY(begin());
    for (const auto& member : members) TRY(check_unused(member));
    std::string name;
    std::error_code none;
    if (plan.name.starts_with("md") && parse_u64(std::string_view(plan.name).substr(2)).value_or(1u << 20) < 1u << 20 &&
        !fs::exists("/sys/block/" + plan.name, none))
        name = plan.name;
    for (int n = 127; name.empty() && n > 0; --n)
        if (const auto free = fmt::format("md{}", n); !fs::exists("/sys/block/" + free, none)) name = free;
    if (name.empty()) return make_error(errors::kActivate, "no number is free for the array {}", plan.name);
    const auto node = "/dev/" + name;
    TRY(record({"array", name, plan.id, {}}));
    std::vector<std::string> argv{"mdadm", "--assemble", "--config=none", "--run"};
    if (read_only_) argv.emplace_back("--readonly");
    argv.push_back(node);
    for (const auto& member : members) argv.push_back(member.string());
    const auto done = TRY(run(argv));
    if (!done.ok()) return make_error(errors::kActivate, "mdadm: {}", last_words(done));
    return fs::path(node);
}

Result<fs::path> ActiveStacks::open_luks(const std::string& uuid, const fs::path& device,
                                         const std::vector<std::string>& keys) {
    if (keys.empty()) return make_error(errors::kLocked, "no key is given");
    TRY(begin());
    TRY(check_unused(device));
    const auto name = "slipway-" + uuid;
    if (!valid_mapping_name(name)) return make_error(errors::kActivate, "'{}' is no LUKS UUID", printable(uuid));
    for (const auto& mapping : host_mappings())
        if (mapping.name == name) return make_error(errors::kInUse, "/dev/mapper/{} is there already", name);
    TRY(record({"luks", name, uuid, {}}));
    std::string said;
    for (const auto& key : keys) {
        std::vector<std::string> argv{"cryptsetup", "open", "--type",        "luks", "--batch-mode",
                                      "--key-file", "-",    device.string(), name};
        if (read_only_) argv.emplace_back("--readonly");
        const auto done = TRY(run(argv, key));
        if (done.ok()) return fs::path("/dev/mapper") / name;
        said = last_words(done);
        // 2: no key slot opens; anything else another key does not cure (3: memory for the key derivation).
        if (done.exit_code != 2) return make_error(errors::kActivate, "cryptsetup: {}", said);
    }
    return make_error(errors::kLocked, "none of the keys given opens it");
}

Result<fs::path> ActiveStacks::rename_luks(const fs::path& mapping, const std::string& name) {
    const auto old = mapping.filename().string();
    if (old == name) return mapping;
    if (!valid_mapping_name(name))
        return make_error(errors::kActivate, "'{}' cannot be a mapping's name", printable(name));
    for (const auto& other : host_mappings())
        if (other.name == name) return make_error(errors::kInUse, "/dev/mapper/{} is another one on this host", name);
    auto known =
        std::find_if(active_.begin(), active_.end(), [&](const auto& r) { return r.kind == "luks" && r.name == old; });
    if (known == active_.end()) return make_error(errors::kActivate, "{} is not ours", old);
    // Between the two it has either name; both are on the list, in this one's place.
    auto renamed = *known;
    renamed.name = name;
    active_.insert(known, renamed);
    TRY(write_file_atomic(kActiveFile, as_bytes(format_records(active_)), 0600));
    const auto done = TRY(run({"dmsetup", "rename", old, name}));
    if (!done.ok()) return make_error(errors::kActivate, "dmsetup rename: {}", last_words(done));
    return fs::path("/dev/mapper") / name;
}

Result<ActiveStacks::StartedGroup> ActiveStacks::start_group(const GroupPlan& plan,
                                                             const std::vector<fs::path>& devices) {
    TRY(begin());
    for (const auto& device : devices) TRY(check_unused(device));
    if (group_is_active(host_mappings(), plan.name, plan.uuid))
        return make_error(errors::kInUse, "this host has a volume group {} active", plan.name);
    ActiveRecord entry{"group", plan.name, plan.uuid, {}};
    std::vector<fs::path> nodes;
    for (const auto& device : devices) nodes.push_back(stable_node(device));
    for (const auto& node : nodes) entry.devices.push_back(node.string());
    TRY(record(std::move(entry)));
    const auto config = lvm_config(nodes, plan, kRunDirectory, read_only_, fs::exists("/usr/sbin/thin_check"));
    const auto done =
        TRY(run({"lvm", "vgchange", "--activate", "y", "--config", config, "--select", "vg_uuid=" + plan.uuid}));
    StartedGroup out{.volumes = volumes_of_group(host_mappings(), plan.uuid)};
    if (!done.ok()) out.complaint = "lvm: " + last_words(done);
    // A pool of thin volumes writes to its metadata as soon as it is there.
    if (!done.ok() && read_only_) out.complaint += " (a dry run cannot open every kind of volume)";
    if (out.volumes.empty())
        return make_error(errors::kActivate, "{}",
                          done.ok() ? "the group has no volumes that could be activated" : out.complaint);
    return out;
}

Status ActiveStacks::stop(const ActiveRecord& entry) {
    auto ended = [&](const std::vector<std::string>& argv) -> Status {
        const auto done = TRY(run(argv, {}, true));
        if (!done.ok()) return make_error(errors::kActivate, "{}", last_words(done));
        return {};
    };
    if (entry.kind == "array") {
        std::error_code none;
        if (!fs::exists("/sys/block/" + entry.name + "/md/array_state", none)) return {};
        // The number may be another array's by now.
        const auto detail = TRY(run({"mdadm", "--detail", "--export", "/dev/" + entry.name}, {}, true));
        if (detail.ok() && detail.output.find("MD_UUID=" + entry.id) == std::string::npos) return {};
        return ended({"mdadm", "--stop", "/dev/" + entry.name});
    }
    const auto all = host_mappings();
    if (entry.kind == "luks") {
        std::string plain;
        std::copy_if(entry.id.begin(), entry.id.end(), std::back_inserter(plain), [](char c) { return c != '-'; });
        const bool there = std::any_of(all.begin(), all.end(), [&](const Mapping& m) {
            return m.name == entry.name && m.uuid.starts_with("CRYPT-LUKS") && m.uuid.find(plain) != std::string::npos;
        });
        return there ? ended({"cryptsetup", "close", entry.name}) : Status();
    }
    if (!group_is_active(all, "", entry.id)) return {};
    const GroupPlan plan{.name = entry.name, .uuid = entry.id};
    return ended({"lvm", "vgchange", "--activate", "n", "--config",
                  lvm_config({entry.devices.begin(), entry.devices.end()}, plan, kRunDirectory, false,
                             fs::exists("/usr/sbin/thin_check")),
                  "--select", "vg_uuid=" + entry.id});
}

std::vector<std::string> ActiveStacks::stop_all() {
    if (!lock_.valid()) return {};
    std::vector<std::string> left;
    std::vector<ActiveRecord> kept;
    for (; !active_.empty(); active_.pop_back()) {
        if (auto stopped = stop(active_.back()); !stopped) {
            left.push_back(active_.back().kind + " " + active_.back().name + ": " + stopped.error().message());
            kept.insert(kept.begin(), active_.back());
        }
    }
    if (kept.empty()) ::unlink(kActiveFile);
    else (void)write_file_atomic(kActiveFile, as_bytes(format_records(kept)), 0600);
    return left;
}

}  // namespace slipway::fixup
