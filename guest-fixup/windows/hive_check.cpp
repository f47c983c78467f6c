// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hive_check.hpp"

#include <map>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/hive_log.hpp"
#include "guest-fixup/windows/regf.hpp"

namespace slipway::fixup::windows {
namespace {

using namespace regf;

// Memory: two bits for every 8 bytes of the hive, and a pending entry for each key.
class Checker {
public:
    explicit Checker(std::string_view bytes) : bytes_(bytes) {}

    Result<std::vector<Mend>> run() {
        auto base = TRY(header());
        TRY(bins());
        pending_.push_back({base.root, kNone, 0});
        TRY(claim(base.root, "the root key"));
        while (!pending_.empty()) {
            const auto next = pending_.back();
            pending_.pop_back();
            TRY(key(next).with(fmt::format("the key at 0x{:x}", next.offset)));
        }
        for (const auto& [offset, users] : security_)
            if (le32(bytes_, kBaseBlock + offset + 16) != users) mend(offset, 12, users);
        return std::move(mends_);
    }

private:
    struct Pending {
        std::uint32_t offset = 0, parent = 0;
        std::size_t depth = 0;
    };

    template <typename... Args>
    static Error bad(fmt::format_string<Args...> format, Args&&... args) {
        return make_error(errors::kHive, format, std::forward<Args>(args)...);
    }

    Result<BaseBlock> header() {
        if (bytes_.size() > kLargestHive) return bad("of {} bytes; no hive is that long", bytes_.size());
        const auto base = read_base_block(bytes_);
        if (!base) return bad("it does not start as a registry file");
        if (base->major != 1 || base->minor < 3 || base->minor > 6)
            return bad("its version is {}.{}, not one of 1.3 to 1.6", base->major, base->minor);
        if (base->type != 0 || le32(bytes_, kFileFormat) != 1) return bad("it is a log, not a hive");
        size_ = base->bins_size;
        if (size_ == 0 || size_ % kBinUnit != 0) return bad("its bins are said to have {} bytes", size_);
        if (bytes_.size() < kBaseBlock || bytes_.size() - kBaseBlock < size_)
            return bad("it is cut: {} bytes are there, {} are said to be", bytes_.size(), kBaseBlock + size_);
        bytes_ = bytes_.substr(0, kBaseBlock + size_);
        return *base;
    }

    // Every bin and every cell; the ones in use are noted.
    Status bins() {
        used_.resize(size_ / 8);
        claimed_.resize(size_ / 8);
        for (std::size_t bin = 0; bin < size_;) {
            const auto at = kBaseBlock + bin;
            const std::size_t length = le32(bytes_, at + 8);
            if (bytes_.substr(at, 4) != "hbin" || le32(bytes_, at + 4) != bin)
                return bad("there is no bin at 0x{:x}", bin);
            if (length == 0 || length % kBinUnit != 0 || length > size_ - bin)
                return bad("the bin at 0x{:x} is said to have {} bytes", bin, length);
            for (std::size_t cell = bin + kBinHeader; cell < bin + length;) {
                const auto size = static_cast<std::int32_t>(le32(bytes_, kBaseBlock + cell));
                const auto bytes = static_cast<std::size_t>(size < 0 ? -std::int64_t{size} : std::int64_t{size});
                if (bytes < 8 || bytes % 8 != 0 || bytes > bin + length - cell)
                    return bad("the cell at 0x{:x} is said to have {} bytes", cell, size);
                if (size < 0) used_[cell / 8] = true;
                cell += bytes;
            }
            bin += length;
        }
        return {};
    }

    // The cell's data; it belongs to nobody else.
    Result<std::string_view> claim(std::uint32_t offset, std::string_view what) {
        const auto data = TRY(cell(offset, what));
        if (claimed_[offset / 8]) return bad("{} at 0x{:x} is used twice", what, offset);
        claimed_[offset / 8] = true;
        return data;
    }

    Result<std::string_view> cell(std::uint32_t offset, std::string_view what) {
        if (offset % 8 != 0 || offset >= size_ || !used_[offset / 8])
            return bad("{}: there is no cell at 0x{:x}", what, offset);
        return cell_at(bytes_, offset);
    }

    // field: offset in the cell's data.
    void mend(std::uint32_t offset, std::size_t field, std::uint32_t value) {
        mends_.push_back({kBaseBlock + offset + 4 + field, value});
    }

