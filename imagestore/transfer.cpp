// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/transfer.hpp"

#include <unordered_set>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/names.hpp"
#include "imagestore/spool.hpp"
#include "lib/base/strings.hpp"

namespace slipway::imagestore {

namespace {

constexpr std::size_t kRememberedIds = 512u << 10;  // about 32 MiB

Status check_cancel(const std::atomic<bool>* cancel, const char* what) {
    if (cancel && cancel->load(std::memory_order_relaxed))
        return make_error(errors::kCancelled, "the {} was cancelled", what);
    return {};
}

}  // namespace

Result<ExportReport> export_image(const std::string& name, std::uint32_t version, const ManifestBytes& manifest,
                                  ChunkSource& source, ManifestOutput& output, const ProgressSink& progress,
                                  const std::atomic<bool>* cancel) {
    std::uint64_t total = 0, done = 0;
    auto image = TRY(summarize(manifest));
    for (const auto& disk : image.disks) total += disk.data_chunks;
    ArchiveWriter writer(output);
    TRY(writer.start({name, version, manifest.size()}, manifest));
    ExportReport report;
    std::unordered_set<ChunkId> written;
    ChunkDecoder decoder;
    Bytes plain;
    ManifestReader reader(manifest);
    while (auto event = TRY(reader.next())) {
        auto* run = std::get_if<ChunkRun>(&*event);
        if (!run) continue;
        for (const auto& id : run->ids) {
            ++done;
            if (written.contains(id)) continue;
            TRY(check_cancel(cancel, "export"));
            auto encoded = TRY(source.get(id));
            TRY(decoder.decode(id, encoded, plain));
            TRY(writer.chunk(id, encoded));
            if (written.size() < kRememberedIds) written.insert(id);
            ++report.chunks;
            if (progress) progress({done * kChunkBytes, total * kChunkBytes, "exporting " + name});
        }
    }
    TRY(writer.finish());
    report.bytes = writer.bytes();
    return report;
}

Result<ImportReport> import_image(ByteStream& in, const std::string& name, ChunkSink& sink,
                                  const ProgressSink& progress, const std::atomic<bool>* cancel) {
    ArchiveReader reader(in);
    auto header = TRY(reader.header());
    auto as = name.empty() ? header.name : name;
    if (!valid_image_name(as)) return make_error(errors::kBadName, "'{}' is not an image name", printable(as));
    auto manifest = TRY(SpoolManifest::create());
    TRY(reader.manifest(manifest));
    TRY(check_manifest(manifest));
    ImportReport report;
    while (auto chunk = TRY(reader.next(manifest))) {
        TRY(check_cancel(cancel, "import"));
        ++report.chunks;
        if (!TRY(sink.have(std::span(&chunk->id, 1))).at(0)) {
            TRY(sink.put(chunk->id, chunk->encoded));
            ++report.stored;
        }
        if (progress) progress({reader.bytes(), 0, "importing " + as});
    }
    auto done = TRY(sink.commit(as, manifest));
    if (!done.missing.empty())
        return make_error(errors::kBadArchive, "it lacks {} of the chunks its image names, the first {}",
                          done.missing.size(), done.missing.front().text());
    report.image = ImageRef{as, done.version}.text();
    report.bytes = reader.bytes();
    return report;
}

}  // namespace slipway::imagestore
