// SPDX-License-Identifier: GPL-3.0-or-later
// An image out of a store into one stream, and back into another store (archive.hpp has the bytes).
#pragma once

#include <atomic>

#include "imagestore/archive.hpp"
#include "imagestore/chunk_source.hpp"
#include "lib/base/progress.hpp"

namespace slipway::imagestore {

struct ExportReport {
    std::uint64_t chunks = 0;  // records written
    std::uint64_t bytes = 0;   // of the archive
};
// Each chunk is decoded and checked before it leaves. Memory: 32 MiB for the ids that were written; of an image of more
// chunks than that some are written again where they are named again.
// Errors: imagestore.bad-manifest, .bad-chunk, .chunk-missing, .cancelled, and the output's own.
Result<ExportReport> export_image(const std::string& name, std::uint32_t version, const ManifestBytes& manifest,
                                  ChunkSource& source, ManifestOutput& output, const ProgressSink& progress = {},
                                  const std::atomic<bool>* cancel = nullptr);

struct ImportReport {
    std::string image;         // "web@1"
    std::uint64_t chunks = 0;  // records read
    std::uint64_t stored = 0;  // of them new to the store
    std::uint64_t bytes = 0;   // of the archive
};
// Adds what comes as the next version of `name` (empty: the name in the archive). The sink checks every chunk against
// its id (WriterOptions::check_chunks). What an interrupted import stored counts as there when it is run again, and
// nothing is visible as an image before all of it is.
// Errors: imagestore.bad-archive, .bad-manifest, .bad-chunk, .bad-name, .cancelled, and the sink's own.
Result<ImportReport> import_image(ByteStream& in, const std::string& name, ChunkSink& sink,
                                  const ProgressSink& progress = {}, const std::atomic<bool>* cancel = nullptr);

}  // namespace slipway::imagestore
