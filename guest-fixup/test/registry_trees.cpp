// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/test/registry_trees.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <hivex.h>

#include "guest-fixup/windows/marvin32.hpp"
#include "guest-fixup/windows/regf.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::fixup::test {
namespace {

using namespace windows;
using namespace windows::regf;

std::string le(std::uint64_t value, std::size_t bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
}

struct Encoded {
    std::string bytes;
    bool latin1 = true;
};
Encoded encoded(const std::string& name) {
    const auto wide = to_utf16(name);
    Encoded out;
    for (std::size_t i = 0; i + 1 < wide.size(); i += 2) {
        if (wide[i + 1] != 0) return {wide, false};
        out.bytes += wide[i];
    }
    return out;
}

bool before(const std::string& a, const std::string& b) {
    for (std::size_t i = 0; i + 1 < std::min(a.size(), b.size()); i += 2)
        if (le16(a, i) != le16(b, i)) return le16(a, i) < le16(b, i);
    return a.size() < b.size();
}

std::string hash_of(const std::string& name) {
    const auto upper = folded(name);
    std::uint32_t hash = 0;
    for (std::size_t i = 0; i + 1 < upper.size(); i += 2) hash = hash * 37 + le16(upper, i);
    return le(hash, 4);
}

// Everything in one bin.
class Writer {
public:
    explicit Writer(const TestHive& how) : how_(how) {}

    std::string write(const TestKey& root) {
        const auto security = cell(std::string(20 + 20, '\0'));
        put(security, 0, "sk" + le(0, 2) + le(security, 4) + le(security, 4));
        // An owner-less descriptor, relative to itself: enough to be told apart.
        put(security, 16, le(20, 4) + le(1, 1) + le(0, 1) + le(0x8000, 2) + le(0, 16));
        security_ = security;
        const auto at = key(root, kNone, true);
        put(security, 12, le(users_, 4));
        return file(at);
    }

private:
    std::uint32_t cell(std::string data) {
        const auto at = static_cast<std::uint32_t>(kBinHeader + cells_.size());
        data.resize((data.size() + 4 + 7) / 8 * 8 - 4, '\0');
        cells_ += le(static_cast<std::uint32_t>(-static_cast<std::int64_t>(data.size() + 4)), 4) + data;
        return at;
    }
    void put(std::uint32_t at, std::size_t field, const std::string& data) {
        cells_.replace(at - kBinHeader + 4 + field, data.size(), data);
    }

    std::uint32_t key(const TestKey& key, std::uint32_t parent, bool root) {
        const auto name = encoded(root ? "ROOT" : key.name);
        const auto at = cell(std::string(76, '\0') + name.bytes);
        ++users_;
        const auto klass = to_utf16(key.class_name);
        const std::uint32_t class_at = klass.empty() ? kNone : cell(klass);
        const auto values = this->values(key.values);
        auto below = key.keys;
        std::sort(below.begin(), below.end(),
                  [](const TestKey& a, const TestKey& b) { return before(folded(a.name), folded(b.name)); });
        std::vector<std::pair<std::uint32_t, std::string>> children;
        for (const auto& child : below) children.emplace_back(this->key(child, at, false), child.name);
        const auto list = lists(children);
        put(at, 0, "nk" + le((root ? kHiveEntry : 0) | (name.latin1 ? kNameInLatin1 : 0), 2));
        put(at, 4, le(0x01d000000000beef, 8) + le(0, 4) + le(parent, 4) + le(children.size(), 4) + le(0, 4) + le(list, 4) +
                       le(kNone, 4) + le(key.values.size(), 4) + le(values, 4) + le(security_, 4) + le(class_at, 4));
        put(at, 52, le(0, 20) + le(name.bytes.size(), 2) + le(klass.size(), 2));
        return at;
    }

    std::uint32_t lists(const std::vector<std::pair<std::uint32_t, std::string>>& children) {
        if (children.empty()) return kNone;
        const auto size = how_.split != 0 ? how_.split : children.size();
        std::string parts;
        for (std::size_t i = 0; i < children.size(); i += size) {
            const auto count = std::min(size, children.size() - i);
            std::string data = how_.list + le(count, 2);
            for (std::size_t j = i; j < i + count; ++j) data += le(children[j].first, 4) + hint(children[j].second);
            parts += le(cell(data), 4);
        }
        if (parts.size() == 4) return le32(parts, 0);
        return cell("ri" + le(parts.size() / 4, 2) + parts);
    }

