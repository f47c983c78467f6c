// SPDX-License-Identifier: GPL-3.0-or-later
// What a job may be given: a name that its sequence knows nothing of is a slip of the pen, which would otherwise show
// once machines have run with the default.
#pragma once

#include <set>

#include "sequences/model.hpp"

namespace slipway::sequences {

using Names = std::set<std::string, std::less<>>;

// The names that a value has as ${name}; none of one that is not well formed.
Names used_variables(std::string_view value);
// Those that it declares or uses, less the server's own (job.id, device.name).
Names known_variables(const Sequence& sequence);
// The at most three of `known` that are nearest to `word`, the nearest first; none that is nothing like it.
std::vector<std::string> nearest(std::string_view word, const Names& known);
// Error: sequences.no-such-variable, for the first of `given` that is not known.
Status check_known(const Values& given, const Names& known);

}  // namespace slipway::sequences
