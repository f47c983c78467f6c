// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hive_finish.hpp"

#include "guest-fixup/windows/regf.hpp"

namespace slipway::fixup::windows {
namespace {

using namespace regf;

std::size_t data_at(std::uint32_t offset) { return kBaseBlock + offset + 4; }

// Also of one that is free: its size is said with the other sign.
void set_used(std::string& hive, std::uint32_t offset, bool used) {
    const auto at = kBaseBlock + offset;
    const auto size = static_cast<std::int32_t>(le32(hive, at));
    if (size == INT32_MIN || (size < 0) == used) return;
    put_le32(hive, at, static_cast<std::uint32_t>(-size));
}

void point_back(std::string& hive, std::uint32_t key, std::size_t index, const KeptData& data) {
    const auto node = read_key_node(cell_at(hive, key));
    if (!node || index >= node->value_count()) return;
    const auto offset = le32(cell_at(hive, node->value_list), index * 4);
    const auto value = read_key_value(cell_at(hive, offset));
    if (!value || value->in_place) return;
    set_used(hive, value->data, false);  // the placeholder
    set_used(hive, data.cell, true);
    put_le32(hive, data_at(offset) + 4, data.size);
    put_le32(hive, data_at(offset) + 8, data.cell);
}

// libhivex has freed the record alone.
void release(std::string& hive, const KeptData& data) {
    set_used(hive, data.cell, true);
    const auto cell = cell_at(hive, data.cell);
    const auto big = cell.size() < data.size ? read_big_data(cell) : std::nullopt;
    set_used(hive, data.cell, false);
    if (!big) return;
    const auto list = std::string(cell_at(hive, big->list));
    for (std::size_t i = 0; i < big->segments; ++i) set_used(hive, le32(list, i * 4), false);
    set_used(hive, big->list, false);
}

void hash_to_hints(std::string& hive, std::uint32_t offset) {
    const auto list = read_subkey_list(cell_at(hive, offset));
    if (!list || list->kind != ListKind::HashLeaf) return;
    hive[data_at(offset) + 1] = 'f';
    for (std::size_t i = 0; i < list->count; ++i) {
        const auto at = data_at(offset) + 4 + i * 8;
        const auto key = read_key_node(cell_at(hive, le32(hive, at)));
        std::string hint = key && key->latin1() ? std::string(key->name.substr(0, 4)) : std::string();
        hint.resize(4, '\0');
        put_le32(hive, at + 4, le32(hint, 0));
    }
}

// An "ri" without the parts that have become empty.
void drop_empty_parts(std::string& hive, std::uint32_t offset) {
    const auto list = read_subkey_list(cell_at(hive, offset));
    if (!list || list->kind != ListKind::Root) return;
    std::vector<std::uint32_t> full;
    for (std::size_t i = 0; i < list->count; ++i) {
        const auto part = read_subkey_list(cell_at(hive, list->at(i)));
        if (part && part->count == 0) set_used(hive, list->at(i), false);
        else full.push_back(list->at(i));
    }
    put_le16(hive, data_at(offset) + 2, static_cast<std::uint16_t>(full.size()));
    for (std::size_t i = 0; i < full.size(); ++i) put_le32(hive, data_at(offset) + 4 + i * 4, full[i]);
}

void settle_lists(std::string& hive, std::uint32_t key, std::uint32_t minor) {
    const auto node = read_key_node(cell_at(hive, key));
    if (!node || node->subkey_list == kNone) return;
    drop_empty_parts(hive, node->subkey_list);
    if (node->subkeys == 0) {
        set_used(hive, node->subkey_list, false);
        put_le32(hive, data_at(key) + 28, kNone);
        return;
    }
    // Hash leaves are of files above 1.4.
    if (minor > 4) return;
    hash_to_hints(hive, node->subkey_list);
    const auto list = read_subkey_list(cell_at(hive, node->subkey_list));
    if (!list || list->kind != ListKind::Root) return;
    for (std::size_t i = 0; i < list->count; ++i) hash_to_hints(hive, list->at(i));
}

}  // namespace

void Finish::apply(std::string& hive) const {
    for (const auto& data : freed) release(hive, data);
    for (const auto& [key, values] : big)
        for (const auto& [index, data] : values) point_back(hive, key, index, data);
    const auto base = read_base_block(hive);
    for (const auto key : lists) settle_lists(hive, key, base ? base->minor : 0);
}

bool has_plain_list(std::string_view hive, std::uint32_t key) {
    const auto node = read_key_node(cell_at(hive, key));
    if (!node || node->subkeys == 0) return false;
    const auto list = read_subkey_list(cell_at(hive, node->subkey_list));
    if (!list) return false;
    if (list->kind == ListKind::Leaf) return true;
    for (std::size_t i = 0; list->kind == ListKind::Root && i < list->count; ++i) {
        const auto part = read_subkey_list(cell_at(hive, list->at(i)));
        if (part && part->kind == ListKind::Leaf) return true;
    }
    return false;
}

}  // namespace slipway::fixup::windows