    std::string hint(const std::string& name) const {
        if (how_.list == "li") return "";
        if (how_.list == "lh") return hash_of(name);
        auto first = encoded(name).latin1 ? encoded(name).bytes.substr(0, 4) : "";
        first.resize(4, '\0');
        return first;
    }

    std::uint32_t values(const std::vector<TestValue>& values) {
        if (values.empty()) return kNone;
        std::string list;
        for (const auto& one : values) {
            const auto name = encoded(one.name);
            const auto& data = one.value.data;
            const auto inside = data.size() <= 4;
            auto where = data.substr(0, 4);
            where.resize(4, '\0');
            if (!inside) where = le(big(data), 4);
            list += le(cell("vk" + le(name.bytes.size(), 2) + le(data.size() | (inside ? 0x80000000 : 0), 4) + where +
                            le(static_cast<std::uint32_t>(one.value.type), 4) +
                            le(name.latin1 && !name.bytes.empty() ? 1 : 0, 2) + le(0, 2) + name.bytes),
                       4);
        }
        return cell(list);
    }

    std::uint32_t big(const std::string& data) {
        if (data.size() <= kSegment || how_.minor < 4) return cell(data);
        std::string list;
        for (std::size_t i = 0; i < data.size(); i += kSegment) {
            auto part = data.substr(i, kSegment);
            if (!how_.tight_segments) part.resize(kSegment, '\0');
            list += le(cell(part), 4);
        }
        const auto count = list.size() / 4;
        return cell("db" + le(count, 2) + le(cell(list), 4) + le(0, 4));
    }

    std::string file(std::uint32_t root) {
        const auto size = (kBinHeader + cells_.size() + kBinUnit - 1) / kBinUnit * kBinUnit;
        if (const auto rest = size - kBinHeader - cells_.size(); rest > 0) {
            cells_ += le(rest, 4);
            cells_.resize(size - kBinHeader, '\0');
        }
        std::string bytes = "regf" + le(how_.sequence, 4) + le(how_.sequence, 4) + le(0x01d000000000cafe, 8) + le(1, 4) +
                            le(how_.minor, 4) + le(0, 4) + le(1, 4) + le(root, 4) + le(size, 4) + le(1, 4);
        bytes.resize(kBaseBlock, '\0');
        set_checksum(bytes);
        return bytes + "hbin" + le(0, 4) + le(size, 4) + le(0, 8) + le(0x01d000000000cafe, 8) + le(0, 4) + cells_;
    }

