// SPDX-License-Identifier: GPL-3.0-or-later
// What libhivex does and what it does not. It adds and removes keys and writes lists of values; it knows no single
// value, so a key's values are all written anew. Around that:
//  - what lies in the file as it came is read from there, not through libhivex: its strings end at a NUL, its names
//    fail on lone surrogates, and it cuts up to four bytes off the end of big data;
//  - big data of a key whose values are written anew stays where it is: libhivex gets a few bytes in its place, and
//    the file it has written is pointed back (finish());
//  - lists of subkeys that it has made new are "lh", which Windows NT 4 and 2000 and their 1.3 files do not know, and
//    lists that have become empty stay: put right in finish(), too.
#include "guest-fixup/windows/hive.hpp"

#include <fcntl.h>
#include <hivex.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <unordered_map>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/hive_check.hpp"
#include "guest-fixup/windows/hive_finish.hpp"
#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/regf.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {
namespace {

using namespace regf;

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
template <typename T>
using Allocated = std::unique_ptr<T, Free>;

struct CloseHive {
    void operator()(hive_h* hive) const { hivex_close(hive); }
};

struct MemoryFile {
    UniqueFd fd;
    std::string path;
};

Result<MemoryFile> memory_file() {
    UniqueFd fd(memfd_create("hive", MFD_CLOEXEC));
    if (!fd.valid()) return make_error(errors::kHiveEdit, "no memory for a hive: {}", std::strerror(errno));
    auto path = fmt::format("/proc/self/fd/{}", fd.get());
    return MemoryFile{std::move(fd), std::move(path)};
}

// One value of a key, as libhivex will be given it again.
struct Slot {
    std::string name;
    RegValue value;
    std::optional<KeptData> kept;  // big data where it came from
};

struct Children {
    std::vector<std::string> names;
    std::unordered_map<std::string, hive_node_h> nodes;  // by the folded name
};

// libhivex takes C strings of UTF-8, and does not look whether they are.
bool writable_name(std::string_view name) {
    return name.size() <= 16383 && name.find('\0') == std::string_view::npos &&
           name.find("\xef\xbf\xbd") == std::string_view::npos && from_utf16(to_utf16(name)) == name;
}

// libhivex computes hashes and the order by ASCII.
bool makeable_key(std::string_view name) {
    return !name.empty() && name.size() <= 255 &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string value_place(std::string_view label, std::string_view key, std::string_view name) {
    return fmt::format("{}{}{}: {}", label, key.empty() ? "" : "\\", key, name.empty() ? "(default)" : name);
}

}  // namespace

struct Hive::Impl {
    std::string label;
    std::string original;  // with what inspect_hive() has mended
    std::string given;     // as it came; empty when that is the same
    std::size_t end = 0;   // of the original's bins: what libhivex allocates lies behind it
    std::unique_ptr<hive_h, CloseHive> hive;
    std::vector<Change> journal;
    Finish finish;                                            // what is to be put right in what libhivex writes
    std::map<hive_node_h, std::map<std::string, KeptData>> kept;  // node -> folded name of a value
    mutable std::map<hive_node_h, Children> children_of;
    bool broken = false;  // libhivex failed half way

    static std::uint32_t cell_of(std::size_t handle) { return static_cast<std::uint32_t>(handle - kBaseBlock); }
    bool is_original(std::size_t handle) const { return handle < end; }
    std::string_view original_cell(std::size_t handle) const { return cell_at(original, cell_of(handle)); }

    std::string name_of(hive_node_h node) const {
        if (is_original(node)) {
            const auto key = read_key_node(original_cell(node));
            return key ? name_text(key->name, key->latin1()) : "";
        }
        const Allocated<char> name(hivex_node_name(hive.get(), node));
        return name ? name.get() : "";
    }

    const Children& children(hive_node_h node) const {
        const auto [at, fresh] = children_of.try_emplace(node);
        if (!fresh) return at->second;
        const Allocated<hive_node_h> nodes(hivex_node_children(hive.get(), node));
        for (auto* next = nodes.get(); next && *next != 0; ++next) {
            auto name = name_of(*next);
            at->second.nodes.try_emplace(folded(name), *next);
            at->second.names.push_back(std::move(name));
        }
        return at->second;
    }

    hive_node_h child(hive_node_h node, std::string_view name) const {
        const auto& nodes = children(node).nodes;
        const auto found = nodes.find(folded(name));
        return found == nodes.end() ? 0 : found->second;
    }

