// SPDX-License-Identifier: GPL-3.0-or-later
// Tables for people: columns padded to their widest cell, hostile text made printable.
#pragma once

#include <string>
#include <vector>

namespace slipway::console {

class Table {
public:
    explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
    void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.empty(); }
    std::string text() const;

private:
    std::vector<std::string> header_;
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace slipway::console