    TestHive how_;
    std::string cells_;
    std::uint32_t security_ = kNone, users_ = 0;
};

std::string base_block_of_log(const std::string& hive, std::uint32_t type, std::uint32_t sequence) {
    auto base = hive.substr(0, 512);
    put_le32(base, kFileType, type);
    put_le32(base, kSequence1, sequence);
    put_le32(base, kSequence2, sequence);
    set_checksum(base);
    return base;
}

std::vector<std::size_t> pages_that_differ(const std::string& a, const std::string& b, std::size_t size) {
    std::vector<std::size_t> pages;
    for (std::size_t at = kBaseBlock; at < b.size(); at += size)
        if (at >= a.size() || a.compare(at, size, b, at, size) != 0) pages.push_back(at);
    return pages;
}

std::string log_entry(const std::string& before, const std::string& now, std::uint32_t sequence) {
    const auto pages = pages_that_differ(before, now, kBinUnit);
    std::string references, data;
    for (const auto at : pages) {
        references += le(at - kBaseBlock, 4) + le(kBinUnit, 4);
        data += now.substr(at, kBinUnit);
    }
    auto body = references + data;
    body.resize((40 + body.size() + 511) / 512 * 512 - 40, '\0');
    std::string entry = "HvLE" + le(40 + body.size(), 4) + le(0, 4) + le(sequence, 4) +
                        le(now.size() - kBaseBlock, 4) + le(pages.size(), 4) + le(marvin32(kLogSeed, body), 8);
    return entry + le(marvin32(kLogSeed, entry), 8) + body;
}

void dump_key(std::string_view hive, std::uint32_t offset, const std::string& path, std::vector<std::string>& lines);

void dump_below(std::string_view hive, std::uint32_t list, const std::string& path, std::vector<std::string>& lines) {
    const auto found = read_subkey_list(cell_at(hive, list));
    for (std::size_t i = 0; found && i < found->count; ++i)
        if (found->kind == ListKind::Root) dump_below(hive, found->at(i), path, lines);
        else dump_key(hive, found->at(i), path, lines);
}

std::string short_form(std::uint32_t type, std::string_view data) {
    return fmt::format("{}:{}", type,
                       data.size() <= 256 ? to_hex(as_bytes(data))
                                          : fmt::format("sha256:{} {}", sha256(as_bytes(data)).text(), data.size()));
}

void dump_key(std::string_view hive, std::uint32_t offset, const std::string& path, std::vector<std::string>& lines) {
    const auto key = read_key_node(cell_at(hive, offset));
    if (!key) return;
    const auto name = name_text(key->name, key->latin1());
    const auto here = offset == read_base_block(hive)->root ? std::string() : path.empty() ? name : path + '\\' + name;
    const auto klass = key->class_name == kNone ? std::string_view() : cell_at(hive, key->class_name);
    const auto security = cell_at(hive, key->security);
    lines.push_back(fmt::format("{} [{}] [{}]", here, from_utf16(klass.substr(0, key->class_length)),
                                sha256(as_bytes(security.substr(std::min<std::size_t>(20, security.size()),
                                                                le32(security, 16)))).text().substr(0, 8)));
    const auto list = cell_at(hive, key->value_list);
    for (std::uint32_t i = 0; i < key->value_count(); ++i) {
        const auto value = read_key_value(cell_at(hive, le32(list, i * 4)));
        if (!value) continue;
        lines.push_back(fmt::format("{}: {} = {}", here, name_text(value->name, value->latin1),
                                    short_form(value->type, data_of(hive, *value).value_or("CUT"))));
    }
    if (key->subkeys > 0) dump_below(hive, key->subkey_list, here, lines);
}

std::filesystem::path shared_data() {
    const char* given = std::getenv("SLIPWAY_SHARED_DATA");
    return given ? std::filesystem::path(given) : std::filesystem::path(SLIPWAY_SOURCE_DIR) / "../shared/data";
}

}  // namespace

TestKey& TestKey::key(const std::string& path) {
    auto* at = this;
    for (const auto& part : split(path, '\\')) {
        auto found = std::find_if(at->keys.begin(), at->keys.end(),
                                  [&](const TestKey& one) { return folded(one.name) == folded(part); });
        if (found == at->keys.end()) {
            at->keys.push_back({part, {}, {}, {}});
            found = at->keys.end() - 1;
        }
        at = &*found;
    }
    return *at;
}

TestKey& TestKey::set(const std::string& value_name, RegValue value) {
    for (auto& one : values)
        if (folded(one.name) == folded(value_name)) {
            one.value = std::move(value);
            return *this;
        }
    values.push_back({value_name, std::move(value)});
    return *this;
}

std::string make_hive(const TestKey& root, const TestHive& how) { return Writer(how).write(root); }

std::string empty_hive(unsigned minor) {
    TestHive how;
    how.minor = minor;
    return make_hive({}, how);
}

std::string with_sequences(std::string hive, std::uint32_t first, std::uint32_t second) {
    put_le32(hive, kSequence1, first);
    put_le32(hive, kSequence2, second);
    set_checksum(hive);
    return hive;
}

Stopped stopped_new_log(const std::string& before, const std::vector<std::string>& then) {
    const auto sequence = read_base_block(before)->sequence2;
    Stopped out{with_sequences(before, sequence + 1, sequence), {}};
    // The first log has the first half of the entries.
    const auto half = (then.size() + 1) / 2;
    auto last = before;
    for (std::size_t i = 0; i < then.size(); ++i) {
        const auto number = sequence + static_cast<std::uint32_t>(i);
        if (i == 0 || i == half) out.logs.push_back(base_block_of_log(before, 6, number));
        out.logs.back() += log_entry(last, then[i], number);
        last = then[i];
    }
    return out;
}