    Status key(const Pending& pending) {
        const auto node = read_key_node(cell_at(bytes_, pending.offset));
        if (!node) return bad("it is no key, or its name leaves it");
        if (pending.depth > kDeepest) return bad("it lies {} levels deep", pending.depth);
        if (pending.parent != kNone && node->parent != pending.parent)
            return bad("it names 0x{:x} as its parent, and is below 0x{:x}", node->parent, pending.parent);
        if (node->class_name != kNone) {
            if (node->class_length == 0) mend(pending.offset, 48, kNone);
            else if (TRY(claim(node->class_name, "its class")).size() < node->class_length)
                return bad("its class is longer than its cell");
        }
        if (node->security != kNone) TRY(security(node->security));
        TRY(values(*node));
        if (node->subkeys == 0) return {};
        const auto found = TRY(list(node->subkey_list, pending, false));
        if (found != node->subkeys) return bad("it should have {} keys below it, and has {}", node->subkeys, found);
        return {};
    }

    Result<std::uint64_t> list(std::uint32_t offset, const Pending& parent, bool inner) {
        const auto list = read_subkey_list(TRY(claim(offset, "its list of keys")));
        if (!list || (inner && list->kind == ListKind::Root)) return bad("its list of keys is none");
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < list->count; ++i) {
            const auto next = list->at(i);
            if (list->kind == ListKind::Root) {
                count += TRY(this->list(next, parent, true));
                continue;
            }
            TRY(claim(next, "a key below it"));
            pending_.push_back({next, parent.offset, parent.depth + 1});
            ++count;
        }
        return count;
    }

    Status values(const KeyNode& node) {
        const auto count = node.value_count();
        if (count == 0) return {};
        const auto list = TRY(claim(node.value_list, "its list of values"));
        if (list.size() / 4 < count) return bad("its list of {} values is longer than its cell", count);
        for (std::size_t i = 0; i < count; ++i) {
            const auto offset = le32(list, i * 4);
            const auto value = read_key_value(TRY(claim(offset, "a value")));
            if (!value) return bad("the value at 0x{:x} is none, or leaves its cell", offset);
            if (value->in_place) continue;
            if (value->size == 0) mend(offset, 4, 0x80000000);
            else TRY(data(*value));
        }
        return {};
    }

    Status data(const KeyValue& value) {
        const auto cell = TRY(claim(value.data, "a value's data"));
        if (cell.size() >= value.size) return {};
        const auto big = read_big_data(cell);
        if (!big) return bad("the data at 0x{:x} is cut", value.data);
        const auto list = TRY(claim(big->list, "a value's list of segments"));
        if (list.size() / 4 < big->segments) return bad("the list of segments at 0x{:x} is cut", big->list);
        std::size_t found = 0;
        for (std::size_t i = 0; i < big->segments; ++i)
            found += std::min(kSegment, TRY(claim(le32(list, i * 4), "a segment of a value")).size());
        // Each but the last is full.
        if (found < value.size || (value.size - 1) / kSegment + 1 != big->segments || !data_of(bytes_, value))
            return bad("the segments of the data at 0x{:x} do not hold its {} bytes", value.data, value.size);
        return {};
    }

    // Many keys use one, and they lie in a ring; of its neighbours, which may have no users, only their kind is asked.
    Status security(std::uint32_t offset) {
        if (++security_[offset] > 1) return {};
        const auto cell = TRY(claim(offset, "its security"));
        const auto descriptor = [](std::string_view data) {
            return data.size() >= 20 && data.starts_with("sk") && le32(data, 16) <= data.size() - 20;
        };
        if (!descriptor(cell)) return bad("its security at 0x{:x} is none, or leaves its cell", offset);
        for (const std::size_t field : {4, 8})
            if (!descriptor(TRY(this->cell(le32(cell, field), "the next security"))))
                return bad("next to its security at 0x{:x} is another thing", offset);
        return {};
    }

    std::string_view bytes_;
    std::size_t size_ = 0;  // of the bins
    std::vector<bool> used_, claimed_;
    std::vector<Pending> pending_;
    std::map<std::uint32_t, std::uint32_t> security_;  // -> users
    std::vector<Mend> mends_;
};

}  // namespace

Result<std::vector<Mend>> inspect_hive(std::string_view bytes) { return Checker(bytes).run(); }

Status check_hive(std::string_view bytes) {
    TRY(inspect_hive(bytes));
    return {};
}

}  // namespace slipway::fixup::windows
