// SPDX-License-Identifier: GPL-3.0-or-later
#include "sequences/variables.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "lib/base/strings.hpp"
#include "sequences/errors.hpp"

namespace slipway::sequences {

namespace {

constexpr std::size_t kLongest = 64;  // of a name; what is longer is like none
constexpr std::size_t kShown = 3;

// Letters to put in, take out or change (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const auto changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

}  // namespace

Names known_variables(const Sequence& sequence) {
    Names out;
    for (const auto& variable : sequence.variables) out.insert(variable.name);
    for (const auto& task : sequence.tasks)
        for (const auto& [name, value] : task.parameters) out.merge(used_variables(value));
    out.erase("job.id");
    out.erase("device.name");
    return out;
}

std::vector<std::string> nearest(std::string_view word, const Names& known) {
    std::vector<std::pair<std::size_t, std::string>> near;
    if (word.size() > kLongest) return {};
    for (const auto& name : known) {
        const auto far = distance(word, name);
        if (far <= std::max<std::size_t>(1, std::max(word.size(), name.size()) / 2)) near.emplace_back(far, name);
    }
    std::sort(near.begin(), near.end());
    std::vector<std::string> out;
    for (auto& [far, name] : near)
        if (out.size() < kShown) out.push_back(std::move(name));
    return out;
}

Status check_known(const Values& given, const Names& known) {
    for (const auto& [name, value] : given) {
        if (known.contains(name)) continue;
        auto like = nearest(name, known);
        if (!like.empty())
            return make_error(errors::kNoSuchVariable, "there is no variable '{}'; like it: {}", printable(name),
                              join(like, ", "));
        return make_error(
            errors::kNoSuchVariable, "there is no variable '{}'; {}", printable(name),
            known.empty() ? std::string("the sequence takes none")
                          : "the sequence takes " + join(std::vector<std::string>(known.begin(), known.end()), ", "));
    }
    return {};
}

}  // namespace slipway::sequences
