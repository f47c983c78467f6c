// SPDX-License-Identifier: GPL-3.0-or-later
// The sequences room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::sequences::errors {

inline constexpr ErrorId kNotSequence{
    "sequences.not-a-sequence",
    "Give a task sequence: XML with root element 'sequence', namespace urn:slipway:sequence:1; see sequences/samples."};
inline constexpr ErrorId kBadSequence{"sequences.bad-sequence",
                                      "Correct the line named; sequences/sequence.xsd says what is allowed."};
inline constexpr ErrorId kBadTask{
    "sequences.bad-task", "Correct the task named; docs/architecture.md, \"Task types\", lists types and parameters."};
inline constexpr ErrorId kUnknownVariable{"sequences.unknown-variable",
                                          "Give the variable with the job (--variable NAME=VALUE), or a default in the "
                                          "sequence's <variables>."};
inline constexpr ErrorId kNoSuchVariable{
    "sequences.no-such-variable",
    "Correct the name: `slipway sequence show NAME` has the variables of a sequence, with what each is for."};
inline constexpr ErrorId kBadVariable{"sequences.bad-variable",
                                      "Write ${name} with letters, digits, '.', '_' and '-', or $${ for a plain ${."};
inline constexpr ErrorId kTimeout{
    "sequences.timeout", "See the job's log for how far the step came; a larger timeout in the sequence may help.",
    true};
inline constexpr ErrorId kCancelled{"sequences.cancelled", "Resume the job when wanted: finished steps are kept."};
inline constexpr ErrorId kInterrupted{
    "sequences.interrupted",
    "The step may have run in part and cannot be asked: look at the device, then resume the job to run it again.",
    true};
inline constexpr ErrorId kBadRecord{"sequences.bad-record",
                                    "The stored state of the run is damaged: cancel the job and start it again."};

}  // namespace slipway::sequences::errors
