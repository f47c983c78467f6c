// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/tasks.hpp"

#include <algorithm>
#include <cctype>

#include "lib/base/strings.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

namespace {

using std::chrono::seconds;

struct Call {
    Target& target;
    const TaskParameters& parameters;
    TaskLog log;
    const std::atomic<bool>* cancel = nullptr;

    std::string text(const std::string& name, const std::string& otherwise = {}) const {
        auto found = parameters.find(name);
        return found == parameters.end() || found->second.empty() ? otherwise : found->second;
    }
    Result<std::string> needed(const std::string& name) const {
        auto value = text(name);
        if (value.empty()) return make_error(errors::kTask, "the parameter {} is missing", name);
        return value;
    }
    Result<seconds> duration(const std::string& name, unsigned otherwise) const {
        auto value = parse_u64(text(name, std::to_string(otherwise)));
        if (!value || *value > 86400) return make_error(errors::kTask, "{} is a number of seconds up to a day", name);
        return seconds(*value);
    }
    Result<std::string> choice(const std::string& name, std::initializer_list<std::string_view> words) const {
        auto value = text(name, std::string(*words.begin()));
        if (std::find(words.begin(), words.end(), value) == words.end())
            return make_error(errors::kTask, "{} cannot be '{}'", name, printable(value));
        return value;
    }
    Result<StartOptions> start_options() const {
        StartOptions options;
        const auto boot = parse_boot(text("boot", "disk"));
        if (!boot) return make_error(errors::kTask, "boot is disk or network");
        options.boot = *boot;
        options.undo = TRY(choice("undo", {"false", "true"})) == "true";
        return options;
    }
};

Result<std::optional<VmInfo>> find_vm(Target& target, const std::string& name) {
    auto info = target.info(name);
    if (info) return std::optional(*std::move(info));
    if (info.error().is(errors::kNoVm)) return std::optional<VmInfo>();
    return std::move(info).error();
}

Result<std::optional<Network>> find_network(Target& target, const std::string& name) {
    for (auto& network : TRY(target.networks()))
        if (network.name == name) return std::optional(std::move(network));
    return std::optional<Network>();
}

Result<VmDefinition> wanted_vm(const Call& call) {
    auto parsed = TRY(parse_definition(TRY(call.needed("definition"))));
    for (const auto& warning : parsed.warnings) call.log("VM definition: " + warning);
    return std::move(parsed.definition);
}

Result<TaskParameters> check_vmhost(const Call& call) {
    const auto wanted = TRY(wanted_vm(call));
    const auto if_exists = TRY(call.choice("if_exists", {"same", "fail"}));
    const auto there = TRY(find_vm(call.target, wanted.name));
    if (there && if_exists == "same" && there->definition == wanted) {
        call.log(wanted.name + " is there already");
        return TaskParameters{};
    }
    TRY(call.target.check_host(wanted));
    return TaskParameters{};
}

bool same_network(const Call& call, const Network& network) {
    const auto interface = call.text("interface");
    return interface.empty() || interface == network.interface;
}

Result<TaskParameters> create_network(const Call& call) {
    const auto name = TRY(call.needed("network"));
    const auto if_exists = TRY(call.choice("if_exists", {"same", "fail"}));
    auto there = TRY(find_network(call.target, name));
    if (there && (if_exists == "fail" || !same_network(call, *there)))
        return make_error(errors::kNetworkExists, "network {} exists, on {}", name, there->bridge);
    if (!there) {
        TRY(call.target.create_network(name, {call.text("interface")}));
        there = TRY(find_network(call.target, name));
    }
    if (!there) return make_error(errors::kNoNetwork, "network {} is gone again", name);
    return TaskParameters{{"bridge", there->bridge}};
}

Result<TaskParameters> create_vm(const Call& call) {
    const auto wanted = TRY(wanted_vm(call));
    const auto if_exists = TRY(call.choice("if_exists", {"same", "fail", "replace"}));
    TaskParameters result{{"vm", wanted.name}};
    if (const auto there = TRY(find_vm(call.target, wanted.name))) {
        if (if_exists == "same" && there->definition == wanted) {
            call.log(wanted.name + " is there already");
            return result;
        }
        if (if_exists != "replace")
            return make_error(errors::kVmExists, "{} exists{}", wanted.name,
                              if_exists == "same" ? " and is another machine" : "");
        TRY(call.target.remove(wanted.name));
    }
    TRY(call.target.create(wanted));
    return result;
}

// Calls act unless the machine is absent and that is allowed.
template <typename Act>
Result<TaskParameters> unless_absent(const Call& call, Act&& act) {
    const auto name = TRY(call.needed("vm"));
    const auto if_absent = TRY(call.choice("if_absent", {"done", "fail"}));
    Status done = act(name);
    if (!done && !(if_absent == "done" && done.error().is(errors::kNoVm))) return std::move(done).error();
    return TaskParameters{};
}

// With a definition only its machine, known by the UUID: that stays when memory or network were changed by hand.
Result<TaskParameters> delete_vm(const Call& call) {
    const auto name = TRY(call.needed("vm"));
    const auto if_other = TRY(call.choice("if_other", {"fail", "done"}));
    if (!call.text("definition").empty()) {
        const auto ours = TRY(wanted_vm(call)).uuid;
        if (const auto there = TRY(find_vm(call.target, name)); there && there->definition.uuid != ours) {
            if (if_other == "fail") return make_error(errors::kVmExists, "{} is another machine", name);
            call.log(name + " is another machine: it stays");
            return TaskParameters{};
        }
    }
    return unless_absent(call, [&](const std::string& name) { return call.target.remove(name); });
}

Result<TaskParameters> start_vm(const Call& call) {
    const auto name = TRY(call.needed("vm"));
    const auto options = TRY(call.start_options());
    const auto there = TRY(call.target.info(name));
    if (there.state == VmState::Running && there.started == options) {
        call.log(name + " is running already");
        return TaskParameters{};
    }
    TRY(call.target.start(name, options));
    return TaskParameters{};
}

Result<TaskParameters> stop_vm(const Call& call) {
    const auto grace = TRY(call.duration("grace", 60));
    return unless_absent(call, [&](const std::string& name) { return call.target.stop(name, grace); });
}

Result<TaskParameters> screenshot(const Call& call) {
    return TaskParameters{{"screenshot", to_base64(TRY(call.target.screenshot(TRY(call.needed("vm")))))}};
}

bool valid_nonce(std::string_view nonce) {
    return nonce.size() <= 64 && std::all_of(nonce.begin(), nonce.end(),
                                             [](unsigned char c) { return c < 128 && (std::isalnum(c) || c == '-'); });
}

Result<TaskParameters> boot_proof(const Call& call) {
    const auto name = TRY(call.needed("vm"));
    const auto nonce = TRY(call.needed("nonce"));
    if (!valid_nonce(nonce)) return make_error(errors::kTask, "the nonce is up to 64 letters, digits and dashes");
    const auto timeout = TRY(call.duration("timeout", 600));
    call.log(fmt::format("waiting up to {} for {} to come up",
                         human_duration(static_cast<std::uint64_t>(timeout.count())), name));
    const auto proof = TRY(call.target.boot_proof(name, nonce, timeout, call.cancel));
    return TaskParameters{{"line", proof.line},
                          {"seconds", fmt::format("{:.1f}", proof.seconds)},
                          {"screenshot", to_base64(proof.screenshot)}};
}

Result<TaskParameters> commit_undo(const Call& call) {
    TRY(call.target.commit_undo(TRY(call.needed("vm"))));
    return TaskParameters{};
}

Result<TaskParameters> discard_undo(const Call& call) {
    return unless_absent(call, [&](const std::string& name) { return call.target.discard_undo(name); });
}

Result<bool> network_made(const Call& call) {
    const auto there = TRY(find_network(call.target, TRY(call.needed("network"))));
    return there && same_network(call, *there);
}

Result<bool> vm_made(const Call& call) {
    const auto wanted = TRY(wanted_vm(call));
    const auto there = TRY(find_vm(call.target, wanted.name));
    return there && there->definition == wanted;
}

Result<bool> vm_absent(const Call& call) { return !TRY(find_vm(call.target, TRY(call.needed("vm")))).has_value(); }

Result<bool> vm_started(const Call& call) {
    const auto there = TRY(find_vm(call.target, TRY(call.needed("vm"))));
    return there && there->state == VmState::Running && there->started == TRY(call.start_options());
}

Result<bool> vm_off(const Call& call) {
    const auto there = TRY(find_vm(call.target, TRY(call.needed("vm"))));
    return !there || there->state == VmState::TurnedOff;
}

Result<bool> undo_gone(const Call& call) {
    const auto there = TRY(find_vm(call.target, TRY(call.needed("vm"))));
    return !there || !there->undo_pending;
}

Result<bool> never(const Call&) { return false; }

struct Task {
    std::string_view type;
    Result<TaskParameters> (*run)(const Call&);
    Result<bool> (*done)(const Call&);
};
constexpr Task kTasks[] = {
    {"check-vmhost", check_vmhost, never},   {"create-network", create_network, network_made},
    {"create-vm", create_vm, vm_made},       {"delete-vm", delete_vm, vm_absent},
    {"start-vm", start_vm, vm_started},      {"stop-vm", stop_vm, vm_off},
    {"screenshot", screenshot, never},       {"boot-proof", boot_proof, never},
    {"commit-undo", commit_undo, undo_gone}, {"discard-undo", discard_undo, undo_gone},
};

const Task* find_task(std::string_view type) {
    auto found = std::find_if(std::begin(kTasks), std::end(kTasks), [&](const Task& t) { return t.type == type; });
    return found == std::end(kTasks) ? nullptr : found;
}

Error unknown(std::string_view type) {
    return make_error(errors::kTask, "'{}' is no task of a VM host", printable(type));
}

}  // namespace

std::string to_base64(ByteView bytes) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto count = std::min<std::size_t>(3, bytes.size() - i);
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0);
        for (std::size_t k = 0; k < 4; ++k) out += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

bool is_vm_task(std::string_view type) { return find_task(type) != nullptr; }

Result<TaskParameters> run_vm_task(Target& target, std::string_view type, const TaskParameters& parameters,
                                   const TaskLog& log, const std::atomic<bool>* cancel) {
    const auto* task = find_task(type);
    if (!task) return unknown(type);
    return task->run({target, parameters, log ? log : [](const std::string&) {}, cancel});
}

Result<bool> probe_vm_task(Target& target, std::string_view type, const TaskParameters& parameters) {
    const auto* task = find_task(type);
    if (!task) return unknown(type);
    return task->done({target, parameters, [](const std::string&) {}});
}

}  // namespace slipway::vmm