    // 0: there is none.
    hive_node_h find(std::string_view key) const {
        hive_node_h node = hivex_root(hive.get());
        while (node != 0 && !key.empty()) {
            const auto end_of_name = std::min(key.find('\\'), key.size());
            node = child(node, key.substr(0, end_of_name));
            key.remove_prefix(std::min(end_of_name + 1, key.size()));
        }
        return node;
    }

    // A predefined handle has none.
    std::vector<hive_value_h> value_handles(hive_node_h node) const {
        if (is_original(node)) {
            const auto key = read_key_node(original_cell(node));
            if (!key || (key->flags & kPredefinedHandle)) return {};
        }
        std::vector<hive_value_h> all;
        const Allocated<hive_value_h> handles(hivex_node_values(hive.get(), node));
        for (auto* next = handles.get(); next && *next != 0; ++next) all.push_back(*next);
        return all;
    }

    std::string value_name(hive_value_h handle) const {
        if (is_original(handle)) {
            const auto value = read_key_value(original_cell(handle));
            return value ? name_text(value->name, value->latin1) : "";
        }
        const Allocated<char> name(hivex_value_key(hive.get(), handle));
        return name ? name.get() : "";
    }

    Slot slot(hive_node_h node, hive_value_h handle) const {
        Slot slot{value_name(handle), {}, {}};
        if (is_original(handle)) {
            const auto value = read_key_value(original_cell(handle)).value_or(KeyValue{});
            slot.value = {static_cast<RegType>(value.type), data_of(original, value).value_or("")};
            if (!value.in_place && (value.size > kSegment || value.size > cell_at(original, value.data).size()))
                slot.kept = KeptData{value.data, value.size};
            return slot;
        }
        hive_type type{};
        std::size_t length = 0;
        const Allocated<char> data(hivex_value_value(hive.get(), handle, &type, &length));
        slot.value.type = static_cast<RegType>(type);
        if (data) slot.value.data.assign(data.get(), length);
        if (const auto of_node = kept.find(node); of_node != kept.end())
            if (const auto big = of_node->second.find(folded(slot.name)); big != of_node->second.end()) {
                slot.kept = big->second;
                slot.value.data = big_data(big->second);
            }
        return slot;
    }

    std::string big_data(const KeptData& data) const {
        KeyValue value;
        value.size = data.size;
        value.data = data.cell;
        return data_of(original, value).value_or("");
    }

    std::optional<Slot> find_value(hive_node_h node, std::string_view name) const {
        const auto wanted = folded(name);
        for (const auto handle : value_handles(node))
            if (folded(value_name(handle)) == wanted) return slot(node, handle);
        return std::nullopt;
    }

    std::vector<Slot> slots(hive_node_h node) const {
        std::vector<Slot> all;
        for (const auto handle : value_handles(node)) all.push_back(slot(node, handle));
        return all;
    }

    Error refused(std::string_view key, std::string_view why) const {
        return make_error(errors::kHiveEdit, "{}\\{} cannot be changed: {}", label, key, why);
    }

    Error failed(std::string_view what) {
        const int error = errno;
        broken = true;
        return make_error(errors::kHiveEdit, "{}: {}: {}", label, what, std::strerror(error));
    }

    Status may_edit(std::string_view key) const {
        if (broken) return make_error(errors::kHiveEdit, "{}: an earlier change failed", label);
        const auto node = find(key);
        if (node == 0 || !is_original(node)) return {};
        const auto found = read_key_node(original_cell(node));
        if (found && (found->flags & kPredefinedHandle)) return refused(key, "it is a predefined handle");
        return {};
    }

    // The key, made where it is missing.
    Result<hive_node_h> make(std::string_view key) {
        hive_node_h node = hivex_root(hive.get());
        std::vector<std::string> missing;
        for (const auto& name : key.empty() ? std::vector<std::string>{} : split(key, '\\')) {
            const auto next = missing.empty() ? child(node, name) : 0;
            if (next != 0) node = next;
            else if (!makeable_key(name)) return refused(key, "keys of such names are not made here");
            else missing.push_back(name);
        }
        for (const auto& name : missing) {
            const auto next = hivex_node_add_child(hive.get(), node, name.c_str());
            if (next == 0) return failed(fmt::format("adding {} for {}", name, key));
            finish.lists.insert(cell_of(node));
            children_of.erase(node);
            node = next;
        }
        return node;
    }

