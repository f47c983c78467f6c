// SPDX-License-Identifier: GPL-3.0-or-later
// The image tasks with a store of any kind: the server's, or in tests one in a directory.
#pragma once

#include "agent-ramdisk/agent/task.hpp"
#include "imagestore/broadcast.hpp"
#include "imagestore/chunk_sink.hpp"
#include "imagestore/chunk_source.hpp"
#include "imagestore/multicast/receiver.hpp"

namespace slipway::agent {

// Parameters as in docs/architecture.md "Task types". What cannot be meant is agent.parameter, and no disk is opened.
Result<TaskOutcome> capture_into(TaskContext& context, imagestore::ChunkSink& sink);
Result<TaskOutcome> deploy_from(TaskContext& context, const imagestore::ManifestBytes& manifest,
                                imagestore::ChunkSource& source, imagestore::ChunkBroadcast* broadcast = nullptr);

// What is told while a session goes on: what the deploy's sessions before brought, and this one.
channel::MulticastCounts told_counts(multicast::ReceiverCounts before, const multicast::ReceiverCounts& now,
                                     std::uint32_t lacking);

}  // namespace slipway::agent
