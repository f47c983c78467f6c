// SPDX-License-Identifier: GPL-3.0-or-later
// Deploy into a pipe: a disk of an image, or one volume, as raw bytes from first to last; unused bytes are zeros.
#pragma once

#include <atomic>

#include "imagestore/chunk_source.hpp"
#include "imagestore/deploy.hpp"

namespace slipway::imagestore {

// Of the request manifest, disk, volume and rate_limit are used. Errors as of deploy_disk, and those of writing.
Result<DeployReport> deploy_stream(const DeployRequest& request, ChunkSource& source, int out,
                                   const ProgressSink& progress = {}, const std::atomic<bool>* cancel = nullptr);

}  // namespace slipway::imagestore