    Status write(hive_node_h node, std::string_view key, std::vector<Slot>& slots) {
        // In place of big data, for finish() to point back; long enough to be in a cell of its own.
        std::string placeholder(8, '\0');
        std::vector<hive_set_value> all;
        for (auto& slot : slots) {
            if (!writable_name(slot.name)) return refused(key, "it has a value whose name is no text");
            if (!slot.kept && slot.value.data.size() > kLargestWritten)
                return refused(key, fmt::format("a value of {} bytes", slot.value.data.size()));
        }
        auto& big = kept[node];
        big.clear();
        for (auto& slot : slots) {
            auto& data = slot.kept ? placeholder : slot.value.data;
            all.push_back({slot.name.data(), static_cast<hive_type>(slot.value.type), data.size(), data.data()});
            if (slot.kept) big.emplace(folded(slot.name), *slot.kept);
        }
        if (hivex_node_set_values(hive.get(), node, all.size(), all.data(), 0) != 0)
            return failed(fmt::format("writing the values of {}", key));
        auto& pointed = finish.big[cell_of(node)];
        pointed.clear();
        for (std::size_t i = 0; i < slots.size(); ++i)
            if (slots[i].kept) pointed.emplace(i, *slots[i].kept);
        return {};
    }

    void forget(hive_node_h node) {
        kept.erase(node);
        finish.big.erase(cell_of(node));
        finish.lists.erase(cell_of(node));
        children_of.erase(node);
    }

    // Values first: libhivex would read them all to no end. Bounded by kDeepest levels of keys.
    Status clear(hive_node_h node, std::string_view key) {
        for (const auto& slot : slots(node))
            if (slot.kept) finish.freed.push_back(*slot.kept);
        if (!value_handles(node).empty() && hivex_node_set_values(hive.get(), node, 0, nullptr, 0) != 0)
            return failed(fmt::format("removing the values of {}", key));
        const Allocated<hive_node_h> nodes(hivex_node_children(hive.get(), node));
        if (!nodes) return failed(fmt::format("looking below {}", key));
        for (auto* next = nodes.get(); *next != 0; ++next) TRY(clear(*next, key));
        forget(node);
        return {};
    }