Stopped stopped_old_log(const std::string& before, const std::string& now) {
    const auto base = *read_base_block(before);
    Stopped out{with_sequences(before, base.sequence2 + 1, base.sequence2), {}};
    const auto pages = pages_that_differ(before, now, 512);
    std::string bitmap((now.size() - kBaseBlock) / 512 / 8, '\0'), data;
    for (const auto at : pages) {
        const auto bit = (at - kBaseBlock) / 512;
        bitmap[bit / 8] = static_cast<char>(static_cast<unsigned char>(bitmap[bit / 8]) | 1u << (bit % 8));
        data += now.substr(at, 512);
    }
    auto vector = "DIRT" + bitmap;
    vector.resize((vector.size() + 511) / 512 * 512, '\0');
    auto head = now;
    std::copy_n(before.begin() + kWritten, 8, head.begin() + kWritten);
    out.logs.push_back(base_block_of_log(head, 1, base.sequence2) + vector + data);
    return out;
}

std::optional<std::string> shared_file(const std::string& name) {
    const auto path = shared_data() / name;
    if (auto bytes = read_text_file(path)) return std::move(*bytes);
    const auto packed = path.string() + ".xz";
    if (!std::filesystem::exists(packed)) return std::nullopt;
    CommandOptions options;
    options.output_limit = 512u << 20;
    auto unpacked = run_command({"xz", "-dc", packed}, options);
    if (!unpacked.ok() || !unpacked->ok()) return std::nullopt;
    return std::move(unpacked->output);
}

std::optional<std::string> shared_hive(const std::string& name) {
    auto bytes = shared_file(name);
    if (!bytes) return bytes;
    const auto base = read_base_block(*bytes);
    if (!base || base->whole()) return bytes;
    return with_sequences(std::move(*bytes), base->sequence1, base->sequence1);
}

std::vector<std::string> dump_hive(std::string_view bytes) {
    std::vector<std::string> lines;
    if (const auto base = read_base_block(bytes)) dump_key(bytes, base->root, "", lines);
    std::sort(lines.begin(), lines.end());
    return lines;
}

HiveDiff diff_hives(std::string_view before, std::string_view after) {
    const auto a = dump_hive(before), b = dump_hive(after);
    HiveDiff diff;
    std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(diff.removed));
    std::set_difference(b.begin(), b.end(), a.begin(), a.end(), std::back_inserter(diff.added));
    return diff;
}

std::string to_text(const HiveDiff& diff) {
    std::string text;
    for (const auto& line : diff.removed) text += "- " + line + '\n';
    for (const auto& line : diff.added) text += "+ " + line + '\n';
    return text;
}

std::optional<std::string> reged_export(std::string_view hive, const std::string& key) {
    auto dir = TempDir::create("reged").value();
    const auto file = (dir.path() / "hive").string(), out = (dir.path() / "out.reg").string();
    if (!write_file_atomic(file, as_bytes(hive))) return std::nullopt;
    // It ends with 1 after an export, too.
    auto run = run_command({"reged", "-x", file, "HKEY_LOCAL_MACHINE\\TEST", key, out});
    if (!run.ok()) return std::nullopt;
    auto text = read_text_file(out);
    if (!text) return std::nullopt;
    return std::move(*text);
}

namespace {

void hivex_walk(hive_h* hive, hive_node_h node, const std::string& path, std::map<std::string, std::string>& all) {
    auto* values = hivex_node_values(hive, node);
    for (auto* value = values; value && *value; ++value) {
        char* name = hivex_value_key(hive, *value);
        hive_type type{};
        std::size_t length = 0;
        char* data = hivex_value_value(hive, *value, &type, &length);
        all[path + ": " + (name ? name : "?")] = data ? short_form(type, {data, length}) : "unreadable";
        std::free(data);
        std::free(name);
    }
    std::free(values);
    auto* nodes = hivex_node_children(hive, node);
    for (auto* next = nodes; next && *next; ++next) {
        char* name = hivex_node_name(hive, *next);
        hivex_walk(hive, *next, path + (path.empty() ? "" : "\\") + (name ? name : "?"), all);
        std::free(name);
    }
    std::free(nodes);
}

}  // namespace

std::map<std::string, std::string> hivex_dump(std::string_view hive) {
    std::map<std::string, std::string> all;
    auto dir = TempDir::create("hivex").value();
    const auto file = (dir.path() / "hive").string();
    if (!write_file_atomic(file, as_bytes(hive))) return all;
    if (auto* handle = hivex_open(file.c_str(), 0)) {
        hivex_walk(handle, hivex_root(handle), "", all);
        hivex_close(handle);
    }
    return all;
}

}  // namespace slipway::fixup::test