    void note(std::string_view what, std::string where, std::string before, std::string after) {
        journal.push_back({std::string(what), std::move(where), std::move(before), std::move(after)});
    }
};

Hive::Hive(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Hive::Hive(Hive&&) noexcept = default;
Hive& Hive::operator=(Hive&&) noexcept = default;
Hive::~Hive() = default;

Result<Hive> Hive::open(std::string bytes, std::string label) {
    const auto base = read_base_block(bytes);
    if (base && !base->whole()) return make_error(errors::kHiveDirty, "{} was not written to its end", label);
    const auto mends = TRY_WITH(inspect_hive(bytes), label);
    auto impl = std::make_unique<Impl>();
    impl->label = std::move(label);
    if (!mends.empty()) impl->given = bytes;
    for (const auto& mend : mends) put_le32(bytes, mend.at, mend.value);
    impl->original = std::move(bytes);
    impl->end = kBaseBlock + base->bins_size;
    auto file = TRY(memory_file());
    TRY(write_full(file.fd.get(), as_bytes(impl->original)));
    impl->hive.reset(hivex_open(file.path.c_str(), HIVEX_OPEN_WRITE));
    if (!impl->hive) return make_error(errors::kHive, "{}: libhivex: {}", impl->label, std::strerror(errno));
    return Hive(std::move(impl));
}

bool Hive::has(std::string_view key) const { return impl_->find(key) != 0; }

std::vector<std::string> Hive::keys(std::string_view key) const {
    const auto node = impl_->find(key);
    return node == 0 ? std::vector<std::string>{} : impl_->children(node).names;
}

std::vector<std::string> Hive::values(std::string_view key) const {
    std::vector<std::string> names;
    if (const auto node = impl_->find(key); node != 0)
        for (const auto handle : impl_->value_handles(node)) names.push_back(impl_->value_name(handle));
    return names;
}

std::optional<RegValue> Hive::get(std::string_view key, std::string_view name) const {
    const auto node = impl_->find(key);
    if (node == 0) return std::nullopt;
    auto found = impl_->find_value(node, name);
    if (!found) return std::nullopt;
    return std::move(found->value);
}

std::optional<std::string> Hive::string(std::string_view key, std::string_view name) const {
    const auto value = get(key, name);
    return value ? as_string(*value) : std::nullopt;
}

std::optional<std::vector<std::string>> Hive::strings(std::string_view key, std::string_view name) const {
    const auto value = get(key, name);
    return value ? as_strings(*value) : std::nullopt;
}

std::optional<std::uint64_t> Hive::number(std::string_view key, std::string_view name) const {
    const auto value = get(key, name);
    return value ? as_number(*value) : std::nullopt;
}

Status Hive::set(std::string_view what, std::string_view key, std::string_view name, const RegValue& value) {
    const auto before = get(key, name);
    if (before == value) return {};
    TRY(impl_->may_edit(key));
    if (value.data.size() > kLargestWritten || !writable_name(name))
        return impl_->refused(key, "such values are not written here");
    const auto node = TRY(impl_->make(key));
    auto slots = impl_->slots(node);
    const auto wanted = folded(name);
    const auto at = std::find_if(slots.begin(), slots.end(), [&](const Slot& s) { return folded(s.name) == wanted; });
    const auto old = at == slots.end() ? std::nullopt : at->kept;
    if (at == slots.end()) slots.push_back({std::string(name), value, {}});
    else *at = {at->name, value, {}};
    TRY(impl_->write(node, key, slots));
    if (old) impl_->finish.freed.push_back(*old);
    impl_->note(what, value_place(impl_->label, key, name), before ? shown(*before) : "", shown(value));
    return {};
}

Status Hive::set_string(std::string_view what, std::string_view key, std::string_view name, std::string_view utf8) {
    const auto before = get(key, name);
    if (before && as_string(*before) == utf8) return {};
    return set(what, key, name, before && before->type == RegType::ExpandSz ? reg_expand_sz(utf8) : reg_sz(utf8));
}

Status Hive::remove_value(std::string_view what, std::string_view key, std::string_view name) {
    const auto node = impl_->find(key);
    const auto before = node == 0 ? std::nullopt : impl_->find_value(node, name);
    if (!before) return {};
    TRY(impl_->may_edit(key));
    auto slots = impl_->slots(node);
    const auto wanted = folded(name);
    std::erase_if(slots, [&](const Slot& s) { return folded(s.name) == wanted; });
    TRY(impl_->write(node, key, slots));
    if (before->kept) impl_->finish.freed.push_back(*before->kept);
    impl_->note(what, value_place(impl_->label, key, name), shown(before->value), "");
    return {};
}

Status Hive::remove_key(std::string_view what, std::string_view key) {
    const auto node = impl_->find(key);
    if (node == 0) return {};
    TRY(impl_->may_edit(key));
    if (key.empty()) return impl_->refused(key, "it is the root");
    const auto slash = key.rfind('\\');
    const auto parent = impl_->find(slash == std::string_view::npos ? "" : key.substr(0, slash));
    // libhivex takes keys out of lists with names alone, and says so only when all below is gone.
    if (impl_->is_original(parent) && has_plain_list(impl_->original, Impl::cell_of(parent)))
        return impl_->refused(key, "its parent's list is of the old kind without names");
    const auto count = impl_->children(node).names.size();
    const auto below = fmt::format("a key with {} values and {} keys", impl_->value_handles(node).size(), count);
    TRY(impl_->clear(node, key));
    if (hivex_node_delete_child(impl_->hive.get(), node) != 0)
        return impl_->failed(fmt::format("removing {}", key));
    impl_->children_of.erase(parent);
    impl_->finish.lists.insert(Impl::cell_of(parent));
    impl_->note(what, fmt::format("{}\\{}", impl_->label, key), below, "");
    return {};
}

const std::vector<Change>& Hive::journal() const { return impl_->journal; }

Result<std::string> Hive::bytes() {
    if (!changed()) return impl_->given.empty() ? impl_->original : impl_->given;
    TRY(impl_->may_edit(""));
    auto file = TRY(memory_file());
    if (hivex_commit(impl_->hive.get(), file.path.c_str(), 0) != 0) return impl_->failed("writing");
    const auto size = lseek(file.fd.get(), 0, SEEK_END);
    if (size < 0) return impl_->failed("writing");
    std::string bytes(static_cast<std::size_t>(size), '\0');
    const auto got = TRY(pread_full(file.fd.get(), std::as_writable_bytes(std::span(bytes)), 0));
    if (got != bytes.size()) return impl_->failed("reading what was written");
    impl_->finish.apply(bytes);
    TRY_WITH(check_hive(bytes), impl_->label + " as it was written");
    return bytes;
}

}  // namespace slipway::fixup::windows
